"""The queue on its own, searched to the end: nothing is broken anywhere, and all of it was there."""

from collections.abc import Iterator

import pytest

from tests.stateful.profile import by_profile
from worq_model import operations as ops
from worq_model import spaces
from worq_model.asks import EVERY_OPTION, IGNORE, KEEP, RETRY, Bounds
from worq_model.catalogue import ABC, SYSTEMS
from worq_model.deadlines import is_due
from worq_model.explore import Verdict, explore
from worq_model.graph import System, grow
from worq_model.queue import pass_time, step
from worq_model.spaces import Label, Space, World, contract, labels, reference, system, take
from worq_model.values import EMPTY, State

# Name → states, steps, depth.
SMALL = {"contract-small": (2_545, 20_008, 14), "reference-small": (2_214, 18_026, 13)}
WHOLE = SMALL | {"contract": (30_555, 309_562, 14), "reference": (16_389, 181_264, 13)}
CLOSED = by_profile(SMALL, WHOLE, WHOLE | {"contract-large": (70_191, 663_710, 22)})


@pytest.mark.parametrize("name", CLOSED)
def test_a_space_holds_to_its_end(name: str) -> None:
    report = explore(SYSTEMS[name].system)
    assert (report.verdict, report.about) == (Verdict.HOLDS, "")
    assert (report.states, report.edges, report.depth) == CLOSED[name]


def bare(space: Space) -> System[State, Label]:
    """The space without names taken for one another. Only how many claims were given back is forgotten, for an end."""

    def successors(state: State) -> Iterator[tuple[Label, State]]:
        for label in labels(space, state):
            yield label, renumbered(take(state, label)[0])

    return System(EMPTY, successors)


def renumbered(state: State) -> State:
    """Claims that were given back get their numbers back, which a queue never does. [TOK-3]"""
    tasks = [t._replace(start=t.start - t.given_back, given_back=0) for t in state.tasks]
    return state._replace(tasks=tuple(tasks))


SYMMETRIC_SMALL = {
    "contract": contract(Bounds(ABC[:2], (KEEP, RETRY, IGNORE), with_refusals=True)),
    "reference": reference(Bounds(ABC[:2], (KEEP, RETRY), with_refusals=True)),
}
SYMMETRIC_WHOLE = SYMMETRIC_SMALL | {
    "contract, all options": contract(Bounds(ABC[:2], EVERY_OPTION)),
    "contract, three ids": contract(Bounds(ABC, (KEEP,))),
    "reference, three ids": reference(Bounds(ABC, (KEEP,), tasks_max=2)),
}
SYMMETRIC = by_profile(SYMMETRIC_SMALL, SYMMETRIC_WHOLE, SYMMETRIC_WHOLE)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_states_of_one_canon_can_do_the_same(name: str) -> None:
    space = SYMMETRIC[name]
    graph = grow(bare(space))
    canons = [space.canon(state) for state in graph.states]
    futures: dict[object, object] = {}
    for state, canon, targets in zip(graph.states, canons, graph.steps, strict=True):
        kinds = [type(label) for label in labels(space, state)]
        future = (kinds, [canons[target] for target in targets])
        assert futures.setdefault(canon, future) == future, state
    assert len(futures) == explore(system(space)).states


def test_a_look_before_is_what_every_operation_begins_with() -> None:
    """Where a deadline is due the spaces only look: whatever else may be asked for comes to the same."""
    space = contract(Bounds(ABC[:2], (KEEP, RETRY)))
    due = [state for state in grow(bare(space)).states if is_due(state)]
    assert len(due) > 100
    for state in due:
        looked = pass_time(state, 0)[0]
        for operation in space.asks(looked):
            assert step(state, operation, now_ms=0)[:2] == step(looked, operation, now_ms=0)[:2]


def test_a_queue_that_keeps_what_was_popped_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def take_and_keep(state: State, label: Label) -> tuple[State, object]:
        after, reply = take(state, label)
        is_popped = isinstance(label, ops.Pop) and after != state
        return (state if is_popped else after), reply

    monkeypatch.setattr(spaces, "take", take_and_keep)
    report = explore(SYSTEMS["contract-small"].system)
    assert report.about == "the ledger has no fault"
    last: World = report.trace[-1][1]
    assert last.ledger.fault == "an outcome was delivered and is still there, or was not there"
    assert [type(label).__name__ for label, _ in report.trace] == ["Submit", "Pop"]


def test_a_queue_that_forgets_a_lease_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is never claimed again can't end: the queue does not become empty."""

    def take_and_hang(state: State, label: Label) -> tuple[State, object]:
        after, reply = take(state, label)
        if isinstance(label, ops.Heartbeat):
            tasks = tuple(task._replace(deadline_ms=None) for task in after.tasks)
            after = after._replace(tasks=tasks)
        return after, reply

    monkeypatch.setattr(spaces, "take", take_and_hang)
    broken = explore(SYSTEMS["contract-small"].system)
    assert broken.about == "only_leases_and_retentions_are_deadlines"
    assert [type(label).__name__ for label, _ in broken.trace] == ["Submit", "Claim", "Heartbeat"]


def test_each_option_is_asked_for() -> None:
    submits = [
        op for op in contract(Bounds(ABC, EVERY_OPTION)).asks(EMPTY) if isinstance(op, ops.Submit)
    ]
    assert {submit.options for submit in submits} == set(EVERY_OPTION)
    assert len(EVERY_OPTION) == 12


def test_nothing_is_asked_where_the_order_of_ids_would_decide() -> None:
    """Two failed arguments of which one is kept for ever: the first in the order of ids is consumed. [SUB-5]"""
    for_ever = KEEP._replace(retention_ms=None)
    space = contract(Bounds(ABC, (KEEP, for_ever)))
    graph = grow(system(space))
    failed = [
        world.state
        for world in graph.states
        if [task.outcome and task.outcome.kind for task in world.state.tasks] == ["failure"] * 2
        and not is_due(world.state)
    ]
    kinds = {len({task.deadline_ms is None for task in state.tasks}) for state in failed}
    assert kinds == {1, 2}
    for state in failed:
        is_same = len({task.deadline_ms is None for task in state.tasks}) == 1
        asked = [op for op in space.asks(state) if isinstance(op, ops.Submit)]
        assert any(len(submit.args) == 2 for submit in asked) == is_same
