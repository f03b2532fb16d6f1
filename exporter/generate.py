"""`make generate`: the files that are made from the code, so that they cannot drift from it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exporter.kubernetes import PROMETHEUS_RULE, prometheus_rule
from exporter.metrics import CATALOGUE
from exporter.schema import ConfigFile

ROOT = Path(__file__).parents[1]


def generated() -> dict[Path, str]:
    """Each generated file's path, from the project's root, and content."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ConfigFile.model_json_schema()}
    return {
        Path("docs/config.schema.json"): json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        Path("docs/config-fields.md"): _config_fields(schema),
        Path("docs/metrics.md"): _metrics(),
        PROMETHEUS_RULE: prometheus_rule(_rule_files()),
    }


def _rule_files() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "alert_rules").glob("*.yaml")}


def _metrics() -> str:
    rows = (f"| `{m.name}` | {m.kind} | {', '.join(m.labels)} | {m.help} |" for m in CATALOGUE)
    return "\n".join(
        [
            "# Metrics",
            "",
            "Every metric of the exporter. Where `api` and `organisation` stand, the labels declared in the config's",
            "`organisation_labels` come on top. The usual `process_*` and `python_*` metrics are there as well.",
            "",
            "| metric | type | labels | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "A scope costs at most 7 series and one for each of the last 30 days (`daily_history_days` in the config",
            "says how many); an organisation costs 20 more.",
            "",
        ]
    )


def _config_fields(schema: dict[str, Any]) -> str:
    lines = [
        "# Fields of the config file",
        "",
        "Every field, from the models that check the file; docs/configuration.md shows how they are used. A field",
        "without a default is required, unless another may stand in for it.",
    ]
    models = {"the file": schema, **schema["$defs"]}
    for name, model in models.items():
        for shape in model.get("anyOf", [model]):
            if "properties" in shape:
                lines += ["", f"## {name}", "", _sentence(shape.get("description", "")), ""]
                lines += ["| field | value | default | meaning |", "| --- | --- | --- | --- |", *_fields(shape)]
    return "\n".join(lines) + "\n"


def _fields(model: dict[str, Any]) -> Iterator[str]:
    for name, field in model["properties"].items():
        required = name in model.get("required", ())
        default = "" if required else _default(field.get("default"))
        meaning = _sentence(field.get("description", ""))
        yield f"| `{name}` | {_kind(field)} | {default} | {meaning} |"


def _default(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    return "its own defaults" if isinstance(value, dict) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _kind(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "const" in field or "enum" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        kinds = [_kind(option) for option in options if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    if "examples" in field and field["type"] == "string":
        return (
            "duration"
            if "pattern" in field
            else "such as " + ", ".join(f"`{example}`" for example in field["examples"])
        )
    return str(field.get("type", "any"))


def _sentence(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def main() -> None:
    for path, content in generated().items():
        (ROOT / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
