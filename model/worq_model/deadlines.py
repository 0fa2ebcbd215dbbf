"""Time, for exploring: a deadline is stored as what remains of it, and of that only the order. So states come back.

All deadlines are taken to be of one length, and each to be set at a moment of its own: then they pass
in the order in which they were set. The next one is 1, the one after it 2; those that have passed are 0 and below.
"""

from collections.abc import Callable
from typing import NamedTuple

from worq_model.values import State


class NextDeadline(NamedTuple):
    """Time passes, until the next deadline and no further. What is due is applied by whatever operation comes next."""


def ranked(state: State) -> State:
    """The same with each deadline as its place in the order, whatever it was; now is 0."""
    deadlines = _deadlines(state)
    if not deadlines:
        return state
    ahead = sorted(deadline for deadline in deadlines if deadline > 0)
    passed = sorted((deadline for deadline in deadlines if deadline <= 0), reverse=True)
    ranks = {deadline: rank for rank, deadline in enumerate(ahead, 1)}
    ranks.update((deadline, -rank) for rank, deadline in enumerate(passed))
    if all(deadline == rank for deadline, rank in ranks.items()):
        return state
    return _moved(state, ranks.__getitem__)


def later(state: State) -> State:
    """The same when its next deadline has passed."""
    return _moved(state, lambda deadline: deadline - 1)


def has_deadline_ahead(state: State) -> bool:
    return any(deadline > 0 for deadline in _deadlines(state))


def is_due(state: State) -> bool:
    """Whether a deadline has passed and nothing has been done about it yet."""
    return any(deadline <= 0 for deadline in _deadlines(state))


def _deadlines(state: State) -> set[int]:
    found = {task.deadline_ms for task in state.tasks if task.deadline_ms is not None}
    if state.last_starts:
        found.update(start.deadline_ms for start in state.last_starts)
    return found


def _moved(state: State, moved: Callable[[int], int]) -> State:
    tasks = tuple(
        task if task.deadline_ms is None else task._replace(deadline_ms=moved(task.deadline_ms))
        for task in state.tasks
    )
    starts = tuple(s._replace(deadline_ms=moved(s.deadline_ms)) for s in state.last_starts)
    return state._replace(tasks=tasks, last_starts=starts)
