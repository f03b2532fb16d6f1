"""Drafts of documented answers: most are right, and no number is wrong without a word."""

from benchmarks import init


def test_most_documented_answers_are_read_right_and_the_others_never_in_silence() -> None:
    presets = [init.judged(case) for case in init.of_presets()]
    others = [init.judged(case) for case in init.of_others()]
    wrong = [each.case.name for each in presets if not each.right]
    assert len(presets) >= 50
    assert len(wrong) <= 0.2 * len(presets), wrong
    assert len(others) >= 14
    assert sum(each.right for each in others) >= len(others) / 2
    assert [each.case.name for each in [*presets, *others] if not each.said] == []
