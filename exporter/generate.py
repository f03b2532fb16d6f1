"""`make generate`: the files that are made from the code, so that they cannot drift from it."""

import json
from pathlib import Path

from exporter.schema import ConfigFile

ROOT = Path(__file__).parents[1]


def generated() -> dict[Path, str]:
    """Each generated file's path, from the project's root, and content."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ConfigFile.model_json_schema()}
    return {Path("docs/config.schema.json"): json.dumps(schema, indent=2, ensure_ascii=False) + "\n"}


def main() -> None:
    for path, content in generated().items():
        (ROOT / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
