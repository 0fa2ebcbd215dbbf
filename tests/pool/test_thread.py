"""Pools of threads: SPEC.md, section 9."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest
import redis

import worq
from tests.backends.brokers import call, take
from tests.backends.calls import PATIENCE_S
from tests.backends.conftest import MakeQueue, Start
from tests.pool.conftest import Plant, own
from tests.pool.gates import ThreadGate, value_of
from tests.pool.interrupts import interrupted_at
from worq import BackendUnavailable, Broker, Deferred, Task, TaskExpired, TaskFailure
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.pool import backoff, keeper
from worq.pool.shift import Shift
from worq.pool.thread import WorkerPool
from worq.task import FunctionTask
from worq.values import Request

MakePool = Callable[..., WorkerPool]

STOPS = 5
PROMPT_S = 0.1


# Working.


def test_pool_runs_tasks(broker: Broker, make_pool: MakePool) -> None:
    make_pool(broker, 2).start()
    first = call(broker.queue().give, "a", 1)
    second = call(broker.queue().echo, "b", first, first)
    assert value_of(second) == ((1, 1), {})


def test_pool_runs_as_many_tasks_at_once_as_it_has_workers(
    broker: Broker, make_pool: MakePool
) -> None:
    together = threading.Barrier(3)
    broker.expose(together.wait)
    make_pool(broker, 3).start()
    deferreds = [call(broker.queue().wait, task_id, PATIENCE_S) for task_id in "abc"]
    assert sorted(value_of(deferred) for deferred in deferreds) == [0, 1, 2]


@pytest.mark.spec("ENV-POOL-7")
def test_with_starts_and_stops(broker: Broker) -> None:
    pool = WorkerPool(broker)
    with pool as entered:
        assert entered is pool
        with pytest.raises(RuntimeError):
            pool.start()
        assert value_of(call(broker.queue().give, "a", 1)) == 1
    assert not [each for each in threading.enumerate() if each.name.startswith(pool.name)]
    deferred = call(broker.queue().give, "b")
    assert not deferred.wait(0)


@pytest.mark.spec("ENV-POOL-2")
def test_pool_that_runs_is_not_started_again(broker: Broker, make_pool: MakePool) -> None:
    pool = make_pool(broker)
    pool.start()
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="started already"):
        pool.start()
    assert set(threading.enumerate()) == before


@pytest.mark.spec("ENV-POOL-2")
def test_pool_that_was_stopped_is_started_again(broker: Broker, make_pool: MakePool) -> None:
    pool = make_pool(broker)
    for task_id in "ab":
        pool.start(timeout=None)
        assert value_of(call(broker.queue().give, task_id, 1)) == 1
        pool.stop()


@pytest.mark.spec("ENV-POOL-2")
@pytest.mark.spec("ENV-POOL-3")
def test_a_task_can_stop_its_pool_while_that_still_starts(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()
    start = Shift.start

    def start_and_see_it_stopped(shift: Shift, timeout_s: float | None) -> None:
        start(shift, timeout_s)
        assert stopped.wait(PATIENCE_S)

    @broker.expose
    def halt() -> None:
        pool.stop(join=False)
        stopped.set()

    monkeypatch.setattr(Shift, "start", start_and_see_it_stopped)
    pool = WorkerPool(broker)
    broker.queue(ignore_result=True).halt()
    pool.start()
    pool.join()


def taken(broker: Broker, **options: Any) -> FunctionTask:
    """A task that has been claimed; it needs a queue of its own."""
    broker.queue(**options).len("abc")
    return take(broker)


@pytest.mark.spec("ENV-POOL-1")
def test_a_claim_that_the_pool_has_given_back_is_not_said_to_be_lost(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    class Nobody:
        due_ms = None

        def is_due(self, now_ms: int, running: object) -> bool:
            del now_ms, running
            return False

        def look_ms(self, now_ms: int, running: object) -> None:
            del now_ms, running

    broker.expose(len)
    task = taken(broker, attempts=2)
    kept = keeper.Keeper(broker, broker.clock, 1, Nobody())  # type: ignore[arg-type]
    kept.hold(task)
    held = kept._held[task.token]  # noqa: SLF001 - what is due, as its thread has it
    kept.drop(task)
    broker.release(task)
    kept._beat(held)  # noqa: SLF001
    assert caplog.messages == []
    broker.discard_pending_tasks()


def test_workers_wait_again_after_their_timeout(flowing: AbstractTaskQueue, plant: Plant) -> None:
    waits: SimpleQueue[int | None] = SimpleQueue()
    own_claim = own(flowing, "_claim")

    def claim(self: Any, timeout_ms: int | None) -> Any:
        waits.put(timeout_ms)
        return own_claim(self, timeout_ms)

    with WorkerPool(plant(flowing, _claim=claim)) as pool:
        pool.stop()
        pool.start(timeout=0.01)
        while waits.get(timeout=PATIENCE_S) != 10:
            pass
        assert [waits.get(timeout=PATIENCE_S) for _ in range(3)] == [10] * 3


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"workers": 0}, ValueError, "workers: 1 to 10000 is needed, not 0"),
        ({"workers": True}, TypeError, "workers: an integer is needed, not True"),
        ({"workers": 1.5}, TypeError, "workers: an integer is needed, not 1.5"),
        ({"drain_timeout": -1}, ValueError, "drain_timeout: .* not -1"),
        ({"drain_timeout": "soon"}, TypeError, "drain_timeout: .* not 'soon'"),
    ],
)
@pytest.mark.spec("ENV-BAD-2", "ENV-BAD-5")
def test_options_that_make_no_sense_are_refused(
    broker: Broker, options: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        WorkerPool(broker, **options)


@pytest.mark.spec("ENV-POOL-2", "ENV-BAD-2")
@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_workers_do_not_spin(broker: Broker, timeout: float) -> None:
    pool = WorkerPool(broker)
    with pytest.raises(ValueError, match="timeout"):
        pool.start(timeout)
    pool.stop()
    pool.join()


def test_pool_shows_its_queue_and_its_workers(broker: Broker) -> None:
    assert repr(WorkerPool(broker, 3)) == f"<WorkerPool worq {broker.name} (3)>"
    assert repr(WorkerPool(broker, name="mine")) == "<WorkerPool mine (1)>"


def test_threads_have_the_name_of_the_pool(broker: Broker, make_pool: MakePool) -> None:
    make_pool(broker, 2, name="mine").start()
    names = {thread.name for thread in threading.enumerate()}
    assert {"mine worker 1", "mine worker 2", "mine keeper"} <= names


def test_pool_goes_on_when_its_broker_is_closed(make_queue: MakeQueue, make_pool: MakePool) -> None:
    queue = make_queue()
    broker = Broker(queue)
    gate = ThreadGate(broker)
    make_pool(broker).start()
    call(broker.queue().gate, "a", 1)
    gate.wait()
    queue.close()
    gate.opened.set()
    other = Broker(make_queue(queue.name))
    assert value_of(other.deferred("a")) == 1
    assert value_of(call(other.queue().gate, "b", 2)) == 2


def test_pool_without_a_stop_does_not_disturb_another(broker: Broker, make_pool: MakePool) -> None:
    one, two = make_pool(broker, 2), make_pool(broker, 2)
    one.start()
    two.start()
    one.stop()
    assert len(broker) == 0
    for task_id in "abcd":
        assert value_of(call(broker.queue().give, task_id, task_id)) == task_id


# Whatever happens, a worker goes on.


@pytest.mark.spec("ENV-POOL-4", "RUN-2")
def test_worker_survives_whatever_a_task_raises(broker: Broker, make_pool: MakePool) -> None:
    class Mute(BaseException):
        def __str__(self) -> str:
            raise SystemExit

    errors = [ValueError("no"), SystemExit(1), KeyboardInterrupt(), GeneratorExit(), Mute()]

    @broker.expose
    def fail(index: int) -> None:
        raise errors[index]

    make_pool(broker).start()
    for index, _ in enumerate(errors):
        with pytest.raises(TaskFailure):
            value_of(call(broker.queue().fail, "a", index))
    assert value_of(call(broker.queue().give, "b", 1)) == 1


@pytest.mark.spec("ENV-POOL-4", "RUN-4", "RUN-5")
def test_worker_survives_what_cannot_be_read_or_written(
    make_queue: MakeQueue, make_pool: MakePool
) -> None:
    queue = make_queue()
    broker = Broker(queue)
    broker.expose(threading.Lock)
    make_pool(broker).start()
    queue.submit(Request("a"), b"\x00 garbage")
    call(broker.queue().lock, "b")
    with pytest.raises(TaskFailure, match="message cannot be read"):
        value_of(broker.deferred("a"))
    with pytest.raises(TaskFailure, match="no such task"):
        value_of(broker.deferred("b"))
    broker.tasks["lock"] = threading.Lock
    with pytest.raises(TaskFailure, match="result cannot be serialized"):
        value_of(call(broker.queue().lock, "c"))


def _trouble(*errors: BaseException) -> Callable[[], None]:
    """Raises each of these once."""
    left = list(errors)

    def trouble() -> None:
        if left:
            raise left.pop(0)

    return trouble


LOST = BackendUnavailable("nobody there", "not_sent")


@pytest.fixture
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.001)


@pytest.mark.spec("ENV-POOL-5")
@pytest.mark.usefixtures("_short_pauses")
def test_lost_connection_does_not_end_a_worker(
    broker: Broker,
    flowing: AbstractTaskQueue,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trouble = _trouble(LOST, LOST, OSError("no route"), RuntimeError("a bug"))
    own_claim = own(flowing, "_claim")

    def claim(self: Any, timeout_ms: int | None) -> Any:
        trouble()
        return own_claim(self, timeout_ms)

    make_pool(plant(flowing, _claim=claim)).start()
    assert value_of(call(broker.queue().give, "a", 1)) == 1
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 4
    assert "nothing can be claimed, trying again in 0.0 s: BackendUnavailable(" in texts[0]
    assert "a bug" in texts[3]


@pytest.mark.spec("ENV-POOL-5")
@pytest.mark.redis
def test_cut_connections_do_not_end_a_worker(redis_url: str, make_pool: MakePool) -> None:
    with (
        worq.get_broker(redis_url, "cut") as broker,
        redis.Redis.from_url(redis_url) as client,
    ):
        gate = ThreadGate(broker)
        make_pool(broker, 2).start(timeout=None)
        running = call(broker.queue().gate, "a", 1)
        gate.wait()
        for _ in range(3):
            client.client_kill_filter(_type="normal", skipme=True)
        gate.opened.set()
        assert value_of(running) == 1
        assert value_of(call(broker.queue().gate, "b", 2)) == 2


@pytest.mark.spec("ENV-POOL-5")
def test_pauses_get_longer_up_to_a_bound() -> None:
    ended = threading.Event()
    ended.set()
    pauses = backoff.Backoff(ended)
    lengths = []
    for _ in range(8):
        lengths.append(pauses.delay_s)
        pauses.pause()
    assert lengths == [0.1, 0.2, 0.4, 0.8, 1.5, 1.5, 1.5, 1.5]
    pauses.reset()
    assert pauses.delay_s == 0.1


@pytest.mark.spec("ENV-POOL-3", "ENV-POOL-5")
def test_stop_ends_a_pause(
    broker: Broker,
    flowing: AbstractTaskQueue,
    plant: Plant,
    make_pool: MakePool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 1000.0)
    asked = threading.Event()

    def claim(self: Any, timeout_ms: int | None) -> Any:
        del self, timeout_ms
        asked.set()
        raise LOST

    pool = make_pool(plant(flowing, _claim=claim))
    pool.start()
    assert asked.wait(PATIENCE_S)
    asked.clear()
    assert not asked.wait(0.05)
    pool.stop()


@pytest.mark.spec("ENV-POOL-5", "RUN-7")
@pytest.mark.usefixtures("_short_pauses")
def test_outcome_is_stored_when_the_connection_is_back(
    broker: Broker,
    flowing: AbstractTaskQueue,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trouble = _trouble(LOST, LOST)
    own_finish = own(flowing, "_finish_many")

    def finish(self: Any, *args: Any) -> Any:
        trouble()
        return own_finish(self, *args)

    make_pool(plant(flowing, _finish_many=finish)).start()
    assert value_of(call(broker.queue().give, "a", 1)) == 1
    assert caplog.text.count("nothing can be stored") == 2


@pytest.mark.spec("ENV-POOL-4", "ENV-POOL-5", "DEF-5")
def test_outcome_that_cannot_be_stored_in_time_is_given_up(
    make_queue: MakeQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = make_queue(clock=clock)
    lost = [True]
    own_finish = own(queue, "_finish_many")

    def finish(self: Any, *args: Any) -> Any:
        if lost[0]:
            clock.advance(10_000)
            raise LOST
        return own_finish(self, *args)

    broker = plant(queue, _finish_many=finish)
    make_pool(broker).start()
    deferred = call(broker.queue().give, "a", 1, heartrate=1)
    with pytest.raises(TaskExpired):
        value_of(deferred)
    lost[0] = False
    assert value_of(call(broker.queue().give, "b", 2)) == 2
    assert "given up: give [a]" in caplog.text


# Heartbeats.


class Beats:
    """The heartbeats that a pool has sent: (id, answer)."""

    def __init__(
        self, queue: AbstractTaskQueue, trouble: Callable[[], None] = lambda: None
    ) -> None:
        self._sent: SimpleQueue[tuple[str, bool]] = SimpleQueue()
        self._own = own(queue, "_heartbeat")
        self._trouble = trouble

    def method(self) -> Callable[..., bool]:
        def heartbeat(this: Any, task_id: str, lease_ms: int, token: Any) -> bool:
            self._trouble()
            answer: bool = self._own(this, task_id, lease_ms, token)
            self._sent.put((task_id, answer))
            return answer

        return heartbeat

    def next(self) -> tuple[str, bool]:
        return self._sent.get(timeout=PATIENCE_S)

    def soon(self) -> tuple[str, bool] | None:
        try:
            return self._sent.get(timeout=0.01)
        except Empty:
            return None

    def none(self) -> bool:
        return self._sent.empty()


@pytest.mark.spec("ENV-POOL-1")
def test_running_task_has_a_heartbeat_each_heartrate(
    queue: AbstractTaskQueue, clock: ManualClock, plant: Plant, make_pool: MakePool
) -> None:
    beats = Beats(queue)
    broker = plant(queue, _heartbeat=beats.method())
    gate = ThreadGate(broker)
    make_pool(broker).start()
    deferred = call(broker.queue().gate, "a", 1, heartrate=1)
    gate.wait()
    for _ in range(20):
        clock.advance(999)
        clock.advance(1)
        assert beats.next() == ("a", True)
        assert beats.none()
    gate.opened.set()
    assert value_of(deferred) == 1


@pytest.mark.spec("ENV-POOL-1")
def test_keeper_that_sleeps_is_woken_for_an_earlier_heartbeat(
    flowing: AbstractTaskQueue, plant: Plant, make_pool: MakePool
) -> None:
    beats = Beats(flowing)
    broker = plant(flowing, _heartbeat=beats.method())
    gate = ThreadGate(broker)
    make_pool(broker, 2).start()
    call(broker.queue().gate, "a", heartrate=1_000)
    gate.wait()
    call(broker.queue().gate, "b", heartrate=0.01)
    gate.wait()
    assert beats.next() == ("b", True)
    gate.opened.set()


@pytest.mark.spec("ENV-POOL-1")
def test_tasks_have_heartbeats_at_their_own_rates(
    queue: AbstractTaskQueue, clock: ManualClock, plant: Plant, make_pool: MakePool
) -> None:
    beats = Beats(queue)
    broker = plant(queue, _heartbeat=beats.method())
    gate = ThreadGate(broker)
    make_pool(broker, 2).start()
    call(broker.queue().gate, "a", heartrate=1)
    call(broker.queue().gate, "b", heartrate=2.5)
    gate.wait()
    gate.wait()
    seen = []
    for ms in (1_000, 1_000, 500, 500):
        clock.advance(ms)
        seen.append(beats.next()[0])
    assert seen == ["a", "a", "b", "a"]
    gate.opened.set()


@pytest.mark.spec("ENV-POOL-1")
@pytest.mark.parametrize(("attempts", "seen"), [(1, ["b"]), (2, ["a", "b"])])
def test_last_start_with_ignore_result_has_no_heartbeat(
    queue: AbstractTaskQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    attempts: int,
    seen: list[str],
) -> None:
    beats = Beats(queue)
    broker = plant(queue, _heartbeat=beats.method())
    gate = ThreadGate(broker)
    pool = make_pool(broker, 2)
    pool.start()
    Task(broker.queue().gate, id="a", ignore_result=True, attempts=attempts, heartrate=1)()
    gate.wait()
    deferred = call(broker.queue().gate, "b", heartrate=1)
    gate.wait()
    clock.advance(1_000)
    assert sorted(beats.next()[0] for _ in seen) == seen
    gate.opened.set()
    assert deferred.wait(PATIENCE_S)
    pool.stop()
    assert beats.none()


@pytest.mark.spec("ENV-POOL-1", "RUN-7")
def test_lost_claim_is_logged_and_its_result_dropped(
    queue: AbstractTaskQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    beats = Beats(queue)
    broker = plant(queue, _heartbeat=beats.method())
    gate = ThreadGate(broker)
    pool = make_pool(broker)
    pool.start()
    lost = call(broker.queue().gate, "a", "late", heartrate=1)
    gate.wait()
    broker.task_failed(lost)
    again = call(broker.queue().give, "a", "new")
    clock.advance(1_000)
    assert beats.next() == ("a", False)
    clock.advance(1_000)
    gate.opened.set()
    assert value_of(again) == "new"
    pool.stop()
    assert beats.none()
    assert "the claim is lost: gate [a]" in caplog.text
    assert f"the claim is lost, so the outcome is dropped: gate [{queue.name}:a]" in caplog.text
    with pytest.raises(TaskExpired):
        _ = lost.value


@pytest.mark.spec("ENV-POOL-1")
def test_ended_task_has_no_heartbeat(
    queue: AbstractTaskQueue, clock: ManualClock, plant: Plant, make_pool: MakePool
) -> None:
    beats = Beats(queue)
    broker = plant(queue, _heartbeat=beats.method())
    gate = ThreadGate(broker)
    make_pool(broker).start()
    assert value_of(call(broker.queue().give, "a", 1, heartrate=1)) == 1
    call(broker.queue().gate, "b", heartrate=1)
    gate.wait()
    clock.advance(1_000)
    assert beats.next() == ("b", True)
    gate.opened.set()


@pytest.mark.spec("ENV-POOL-1")
def test_claim_that_has_just_ended_is_not_said_to_be_lost(
    queue: AbstractTaskQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    beats = Beats(queue)
    own_finish = own(queue, "_finish_many")

    def finish(self: Any, *args: Any) -> Any:
        finished = own_finish(self, *args)
        clock.advance(30_000)
        assert beats.next() == ("a", False)
        beaten.set()
        return finished

    beaten = threading.Event()
    pool = make_pool(plant(queue, _heartbeat=beats.method(), _finish_many=finish))
    pool.start()
    assert value_of(call(Broker(queue).queue().give, "a", 1)) == 1
    assert beaten.wait(PATIENCE_S)  # or the clock would pass the drain deadline
    pool.stop()
    assert "lost" not in caplog.text


@pytest.mark.spec("ENV-POOL-1", "ENV-POOL-5")
def test_heartbeat_that_failed_is_sent_again(
    queue: AbstractTaskQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "worq.pool.keeper")
    failed = threading.Event()
    trouble = _trouble(LOST, LOST, RuntimeError("a bug"))

    def first_fails() -> None:
        try:
            trouble()
        finally:
            failed.set()

    beats = Beats(queue, first_fails)
    broker = plant(queue, _heartbeat=beats.method())
    gate = ThreadGate(broker)
    pool = make_pool(broker)
    pool.start()
    deferred = call(broker.queue().gate, "a", 1)
    gate.wait()
    clock.advance(30_000)
    assert failed.wait(PATIENCE_S)
    # The keeper plans the next one only now, so it may have to be told the time again.
    while (beat := beats.soon()) is None:
        clock.advance(keeper.RETRY_MS)
    assert beat == ("a", True)
    gate.opened.set()
    assert value_of(deferred) == 1
    pool.stop()
    text = "no heartbeat can be sent, trying again every second: nobody there"
    assert caplog.text.count(text) == 1
    assert "no heartbeat: gate [a]" in caplog.text
    assert "heartbeats are sent again" in caplog.text


@pytest.mark.spec("ENV-POOL-22")
@pytest.mark.parametrize("ignored", [False, True])
def test_time_limit_that_passes_is_logged_once_and_ends_nothing(
    queue: AbstractTaskQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
    ignored: bool,  # noqa: FBT001 - as pytest passes it
) -> None:
    broker = plant(queue)
    gate = ThreadGate(broker)
    pool = make_pool(broker)
    pool.start()
    Task(broker.queue().gate, id="a", ignore_result=ignored, time_limit=3)("late")
    gate.wait()
    clock.advance(2_999)
    assert "time limit" not in caplog.text
    clock.advance(1)
    while "time limit" not in caplog.text:
        clock.advance(0)
    clock.advance(1_000)
    gate.opened.set()
    pool.stop()
    assert (
        caplog.text.count("its time limit of 3 s has passed, but no thread can be ended: gate [a]")
        == 1
    )
    if not ignored:
        assert value_of(broker.deferred("a")) == "late"


@pytest.mark.spec("ENV-POOL-22")
def test_time_limit_that_does_not_pass_is_not_logged(
    queue: AbstractTaskQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = plant(queue)
    pool = make_pool(broker)
    pool.start()
    assert value_of(call(broker.queue().give, "a", 1, time_limit=3)) == 1
    # The worker has begun another one, so it is through with the first.
    assert value_of(call(broker.queue().give, "b", 1, time_limit=float("inf"))) == 1
    clock.advance(3_000)
    pool.stop()
    assert "time limit" not in caplog.text


# Stopping.


@pytest.mark.spec("ENV-POOL-3")
def test_stop_ends_the_waiting_of_idle_workers_at_once(broker: Broker, make_pool: MakePool) -> None:
    pool = make_pool(broker, 4)
    took_s = []
    for number in range(STOPS):
        pool.start(timeout=None)
        assert value_of(call(broker.queue().give, "a", number)) == number
        before = time.monotonic()
        pool.stop()
        took_s.append(time.monotonic() - before)
    assert min(took_s) < PROMPT_S


@pytest.mark.spec("ENV-POOL-3", "ENV-WAIT-7")
def test_stop_leaves_those_alone_who_use_the_same_broker(
    broker: Broker, make_pool: MakePool, start: Start
) -> None:
    deferred = call(broker.queue().give, "a")
    broker.next_task(0)
    waiting = start(lambda: deferred.wait(None))
    claiming = start(lambda: broker.next_task(None))
    assert [waiting.sleeps(), claiming.sleeps()] == [True, True]
    pool = make_pool(broker)
    pool.start()
    pool.stop()
    assert waiting.thread.is_alive()
    call(broker.queue().give, "b")
    task = claiming.answer()
    assert task is not None
    assert task.id == "b"
    broker.task_failed(deferred)
    assert waiting.answer() is True


@pytest.mark.spec("ENV-POOL-3")
def test_stop_finishes_what_runs_and_claims_nothing_more(
    broker: Broker, make_pool: MakePool, start: Start
) -> None:
    gate = ThreadGate(broker)
    pool = make_pool(broker)
    pool.start()
    running = call(broker.queue().gate, "a", 1)
    gate.wait()
    queued = call(broker.queue().give, "b")
    pool.stop(join=False)
    stopping = start(pool.stop)
    assert stopping.sleeps()
    with pytest.raises(RuntimeError, match="started already"):
        pool.start()
    gate.opened.set()
    assert stopping.error() is None
    assert running.value == 1
    assert queued.status == "enqueued"


@pytest.mark.spec("ENV-POOL-3")
def test_stop_is_idempotent(broker: Broker, make_pool: MakePool, start: Start) -> None:
    pool = make_pool(broker, 2)
    pool.stop()
    pool.join()
    pool.start()
    calls = [start(pool.stop) for _ in range(4)]
    assert [each.error() for each in calls] == [None] * 4
    pool.stop()
    pool.join()


@pytest.mark.spec("ENV-POOL-3")
def test_join_waits_until_somebody_stops_the_pool(
    broker: Broker, make_pool: MakePool, start: Start
) -> None:
    pool = make_pool(broker)
    pool.start()
    joining = start(pool.join)
    assert joining.sleeps()
    pool.stop()
    assert joining.error() is None


@pytest.mark.spec("ENV-POOL-3", "REL-1")
@pytest.mark.parametrize(("attempts", "becomes"), [(1, None), (2, "enqueued")])
def test_claims_are_released_at_the_drain_deadline(
    queue: AbstractTaskQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    start: Start,
    caplog: pytest.LogCaptureFixture,
    attempts: int,
    becomes: str | None,
) -> None:
    broker = plant(queue)
    gate = ThreadGate(broker)
    pool = make_pool(broker, drain_timeout=3)
    pool.start()
    deferred = call(broker.queue().gate, "a", "late", attempts=attempts)
    thread = gate.wait()
    stopping = start(pool.stop)
    assert stopping.sleeps()
    clock.advance(2_999)
    assert stopping.sleeps()
    assert deferred.status == "processing"
    clock.advance(1)
    assert stopping.error() is None
    assert deferred.status == becomes
    assert "still running at the drain deadline, released: gate [a]" in caplog.text
    broker.discard_pending_tasks()
    pool.start()
    pool.stop()
    gate.opened.set()
    thread.join(PATIENCE_S)
    assert "after the drain deadline, dropped: gate [a]" in caplog.text


@pytest.mark.spec("ENV-POOL-23", "REL-1")
@pytest.mark.parametrize("stopped", [False, True])
def test_abort_releases_what_runs_at_once(
    queue: AbstractTaskQueue,
    plant: Plant,
    make_pool: MakePool,
    stopped: bool,  # noqa: FBT001 - as pytest passes it
) -> None:
    broker = plant(queue)
    gate = ThreadGate(broker)
    pool = make_pool(broker, drain_timeout=float("inf"))
    pool.abort()  # before it is started it does nothing
    pool.start()
    once = call(broker.queue().gate, "a", "late")
    thread = gate.wait()
    if stopped:
        pool.stop(join=False)
    pool.abort()
    pool.abort()
    pool.join()
    assert once.status is None
    gate.opened.set()
    thread.join(PATIENCE_S)


@pytest.mark.spec("ENV-POOL-1", "ENV-POOL-3")
def test_heartbeats_go_on_while_a_pool_drains(
    queue: AbstractTaskQueue, clock: ManualClock, plant: Plant, make_pool: MakePool
) -> None:
    beats = Beats(queue)
    broker = plant(queue, _heartbeat=beats.method())
    gate = ThreadGate(broker)
    pool = make_pool(broker, drain_timeout=float("inf"))
    pool.start()
    deferred = call(broker.queue().gate, "a", 1, heartrate=1)
    gate.wait()
    pool.stop(join=False)
    for _ in range(10):
        clock.advance(1_000)
        assert beats.next() == ("a", True)
    gate.opened.set()
    pool.join()
    assert deferred.value == 1


@pytest.mark.spec("ENV-POOL-3", "ENV-POOL-5")
def test_claim_that_cannot_be_released_is_left_to_its_lease(
    queue: AbstractTaskQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def release(self: Any, *args: Any, **how: Any) -> bool:
        raise LOST

    broker = plant(queue, _release=release)
    gate = ThreadGate(broker)
    pool = make_pool(broker, drain_timeout=0)
    pool.start()
    deferred = call(broker.queue().gate, "a", heartrate=1)
    thread = gate.wait()
    pool.stop()
    before = deferred.status
    clock.advance(7_000)
    assert (before, deferred.status) == ("processing", None)
    assert "not released, left to their leases: gate [a]: nobody there" in caplog.text
    gate.opened.set()
    thread.join(PATIENCE_S)


@pytest.mark.spec("ENV-POOL-3")
def test_task_may_stop_its_own_pool_but_not_wait_for_it(
    broker: Broker, make_pool: MakePool
) -> None:
    pool = make_pool(broker)
    broker.expose(pool.stop)
    broker.expose(pool.join)
    pool.start()
    with pytest.raises(TaskFailure, match="RuntimeError: a task can't wait for its own pool"):
        value_of(call(broker.queue().join, "a"))
    assert value_of(call(broker.queue().stop, "b")) is None
    pool.join()


@pytest.mark.spec("ENV-POOL-6", "ENV-WAIT-7")
def test_task_that_arrives_while_a_pool_stops_is_run_or_still_there(
    broker: Broker, make_pool: MakePool, start: Start
) -> None:
    pool = make_pool(broker, 3)
    ids = "abcdefghijklmnop"
    for _ in range(20):
        pool.start()
        deferreds: list[Deferred] = []

        def produce(into: list[Deferred] = deferreds) -> None:
            into.extend(call(broker.queue().give, task_id, task_id) for task_id in ids)

        producing = start(produce)
        while len(deferreds) < len(ids) // 4 and producing.thread.is_alive():
            time.sleep(0)
        pool.stop()
        assert producing.error() is None
        statuses = [deferred.status for deferred in deferreds]
        assert set(statuses) <= {"success", "enqueued"}
        assert len(broker) == statuses.count("enqueued")
        broker.discard_pending_tasks()


@pytest.mark.spec("ENV-POOL-6")
def test_task_that_is_claimed_just_as_a_pool_stops_is_run(
    flowing: AbstractTaskQueue, plant: Plant, make_pool: MakePool
) -> None:
    own_claim = own(flowing, "_claim")

    def claim(self: Any, timeout_ms: int | None) -> Any:
        claimed = own_claim(self, timeout_ms)
        if claimed is not None:
            pool.stop(join=False)
        return claimed

    broker = plant(flowing, _claim=claim)
    pool = make_pool(broker)
    pool.start()
    assert value_of(call(broker.queue().give, "a", 1)) == 1


# Starting badly, and ending without a stop.


def test_pool_that_cannot_open_its_queue_starts_nothing(
    broker: Broker, flowing: AbstractTaskQueue, plant: Plant, make_pool: MakePool
) -> None:
    own_init = own(flowing, "__init__")
    opened: list[object] = []

    def third_fails(self: Any, *args: Any, **kw: Any) -> None:
        opened.append(self)
        if len(opened) == 3:
            raise LOST
        own_init(self, *args, **kw)

    pool = make_pool(plant(flowing, __init__=third_fails))
    before = set(threading.enumerate())
    with pytest.raises(BackendUnavailable):
        pool.start()
    assert set(threading.enumerate()) == before
    pool.start()
    assert value_of(call(broker.queue().give, "a", 1)) == 1


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_pool_that_cannot_start_a_thread_ends_the_others(
    broker: Broker, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    own_start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_some(self: threading.Thread) -> None:
        if len(started) == threads:
            raise RuntimeError("can't start new thread")
        started.append(self)
        own_start(self)

    pool = make_pool(broker, 4)
    with monkeypatch.context() as few:
        few.setattr(threading.Thread, "start", start_some)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            pool.start()
    for thread in started:
        thread.join(PATIENCE_S)
    pool.start()
    assert value_of(call(broker.queue().give, "a", 1)) == 1


@pytest.mark.spec("ENV-POOL-26")
def test_a_worker_that_begins_when_its_start_was_called_off_does_nothing(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    called_off = threading.Event()
    takes_its_turn = Shift._takes_its_turn  # noqa: SLF001
    labours: list[Shift] = []

    def late(self: Shift) -> bool:
        if self.has(threading.current_thread()):
            assert called_off.wait(PATIENCE_S)
        return takes_its_turn(self)

    monkeypatch.setattr(Shift, "_takes_its_turn", late)
    monkeypatch.setattr(Shift, "_labour", labours.append)
    shift = Shift(broker, 1, "late", drain_s=0)
    shift.start(None)
    shift.call_off()
    called_off.set()
    for thread in shift._threads:  # noqa: SLF001
        thread.join(PATIENCE_S)
    assert labours == []


@pytest.mark.spec("ENV-POOL-7", "ENV-POOL-26")
def test_a_start_that_is_interrupted_anywhere_leaves_nothing(broker: Broker) -> None:
    pool = WorkerPool(broker, 2)
    number = 0
    while interrupted_at(number, pool.__enter__):
        until = time.monotonic() + PATIENCE_S
        while any(each.name.startswith(pool.name) for each in threading.enumerate()):
            assert time.monotonic() < until, f"at call {number}"
        number += 1
        gc.collect(1)  # or what is left of this one goes in the midst of the next
    pool.stop()
    assert number > 40
    with pool:
        assert value_of(call(broker.queue().give, "a", 1)) == 1
    gc.collect()  # queue objects of pools that were interrupted while they were made


def _run_script(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path.cwd(),
    )


SCRIPT = """
import logging, os, sys, threading, time, worq
from worq.pool.thread import WorkerPool
from worq.task import FunctionTask
logging.basicConfig(format="%(message)s")
broker = worq.get_broker("memory://")
began = threading.Event()
@broker.expose
def task(seconds):
    began.set()
    time.sleep(seconds)
    print("done", flush=True)
