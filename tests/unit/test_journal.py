# ruff: noqa: E501 (a history reads best in one piece)
"""Following a journal: what the server did is compared with the model, with real time, and with what clients were told."""

from typing import Any

import pytest

from worq.testing.driver import Do
from worq.testing.exhaustive import CLAIM, finish, pop, submit, token
from worq.testing.histories import Act, Event, Wait
from worq.testing.journal import Commit, replay
from worq.testing.programs import inc
from worq_model import operations as ops
from worq_model.values import TASK_EXPIRED, Outcome

ACCEPTED = ops.Submitted("accepted")
CLAIMED = ops.Claimed("a", token(1), b"message 1", ())
LOOK = Do(ops.Status("a"))
SUBMIT = (submit("a", 1), ACCEPTED, 0, 1)
RESULT = Outcome("result", b"result")
WAIT = b".W\0\0\x13\x88"


def history(*calls: tuple[Act, Any, int, int | None]) -> list[Event]:
    """Answers, and milliseconds of call and return."""
    events: list[Event] = []
    for n, (act, reply, called, returned) in enumerate(calls):
        events.append(Event(called * 1_000_000, "p", n, "call", act))
        if returned is not None:
            events.append(Event(returned * 1_000_000, "p", n, "return", reply))
    return events


def commit(n: int, script: str, reply: bytes, now_ms: int = 0, number: int = 0) -> Commit:
    return Commit(f"p/{n}", script, b"%016d" % number, now_ms, reply)


S = commit(0, "SUBMIT", b".A", 0, 1)
RIGHT: dict[str, tuple[list[Any], list[Commit]]] = {
    "one after the other": (
        [SUBMIT, (CLAIM, CLAIMED, 2, 3)], [S, commit(1, "CLAIM", b".T", 1, 2)]),
    "in the order of the server": (
        [(CLAIM, CLAIMED, 0, 9), (submit("a", 1), ACCEPTED, 2, 3)],
        [commit(1, "SUBMIT", b".A"), commit(0, "CLAIM", b".T")]),
    "sent again": ([SUBMIT, (CLAIM, CLAIMED, 2, 3)], [S, S, *[commit(1, "CLAIM", b".T", 0, 2)] * 2]),
    "again, and the rest": (
        [SUBMIT, (LOOK, "enqueued", 2, 3)],
        [commit(0, "SUBMIT", b"~", 0, 1), S, commit(0, "SETTLE", b"."), commit(1, "STATUS", b".E")]),
    "a wait": (
        [(Wait(CLAIM, 50), CLAIMED, 0, 9), (submit("a", 1), ACCEPTED, 1, 2)],
        [commit(0, "CLAIM", WAIT, 0, 1), commit(1, "SUBMIT", b".A", 0, 1), commit(0, "CLAIM", b".T", 1, 2)]),
    "a wait for the incarnation first seen": (
        [SUBMIT, (Wait(pop("a"), 50), TASK_EXPIRED, 2, 9), (Do(ops.Discard("a")), True, 3, 4), (submit("a", 2), ACCEPTED, 5, 6)],
        [S, commit(1, "POP", WAIT + inc(1), 0, 1), commit(2, "DISCARD", b".T", 0, 2), commit(3, "SUBMIT", b".A", 0, 3),
         commit(1, "POP", b".X", 0, 4)]),
    "sent again, and late": (
        [SUBMIT, (CLAIM, CLAIMED, 2, 3), (LOOK, "processing", 4, 5)], [S, commit(1, "CLAIM", b".T", 0, 2), commit(2, "STATUS", b".W"), S]),
    "not done, since it was closed": (
        [(Wait(CLAIM, None), None, 0, None), (submit("a", 1), ACCEPTED, 2, 3), (LOOK, "enqueued", 4, 5)],
        [commit(0, "CLAIM", WAIT, 0, 1), commit(1, "SUBMIT", b".A", 0, 1), commit(0, "CLAIM", b"<", 0, 2), commit(2, "STATUS", b".E")]),
    "a wait that gave up": ([(Wait(CLAIM, 5), None, 0, 5)], [commit(0, "CLAIM", WAIT, 0, 1), commit(0, "CLAIM", b".N", 5, 2)]),
    "time that passed": (
        [SUBMIT, (CLAIM, CLAIMED, 2, 3), (LOOK, None, 4, 5)],
        [S, commit(1, "CLAIM", b".T", 0, 2), commit(2, "STATUS", b".-", 5002)]),
    "unknown, and done": ([(submit("a", 1), None, 0, None), (LOOK, "enqueued", 2, 3)], [S, commit(1, "STATUS", b".E")]),
    "unknown, and not done": ([(submit("a", 1), None, 0, None), (LOOK, None, 2, 3)], [commit(1, "STATUS", b".-")]),
}  # fmt: skip

WRONG: dict[str, tuple[list[Any], list[Commit], str]] = {
    "another answer": ([SUBMIT, (LOOK, "pending", 2, 3)], [S, commit(1, "STATUS", b".P")], "but the model 'enqueued'"),
    "another order": (
        [(LOOK, None, 0, 1), (submit("a", 1), ACCEPTED, 2, 3)], [commit(1, "SUBMIT", b".A"), commit(0, "STATUS", b".E")],
        "was done after one that was called when it had returned"),
    "a clock that ran back": ([SUBMIT, (LOOK, "enqueued", 2, 3)], [commit(0, "SUBMIT", b".A", 5, 1), commit(1, "STATUS", b".E", 4)], "ran back"),
    "told to wait": (
        [SUBMIT, (Wait(CLAIM, 50), CLAIMED, 2, 60)], [S, commit(1, "CLAIM", WAIT, 0, 2), commit(1, "CLAIM", b".T", 0, 3)],
        "found nothing, but the model answers Claimed"),
    "not done": ([SUBMIT], [], "was never done"),
    "another receipt": ([SUBMIT], [S, commit(0, "SUBMIT", b".D", 0, 1)], "got another answer when it was sent again"),
    "gave up early": ([(Wait(CLAIM, 5), None, 0, 4)], [commit(0, "CLAIM", b".N", 0, 1)], "gave up after 4.0 ms"),
    "from nowhere": ([(pop("a"), RESULT, 0, 1)], [commit(0, "POP", b".O", 0, 1)], "nobody had given it to the queue"),
    "done twice": (
        [SUBMIT, (CLAIM, CLAIMED, 2, 3), (finish("a"), ops.Finished(True), 4, 5)],
        [S, commit(1, "CLAIM", b".T", 0, 2), commit(2, "FINISH", b".A", 0, 3), commit(2, "FINISH", b".N", 0, 4)],
        "answered Finished(True), but the model Finished(False)"),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_journal_holds(name: str) -> None:
    calls, commits = RIGHT[name]
    verdict = replay(history(*calls), {0: commits})
    assert verdict.answer == "holds", verdict.objections


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_journal_is_violated(name: str) -> None:
    calls, commits, objection = WRONG[name]
    verdict = replay(history(*calls), {0: commits})
    assert verdict.answer == "violated"
    assert objection in " ".join(verdict.objections)
