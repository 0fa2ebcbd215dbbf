# ruff: noqa: E501 (a history reads best in one piece)
"""The checker is right: on histories known to be right or wrong, and wherever trying every order says so too."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worq.testing.account import account
from worq.testing.driver import Do, Tick, project
from worq.testing.exhaustive import CLAIM, LEASE_MS, TWICE, discard, finish, pop, submit, token
from worq.testing.histories import CLOSED, Act, Call, Close, Event, Wait, calls_of
from worq.testing.linearizability import Verdict, check
from worq.testing.parallel import Parallel
from worq.testing.parallel_programs import programs
from worq_model import operations as ops
from worq_model.queue import step
from worq_model.values import EMPTY, Outcome, State

ACCEPTED = ops.Submitted("accepted")
CLAIMED_A = ops.Claimed("a", token(1), b"message 1", ())
RESULT = Outcome("result", b"result")
STATUS_A = Do(ops.Status("a"))
RANDOM = st.randoms(use_true_random=False)


def history(*calls: tuple[Act, Any, int, int | None]) -> list[Event]:
    """Operations with their answers and the times of call and return."""
    events: list[Event] = []
    for op_id, (act, reply, called, returned) in enumerate(calls):
        events.append(Event(called, f"p{op_id}", op_id, "call", act))
        if returned is None:
            events.append(Event(called + 1, f"p{op_id}", op_id, "unknown"))
        else:
            events.append(Event(returned, f"p{op_id}", op_id, "return", reply))
    return sorted(events, key=lambda event: event.t)


# Histories by hand


RIGHT: dict[str, list[Any]] = {
    "one after the other": [(submit("a", 1), ACCEPTED, 0, 1), (CLAIM, CLAIMED_A, 2, 3)],
    "the claim came first": [(submit("a", 1), ACCEPTED, 0, 9), (CLAIM, None, 2, 3)],
    "the claim came later": [(CLAIM, CLAIMED_A, 0, 9), (submit("a", 1), ACCEPTED, 2, 3)],
    "it happened, as one sees": [(submit("a", 1), None, 0, None), (CLAIM, CLAIMED_A, 2, 3)],
    "it did not happen": [(submit("a", 1), None, 0, None), (CLAIM, None, 2, 3)],
    "it happened later": [
        (submit("a", 1), None, 0, None), (CLAIM, None, 2, 3), (CLAIM, CLAIMED_A, 4, 5)],
    "time passed before": [
        (submit("a", 1), ACCEPTED, 0, 1), (CLAIM, CLAIMED_A, 2, 3), (Tick(LEASE_MS), None, 4, 9), (STATUS_A, None, 5, 6)],
    "time passed after": [
        (submit("a", 1), ACCEPTED, 0, 1), (CLAIM, CLAIMED_A, 2, 3), (Tick(LEASE_MS), None, 4, 9), (STATUS_A, "processing", 5, 6)],
    "a wait took its time": [(Wait(CLAIM, 5), None, 0, 3), (Tick(5), None, 1, 2)],
    "closed": [(Close(0, 0), None, 0, 3), (CLAIM, CLOSED, 1, 2), (Do(ops.Size(), client=1), 0, 4, 5)],
    "two queues": [(submit("a", 1), ACCEPTED, 0, 1), (Do(ops.Size(), 1), 0, 2, 3)],
}  # fmt: skip

WRONG: dict[str, list[Any]] = {
    "claimed by nobody": [(submit("a", 1), ACCEPTED, 0, 1), (CLAIM, None, 2, 3)],
    "claimed too early": [(CLAIM, CLAIMED_A, 0, 1), (submit("a", 1), ACCEPTED, 2, 3)],
    "claimed twice": [
        (submit("a", 1), ACCEPTED, 0, 1), (CLAIM, CLAIMED_A, 2, 5), (CLAIM, CLAIMED_A, 3, 4)],
    "time had passed": [
        (submit("a", 1), ACCEPTED, 0, 1), (CLAIM, CLAIMED_A, 2, 3), (Tick(LEASE_MS), None, 4, 5), (STATUS_A, "processing", 6, 7)],
    "both were accepted": [(submit("a", 1), ACCEPTED, 0, 3), (submit("a", 2), ACCEPTED, 1, 2)],
    "a wait was short": [(Wait(CLAIM, 5), None, 0, 3), (Tick(4), None, 1, 2)],
    "an answer after close": [(Close(0, 0), None, 0, 1), (CLAIM, None, 2, 3)],
    "closed by nobody": [(CLAIM, CLOSED, 1, 2)],
    "a number that is no truth value": [(Do(ops.Heartbeat("a", 1)), 0, 0, 1)],
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_history_holds(name: str) -> None:
    verdict = check(history(*RIGHT[name]))
    assert verdict.answer == "holds", verdict.objections


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_history_is_violated(name: str) -> None:
    verdict = check(history(*WRONG[name]))
    assert verdict.answer == "violated"
    assert verdict.objections


def in_bulk(*calls: tuple[Act, Any]) -> list[Event]:
    """Operations of one process in one call, and their answers."""
    ends = [("call", 0), ("return", 9)]
    return [
        Event(t, "p", op_id, kind, act if kind == "call" else reply)  # type: ignore[arg-type]
        for kind, t in ends
        for op_id, (act, reply) in enumerate(calls)
    ]


@pytest.mark.spec("ENV-BULK-1")
def test_operations_in_bulk_are_done_in_their_order() -> None:
    first, again = submit("a", 1), submit("a", 2)
    duplicate = ops.Submitted("duplicate")
    assert check(in_bulk((first, ACCEPTED), (again, duplicate))).answer == "holds"
    assert check(in_bulk((first, duplicate), (again, ACCEPTED))).answer == "violated"
    others = Event(1, "q", 7, "call", discard("a")), Event(2, "q", 7, "return", True)
    between = in_bulk((first, ACCEPTED), (again, ACCEPTED))
    assert check(sorted([*between, *others], key=lambda e: e.t)).answer == "holds"


def test_an_objection_says_what_the_model_answers() -> None:
    verdict = check(history(*WRONG["both were accepted"]))
    assert verdict.longest in ((0,), (1,))
    assert "the model answers Submitted('duplicate') [SUB-2]" in verdict.objections[0]


def test_the_order_found_is_told() -> None:
    verdict = check(history(*RIGHT["the claim came later"]))
    assert verdict == Verdict("holds", {0: (1, 0)}, (), ())


def test_a_deadline_that_passes_is_unknown() -> None:
    assert check(history(*RIGHT["the claim came later"]), deadline_s=-1).answer == "unknown"


# The account


@pytest.mark.parametrize(
    ("calls", "objection"),
    [
        (WRONG["claimed twice"], "('a', b'message 1') was started too often"),
        (WRONG["claimed too early"], "('a', b'message 1') was started, and nobody had given it to the queue"),
        ([(pop("a"), RESULT, 0, 1)], "b'result' was delivered, and nobody had given it to the queue"),
        (
            [(finish("a"), ops.Finished(True), 0, 1), (pop("a"), RESULT, 2, 3), (pop("a"), RESULT, 2, 3)],
            "b'result' was delivered too often",
        ),
        ([(submit("a", 1), ACCEPTED, 0, 1), (STATUS_A, None, 2, 3)], "'a' was accepted and is absent, and nobody touched it"),
    ],
)  # fmt: skip
def test_what_no_order_explains_is_found_by_the_account(calls: Any, objection: str) -> None:
    assert list(account(calls_of(history(*calls)))) == [objection]


@pytest.mark.parametrize(
    "calls",
    [
        [(submit("a", 1, options=TWICE), ACCEPTED, 0, 1), (CLAIM, CLAIMED_A, 2, 3), (CLAIM, CLAIMED_A, 4, 5)],
        [(submit("a", 1), ACCEPTED, 0, 1), (discard("a"), None, 2, None), (STATUS_A, None, 3, 4)],
        [(submit("a", 1), ACCEPTED, 0, 1), (CLAIM, None, 2, None), (STATUS_A, None, 3, 4)],
    ],
)  # fmt: skip
def test_the_account_leaves_alone_what_may_be(calls: Any) -> None:
    assert list(account(calls_of(history(*calls)))) == []


# Histories made from what the model answers


def acts_of(program: Parallel) -> list[Act]:
    lanes = (program.prefix, *program.lanes)
    return [act.do if isinstance(act, Wait) else act for lane in lanes for act in lane]


def answers(acts: Sequence[Act]) -> Iterator[Any]:
    """What the model answers to one act after another."""
    states: dict[int, State] = {}
    now_ms = 0
    for act in acts:
        if isinstance(act, Tick):
            now_ms += act.ms
            yield None
        elif isinstance(act, Do):
            done = step(states.get(act.queue, EMPTY), act.operation, now_ms=now_ms)
            states[act.queue] = done.state
            yield project(act, done.reply)


def stretched(acts: Sequence[Act], replies: Sequence[Any], random: Random) -> list[Event]:
    """The same, but each operation was called earlier or returned later than it happened, or never returned."""
    reach = random.choice((1, 30, 60))
    calls = [
        (act, reply, 10 * n - random.randrange(reach), 10 * n + 1 + random.randrange(reach))
        for n, (act, reply) in enumerate(zip(acts, replies, strict=True))
    ]
    forgotten = [random.random() < 0.1 and not isinstance(act, Tick) for act in acts]
    return history(
        *((a, r, c, None if f else e) for (a, r, c, e), f in zip(calls, forgotten, strict=True))
    )


def altered(acts: Sequence[Act], replies: Sequence[Any], random: Random) -> list[Any]:
    """One answer is another's, or is none."""
    at = random.choice([n for n, act in enumerate(acts) if isinstance(act, Do)] or [0])
    if isinstance(acts[at], Tick):
        return list(replies)
    kept = (replies[at], type(replies[at]))
    others = [reply for reply in (*replies, None, True, False) if (reply, type(reply)) != kept]
    return [*replies[:at], random.choice(others), *replies[at + 1 :]]


