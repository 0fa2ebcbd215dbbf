"""The queue on its own, bounded so that it can be searched to the end: every operation that somebody might ask for.

Three ids that come back, two claims at a time, arguments from any task to any other.
"""

from collections.abc import Callable, Hashable, Iterator
from itertools import combinations
from typing import NamedTuple

from worq_model import operations as ops
from worq_model.canon import canon, canon_by_hand
from worq_model.deadlines import NextDeadline, is_due, later, ranked
from worq_model.graph import System
from worq_model.invariants import INVARIANTS
from worq_model.ledger import Ledger, observe
from worq_model.operations import Operation
from worq_model.programs import inc
from worq_model.queue import step
from worq_model.values import (
    COMPLETED,
    EMPTY,
    ENQUEUED,
    PENDING,
    PROCESSING,
    Options,
    Outcome,
    State,
    Task,
    Token,
)

IDS = ("a", "b", "c")
CLAIMS_MAX = 2
LENGTH_MS = 65_000
"""Of every lease and every retention: only their order matters. [deadlines]"""

MESSAGE = b"m"
RESULT = Outcome("result", b"r")
FAILURE = Outcome("failure", b"f")
FETCHED = Outcome("failure", b"f", "x")

KEEP = Options(lease_ms=LENGTH_MS, retention_ms=LENGTH_MS)

Label = Operation | NextDeadline


class World(NamedTuple):
    """A queue, and the account that an observer keeps of it."""

    state: State = EMPTY
    ledger: Ledger = Ledger()


def every_option(options: Options = KEEP) -> tuple[Options, ...]:
    """All that a producer may ask for, but for the length of times."""
    return tuple(
        options._replace(ignore_result=ignore, passes_errors=passes, attempts=attempts)
        for ignore in (False, True)
        for passes in (False, True)
        for attempts in (1, 2)
    )


def contract(options: tuple[Options, ...]) -> System[World, Label]:
    """The ten operations of the contract, for tasks with any of these options."""
    return _space(lambda state: contract_operations(state, options), canon)


def by_hand(options: tuple[Options, ...]) -> System[World, Label]:
    """The operations of the API reference."""
    return _space(lambda state: reference_operations(state, options), canon_by_hand)


def _space(
    operations: Callable[[State], Iterator[Operation]], canon: Callable[[State], Hashable]
) -> System[World, Label]:
    return System(
        World(),
        lambda world: _steps(world, operations),
        canon=lambda world: (canon(world.state), world.ledger.fault),
        always={
            **{name: _of_state(holds) for name, holds in INVARIANTS.items()},
            "the ledger has no fault": lambda world: world.ledger.fault is None,
        },
        sometimes=SOMETIMES,
        possible={"the queue can still become empty": lambda world: world.state == EMPTY},
        is_ordinary=is_ordinary,
    )


def _of_state(holds: Callable[[State], bool]) -> Callable[[World], bool]:
    return lambda world: holds(world.state)


def is_ordinary(label: Label) -> bool:
    """What happens as long as there are workers and consumers: nobody need tidy up."""
    return isinstance(
        label, NextDeadline | ops.Size | ops.Claim | ops.Finish | ops.Pop | ops.SetArgument
    )


def _steps(
    world: World, operations: Callable[[State], Iterator[Operation]]
) -> Iterator[tuple[Label, World]]:
    """Every operation; but where a deadline is due one that only looks, since each begins with that. [TIM-2]"""
    state = world.state
    for operation in (ops.Size(),) if is_due(state) else operations(state):
        done = step(state, operation, now_ms=0)
        after = ranked(done.state._replace(last_starts=()))
        yield operation, World(after, observe(world.ledger, state, operation, done.reply, after))
    passed = later(state)
    if passed is not None:
        yield NextDeadline(), world._replace(state=passed)


# What may be asked for. The order depends on the canon of the state alone.


def contract_operations(state: State, options: tuple[Options, ...]) -> Iterator[Operation]:
    free = next((task_id for task_id in IDS if not _is_there(state, task_id)), None)
    if free is not None:
        yield from _submits(state, free, options)
    yield from _common(state)
    for task in state.tasks:
        if task.state == PROCESSING:
            yield ops.Heartbeat(task.id, LENGTH_MS, task.token)
            yield ops.Release(task.id, task.token)
        else:
            yield ops.Finish(task.id, RESULT, LENGTH_MS, task.token)
        yield ops.Status(task.id, task.incarnation)


def _is_there(state: State, task_id: str) -> bool:
    return any(task.id == task_id for task in state.tasks)


def _fresh(state: State) -> bytes:
    """An incarnation that no task has."""
    there = {task.incarnation for task in state.tasks}
    return next(made for made in map(inc, range(1, len(IDS) + 1)) if made not in there)


def _submits(state: State, task_id: str, options: tuple[Options, ...]) -> Iterator[Operation]:
    incarnation = _fresh(state)
    for count in range(len(state.tasks) + 1):
        for arguments in combinations(state.tasks, count):
            args = tuple((task.id, task.incarnation) for task in arguments)
            for option in options:
                if args or not option.passes_errors:
                    yield ops.Submit(task_id, incarnation, MESSAGE, args, None, option)
    yield ops.Submit(task_id, incarnation, MESSAGE, (), FETCHED, KEEP)


def _common(state: State) -> Iterator[Operation]:
    """What both spaces have: workers, consumers, and those who tidy up."""
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


def reference_operations(state: State, options: tuple[Options, ...]) -> Iterator[Operation]:
    for task_id in IDS:
        if not _is_there(state, task_id):
            yield from _defers(state, task_id, options)
    yield from _common(state)
    for task in state.tasks:
        yield ops.Undefer(task.id, task.incarnation)
        for argument in task.arguments:
            yield ops.ReserveArgument(argument.id, task.id)
            yield ops.SetArgument(task.id, argument.id, MESSAGE)


def _defers(state: State, task_id: str, options: tuple[Options, ...]) -> Iterator[Operation]:
    incarnation = _fresh(state)
    others = [other for other in IDS if other != task_id]
    for option in options:
        yield ops.Submit(task_id, incarnation, MESSAGE, (), None, option)
        for count in (1, 2):
            for args in combinations(others, count):
                yield ops.Defer(task_id, incarnation, MESSAGE, args, option)


SOMETIMES: dict[str, Callable[[World], bool]] = {}
