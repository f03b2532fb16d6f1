"""`usage --once --explain`: by which expression each number was read, or which field of the config says it."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from exporter.config.load import Target
from exporter.terminal.draw import safe, table_lines, text
from exporter.view.origins import asked, origins
from exporter.view.usage_json import UsageDocument


def explain(targets: Sequence[Target], document: UsageDocument, console: Console) -> None:
    """Print it, a table a scope."""
    by_key: Mapping[tuple[str, str], Target] = {target.key: target for target in targets}
    for cards in document.organisations:
        target = by_key[cards.api, cards.organisation]
        for card in cards.scopes:
            title = f"{card.scope}, {cards.organisation} ({cards.api})"
            for line in _lines(title, target, [(one.what, one.value, one.found) for one in origins(target, card)]):
                console.print(safe(line), markup=False, highlight=False, soft_wrap=True)


def _lines(title: str, target: Target, rows: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    yield ""
    yield title
    for one in asked(target):
        yield f"  asked: {one.method} {one.url}"
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(text(cell) for cell in row))
    yield from (f"  {line}" for line in table_lines(table))
