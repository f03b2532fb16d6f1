"""What the panels ask the samples of usage.py."""

from collections.abc import Iterator

from dashboards.questions import BOARDS, Question, filled, questions_about, variable_questions
from tests.answers.asking import Asked
from tests.answers.usage import API, CALM, MAIL, MORE_AHEAD, ORGANISATIONS, PLACE

# Of each dashboard: about what it is asked, and what is chosen then.
CHOSEN: dict[str, dict[str, dict[str, list[str]]]] = {
    "api-usage": {name: {"api": [API], "organisation": [name], "scope": [".+"]} for name in ORGANISATIONS},
    "api-usage-overview": {
        "maps and mail": {"api": [API, MAIL]},
        "an api without trouble": {"api": [CALM]},
        "no api": {"api": ["none"]},
    },
    "api-usage-exporter": {
        "all": {},
        "one without trouble": {"instance": [MORE_AHEAD.instance]},
        "none": {"instance": ["none"]},
    },
}


def asked() -> Iterator[Asked]:
    """Every query of the panels, the variables and the annotations, about each choice."""
    for question in _questions():
        yield Asked(question.key, question.about, question.expr, instant=question.instant)


def _questions() -> Iterator[Question]:
    for uid, choices in CHOSEN.items():
        for about, choice in choices.items():
            chosen = {**PLACE, **choice}
            yield from questions_about(uid, about, chosen, rate_interval="5m")
            yield from variable_questions(uid, about, chosen)
            for annotation in BOARDS[uid]["annotations"]["list"]:
                if "expr" in annotation:
                    key = f"{uid}/annotation {annotation['name']}"
                    yield Question(key, about, filled(annotation["expr"], chosen), instant=True)
