"""Planted mistakes that only threads show: the scheduler finds each of them, always, and tells how."""

from collections.abc import Iterator

import pytest

from tests.stateful.races import RACES
from worq.testing.interleavings import Interleavings, Stage, Trouble
from worq.testing.parallel import Parallel
from worq.testing.small_programs import WAITS, pairs


def all_programs() -> Iterator[Parallel]:
    yield from WAITS.values()
    for _, program in pairs():
        yield program


def first_trouble() -> Trouble | None:
    for lines in (False, True):
        for program in all_programs():
            for flows in (False, True):
                with Stage(lines=lines, flows=flows) as stage:
                    trouble = Interleavings(stage).exhaust(program, 1)
                if trouble is not None:
                    return trouble
    return None


@pytest.mark.parametrize("name", RACES)
def test_a_planted_mistake_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    RACES[name](monkeypatch)
    trouble = first_trouble()
    assert trouble is not None
    print(trouble)  # noqa: T201 (shown if somebody asks for it)