"""


@pytest.mark.spec("ENV-POOL-3")
def test_program_that_does_not_stop_its_pool_ends_and_what_runs_is_finished() -> None:
    done = _run_script(
        SCRIPT + "WorkerPool(broker, 3).start(None); broker.queue().task(0.2); began.wait()"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.spec("ENV-POOL-3")
def test_program_with_a_task_that_does_not_end_ends_at_the_drain_deadline() -> None:
    done = _run_script(
        SCRIPT
        + "WorkerPool(broker, drain_timeout=0.1).start()\n"
        + "worq.Task(broker.queue().task, id='a')(1000); began.wait()"
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "still running at the drain deadline, released: task [a]\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_pool_does_not_run_in_a_fork() -> None:
    done = _run_script(
        SCRIPT
        + """
pool = WorkerPool(broker)
pool.start()
if os.fork() == 0:
    pool.stop()
    pool.join()
    sys.exit(0)
_, status = os.wait()
print(status, flush=True)
deferred = broker.queue().task(0)
print(deferred.wait(10), flush=True)
pool.stop()
"""
    )
    assert (done.returncode, done.stdout) == (0, "0\ndone\nTrue\n"), done.stderr


INTERRUPTED = """
import sys
from worq import get_broker
from worq.pool.thread import WorkerPool
from worq.task import FunctionTask

with get_broker("memory://") as broker:

    @broker.expose
    def nap():
        print("begun", flush=True)
        sys.stdin.readline()
        print("ended", flush=True)

    try:
        with WorkerPool(broker) as pool:
            broker.queue(ignore_result=True).nap()
            pool.join()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.spec("ENV-POOL-3", "ENV-POOL-7")
def test_what_runs_when_the_main_thread_is_interrupted_is_finished_first() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == "begun\n"
        it.send_signal(signal.SIGINT)
        rest, _ = it.communicate("\n")
    assert rest.splitlines() == ["ended", "interrupted"]
    assert it.returncode == 0