@settings(max_examples=max(100, settings().max_examples // 4))
@given(programs(), RANDOM)
def test_what_was_made_concurrent_holds(program: Parallel, random: Random) -> None:
    acts = acts_of(program)
    verdict = check(stretched(acts, list(answers(acts)), random))
    assert verdict.answer == "holds", verdict.objections


@settings(max_examples=max(100, settings().max_examples // 4))
@given(programs(), RANDOM)
def test_what_was_altered_is_violated(program: Parallel, random: Random) -> None:
    acts = [act for act in acts_of(program) if isinstance(act, Do)] or [STATUS_A]
    replies = altered(acts, list(answers(acts)), random)
    calls = [(a, r, 2 * n, 2 * n + 1) for n, (a, r) in enumerate(zip(acts, replies, strict=True))]
    assert check(history(*calls)).answer == "violated"


def holds_in_some_order(calls: Sequence[Call]) -> bool:
    """Tries every order of every choice of what happened."""
    known = [call for call in calls if call.returned is not None]
    unknown = [call for call in calls if call.returned is None]
    for number in range(1 << len(unknown)):
        chosen = [*known, *(c for n, c in enumerate(unknown) if number >> n & 1)]
        if any(is_order(order) for order in permutations(chosen)):
            return True
    return False


def is_order(order: Sequence[Call]) -> bool:
    for n, call in enumerate(order):
        if any(o.returned is not None and o.returned < call.called for o in order[n + 1 :]):
            return False
    replies = answers([call.act for call in order])
    return all(
        call.returned is None or (reply == call.reply and type(reply) is type(call.reply))
        for call, reply in zip(order, replies, strict=True)
    )


def test_the_checker_says_what_trying_every_order_says() -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=max(300, settings().max_examples // 2))
    @given(program=programs(2, 3, queues=1), random=RANDOM, alter=st.booleans())
    def compare(program: Parallel, random: Random, *, alter: bool) -> None:
        acts = acts_of(program)[:6]
        replies = list(answers(acts))
        made = stretched(acts, altered(acts, replies, random) if alter else replies, random)
        answer = check(made).answer
        counts[answer] += 1
        assert (answer == "holds") == holds_in_some_order(calls_of(made))

    compare()
    assert counts["holds"] > 50
    assert counts["violated"] > 20
    assert counts["unknown"] == 0
