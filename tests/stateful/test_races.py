"""Planted mistakes that only threads show: the scheduler finds each of them, always, and tells how."""

from itertools import product

import pytest

from tests.stateful.races import RACES
from worq.testing.interleavings import Interleavings, Stage, Trouble
from worq.testing.small_programs import WAITS, pairs


def first_trouble() -> Trouble | None:
    everything = [list(WAITS.values()), [program for _, program in pairs()]]
    for programs, lines, flows in product(everything, (False, True), (False, True)):
        with Stage(lines=lines, flows=flows) as stage:
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
