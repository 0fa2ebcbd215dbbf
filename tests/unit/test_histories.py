"""Acts are carried out, and whatever becomes of them is an answer."""

from collections.abc import Callable
from typing import Any

import pytest

from worq.clock import ManualClock
from worq.errors import BackendUnavailable
from worq.queue import memory
from worq.testing.driver import Do, Tick
from worq.testing.exhaustive import CLAIM, GET, pop, submit
from worq.testing.histories import (
    CLOSED,
    NOT_SENT,
    Close,
    Event,
    Raised,
    Unknown,
    Wait,
    by_client,
    calls_of,
    perform,
)
from worq.testing.parallel import Recorder
from worq_model import operations as ops


class Failing:
    """A queue of which each operation raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def size(self) -> int:
        raise self._error


SIZE = Do(ops.Size())


def ask(error: Exception) -> Any:
    queue: Any = Failing(error)
    return perform([[queue]], ManualClock(), SIZE)


def test_an_error_is_an_answer() -> None:
    assert ask(KeyError("a")) == Raised("KeyError: 'a'")
    assert ask(BackendUnavailable("gone", "not_sent")) == NOT_SENT


def test_what_nobody_knows_ends_the_process() -> None:
    with pytest.raises(Unknown):
        ask(BackendUnavailable("gone", "unknown"))
    queue: Any = Failing(BackendUnavailable("gone", "unknown"))
    recorder = Recorder([[queue]], ManualClock())
    with pytest.raises(Unknown):
        recorder.do("p", SIZE)
    assert [event.kind for event in recorder.history] == ["call", "unknown"]


def test_waits_wait_and_closed_queues_say_so() -> None:
    clock = ManualClock()
    queue = memory.TaskQueue("memory://histories", clock=clock)

    def do(act: Any) -> Any:
        return perform([[queue]], clock, act)

    assert do(submit("a", 1)) == ops.Submitted("accepted")
    assert do(Wait(GET, 5)) == ("a", b"message 1")
    assert do(Wait(Do(ops.Pop("a"), api=True), 0)) is None
    assert do(Tick(10_000)) is None
    assert do(Wait(pop("a"), None)) == "TASK_EXPIRED"
    assert do(Close()) is None
    assert do(Wait(CLAIM, None)) == CLOSED


@pytest.mark.parametrize(
    ("act", "same"),
    [
        (CLAIM, lambda client: Do(ops.Claim(), client=client)),
        (Wait(CLAIM, 1), lambda client: Wait(Do(ops.Claim(), client=client), 1)),
        (Close(1), lambda client: Close(1, client)),
        (Tick(1), lambda _: Tick(1)),
    ],
)
def test_an_act_can_be_another_clients(act: Any, same: Callable[[int], Any]) -> None:
    assert by_client(act, 7) == same(7)


def test_what_was_called_and_has_no_end_is_unknown() -> None:
    calls = calls_of([Event(5, "p", 0, "call", CLAIM), Event(1, "q", 1, "call", SIZE)])
    assert [(call.process, call.returned) for call in calls] == [("q", None), ("p", None)]
