"""The queue on its own, bounded so that it can be searched to the end: in every state whatever anybody may ask for.

Ids come back, arguments lead from any task to any other, and every lease and retention may pass.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

from worq_model import operations as ops
from worq_model.canon import canon, canon_by_hand, known_ids
from worq_model.deadlines import NextDeadline, has_deadline_ahead, is_due, later, ranked
from worq_model.graph import System
from worq_model.invariants import INVARIANTS
from worq_model.ledger import Ledger, observe
from worq_model.operations import Operation, Reply
from worq_model.programs import inc
from worq_model.queue import step
from worq_model.values import (
    COMPLETED,
    EMPTY,
    ENQUEUED,
    EXPIRED,
    PROCESSING,
    Options,
    Outcome,
    State,
    Task,
    Token,
    find,
)

CLAIMS_MAX = 2
LENGTH_MS = 2**30
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
FOR_EVER = KEEP._replace(retention_ms=None)
EVERY_OPTION = tuple(
    Options(ignore, passes, LENGTH_MS, retention_ms, attempts)
    for ignore in (False, True)
    for passes in (False, True)
    for retention_ms in (LENGTH_MS, None)
    for attempts in (1, 2)
    if not (ignore and retention_ms is None)
)

Label = Operation | NextDeadline


class World(NamedTuple):
    """A queue, and the account that an observer keeps of it."""

    state: State = EMPTY
    ledger: Ledger = Ledger()


class Bounds(NamedTuple):
    """How large a space is: the ids that there are, what a producer may ask for, and how many tasks may be there at once.

    `with_refusals`: also what changes nothing in any state.
    """

    ids: tuple[str, ...]
    options: tuple[Options, ...]
    tasks_max: int = 4
    with_refusals: bool = False


class Space(NamedTuple):
    """What may be asked for in a state, in an order that depends on nothing but its canon."""

    asks: Callable[[State], Iterator[Operation]]
    canon: Callable[[State], Hashable]


def contract(bounds: Bounds) -> Space:
    """The ten operations of the contract."""

    def asks(state: State) -> Iterator[Operation]:
        yield from _contract(state, bounds)
        if bounds.with_refusals:
            yield from _refused(state, bounds)

    return Space(asks, canon)


def reference(bounds: Bounds) -> Space:
    """The operations of the API reference, with which the life of a task is composed by hand."""

    def asks(state: State) -> Iterator[Operation]:
        yield from _reference(state, bounds)
        if bounds.with_refusals:
            yield from _refused_by_reference(state, bounds)

    return Space(asks, canon_by_hand)


def system(space: Space) -> System[World, Label]:
    """The space with an observer, and all that is claimed of it."""

    def successors(world: World) -> Iterator[tuple[Label, World]]:
        for label in labels(space, world.state):
            after, reply = take(world.state, label)
            if isinstance(label, NextDeadline):
                yield label, world._replace(state=after)
            else:
                ledger = observe(world.ledger, world.state, label, reply, after)
                yield label, World(after, ledger)

    return System(
        World(),
        successors,
        lambda world: (space.canon(world.state), world.ledger.fault),
        always=_ALWAYS,
        possible={"the queue can still become empty": lambda world: world.state == EMPTY},
        is_ordinary=is_ordinary,
    )


def labels(space: Space, state: State) -> Iterator[Label]:
    """Whatever may be asked for, or time; where a deadline is due only a look, since every operation begins with that. [TIM-2]"""
    yield from (ops.Size(),) if is_due(state) else space.asks(state)
    if has_deadline_ahead(state):
        yield NextDeadline()


def take(state: State, label: Label) -> tuple[State, Reply]:
    """The next state, and the answer. What is left of last starts decides nothing here, and is dropped."""
    if isinstance(label, NextDeadline):
        return later(state), None
    done = step(state, label, now_ms=0)
    return ranked(done.state._replace(last_starts=())), done.reply


def is_ordinary(label: Label) -> bool:
    """What happens by itself as long as there are workers and consumers: nobody gives up or tidies up."""
    ordinary = NextDeadline | ops.Size | ops.Claim | ops.Finish | ops.Pop | ops.SetArgument
    return isinstance(label, ordinary)


def _of_states(claims: Mapping[str, Callable[[State], bool]]) -> dict[str, Callable[[World], bool]]:
    def of_world(holds: Callable[[State], bool]) -> Callable[[World], bool]:
        return lambda world: holds(world.state)

    return {name: of_world(holds) for name, holds in claims.items()}


_ALWAYS: dict[str, Callable[[World], bool]] = {
    **_of_states(INVARIANTS),
    "the ledger has no fault": lambda world: world.ledger.fault is None,
}


def _has_path_of_three(state: State) -> bool:
    dependents = {task.dependent_id for task in state.tasks}
    return any(task.id in dependents and task.dependent_id is not None for task in state.tasks)


def _has_two_arguments(state: State) -> bool:
    dependents = [task.dependent_id for task in state.tasks if task.dependent_id is not None]
    return len(dependents) > len(set(dependents))


def _has_two_due(state: State) -> bool:
    return sum(t.deadline_ms is not None and t.deadline_ms <= 0 for t in state.tasks) > 1


REACHED: dict[str, Callable[[World], bool]] = _of_states(
    {
        "a path of three tasks": _has_path_of_three,
        "a task that misses two arguments": _has_two_arguments,
        "two claims": lambda s: sum(task.state == PROCESSING for task in s.tasks) == CLAIMS_MAX,
        "a task that waits for its second start": lambda s: any(
            task.state == ENQUEUED and task.start > 0 for task in s.tasks
        ),
        "a task that ended without a start": lambda s: any(
            task.state == COMPLETED and task.start == 0 for task in s.tasks
        ),
        "two deadlines that are due": _has_two_due,
    }
)
"""What a space of three ids and all options reaches, or it has missed something."""


# What may be asked for


def _contract(state: State, bounds: Bounds) -> Iterator[Operation]:
    free = _free(state, bounds)
    if free:
        yield from _submits(state, free[0], bounds.options)
    yield from _of_both(state)
    for task in state.tasks:
        if task.state == PROCESSING:
            yield ops.Heartbeat(task.id, LENGTH_MS, task.token)
            yield ops.Release(task.id, task.token)
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
            for option in options:
                yield ops.Submit(task_id, incarnation, MESSAGE, args, None, option)
    yield ops.Submit(task_id, incarnation, MESSAGE, (), FETCHED, options[0])


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


# What is refused, or changes nothing.


def _refused(state: State, bounds: Bounds) -> Iterator[Operation]:
    for task in state.tasks:
        stale = [Token(STALE, task.start), Token(task.incarnation, task.start + 1)]
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
