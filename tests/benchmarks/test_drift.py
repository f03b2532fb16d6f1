"""Answers that a vendor changed, over all presets: noticed, and no wrong number."""

from benchmarks import drift


def test_changed_answers_are_named_and_give_no_wrong_number() -> None:
    found = drift.noticed()
    assert len(found) >= 200
    assert [str(one.change) for one in found if one.wrong] == []
    unnamed = [str(one.change) for one in found if not one.is_named]
    assert len(unnamed) <= 0.05 * len(found), unnamed
