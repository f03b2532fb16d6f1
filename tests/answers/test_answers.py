"""Every panel and every rule answers as it was read.

What was changed on purpose is written anew with `python -m tests.answers`; then read what changed of it.
"""

import pytest

from tests.answers.asking import Kept, answer, same
from tests.answers.kept import PANELS, RULES


@pytest.mark.parametrize("kept", [PANELS, RULES], ids=["panels", "rules"])
def test_everything_answers_as_it_was_read(kept: Kept) -> None:
    expected = kept.read()
    asked = set()
    with kept.server() as url:
        for one in kept.asked():
            asked.add((one.key, one.about))
            assert same(answer(url, one), expected.get(one.key, {}).get(one.about, {})), one
    assert {(key, about) for key, answers in expected.items() for about in answers} <= asked
