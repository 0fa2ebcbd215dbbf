"""Waiting for what others do to a file. Who has another connection is told nothing, as another process."""

import sqlite3
import threading
from functools import partial
from typing import Any

import pytest

from tests.backends.calls import Call, WatchedClock
from tests.backends.conftest import Start
from tests.backends.on_sqlite.conftest import Open
from worq.clock import ManualClock
from worq.const import RESERVED, TASK_EXPIRED
from worq.errors import QueueClosed
from worq.queue.sqlite import TaskQueue, database
from worq.queue.sqlite.bell import LOOK_S, Sleeper, pause_s
from worq.values import Outcome, Request, Submission


@pytest.fixture
def other(open_apart: Open) -> TaskQueue:
    return open_apart()


@pytest.mark.spec("ENV-SQLITE-2", "ENV-WAIT-1")
def test_nobody_watches_for_those_who_do_not_wait(queue: TaskQueue) -> None:
    queue.submit(Request("a"), b"")
    assert queue.pop("a", 0) is None
    assert queue.pop("b", 0) is TASK_EXPIRED
    assert queue.claim(0) is not None
    assert queue.claim(0) is None
    assert "worq-sqlite" not in {each.name for each in threading.enumerate()}


@pytest.mark.spec("ENV-SQLITE-2")
def test_when_nobody_waits_any_more_the_watcher_sleeps_until_somebody_does(
    queue: TaskQueue, start: Start
) -> None:
    call = start(queue.claim)
    assert call.sleeps()
    bell = queue.database.bell
    assert bell._pause_s() > 0  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    queue.submit(Request("a"), b"")
    assert call.answer() is not None
    assert bell._pause_s() < 0  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


@pytest.mark.spec("ENV-WAIT-3", "ENV-WAIT-2")
def test_who_is_woken_for_nothing_waits_on(queue: TaskQueue, start: Start) -> None:
    call = start(queue.claim)
    for _ in range(3):
        assert call.sleeps()
        queue.database.bell.wake_all()
    assert call.sleeps()
    queue.submit(Request("a"), b"")
    assert call.answer() is not None


@pytest.mark.spec("ENV-WAIT-5", "ENV-BULK-5")
@pytest.mark.parametrize("ids", ["a", "ab"])
def test_who_is_woken_and_looks_late_waits_for_the_incarnation_that_it_first_saw(
    queue: TaskQueue, start: Start, monkeypatch: pytest.MonkeyPatch, ids: str
) -> None:
    looks = threading.Event()
    sleep = Sleeper.sleep

    def sleep_longer(sleeper: Sleeper) -> None:
        sleep(sleeper)
        looks.wait()

    monkeypatch.setattr(Sleeper, "sleep", sleep_longer)
    queue.submit_many([Submission(Request(task_id), b"") for task_id in ids])
    call = start(partial(queue.pop_many, [(task_id, None) for task_id in ids], None))
    assert call.sleeps()
    queue.discard("a")
    queue.submit(Request("a"), b"")
    looks.set()
    assert call.answer() == [TASK_EXPIRED, None][: len(ids)]


@pytest.mark.spec("ENV-SQLITE-2")
@pytest.mark.parametrize(
    ("since_s", "pause"), [(0, 0.001), (0.004, 0.001), (0.1, 0.025), (0.2, 0.05), (10**6, 0.05)]
)
def test_pauses_get_longer_up_to_a_bound(since_s: float, pause: float) -> None:
    assert pause_s(since_s) == pytest.approx(pause)
    assert LOOK_S == (0.001, 0.05)


@pytest.mark.spec("ENV-SQLITE-2", "ENV-WAIT-2")
def test_a_claim_ends_when_another_process_makes_a_task_ready(
    queue: TaskQueue, other: TaskQueue, start: Start
) -> None:
    call = start(queue.claim)
    assert call.sleeps()
    other.submit(Request("a"), b"m")
    claim = call.answer()
    assert claim is not None
    assert claim.id == "a"


@pytest.mark.spec("ENV-SQLITE-2", "ENV-WAIT-5")
def test_who_waits_for_an_outcome_is_told_what_another_process_did(
    queue: TaskQueue, other: TaskQueue, start: Start
) -> None:
    for task_id in "abc":
        queue.submit(Request(task_id), b"")
        queue.claim(0)
    calls = [start(partial(queue.pop, task_id, None)) for task_id in "abc"]
    assert all(call.sleeps() for call in calls)
    other.finish("a", b"r", 10)
    assert calls[0].answer() == Outcome("result", b"r")
    other.submit(Request("d"), b"", {"b": None})
    assert calls[1].answer() is RESERVED
    other.discard("c")
    other.submit(Request("c"), b"")
    assert calls[2].answer() is TASK_EXPIRED


@pytest.mark.spec("ENV-SQLITE-2", "ENV-WAIT-6")
def test_a_task_of_another_process_wakes_one_claim_of_this_one(
    open_queue: Open, open_apart: Open, start: Start
) -> None:
    clock = WatchedClock()
    queue, other = open_queue(clock=clock), open_apart(clock=clock)
    calls = [start(queue.claim) for _ in range(4)]
    assert all(call.sleeps() for call in calls)
    looks = [clock.looks_of(call) for call in calls]
    other.submit(Request("a"), b"")
    while not any(call.ended(0) for call in calls):
        pass
    asleep = [call for call in calls if not call.ended(0)]
    assert all(call.sleeps() for call in asleep)
    assert sum(clock.looks_of(c) > n for c, n in zip(calls, looks, strict=True)) == 1
    for task_id in "bcd":
        other.submit(Request(task_id), b"")
    assert sorted(claim.id for call in calls if (claim := call.answer())) == list("abcd")


