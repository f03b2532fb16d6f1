"""`make generate`: the files, and the tables of the README, that are made from code, so that they do not drift."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from alert_rules.build import rendered as rendered_rules
from alert_rules.build import rendered_examples
from exporter.bundle.kubernetes import PROMETHEUS_RULE, prometheus_rule
from exporter.cli import ENVIRONMENT_PREFIX
from exporter.cli import main as cli
from exporter.config.api import ConfigFile
from exporter.config.example import SCHEMA_FILE, example
from exporter.metrics import CATALOGUE
from exporter.preset_pages import pages
from exporter.view.usage_json import json_schema

ROOT = Path(__file__).parents[1]


def generated() -> dict[Path, str]:
    """Each generated file's path, from the project's root, and content."""
    rules = rendered_rules()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ConfigFile.model_json_schema()}
    schema_text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return {
        Path("docs", SCHEMA_FILE): schema_text,
        Path("exporter/config", SCHEMA_FILE): schema_text,
        Path("config.example.yaml"): example(f"docs/{SCHEMA_FILE}"),
        Path("docs/usage.schema.json"): json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        Path("docs/config-fields.md"): _config_fields(schema),
        Path("docs/metrics.md"): _metrics(),
        **{Path(path): text for path, text in pages().items()},
        **{Path("alert_rules", name): text for name, text in {**rules, **rendered_examples()}.items()},
        PROMETHEUS_RULE: prometheus_rule({name: text for name, text in rules.items() if name.endswith(".yaml")}),
        Path("README.md"): _readme(
            (ROOT / "README.md").read_text(encoding="utf-8"),
            {"metrics": _metrics_table(), "flags": _flags_table(), "config fields": _config_table(schema)},
        ),
    }


def _readme(text: str, tables: dict[str, list[str]]) -> str:
    """The text with these tables between their marks. Raises ValueError where a mark is missing."""
    for name, rows in tables.items():
        begin, end = f"<!-- {name}, by make generate -->\n", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"README.md lacks {begin.strip()} or {end}")
        text = "\n".join([before + begin, *rows, "", end + after])
    return text


def _metrics_table() -> list[str]:
    rows = (f"| `{m.name}` | {m.kind} | {', '.join(m.labels)} | {m.help} |" for m in CATALOGUE)
    return ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *rows]


def _flags_table() -> list[str]:
    rows = [row for path, command in _commands("", cli) for row in _flags(path, command)]
    return ["| flag | environment variable | default | meaning |", "| --- | --- | --- | --- |", *rows]


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, one in sorted(command.commands.items()):
            yield from _commands(f"{path}{name} ", one)


def _flags(path: str, command: click.Command) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option) and option.expose_value:
            names = "/".join(option.opts + option.secondary_opts)
            variable = f"`{ENVIRONMENT_PREFIX}_{str(option.name).upper()}`" if option.show_envvar else ""
            yield f"| `{path}{names}` | {variable} | {_flag_default(option)} | {_sentence(option.help or '')} |"


def _flag_default(option: click.Option) -> str:
    default = option.to_info_dict()["default"]
    if option.is_flag or default in (None, (), ""):
        return "on" if default is True else ""
    return f"`{' '.join(map(str, default)) if isinstance(default, list | tuple) else default}`"


def _config_table(schema: dict[str, Any]) -> list[str]:
    rows = []
    for path, shape in _shapes("", schema, schema["$defs"], set()):
        for name, field, default in _named(shape):
            # What chooses between kinds of objects is explained by what the kind is.
            kind = f": {field['const']}" if "const" in field else ""
            meaning = _sentence((shape if kind else field).get("description", ""))
            rows.append(f"| `{path}{name}{kind}` | {default} | {meaning} |")
    return ["| field | default | meaning |", "| --- | --- | --- |", *rows]


def _shapes(
    path: str, model: dict[str, Any], models: dict[str, Any], seen: set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the file, with the path of its fields; an object that stands in several places only once."""
    if "properties" in model:
        yield path, model
    for name, field in model.get("properties", {}).items():
        yield from _shapes(f"{path}{name}.", field, models, seen)
    if "items" in model:
        yield from _shapes(f"{path.removesuffix('.')}[].", model["items"], models, seen)
    if isinstance(model.get("additionalProperties"), dict):
        yield from _shapes(f"{path}NAME.", model["additionalProperties"], models, seen)
    for option in [*model.get("anyOf", ()), *model.get("oneOf", ())]:
        yield from _shapes(path, option, models, seen)
    if (reference := model.get("$ref", "").rpartition("/")[2]) and reference not in seen:
        seen.add(reference)
        yield from _shapes(path, models[reference], models, seen)


def _metrics() -> str:
    return "\n".join(
        [
            "# Metrics",
            "",
            "Every metric of the exporter. Where `api` and `organisation` stand, the labels declared in the config's",
            "`organisation_labels` come on top. The usual `process_*` and `python_*` metrics are there as well.",
            "",
            *_metrics_table(),
            "",
            "A scope costs at most 25 series, one for each term that the vendor changed (limit, rate limit, plan,",
            "period), and one for each of the last 30 days (`daily_history_days` in the config says how many); an",
            "organisation costs 20 more.",
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
    for name, field, default in _named(model):
        yield f"| `{name}` | {_kind(field)} | {default} | {_sentence(field.get('description', ''))} |"


def _named(model: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(name, schema, default in words) of each field; without a default where it is required."""
    for name, field in model["properties"].items():
        yield name, field, "" if name in model.get("required", ()) else _default(field.get("default"))


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
    kinds = field.get("type", "any")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _sentence(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def main() -> None:
    for path, content in generated().items():
        (ROOT / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
