"""A draft as the config file that a person goes on with: short, and with what each line was read from. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from exporter.drafting.model import Draft

_SHOWN = 40


class _Flow(yaml.SafeDumper):
    def ignore_aliases(self, _: object) -> bool:
        return True


def config_text(
    api: str, request: Mapping[str, Any], draft: Draft | None, organisation: str, first_lines: str
) -> str:
    """The file's text. request: url, auth and the like, and preset where the draft is None."""
    lines = [*(f"# {line}" for line in first_lines.splitlines()), "apis:", f"  - name: {_flow(api)}"]
    lines += [f"    {name}: {_flow(value)}" for name, value in request.items()]
    if draft is not None:
        lines += ["    mapping:", *_mapping(draft)]
        if draft.static:
            lines.append(f"    static: {_flow(dict(draft.static))}")
        if draft.overrides:
            lines.append("    overrides:")
            lines += [f"      {_flow(name)}: {_flow(value)}" for name, value in draft.overrides.items()]
    lines += ["    organisations:", f"      - {_flow({'id': 'main', 'name': organisation})}"]
    return "\n".join(lines) + "\n"


def _mapping(draft: Draft) -> Iterator[str]:
    values = {reading.field.partition(".")[0]: reading for reading in reversed(draft.readings)}
    for name, value in draft.mapping.items():
        line = f"      {name}: {_flow(value)}"
        reading = values.get(name)
        if name in ("requests", "remaining", "limit", "rate_limit", "period") and reading is not None:
            where = f" ({reading.scope})" if "scopes" in draft.mapping and reading.scope else ""
            line = f"{line} # {_short(reading.value)}{where}"
        yield line


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _flow(value: Any) -> str:
    """One line of YAML."""
    text = yaml.dump(value, Dumper=_Flow, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()
