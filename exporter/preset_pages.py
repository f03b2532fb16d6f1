"""The pages of docs/presets/, made of what presets say of themselves."""

from collections.abc import Iterator
from typing import Any

import yaml

from exporter.config.preset import (
    EXAMPLE_ORGANISATIONS,
    Documentation,
    Preset,
    documentation,
    load_preset,
    preset_names,
)

FOLDER = "docs/presets"
_INDEX = """# Presets

A preset is a vendor's API as data: where its usage endpoint is, and where the values stand in its answer. An api of
the config names one, and adds what only you know: `api-usage-exporter preset list` shows them, and their pages below
have an example each.

How well a preset is proved stands beside it. **live**: an answer was recorded from an account. **documented**: the
vendor's documentation shows the answer; **in part**: it shows the fields, and what it does not show, values as a
rule, is named on the page. Every answer stands in the preset's folder with the scopes that it comes to, and a test
asks a real server for it, for failures of every kind, and with each of its numbers changed.

The documentation was read on the day that is given, mostly in archived copies; a vendor may have changed its answer
since. So **every answer is held against the documented ones**: a field that went, or has another type, is named in
the log and in `api_usage_answer_drift`, and what depends on it is held back, rather than be published as a wrong
number.

{table}

## Contribute a live answer, in five minutes

A preset that is only documented is proved by one recorded answer:

1. Put your key where the preset's example has it, and ask once:

       $ OPENROUTER_API_KEY=… api-usage-exporter preset record openrouter --output live.json

   With a config that uses the preset already: `--config.file=config.yaml`.
2. Look at `live.json`. Names, mails, addresses, ids and keys have been replaced by texts of the same shape; numbers
   and times are yours. Change what you would rather not share: a count may be any other.
3. See that it comes to the same cards:

       $ api-usage-exporter preset test openrouter --answer live.json

4. Send it as `live.json` in the preset's folder, `exporter/config/presets/openrouter`. If a field is named as not
   documented, say so: then either the documentation or the preset is to be mended.

A preset of your own is a folder with a `preset.yaml` and such answers beside it, or a single `NAME.yaml`, in a folder
that the config's `preset_folders` names; `--preset-folder` proves it as well.
"""


def pages() -> dict[str, str]:
    """Each page's path, from the project's root, and content."""
    presets = {name: (load_preset(name), documentation(name)) for name in preset_names()}
    table = "\n".join(_table(presets))
    return {
        f"{FOLDER}/README.md": _INDEX.format(table=table),
        **{f"{FOLDER}/{name}.md": "\n".join(_page(name, *found)) for name, found in presets.items()},
    }


def _table(presets: dict[str, tuple[Preset, Documentation]]) -> Iterator[str]:
    yield from ("| preset | watches | answers | read |", "| --- | --- | --- | --- |")
    for name, (preset, documented) in presets.items():
        read = max(answer.read for answer in documented.answers.values())
        yield f"| [{name}]({name}.md) | {preset.description} | {documented.in_words} | {read} |"


def _page(name: str, preset: Preset, documented: Documentation) -> Iterator[str]:
    yield from (f"# {name}", "", f"{preset.description}, as [documented]({_link(preset.documentation)}).", "")
    yield from (preset.notes.strip(), "")
    yield from (f"    {line}" for line in _example(name, preset))
    yield ""
    shown = next((case for case in documented.good if case == "ok"), next(iter(documented.good), None))
    if shown is not None and documented.good[shown].expected.scopes:
        yield from ("## What it shows", "", f"Of the answer `{shown}`:", "")
        yield from (*_scopes(documented.good[shown].expected.scopes), "")
    if preset.assumed:
        yield from ("## Taken for granted", "", *(f"- {text}" for text in preset.assumed), "")
    yield from ("## Answers", "", *_answers(documented), "")


def _example(name: str, preset: Preset) -> list[str]:
    api: dict[str, Any] = {"name": name, "preset": name, **preset.example}
    api.setdefault("organisations", list(EXAMPLE_ORGANISATIONS))
    text: str = yaml.safe_dump({"apis": [api]}, sort_keys=False, default_flow_style=None, width=1000)
    lines = text.splitlines()
    # As the other pages write it, indented.
    return [lines[0], *(f"  {line}" for line in lines[1:])]


def _scopes(scopes: tuple[dict[str, Any], ...]) -> Iterator[str]:
    yield from ("| scope | used | limit | per minute | period |", "| --- | --- | --- | --- | --- |")
    for scope in scopes:
        limit = scope["limit"] if isinstance(scope["limit"], str) else f"{scope['limit']:,}"
        rate = f"{scope['rate_limit_per_minute']:,}" if "rate_limit_per_minute" in scope else ""
        period = " to ".join(moment[:16].replace("T", " ") for moment in scope.get("period", ()))
        yield f"| {scope['name']} | {scope['requests']:,} {scope['unit']} | {limit} | {rate} | {period} |"


def _answers(documented: Documentation) -> Iterator[str]:
    yield from (
        "| answer | comes to | known | from | read | not shown there |",
        "| --- | --- | --- | --- | --- | --- |",
    )
    for case, answer in documented.answers.items():
        count = len(answer.expected.scopes)
        comes_to = f"`{answer.expected.failure}`" if answer.expected.failure else f"{count} scope{'s' * (count != 1)}"
        source = f"[here]({_link(answer.source)})"
        yield f"| {case} | {comes_to} | {answer.provenance} | {source} | {answer.read} | {' '.join(answer.assumed)} |"


def _link(address: str) -> str:
    """An address as a page in docs/presets/ links to it."""
    return f"../{address.removeprefix('docs/')}" if address.startswith("docs/") else address
