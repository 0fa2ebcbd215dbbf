"""Short histories that take every row of the queue's table: the smoke programs, and parts of the exhaustive ones."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

from worq.testing.driver import Do, Program, Tick
from worq.testing.exhaustive import CLAIM, THEMES, defer, finish, set_argument
from worq.testing.smoke import SMOKE
from worq_model import operations as ops
from worq_model.lines import History, steps_of
from worq_model.table import ROWS, Row

COMPLETED: Final = (
    defer("a", 1, "x"), set_argument("a", "x"), CLAIM, finish("a"),
    defer("a", 1, "x"), defer("a", 2, "x"), Do(ops.Undefer("a")),
)  # fmt: skip
"""Of the exhaustive histories only longer ones come so far."""
LETTERS_MAX: Final = 3
"""Of the exhaustive histories: with so many they take every row."""


def histories() -> tuple[History, ...]:
    """In the order in which they are needed: what a later one is for is not in those before it."""
    found: list[History] = []
    seen: set[Row] = set()
    for candidate in _candidates():
        new = _rows(candidate) - seen
        if new:
            found.append(_shortest(candidate, new))
            seen |= _rows(found[-1])
        if len(seen) == len(ROWS):
            break
    return tuple(found)


def _candidates() -> Iterator[History]:
    yield from map(_history, (*SMOKE.values(), COMPLETED))
    for letters in range(1, LETTERS_MAX + 1):
        for theme in THEMES:
            for last in product(theme.alphabet, repeat=letters):
                yield _history((*theme.prefix, *last))


def _history(program: Program) -> History:
    return tuple(each if isinstance(each, Tick) else each.operation for each in program)


def _rows(history: History) -> set[Row]:
    return {row for step in steps_of(history) for row in step.rows}


def _shortest(history: History, rows: set[Row]) -> History:
    """Without what is not needed to take these rows."""
    for number in reversed(range(len(history))):
        shorter = history[:number] + history[number + 1 :]
        if rows <= _rows(shorter):
            history = shorter
    return history


def programs(histories: Iterable[History]) -> Iterator[Program]:
    """The same for a lockstep."""
    for history in histories:
        yield tuple(each if isinstance(each, Tick) else Do(each) for each in history)
