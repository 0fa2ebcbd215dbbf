"""The observer sees what must never happen, each by one example, and nothing where all is right."""

import pytest

from worq_model import operations as ops
from worq_model.ledger import Entry, Ledger, observe
from worq_model.operations import Claimed, Finished, Operation, Reply, Submitted
from worq_model.queue import step
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
    Token,
)

RESULT, FAILURE = Outcome("result", "r"), Outcome("failure", "f")
READY = Task("a", 1, ENQUEUED, "m", Options())
RUNNING = READY._replace(state=PROCESSING, start=1, deadline_ms=9)
DONE = Task("a", 1, COMPLETED, None, Options(), start=1, outcome=RESULT)
PROMISED = Argument("a", None, "promised", 1)
GIVEN = PROMISED._replace(held=RESULT)
WAITING = Task("b", 2, PENDING, "m", Options(), (PROMISED,))
FED = WAITING._replace(state=ENQUEUED, arguments=(GIVEN,))
OTHER = Task("c", 3, ENQUEUED, "m", Options(), (GIVEN,))

CLAIMED = Claimed("a", Token(1, 1), "m", ())


def holding(*tasks: Task) -> State:
    return State(tasks, tuple(task.id for task in tasks if task.state == ENQUEUED))


def ledger_of(state: State) -> Ledger:
    return Ledger(
        tuple(
            Entry(task.incarnation, task.start, task.given_back, task.state == PROCESSING)
            for task in state.tasks
        )
    )


def fault_of(before: State, operation: Operation, reply: Reply, after: State) -> str | None:
    return observe(ledger_of(before), before, operation, reply, after).fault


FAULTS: dict[str, tuple[State, Operation, Reply, State]] = {
    "what was not there was claimed": (EMPTY, ops.Claim(), CLAIMED, EMPTY),
    "two live claims": (
        holding(RUNNING),
        ops.Claim(),
        CLAIMED._replace(token=Token(1, 2)),
        holding(RUNNING),
    ),
    "started more often than its attempts": (
        holding(READY._replace(start=1)),
        ops.Claim(),
        CLAIMED._replace(token=Token(1, 2)),
        holding(RUNNING._replace(start=2)),
    ),
    "a token was made twice": (
        holding(READY._replace(start=1, options=Options(attempts=3))),
        ops.Claim(),
        CLAIMED,
        holding(RUNNING),
    ),
    "starts and claims are not those that were answered": (
        holding(READY),
        ops.Claim(),
        None,
        holding(RUNNING),
    ),
    "an outcome has two consumers": (
        holding(RUNNING, WAITING),
        ops.Finish("a", RESULT, None),
        Finished(accepted=True, dependent_id="b"),
        holding(FED, OTHER),
    ),
    "an outcome was delivered and is still there, or was not there": (
        holding(DONE),
        ops.Pop("a"),
        RESULT,
        holding(DONE),
    ),
    "a task was lost silently": (holding(READY), ops.Status("a"), None, EMPTY),
    "an incarnation ended as neither delivered nor expired, or as both": (
        holding(DONE),
        ops.Pop("a"),
        None,
        EMPTY,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault: str) -> None:
    assert fault_of(*FAULTS[fault]) == fault


def test_an_outcome_that_expires_and_is_delivered_too_is_seen() -> None:
    """A discard whose dependent gets the result all the same."""
    before, after = holding(RUNNING._replace(dependent_id="b"), WAITING), holding(FED)
    assert "or as both" in str(fault_of(before, ops.Discard("a"), reply=True, after=after))


def test_what_was_given_back_and_cost_a_start_is_seen() -> None:
    operation = ops.Release("a", begun=False)
    before, after = holding(RUNNING), holding(READY._replace(start=1))
    assert "not those that were answered" in str(
        fault_of(before, operation, reply=True, after=after)
    )


def test_what_was_delivered_once_is_not_delivered_again() -> None:
    assert "was not there" in str(fault_of(EMPTY, ops.Pop("a"), RESULT, EMPTY))


def test_a_fault_stays() -> None:
    ledger = Ledger((), "seen before")
    assert observe(ledger, EMPTY, ops.Size(), 0, EMPTY).fault == "seen before"


PASS = Options(passes_errors=True)
IGNORE = Options(ignore_result=True)

RIGHT: dict[str, tuple[State, Operation]] = {
    "a result to its dependent": (
        holding(RUNNING._replace(dependent_id="b"), WAITING),
        ops.Finish("a", RESULT, None),
    ),
    "a failure through its dependent": (
        holding(RUNNING._replace(dependent_id="b"), WAITING),
        ops.Finish("a", FAILURE, None),
    ),
    "an expiry that is passed": (
        holding(RUNNING._replace(dependent_id="b"), WAITING._replace(options=PASS)),
        ops.Discard("a"),
    ),
    "an expiry along the path": (
        holding(RUNNING._replace(dependent_id="b"), WAITING),
        ops.Release("a"),
    ),
    "a failure that a new task ends with": (
        holding(DONE._replace(outcome=FAILURE)),
        ops.Submit("b", 2, "m", (("a", 1),)),
    ),
    "a failure that a reservation brings": (
        holding(DONE._replace(outcome=FAILURE), WAITING._replace(arguments=(Argument("a"),))),
        ops.ReserveArgument("a", "b"),
    ),
    "an argument that is there": (holding(DONE), ops.Submit("b", 2, "m", (("a", 1),))),
    "an argument that is set by hand": (
        holding(RUNNING._replace(dependent_id="b"), WAITING),
        ops.SetArgument("b", "a", "by hand"),
    ),
    "fire and forget": (holding(READY._replace(options=IGNORE)), ops.Claim()),
    "what waits is purged": (holding(RUNNING, READY._replace(id="c", incarnation=3)), ops.Purge()),
    "what is due expires": (
        holding(RUNNING._replace(dependent_id="b", deadline_ms=0), WAITING),
        ops.Size(),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_no_fault(name: str) -> None:
    before, operation = RIGHT[name]
    done = step(before, operation, now_ms=0)
    assert done.state != before
    assert fault_of(before, operation, done.reply, done.state) is None


def test_each_incarnation_has_an_entry_while_it_is_there() -> None:
    submit = ops.Submit("a", 1, "m")
    done = step(EMPTY, submit, now_ms=0)
    ledger = observe(Ledger(), EMPTY, submit, Submitted("accepted"), done.state)
    assert ledger == Ledger((Entry(1),))
    claimed = step(done.state, ops.Claim(), now_ms=0)
    ledger = observe(ledger, done.state, ops.Claim(), claimed.reply, claimed.state)
    assert ledger == Ledger((Entry(1, 1, is_claimed=True),))
    gone = step(claimed.state, ops.Discard("a"), now_ms=0)
    assert observe(ledger, claimed.state, ops.Discard("a"), True, gone.state) == Ledger()
