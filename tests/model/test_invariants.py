"""The invariants see what is wrong: each is shown a state that breaks it, and no other."""

import pytest

from worq_model.invariants import INVARIANTS, broken
from worq_model.values import (
    COMPLETED,
    EMPTY,
    ENQUEUED,
    PENDING,
    PROCESSING,
    Argument,
    Options,
    Outcome,
    State,
    Task,
)

RESULT = Outcome("result", "r")
WAITING = Task("a", 1, ENQUEUED, "m", Options())
RUNNING = Task("a", 1, PROCESSING, "m", Options(), start=1, deadline_ms=9)
DONE = Task("a", 1, COMPLETED, None, Options(), start=1, outcome=RESULT)
PROMISED = Argument("a", None, "promised", 1)
PROMISER = RUNNING._replace(dependent_id="b")
UNPROMISED = Task("b", 2, PENDING, "m", Options(), (Argument("a"),))
DEPENDENT = Task("b", 2, PENDING, "m", Options(), (PROMISED,))

BROKEN = {
    "ids_are_unique": State((RUNNING, RUNNING._replace(incarnation=2))),
    "incarnations_are_unique": State((RUNNING, RUNNING._replace(id="b"))),
    "ready_is_what_is_enqueued": State((WAITING,), ()),
    "pending_is_what_misses_an_argument": State((WAITING._replace(state=PENDING),)),
    "only_leases_and_retentions_are_deadlines": State((RUNNING._replace(deadline_ms=None),)),
    "outcomes_are_kept_by_the_completed": State((DONE._replace(outcome=None),)),
    "a_kept_outcome_has_no_other_consumer": State((DONE._replace(options=Options(True)),)),
    "each_reservation_has_a_living_reserver": State((PROMISER, UNPROMISED)),
    "each_promise_is_kept": State((RUNNING, DEPENDENT)),
    "reservations_make_no_cycle": State((DEPENDENT, RUNNING._replace(dependent_id="b"))),
    "starts_are_bounded": State((RUNNING._replace(start=2),)),
}  # fmt: skip


def test_each_invariant_has_a_state_that_breaks_it() -> None:
    assert BROKEN.keys() == INVARIANTS.keys()


@pytest.mark.parametrize("name", INVARIANTS)
def test_an_invariant_sees_the_state_that_breaks_it_and_no_other_does(name: str) -> None:
    assert broken(BROKEN[name]) == [name]


@pytest.mark.spec("TIM-7")
@pytest.mark.parametrize("task", [WAITING, DEPENDENT])
def test_what_waits_has_no_deadline(task: Task) -> None:
    state = State((task._replace(deadline_ms=9),), (task.id,) if task.state == ENQUEUED else ())
    assert "only_leases_and_retentions_are_deadlines" in broken(state)


def test_a_reserver_that_is_gone_is_seen() -> None:
    assert broken(State((RUNNING._replace(dependent_id="gone"),)))


def test_nothing_is_broken_when_nothing_is_there() -> None:
    assert broken(EMPTY) == []
