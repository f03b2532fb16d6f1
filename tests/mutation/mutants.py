"""PromQL -> the same with one thing changed: a threshold, an operator, a window, a join's label or a matcher. Pure.

Tokens are told apart here, and what they mean is left to a parser: a change that is no PromQL any more is no mutant,
and one that the parser reads as before is none either.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser

from exporter.config.fields import parse_duration

_TOKEN = re.compile(
    r"""
    (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
  | (?P<window>\[[^\]]*\])
  | (?P<number>(?<![\w.:])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w:]))
  | (?P<word>[A-Za-z_:][\w:]*)
  | (?P<operator>>=|<=|==|!=|=~|!~|[-+*/<>=(){},])
    """,
    re.VERBOSE,
)
_COMPARISONS = {
    ">=": (">", "<="),
    ">": (">=", "<"),
    "<=": ("<", ">="),
    "<": ("<=", ">"),
    "==": ("!=",),
    "!=": ("==",),
}
_ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*"}
_MATCHERS = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
_WORDS = {
    "and": ("unless", "or"),
    "unless": ("and",),
    "or": ("and",),
    "max": ("min",),
    "min": ("max",),
    "sum": ("max",),
    "count": ("max",),
    "topk": ("bottomk",),
    "bottomk": ("topk",),
    "clamp_min": ("clamp_max",),
    "clamp_max": ("clamp_min",),
}
_GROUPING = ("on", "ignoring", "by", "without")
_MOST_COUNTED = 10
# It stands for very much or very little, or moves a point: a tenth more of it would say nothing.
_POWER_OF_TEN = re.compile(r"1e([+-]?\d+)")
_DURATION = re.compile(r"\d+[smhd]")


@dataclass(frozen=True)
class Mutant:
    """changed: what was changed and to what, with what stands before it. expr: the whole expression then."""

    changed: str
    expr: str


def mutants(expr: str) -> Iterator[Mutant]:
    """Every mutant of an expression, in its order."""
    tokens = list(_TOKEN.finditer(expr))
    before = {_meaning(expr)}
    for index in range(len(tokens)):
        for start, end, new in _changes(tokens, index):
            changed = f"{expr[:start]}{new}{expr[end:]}"
            meaning = _meaning(changed)
            if meaning is None or meaning in before:
                continue
            before.add(meaning)
            yield Mutant(f"{_context(expr, start)}{expr[start:end]} -> {new}", changed)


def _meaning(expr: str) -> str | None:
    """As the parser writes it again; None where it is no PromQL."""
    try:
        return str(promql_parser.parse(expr).prettify())
    except ValueError:
        return None


def _context(expr: str, start: int) -> str:
    """The last words before a place, on one line."""
    return " ".join(expr[max(0, start - 60) : start].split())[-40:] + " "


_Change = tuple[int, int, str]


def _changes(tokens: list[re.Match[str]], index: int) -> Iterator[_Change]:
    """(start, end, new text) of each change that begins with this token."""
    token = tokens[index]
    text = token[0]
    match token.lastgroup:
        case "number":
            yield from ((*token.span(), new) for new in _other_numbers(text))
        case "window":
            yield from ((*token.span(), new) for new in _other_windows(text))
        case "word" if text in _WORDS and not _in_braces(tokens, index):
            yield from ((*token.span(), new) for new in _WORDS[text])
        case "word" if text in _GROUPING:
            yield from _without_a_label(tokens, index)
        case "operator" if text in _COMPARISONS and not _in_braces(tokens, index):
            yield from ((*token.span(), new) for new in _COMPARISONS[text])
        case "operator" if text in _ARITHMETIC and not _is_sign(tokens, index):
            yield *token.span(), _ARITHMETIC[text]
        case "operator" if text in _MATCHERS and _in_braces(tokens, index):
            yield *token.span(), _MATCHERS[text]


def _other_numbers(text: str) -> tuple[str, ...]:
    """A count one more and one less, all else a tenth more and less; for a power of ten, its reciprocal."""
    power = _POWER_OF_TEN.fullmatch(text)
    if power is not None:
        return (f"1e{-int(power[1])}",)
    number = float(text)
    if number == 0:
        return ("1",)
    if number < _MOST_COUNTED and number == int(number):
        return (f"{number + 1:g}", f"{number - 1:g}")
    return (f"{number * 1.1:.15g}", f"{number * 0.9:.15g}")


def _other_windows(window: str) -> Iterator[str]:
    """Half as long."""
    first = _DURATION.search(window)
    if first is not None:
        yield f"{window[: first.start()]}{parse_duration(first[0]) // 2:.0f}s{window[first.end() :]}"


def _without_a_label(tokens: list[re.Match[str]], index: int) -> Iterator[_Change]:
    """The list that follows, without each of its labels."""
    start = index + 1
    end = next(place for place in range(start, len(tokens)) if tokens[place][0] == ")")
    labels = [token[0] for token in tokens[start + 1 : end] if token.lastgroup == "word"]
    for left_out in labels:
        rest = ", ".join(label for label in labels if label != left_out)
        yield tokens[start].start(), tokens[end].end(), f"({rest})"


def _in_braces(tokens: list[re.Match[str]], index: int) -> bool:
    before = [token[0] for token in tokens[:index] if token.lastgroup == "operator" and token[0] in "{}"]
    return bool(before) and before[-1] == "{"


def _is_sign(tokens: list[re.Match[str]], index: int) -> bool:
    if index == 0:
        return True
    before = tokens[index - 1]
    return (before.lastgroup == "operator" and before[0] not in ")}") or before[0] in ("and", "or", "unless", "bool")
