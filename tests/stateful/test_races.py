"""Planted mistakes that only threads show: the scheduler finds each of them, always, and tells how."""

import pytest

from tests.stateful.races import RACES
from worq.testing.interleavings import Interleavings, Stage, Trouble
from worq.testing.small_programs import WAITS, pairs

STORIES = list(WAITS.values())
PAIRS = [program for _, program in pairs()]
SEARCHES = [
    (STORIES, {}),
    (STORIES, {"flows": True}),
    (PAIRS, {}),
    (PAIRS, {"lines": True}),
]


def first_trouble() -> Trouble | None:
    for programs, options in SEARCHES:
        with Stage(**options) as stage:
            interleavings = Interleavings(stage)
            for program in programs:
                if trouble := interleavings.exhaust(program, 1):
                    return trouble
    return None


@pytest.mark.parametrize("name", RACES)
def test_a_planted_mistake_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    RACES[name](monkeypatch)
    trouble = first_trouble()
    assert trouble is not None
    print(trouble)  # noqa: T201 (shown if somebody asks for it)
