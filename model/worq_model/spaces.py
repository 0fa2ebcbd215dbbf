"""The queue on its own, bounded so that it can be searched to the end: in every state whatever anybody may ask for.

Ids come back, arguments lead from any task to any other, and every lease and retention may pass.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from worq_model import operations as ops
from worq_model.asks import CLAIMS_MAX, Bounds, of_contract, of_reference
from worq_model.canon import canon, canon_by_hand
from worq_model.deadlines import NextDeadline, has_deadline_ahead, is_due, later, ranked
from worq_model.graph import System
from worq_model.invariants import INVARIANTS
from worq_model.ledger import Ledger, observe
from worq_model.operations import Operation, Reply
from worq_model.queue import step
from worq_model.values import COMPLETED, EMPTY, ENQUEUED, PROCESSING, State

Label = Operation | NextDeadline


class World(NamedTuple):
    """A queue, and the account that an observer keeps of it."""

    state: State = EMPTY
    ledger: Ledger = Ledger()


class Space(NamedTuple):
    """What may be asked for in a state, in an order that depends on nothing but its canon."""

    asks: Callable[[State], Iterator[Operation]]
    canon: Callable[[State], Hashable]


def contract(bounds: Bounds) -> Space:
    return Space(partial(of_contract, bounds=bounds), canon)


def reference(bounds: Bounds) -> Space:
    return Space(partial(of_reference, bounds=bounds), canon_by_hand)


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

    def canon(world: World) -> Hashable:
        return space.canon(world.state), world.ledger.fault

    return System(
        World(),
        successors,
        canon,
        always=_ALWAYS,
        possible=_POSSIBLE,
        is_ordinary=is_ordinary,
    )


def labels(space: Space, state: State) -> Iterator[Label]:
    """Whatever may be asked for, and time. Where a deadline is due, a look: every operation begins with it. [TIM-2]"""
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
_POSSIBLE = _of_states({"the queue can still become empty": lambda state: state == EMPTY})


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