@pytest.mark.spec("ENV-SQLITE-2", "ENV-WAIT-2")
def test_who_begins_to_wait_while_the_watcher_looks_hears_of_it(
    open_queue: Open, open_apart: Open, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, late, other = open_queue(), open_queue(name="late"), open_apart(name="late")
    call, calls = start(queue.claim), list[Call[Any]]()
    assert call.sleeps()
    look = queue.database.look

    def meanwhile(read: Any) -> Any:
        if not calls:
            calls.append(start(late.claim))
            assert calls[0].sleeps()
            other.submit(Request("a"), b"")
        return look(read)

    monkeypatch.setattr(queue.database, "look", meanwhile)
    queue.database.ring()
    while not calls:
        pass
    claim = calls[0].answer()
    assert claim is not None
    assert claim.id == "a"


@pytest.mark.spec("ENV-SQLITE-2", "ENV-WAIT-4")
def test_a_deadline_that_another_process_has_set_wakes(
    queue: TaskQueue, other: TaskQueue, start: Start
) -> None:
    other.submit(Request("a", attempts=2), b"")
    other.claim(0)
    call = start(queue.claim)
    assert call.sleeps()
    other.heartbeat("a", 0.01)
    claim = call.answer()
    assert claim is not None
    assert claim.token.start == 2


@pytest.mark.spec("ENV-SQLITE-2")
def test_while_a_file_can_not_be_used_those_who_wait_are_told(
    queue: TaskQueue, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = start(queue.claim)
    assert call.sleeps()
    monkeypatch.setattr(queue.database, "look", fail)
    monkeypatch.setattr(queue.database, "transact", fail)
    with pytest.raises(OSError, match="planted"):
        call.answer()


def fail(*_: object) -> None:
    raise OSError("planted")


@pytest.mark.spec("ENV-SQLITE-2", "ENV-WAIT-2")
def test_who_begins_to_wait_when_the_watcher_is_about_to_end_has_one(
    queue: TaskQueue,
    other: TaskQueue,
    open_queue: Open,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_used, ends, goes_on = queue.database.is_used, threading.Event(), threading.Event()

    def slowly() -> bool:
        answer = is_used()
        if threading.current_thread().name == "worq-sqlite" and not (answer or ends.is_set()):
            ends.set()
            goes_on.wait(10)
        return answer

    # The next one has found the file just before the last one leaves.
    monkeypatch.setattr(database, "_forget", nothing)
    monkeypatch.setattr(queue.database, "is_used", slowly)
    assert queue.claim(0.001) is None
    queue.close()
    assert ends.wait(10)
    late = open_queue()
    assert late.database is queue.database
    call = start(late.claim)
    assert call.sleeps()
    goes_on.set()
    other.submit(Request("a"), b"")
    assert call.answer() is not None
    monkeypatch.undo()
    late.close()


def nothing(*_: object) -> None: ...


class ClosingClock(ManualClock):
    """A clock that closes queue objects when it is asked: in the midst of a look."""

    def __init__(self) -> None:
        super().__init__()
        self.closes: list[TaskQueue] = []

    def now_ms(self) -> int:
        for queue in self.closes:
            queue.close()
        return super().now_ms()


@pytest.mark.spec("ENV-WAIT-7")
def test_closing_unblocks_who_begins_to_wait_just_then(open_queue: Open, start: Start) -> None:
    clock = ClosingClock()
    queue = open_queue(clock=clock)
    clock.closes.append(queue)
    assert isinstance(start(queue.claim).error(), QueueClosed)


@pytest.mark.spec("ENV-SQLITE-1")
@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR])
def test_what_was_committed_is_done_although_nobody_could_be_told(
    queue: TaskQueue, start: Start, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def tell(*_: object) -> None:
        error = sqlite3.OperationalError("planted")
        error.sqlite_errorcode = code
        raise error

    queue.submit(Request("a"), b"")
    call = start(partial(queue.pop, "a", None))
    assert call.sleeps()
    monkeypatch.setattr(queue.database.bell, "tell", tell)
    assert queue.discard("a")
    assert call.answer() is TASK_EXPIRED


@pytest.mark.spec("ENV-WAIT-2")
def test_a_task_that_came_before_the_timeout_passed_is_found(
    open_queue: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both happen just after it has looked, before it can ask for the time."""
    clock = ManualClock()
    began_ms = clock.now_ms()
    queue, other = open_queue(clock=clock), open_queue(clock=clock)
    look = TaskQueue._do  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    def look_and_then(self: TaskQueue, *args: Any) -> Any:
        answer = look(self, *args)
        if self is queue and clock.now_ms() == began_ms:
            other.submit(Request("a"), b"")
            clock.advance(10)
        return answer

    monkeypatch.setattr(TaskQueue, "_do", look_and_then)
    assert queue.claim(0.005) is not None
