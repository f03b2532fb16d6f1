"""The commonest mistakes in a config, or in what it makes of an answer: each with what was written and answered."""

from dataclasses import dataclass
from typing import Any

GEO = """\
apis:
  - name: geo
    url: https://geo.example.com/usage
    auth: {type: bearer, token: abc}
    mapping:
      scope: Calls
      requests: used
      limit: quota
    static: {period: month}
    organisations: [{id: main}]
"""
FINE = {"used": 3, "quota": 10}


@dataclass(frozen=True)
class Mistake:
    """instead: of a text of GEO, what was written. status, answer: of the vendor; None where nobody is asked."""

    what: str
    instead: tuple[str, str] = ("", "")
    answer: Any = None
    status: int = 200

    @property
    def config(self) -> str:
        before, after = self.instead
        assert before in GEO, before
        return GEO.replace(before, after, 1)


def _written(what: str, before: str, after: str) -> Mistake:
    return Mistake(what, (before, after))


def _mapped(what: str, before: str, after: str, answer: Any, status: int = 200) -> Mistake:
    return Mistake(what, (before, after), answer, status)


MISTAKES = (
    # How YAML is written.
    _written("a tab", "    auth:", "\tauth:"),
    _written("one space too many", "    mapping:", "     mapping:"),
    _written("no space after the colon", "requests: used", "requests:used"),
    _written("@ without quotes", "scope: Calls", "scopes: @"),
    _written("a list's brackets without quotes", "scope: Calls", "scopes: [data]"),
    _written("a backtick without quotes", "limit: quota", "limit: `100`"),
    _written("a colon in a text", "scope: Calls", "scope: Calls: all"),
    _written("a key twice", "limit: quota", "limit: quota\n      limit: max"),
    _written("an organisation that is no list", "[{id: main}]", "{id: main}"),
    # Fields.
    _written("a field's name with a slip", "static:", "statik:"),
    _written("a field in the wrong place", "    auth:", "    requests: used\n    auth:"),
    _written("a preset that is not there", "    mapping:", "    preset: opnai\n    mapping:"),
    _written("no limit anywhere", "      limit: quota\n", ""),
    _written("a limit with a comma", "{period: month}", "{period: month, limit: '1,000'}"),
    _written("a duration without a unit", "    mapping:", "    poll_interval: 300\n    mapping:"),
    _written("a duration that is too short", "    mapping:", "    poll_interval: 1s\n    mapping:"),
    _written("a period that is none", "{period: month}", "{period: monthly}"),
    _written("a time zone that is none", "    mapping:", "    time_zone: CET+1\n    mapping:"),
    _written("an address without https", "https://geo.example.com/usage", "geo.example.com/usage"),
    _written("requests and remaining", "limit: quota", "limit: quota\n      remaining: left"),
    # Expressions.
    _written("an expression with a slip", "requests: used", "requests: data[0.used"),
    _written("a function that is none", "requests: used", "requests: number(used)"),
    _written("a JSONPath", "requests: used", "requests: $.data.used"),
    # Secrets.
    _written("a shell's variable", "token: abc", 'token: "${GEO_KEY}"'),
    _written("an environment variable that is not set", "token: abc", "token: {env: GEO_KEY_THAT_IS_NOT_SET}"),
    _written("a file that is not there", "token: abc", "token: {file: /run/secrets/geo}"),
    _written("a placeholder that is none", "usage\n", "{organization_id}/usage\n"),
    # What the vendor answers.
    _mapped("a path that leads nowhere", "requests: used", "requests: data.used", FINE),
    _mapped("a text where a number belongs", "", "", {"used": "1200", "quota": 5000}),
    _mapped("null for a limit", "", "", {"used": 3, "quota": None}),
    _mapped("a limit of -1", "", "", {"used": 3, "quota": -1}),
    _mapped("scopes that are no list", "scope: Calls", "scopes: used\n      name: name", FINE),
    _mapped(
        "an override of a name that no scope has", "static:", "overrides: {calls: {limit: 5}}\n    static:", FINE
    ),
    _mapped("a filter that leaves out everything", "scope: Calls", "scope: Calls\n      filter: used > `5`", FINE),
    _mapped(
        "a date whose order would have to be guessed",
        "limit: quota",
        "limit: quota\n      period: {end: until, length: month}",
        {**FINE, "until": "11/12/2026"},
    ),
    _mapped("a key that is refused", "", "", {"message": "Invalid API key."}, 401),
    _mapped("an address that is none of the vendor's", "", "", {"error": "no such endpoint"}, 404),
    _mapped(
        "an error inside a 200", "scope: Calls", "error_when: error\n      scope: Calls", {"error": "no such plan"}
    ),
    _mapped("a page instead of JSON", "", "", "<!doctype html><title>Sign in</title>"),
)
