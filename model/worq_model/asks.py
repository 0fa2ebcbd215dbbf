"""What somebody might ask of a queue in each of its states, within bounds.

The order depends on nothing but the canon of the state, and nothing is asked where the order of ids
would decide what comes of it, since a canon has no order of ids.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from worq_model import operations as ops
from worq_model.canon import canon, known_ids
from worq_model.deadlines import ranked
from worq_model.operations import Operation
from worq_model.programs import inc
from worq_model.values import EXPIRED, PROCESSING, Options, Outcome, State, Task, Token, find

CLAIMS_MAX = 2
LENGTH_MS = 2**39
"""Of each lease and each retention: long, so that many moments fit in, see `concrete`."""

MESSAGE = b"m"
RESULT = Outcome("result", b"r")
FAILURE = Outcome("failure", b"f")
FETCHED = Outcome("failure", b"f", "x")
STALE = inc(0)
"""An incarnation that no task ever has."""

KEEP = Options(lease_ms=LENGTH_MS, retention_ms=LENGTH_MS)
RETRY = KEEP._replace(passes_errors=True, attempts=2)
IGNORE = KEEP._replace(ignore_result=True)
EVERY_OPTION = tuple(
    Options(ignore, passes, LENGTH_MS, retention_ms, attempts)
    for ignore in (False, True)
    for passes in (False, True)
    for retention_ms in (LENGTH_MS, None)
    for attempts in (1, 2)
    if not (ignore and retention_ms is None)
)


class Bounds(NamedTuple):
    """How large a space is: the ids, what a producer may ask for, and how many tasks may be there at once.

    `with_refusals`: also what changes nothing in any state.
    """

    ids: tuple[str, ...]
    options: tuple[Options, ...]
    tasks_max: int = 4
    with_refusals: bool = False


def of_contract(state: State, bounds: Bounds) -> Iterator[Operation]:
    """The ten operations of the contract."""
    yield from _contract(state, bounds)
    if bounds.with_refusals:
        yield from _refused(state, bounds)


def of_reference(state: State, bounds: Bounds) -> Iterator[Operation]:
    """The operations of the API reference, with which the life of a task is composed by hand."""
    yield from _reference(state, bounds)
    if bounds.with_refusals:
        yield from _refused_by_reference(state, bounds)


# The contract


def _contract(state: State, bounds: Bounds) -> Iterator[Operation]:
    free = _free(state, bounds)
    if free:
        yield from _submits(state, free[0], bounds.options)
    yield from _of_both(state)
    for task in state.tasks:
        if task.state == PROCESSING:
            yield ops.Heartbeat(task.id, LENGTH_MS, task.token)
            yield ops.Release(task.id, task.token)
            yield ops.Release(task.id, task.token, begun=False)
        else:
            yield ops.Finish(task.id, RESULT, LENGTH_MS, task.token)
        yield ops.Status(task.id, task.incarnation)


def _free(state: State, bounds: Bounds) -> list[str]:
    """The ids that a new task may have, those first that somebody waits for."""
    if len(state.tasks) == bounds.tasks_max:
        return []
    known = known_ids(state)[len(state.tasks) :]
    return [key for key in dict.fromkeys((*known, *bounds.ids)) if find(state, key) is None]


def _fresh(state: State) -> bytes:
    """An incarnation that no task has now."""
    there = {task.incarnation for task in state.tasks}
    return next(made for made in map(inc, range(1, len(there) + 2)) if made not in there)


def _submits(state: State, task_id: str, options: tuple[Options, ...]) -> Iterator[Operation]:
    incarnation = _fresh(state)
    for count in range(len(state.tasks) + 1):
        for arguments in combinations(state.tasks, count):
            args = tuple((task.id, task.incarnation) for task in arguments)
            is_decided = _is_decided_by_ids(state, arguments)
            for option in options:
                if option.passes_errors or not is_decided:
                    yield ops.Submit(task_id, incarnation, MESSAGE, args, None, option)
    yield ops.Submit(task_id, incarnation, MESSAGE, (), FETCHED, options[0])


def _is_decided_by_ids(state: State, arguments: tuple[Task, ...]) -> bool:
    """Whether it makes a difference which of those that have failed is the first in the order of ids. [SUB-5]"""
    failed = [task for task in arguments if task.outcome and task.outcome.kind == "failure"]
    without = (tuple(other for other in state.tasks if other != task) for task in failed)
    return len({canon(ranked(state._replace(tasks=tasks))) for tasks in without}) > 1


def _of_both(state: State) -> Iterator[Operation]:
    """What workers, consumers, and those who tidy up ask for."""
    if sum(task.state == PROCESSING for task in state.tasks) < CLAIMS_MAX:
        yield ops.Claim()
    for task in state.tasks:
        if task.state == PROCESSING:
            for outcome in (RESULT, FAILURE):
                yield ops.Finish(task.id, outcome, task.options.retention_ms, task.token)
        yield ops.Pop(task.id, task.incarnation)
        yield ops.Discard(task.id, task.incarnation)
    yield ops.Purge()
    yield ops.Size()


# The API reference


def _reference(state: State, bounds: Bounds) -> Iterator[Operation]:
    for task_id in _free(state, bounds):
        yield from _defers(state, task_id, bounds)
    yield from _of_both(state)
    for task in state.tasks:
        yield ops.Undefer(task.id, task.incarnation)
        for argument_id in _missing(state, task):
            yield ops.ReserveArgument(argument_id, task.id)
            yield ops.SetArgument(task.id, argument_id, MESSAGE)


def _missing(state: State, task: Task) -> list[str]:
    missing = {argument.id for argument in task.arguments if argument.held is None}
    return [key for key in known_ids(state) if key in missing]


def _defers(state: State, task_id: str, bounds: Bounds) -> Iterator[Operation]:
    incarnation = _fresh(state)
    others = [key for key in dict.fromkeys((*known_ids(state), *bounds.ids)) if key != task_id]
    for option in bounds.options:
        yield ops.Submit(task_id, incarnation, MESSAGE, (), None, option)
        for count in (1, 2):
            for args in combinations(others, count):
                yield ops.Defer(task_id, incarnation, MESSAGE, args, option)


# What is refused, or changes nothing


def _refused(state: State, bounds: Bounds) -> Iterator[Operation]:
    for task in state.tasks:
        another = task.start - 1 if task.start > 1 else task.start + 1
        stale = [Token(STALE, task.start), Token(task.incarnation, another)]
        for token in stale if task.state == PROCESSING else [*stale, task.token]:
            yield ops.Heartbeat(task.id, LENGTH_MS, token)
            yield ops.Release(task.id, token)
        for token in stale:
            yield ops.Finish(task.id, RESULT, LENGTH_MS, token)
        yield ops.Pop(task.id, STALE)
        yield ops.Discard(task.id, STALE)
        yield ops.Status(task.id, STALE)
        yield ops.Submit(task.id, task.incarnation, MESSAGE, options=bounds.options[0])
        yield ops.Submit(task.id, _fresh(state), MESSAGE, options=bounds.options[0])
    for task_id in _free(state, bounds)[:1]:
        yield from _of_nobody(task_id)
        yield from _unavailable(state, task_id, bounds.options[0])


def _of_nobody(task_id: str) -> Iterator[Operation]:
    yield ops.Heartbeat(task_id, LENGTH_MS)
    yield ops.Release(task_id)
    yield ops.Finish(task_id, RESULT, LENGTH_MS)
    yield ops.Pop(task_id)
    yield ops.Discard(task_id)
    yield ops.Status(task_id)


def _unavailable(state: State, task_id: str, options: Options) -> Iterator[Operation]:
    made = _fresh(state)
    yield ops.Submit(task_id, made, MESSAGE, ((task_id, None),), None, options)
    for task in state.tasks:
        yield ops.Submit(task_id, made, MESSAGE, ((task.id, STALE),), None, options)
    yield ops.Submit(task_id, made, MESSAGE, (), EXPIRED, options)
    yield ops.Submit(task_id, made, MESSAGE, (), FETCHED, options._replace(ignore_result=True))


def _refused_by_reference(state: State, bounds: Bounds) -> Iterator[Operation]:
    for task in state.tasks:
        yield ops.Undefer(task.id, STALE)
        yield ops.GetArguments(task.id)
        yield ops.GetArguments(task.id, task.token)
        yield ops.GetArguments(task.id, Token(STALE, task.start))
        yield ops.Defer(task.id, task.incarnation, MESSAGE, ("x",), bounds.options[0])
        yield ops.Defer(task.id, _fresh(state), MESSAGE, ("x",), bounds.options[0])
        yield from _of_arguments(state, task)
    for task_id in _free(state, bounds)[:1]:
        yield ops.Undefer(task_id)
        yield ops.GetArguments(task_id)
        yield ops.ReserveArgument("x", task_id)
        yield ops.SetArgument(task_id, "x", MESSAGE)


def _of_arguments(state: State, task: Task) -> Iterator[Operation]:
    yield ops.ReserveArgument("x", task.id)
    yield ops.SetArgument(task.id, "x", MESSAGE)
    for argument_id in _missing(state, task):
        yield ops.ReserveArgument(argument_id, task.id, STALE)
        yield ops.ReserveArgument(argument_id, task.id, None, STALE)
        yield ops.SetArgument(task.id, argument_id, MESSAGE, STALE)
