"""What the commonest mistakes are answered with, as one who makes them reads it: kept in mistakes.txt, and read.

Messages that were changed on purpose are written anew with `python -m tests.whole.test_mistakes`; then read them: where
it is, what was met, what to write.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response

from exporter.config.load import load_config
from exporter.errors import ConfigError
from exporter.terminal.once import troubles_of
from tests.support.asking import ask
from tests.support.http import serve
from tests.whole.mistakes import MISTAKES, Mistake

KEPT = Path(__file__).with_name("mistakes.txt")


def messages(mistake: Mistake, folder: Path) -> list[str]:
    """Of --config.check, or where that is fine, of one poll, with what the log says of it."""
    file = folder / "config.yaml"
    file.write_text(mistake.config, encoding="utf-8")
    if mistake.answer is None:
        with pytest.raises(ConfigError) as refused:
            load_config(file)
        return [str(problem).replace(f"{folder}/", "") for problem in refused.value.problems]
    with serve(_Vendor(mistake)) as url:
        file.write_text(mistake.config.replace("https://geo.example.com", url), encoding="utf-8")
        (target,) = load_config(file).targets
        outcome = ask(target)
    found = [trouble.message for trouble in troubles_of(target, outcome)]
    return [*found, *(remark for remark in getattr(outcome, "remarks", ()) if remark not in found)]


class _Vendor:
    def __init__(self, mistake: Mistake) -> None:
        self._mistake = mistake

    def __call__(self, environ: Any, start_response: Any) -> Any:
        answer = self._mistake.answer
        kind, body = ("text/html", answer) if isinstance(answer, str) else ("application/json", json.dumps(answer))
        return Response(body, self._mistake.status, content_type=kind)(environ, start_response)


def table(folder: Path) -> Iterator[str]:
    for mistake in MISTAKES:
        written = mistake.instead[1].strip() or json.dumps(mistake.answer)
        yield f"{mistake.what}: {written}\n"
        yield from (f"    {line}\n" for line in messages(mistake, folder))


def test_mistakes_are_answered_as_it_was_read(tmp_path: Path) -> None:
    assert "".join(table(tmp_path)) == KEPT.read_text("utf-8")


def test_each_has_one_message_and_there_are_thirty_or_more(tmp_path: Path) -> None:
    assert len(MISTAKES) >= 30
    assert {
        mistake.what: messages(mistake, tmp_path) for mistake in MISTAKES if len(messages(mistake, tmp_path)) != 1
    } == {}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        KEPT.write_text("".join(table(Path(name))), encoding="utf-8")
