"""Pools of processes: SPEC.md, section 9. What their workers run is in `tests/pool/tasks.py`."""

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

import pytest

from tests.backends.brokers import call
from tests.backends.calls import PATIENCE_S
from tests.backends.conftest import MakeQueue, Start
from tests.pool import tasks
from tests.pool.conftest import Plant, own
from tests.pool.gates import Gate, value_of
from tests.pool.interrupts import interrupted_at
from tests.pool.test_next_claim import Finishes
from worq import BackendUnavailable, Broker, Deferred, Task, TaskExpired, TaskFailure, get_broker
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.pool import backoff, minder, worker
from worq.pool.feed import Feed, Ledger
from worq.pool.process import WorkerInitError, WorkerPool, start_pools
from worq.queue.memory import TaskQueue as MemoryQueue
from worq.values import Request

MakePool = Callable[..., WorkerPool]

KILLS = 20
TURNS = 3
ENOUGH = 20
LOST = BackendUnavailable("nobody there", "not_sent")
UNRELIABLE = ("_claim", "_finish_many", "_release")


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture
def make_pool(request: pytest.FixtureRequest) -> Iterator[MakePool]:
    """Pools that have ended after the test, before their queues are closed."""
    if "make_queue" in request.fixturenames:
        request.getfixturevalue("make_queue")
    pools: list[WorkerPool] = []

    def make(
        broker: Broker, workers: int = 1, init: Any = tasks.init, *args: Any, **options: Any
    ) -> WorkerPool:
        options.setdefault("init_args", (broker.name, *args))
        pools.append(WorkerPool(broker, init, workers=workers, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.abort()
        pool.join()


@pytest.fixture
def memory() -> Iterator[Broker]:
    """For what does not depend on the queue."""
    with get_broker("memory://", f"test-{uuid4().hex}") as broker:
        yield broker
        broker.discard_pending_tasks()


def told(start: Start, deferred: Deferred) -> Deferred:
    """The Deferred with its outcome, by a clock that stands still: no deadline ever passes."""
    assert start(lambda: deferred.wait(None)).answer()
    return deferred


def eventually(happened: Callable[[], object]) -> bool:
    """Wait for what nothing tells of."""
    until = time.monotonic() + PATIENCE_S
    while not happened() and time.monotonic() < until:
        time.sleep(0.005)
    return bool(happened())


def workers_of(pool: WorkerPool) -> list[int]:
    """Their processes."""
    name = f"{pool.name} worker"
    found = [each.pid for each in multiprocessing.active_children() if each.name == name]
    return [pid for pid in found if pid is not None]


# Working.


@pytest.mark.spec("ENV-POOL-4", "ENV-POOL-7", "RUN-1", "RUN-2", "RUN-3", "RUN-4", "RUN-5")
def test_pool_runs_tasks(make_queue: MakeQueue) -> None:
    queue = make_queue()
    broker = Broker(queue)
    q = broker.queue()
    first = call(q.give, "a", "first")
    with WorkerPool(broker, tasks.init, (broker.name,), workers=2):
        second = call(q.give, "b", first)
        failed = call(q.fail, "c", "no")
        passed = call(q.text, "d", failed, on_error="pass")
        unknown = call(q.unknown, "e")
        queue.submit(Request("f"), b"\x00 garbage")
        large = call(q.large, "g", 1_000_000)
        unserializable = call(q.lock, "h")
        Task(q.fail, id="i", ignore_result=True)("nobody is told")
        assert value_of(second) == "first"
        assert value_of(passed) == f"fail [{broker.name}:c] ValueError: no"
        assert value_of(large) == bytes(1_000_000)
        assert value_of(call(q.give, "j", value_of(large))) == bytes(1_000_000)
        for deferred, error in {
            unknown: rf"unknown \[{broker.name}:e\] no such task",
            broker.deferred("f"): "message cannot be read",
            unserializable: "result cannot be serialized",
        }.items():
            with pytest.raises(TaskFailure, match=error):
                value_of(deferred)
    last = call(q.give, "k")
    assert last.status == "enqueued"


def test_tasks_call_others_through_their_own_broker(
    make_queue: MakeQueue, make_pool: MakePool
) -> None:
    broker = Broker(make_queue())
    if broker.url.startswith("memory:"):
        pytest.skip("a worker's memory:// is its own")
    make_pool(broker, 1, tasks.init_connected).start()
    value_of(call(broker.queue().call, "a", "from a worker"))
    assert value_of(broker.deferred("b")) == "from a worker"


@pytest.mark.spec("ENV-POOL-4", "RUN-4", "ENV-BAD-3")
def test_outcome_that_can_not_be_stored_is_a_failure_or_given_up(
    memory: Broker, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    class Planted(MemoryQueue):
        def _finish_many(self, endings: Any, claims: int) -> Any:
            if "b" in [ending.task_id for ending in endings]:
                raise RuntimeError("a bug")
            return super()._finish_many(endings, claims)

    with closing(Planted(memory.url, memory.name, message_bytes_max=1_000)) as queue:
        make_pool(Broker(queue)).start()
        with pytest.raises(TaskFailure, match=r"result cannot be serialized: ValueError: .* 1000"):
            value_of(call(memory.queue().large, "a", 2_000))
        lost = call(memory.queue().give, "b")
        assert value_of(call(memory.queue().give, "c", 1)) == 1
    assert "given up: give [b]" in caplog.text
    memory.task_failed(lost)


@pytest.mark.parametrize(("name", "options"), [("give", {}), ("end", {"ignore_result": True})])
def test_a_burst_ends_although_a_task_was_given_up_or_its_worker_has_died(
    memory: Broker, make_pool: MakePool, name: str, options: dict[str, Any]
) -> None:
    class Planted(MemoryQueue):
        def _finish_many(self, *_: Any) -> Any:
            raise RuntimeError("a bug")

    spent = threading.Event()
    Task(getattr(memory.queue(), name), id="a", **options)("exit code 3")
    with closing(Planted(memory.url, memory.name)) as queue:
        make_pool(Feed([Broker(queue)], Ledger(burst=True, spent=spent.set))).start()
        assert spent.wait(PATIENCE_S)
    memory.task_failed(memory.deferred("a"))


@pytest.mark.spec("ENV-POOL-3")
def test_worker_that_does_not_end_when_it_is_to_is_killed(
    memory: Broker, make_pool: MakePool, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "DISMISSED_S", 0.2)
    pool = make_pool(memory)
    pool.start()
    value_of(call(memory.queue().leave_a_thread, "a", gate.port))
    visitor = gate.visitor()
    pool.stop()
    assert visitor.has_ended()


@pytest.mark.spec("ENV-POOL-14", "ENV-POOL-2", "ENV-POOL-3", "ENV-POOL-17")
def test_worker_is_replaced_after_its_tasks_and_a_pool_is_started_again(
    memory: Broker, make_pool: MakePool
) -> None:
    pool = make_pool(memory, max_worker_tasks=2)
    pool.stop()
    pool.start()
    with pytest.raises(RuntimeError, match="started already"):
        pool.start()
    pids = [value_of(call(memory.queue().pid, "a")) for _ in range(5)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [2, 2, 1]
    assert len(workers_of(pool)) == 1
    pool.stop()
    pool.stop()
    pool.join()
    assert workers_of(pool) == []
    pool.start(timeout=None)
    assert value_of(call(memory.queue().terminate_others, "a")) == [-15, -15]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"init_func": "init"}, TypeError, "init_func: .* not 'init'"),
        ({"init_args": "mail"}, TypeError, "init_args: .* not 'mail'"),
        ({"init_args": 7}, TypeError, "init_args: .* not 7"),
        ({"init_kwargs": ["a"]}, TypeError, r"init_kwargs: .* not \['a'\]"),
        ({"workers": 0}, ValueError, "workers: 1 to 10000 is needed, not 0"),
        ({"workers": True}, TypeError, "workers: an integer is needed, not True"),
        ({"max_worker_tasks": 0}, ValueError, "max_worker_tasks: .* not 0"),
        ({"time_limit": 0}, ValueError, "time_limit: .* not 0"),
        ({"time_limit": "1"}, TypeError, "time_limit: .* not '1'"),
        ({"drain_timeout": -1}, ValueError, "drain_timeout: .* not -1"),
    ],
)
@pytest.mark.spec("ENV-BAD-2", "ENV-BAD-5")
def test_options_that_make_no_sense_are_refused(
    memory: Broker, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        WorkerPool(memory, **{"init_func": tasks.init, **options})


@pytest.mark.spec("ENV-POOL-2", "ENV-BAD-2")
def test_timeout_of_start_makes_sense_or_nothing_is_started(memory: Broker) -> None:
    pool = WorkerPool(memory, tasks.init)
    with pytest.raises(ValueError, match="timeout: more than 0 seconds are needed, not 0"):
        pool.start(0)
    pool.stop()


def test_there_are_as_many_workers_as_processors_unless_told_otherwise(memory: Broker) -> None:
    pool = WorkerPool(memory, tasks.init, name="mine")
    assert pool.workers == len(os.sched_getaffinity(0))
    assert repr(pool) == f"<WorkerPool mine ({pool.workers})>"


# What is claimed next.


@pytest.mark.spec("ENV-POOL-27")
def test_an_outcome_of_a_process_is_stored_together_with_the_next_claim(
    make_queue: MakeQueue, plant: Plant, make_pool: MakePool
) -> None:
    queue = make_queue()
    finishes = Finishes(queue)
    broker = plant(queue, _finish_many=finishes.method())
    first = [call(broker.queue().give, task_id, task_id) for task_id in "abcd"]
    Task(broker.queue().give, id="e", ignore_result=True)()
    last = call(broker.queue().give, "f", "f")
    pool = make_pool(broker)
    pool.start()
    assert [value_of(each) for each in (*first, last)] == list("abcdf")
    pool.stop()
    assert finishes.claimed == list("bcdef")
    # Nobody is told of the last start of `e`: what comes next is claimed all the same.
    assert finishes.asked[:5] == [(1, 1), (1, 1), (1, 1), (1, 1), (0, 1)]


@pytest.mark.spec("ENV-POOL-27", "ENV-POOL-3", "ENV-POOL-6")
def test_no_task_is_claimed_with_an_outcome_of_a_process_when_a_pool_stops(
    make_queue: MakeQueue, plant: Plant, make_pool: MakePool, gate: Gate
) -> None:
    queue = make_queue()
    finishes = Finishes(queue)
    broker = plant(queue, _finish_many=finishes.method())
    running = call(broker.queue().meet, "a", gate.port, 1)
    later = call(broker.queue().give, "b")
    pool = make_pool(broker)
    pool.start()
    visitor = gate.visitor()
    pool.stop(join=False)
    visitor.let_go()
    pool.join()
    assert [running.value, later.status] == [1, "enqueued"]
    assert finishes.asked == [(1, 0)]


@pytest.mark.spec("ENV-POOL-27", "ENV-POOL-14")
def test_nothing_is_claimed_for_a_worker_that_has_had_its_tasks(
    make_queue: MakeQueue, plant: Plant, make_pool: MakePool
) -> None:
    queue = make_queue()
    finishes = Finishes(queue)
    broker = plant(queue, _finish_many=finishes.method())
    deferreds = [call(broker.queue().pid, task_id) for task_id in "abcd"]
    make_pool(broker, max_worker_tasks=2).start()
    pids = [value_of(each) for each in deferreds]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [2, 2]
    assert finishes.asked == [(1, 1), (1, 0), (1, 1), (1, 0)]


@pytest.mark.spec("ENV-POOL-27", "ENV-POOL-11")
def test_a_task_that_waits_for_a_worker_comes_before_the_next_claim(
    memory: Broker, make_pool: MakePool, gate: Gate, tmp_path: Path
) -> None:
    obstacle, runs = tmp_path / "obstacle", tmp_path / "runs"
    pool = make_pool(memory, 2, tasks.init_unless, obstacle)
    pool.start()
    q = memory.queue()
    running = [call(q.meet, task_id, gate.port) for task_id in "ab"]
    idle, busy = gate.visitor(), gate.visitor()
    idle.let_go()
    assert eventually(lambda: "success" in [each.status for each in running])
    obstacle.touch()
    os.kill(idle.pid, signal.SIGSTOP)  # what it is handed next it can't begin
    handed = call(q.mark, "c", runs, "c")
    assert eventually(lambda: handed.status == "processing")
    later = call(q.mark, "d", runs, "d")
    os.kill(idle.pid, signal.SIGKILL)  # nobody can take its place
    assert eventually(lambda: pool._crew._desk.has_waiting)  # type: ignore[union-attr]  # noqa: SLF001 (it has been given back)
    busy.let_go()
    assert [value_of(each) for each in (handed, later)] == ["c", "d"]
    assert runs.read_text().split() == ["c", "d"]


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-23")
def test_a_claim_of_a_process_pool_that_comes_after_the_drain_deadline_is_given_back(
    make_queue: MakeQueue,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = make_queue()
    finishes = Finishes(queue)
    broker = plant(queue, _finish_many=finishes.method())
    first, second = [call(broker.queue().give, task_id, attempts=2) for task_id in "ab"]
    pool = make_pool(broker)
    finishes.claims_came = pool.abort
    pool.start()
    pool.join()
    assert [first.status, second.status] == ["success", "enqueued"]
    assert "not begun by the drain deadline: give [b]" in caplog.text


# Workers that die.


@pytest.mark.spec("ENV-POOL-10", "REL-1")
def test_who_waits_is_told_at_once_when_a_worker_dies_in_a_task(
    make_queue: MakeQueue,
    make_pool: MakePool,
    gate: Gate,
    clock: ManualClock,
    start: Start,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = Broker(make_queue(clock=clock))
    make_pool(broker).start()
    once = call(broker.queue().meet, "a", gate.port)
    twice = call(broker.queue().meet, "b", gate.port, "again", attempts=2)
    gate.visitor().kill()
    assert isinstance(told(start, once).held.failure, TaskExpired)  # type: ignore[union-attr]  # it has one
    gate.visitor().kill()
    gate.visitor().let_go()
    assert told(start, twice).value == "again"
    assert "its worker process has died: meet [a]: SIGKILL" in caplog.text


@pytest.mark.spec("ENV-POOL-10")
def test_it_does_not_matter_how_a_worker_dies(
    memory: Broker, make_pool: MakePool, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    make_pool(memory).start()
    for how in tasks.ENDS:
        with pytest.raises(TaskExpired):
            value_of(call(memory.queue().end, "a", how))
        assert how.removesuffix(" by its pool") in caplog.records[-1].getMessage()
    forked = call(memory.queue().meet_and_leave_a_fork, "b", gate.port)
    visitors = [gate.visitor(), gate.visitor()]
    parent = next(each for each in visitors if each.pid in workers_of_any())
    parent.kill()
    with pytest.raises(TaskExpired):
        value_of(forked)
    for each in visitors:
        if each is not parent:
            each.let_go()
            assert each.has_ended()


def workers_of_any() -> list[int | None]:
    return [each.pid for each in multiprocessing.active_children()]


@pytest.mark.spec("ENV-POOL-10", "ENV-POOL-11")
def test_each_outcome_is_seen_once_while_workers_are_killed(
    make_queue: MakeQueue, make_pool: MakePool, start: Start, tmp_path: Path
) -> None:
    broker = Broker(make_queue())
    pool = make_pool(broker, 2)
    pool.start()
    runs = tmp_path / "runs"
    outcomes: SimpleQueue[tuple[str, object]] = SimpleQueue()
    stopping = threading.Event()

    def produce(producer: str) -> None:
        for number in count():
            if stopping.is_set():
                return
            task_id = f"{producer} {number}"
            deferred = call(broker.queue().mark, task_id, runs, task_id)
            failure = deferred.wait(PATIENCE_S) and deferred.held and deferred.held.failure
            outcomes.put((task_id, failure or deferred.value))

    producing = [start(partial(produce, producer)) for producer in "abcd"]
    seen = []
    killed = 0
    while killed < KILLS:
        seen += [outcomes.get(timeout=PATIENCE_S) for _ in range(outcomes.qsize() + 1)]
        with suppress(IndexError, ProcessLookupError):  # all are dead already
            os.kill(random.choice(workers_of(pool)), signal.SIGKILL)  # noqa: S311 (nobody is to guess)
            killed += 1
    stopping.set()
    assert [each.error() for each in producing] == [None] * 4
    seen += [outcomes.get() for _ in range(outcomes.qsize())]
    assert max(Counter(task_id for task_id, _ in seen).values()) == 1
    results = {task_id for task_id, outcome in seen if outcome == task_id}
    expired = {task_id for task_id, outcome in seen if isinstance(outcome, TaskExpired)}
    assert len(results) + len(expired) == len(seen)
    assert len(expired) <= KILLS
    started = Counter(runs.read_text().splitlines())
    assert max(started.values()) == 1
    assert results <= started.keys()


@pytest.mark.spec("ENV-POOL-11")
def test_worker_that_dies_idle_costs_no_task(memory: Broker, make_pool: MakePool) -> None:
    make_pool(memory).start()
    before = value_of(call(memory.queue().pid, "a"))
    os.kill(before, signal.SIGKILL)
    assert value_of(call(memory.queue().pid, "b")) != before
    before = value_of(call(memory.queue().pid, "c"))
    # It gets a task, and can't begin it.
    os.kill(before, signal.SIGSTOP)
    handed = call(memory.queue().pid, "d")
    assert eventually(lambda: handed.status == "processing")
    os.kill(before, signal.SIGKILL)
    assert value_of(handed) != before


@pytest.mark.spec("ENV-POOL-11")
def test_task_that_comes_as_an_idle_worker_dies_is_for_another(
    memory: Broker, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = minder.Minder._hear  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    came: list[Deferred] = []

    def hearing(self: Any, *args: Any) -> Any:
        try:
            return hear(self, *args)
        except EOFError:
            if not came:
                came.append(call(memory.queue().pid, "b"))
                assert eventually(lambda: self._post.job is not None)
            raise

    monkeypatch.setattr(minder.Minder, "_hear", hearing)
    make_pool(memory).start()
    before = value_of(call(memory.queue().pid, "a"))
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: came)
    assert value_of(came[0]) != before


@pytest.mark.spec("ENV-POOL-11")
def test_task_that_no_worker_lives_to_begin_is_given_up(
    memory: Broker,
    make_pool: MakePool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.001)
    make_pool(memory, 1, tasks.init_fragile).start()
    deferred = call(memory.queue().give, "a")
    with pytest.raises(TaskExpired):
        value_of(deferred)
    assert "its worker process has died: give [a]: exit code 4" in caplog.text


# Heartbeats and limits.


@pytest.mark.spec("ENV-POOL-1", "ENV-POOL-13")
def test_task_that_holds_the_gil_keeps_its_lease(
    queue: AbstractTaskQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    gate: Gate,
    start: Start,
) -> None:
    beats: SimpleQueue[tuple[str, bool]] = SimpleQueue()
    beat = own(queue, "_heartbeat")

    def heartbeat(this: Any, task_id: str, lease_ms: int, token: Any) -> bool:
        beats.put((task_id, beat(this, task_id, lease_ms, token)))
        return True

    broker = plant(queue, _heartbeat=heartbeat)
    make_pool(broker).start()
    deferred = call(broker.queue().meet_with_gil, "a", gate.port, "kept")
    visitor = gate.visitor()
    for _ in range(20):
        clock.advance(30_000)
        assert beats.get(timeout=PATIENCE_S) == ("a", True)
    visitor.let_go()
    assert told(start, deferred).value == "kept"


@pytest.mark.spec("ENV-POOL-12")
def test_task_that_hangs_is_ended_by_the_time_limit(
    memory: Broker, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(memory, 2, time_limit=0.5)
    pool.start()
    before = workers_of(pool)
    hanging = [
        call(memory.queue().hang, "a", attempts=2),
        call(memory.queue().hang_with_gil, "b"),
    ]
    for deferred in hanging:
        with pytest.raises(TaskFailure, match=r"\] time limit of 0.5 s passed$"):
            value_of(deferred)
    assert set(before).isdisjoint(workers_of(pool))
    Task(memory.queue().hang, id="c", ignore_result=True)()
    assert eventually(lambda: "ended: hang [c]: time limit of 0.5 s passed" in caplog.text)


@pytest.mark.spec("ENV-POOL-12")
@pytest.mark.parametrize(
    ("own", "pools", "shorter"), [(0.3, 1000, 0.3), (1000, 0.3, 0.3), (0.3, None, 0.3)]
)
def test_the_shorter_time_limit_counts(
    memory: Broker, make_pool: MakePool, own: float, pools: float | None, shorter: float
) -> None:
    make_pool(memory, time_limit=pools).start()
    hanging = call(memory.queue().hang, "a", attempts=2, time_limit=own)
    with pytest.raises(TaskFailure, match=rf"\] time limit of {shorter} s passed$"):
        value_of(hanging)
    assert value_of(call(memory.queue().give, "b", 1, time_limit=1000)) == 1


@pytest.mark.spec("ENV-POOL-11", "ENV-POOL-12")
def test_time_limit_is_for_a_worker_that_does_not_begin_too(
    memory: Broker, make_pool: MakePool
) -> None:
    make_pool(memory, time_limit=1).start()
    before = value_of(call(memory.queue().pid, "a"))
    os.kill(before, signal.SIGSTOP)
    assert value_of(call(memory.queue().pid, "b")) != before


@pytest.mark.spec("ENV-POOL-12", "ENV-POOL-11")
def test_a_task_that_begins_just_as_its_time_limit_passes_is_not_started_again(
    memory: Broker, make_pool: MakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_s: Any = vars(worker.Worker)["begun_s"]
    # What the pool sees before it ends the worker is that nothing was begun yet.
    seen = property(lambda this: None if this.is_alive() else begun_s.fget(this))
    monkeypatch.setattr(worker.Worker, "begun_s", seen)
    make_pool(memory, time_limit=0.5).start()
    hanging = call(memory.queue().mark_and_hang, "a", tmp_path / "runs", "a", attempts=2)
    with pytest.raises(TaskFailure, match=r"\] time limit of 0.5 s passed$"):
        value_of(hanging)
    assert (tmp_path / "runs").read_text() == "a\n"


class Late:
    """The time, to a pool that is so many seconds behind its workers. `looks`: how often it has asked."""

    def __init__(self, behind_s: float) -> None:
        self.behind_s = behind_s
        self.looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return time.monotonic() - self.behind_s


@pytest.mark.spec("ENV-POOL-12")
def test_time_limit_counts_from_when_it_is_begun(
    memory: Broker, make_pool: MakePool, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = Late(2_000)
    monkeypatch.setattr(minder, "LOOK_S", 0.01)
    make_pool(memory, time_limit=1_000).start()
    monkeypatch.setattr(minder, "time", now)  # it is handed over long before it is begun
    running = call(memory.queue().meet, "a", gate.port, "in time")
    visitor = gate.visitor()
    now.behind_s, now.looks = 0, 0
    assert eventually(lambda: now.looks > 2)
    visitor.let_go()
    assert value_of(running) == "in time"


# Starting badly.


@pytest.mark.spec("ENV-POOL-8", "ENV-POOL-9")
@pytest.mark.parametrize(
    ("init", "text"),
    [
        (tasks.init_raising, "(?s)Traceback.*in init_raising.*RuntimeError: no configuration for"),
        (tasks.init_exiting, "SystemExit: nothing to do"),
        (tasks.init_ending, "a worker process ended before it was ready: exit code 3"),
        (tasks.init_nothing, "TypeError: init_func: it must return a Broker, not None"),
        (tasks.init_other_queue, "ValueError: init_func: a broker of the queue 'test-.*needed"),
    ],
)
def test_init_func_that_fails_fails_the_start(
    memory: Broker, make_pool: MakePool, init: Any, text: str
) -> None:
    deferred = call(memory.queue().give, "a")
    with pytest.raises(WorkerInitError, match=text):
        make_pool(memory, 1, init).start()
    assert deferred.status == "enqueued"


@pytest.mark.spec("ENV-POOL-9")
def test_init_func_that_can_not_be_pickled_or_read_fails_the_start(
    memory: Broker, make_pool: MakePool
) -> None:
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        make_pool(memory, 2, lambda _: None).start()
    with pytest.raises(WorkerInitError, match="RuntimeError: cannot be read here"):
        make_pool(memory, 1, tasks.init, tasks.Unreadable()).start()


@pytest.mark.spec("ENV-POOL-9")
def test_no_task_is_claimed_before_all_workers_are_ready(
    memory: Broker, make_pool: MakePool, gate: Gate, start: Start, tmp_path: Path
) -> None:
    deferred = call(memory.queue().give, "a", 1)
    pool = make_pool(memory, 2, tasks.init_once, tmp_path / "mark", gate.port)
    starting = start(pool.start)
    visitor = gate.visitor()
    assert eventually(lambda: pool._crew._desk._free)  # type: ignore[union-attr]  # noqa: SLF001 (the other is ready)
    assert starting.sleeps()
    visitor.let_go()
    assert "FileExistsError" in str(starting.error())
    assert deferred.status == "enqueued"
    make_pool(memory).start()
    assert value_of(deferred) == 1


@pytest.mark.spec("ENV-POOL-19")
def test_worker_is_replaced_when_init_func_works_again(
    memory: Broker,
    make_pool: MakePool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.001)
    obstacle = tmp_path / "obstacle"
    pool = make_pool(memory, 1, tasks.init_unless, obstacle)
    pool.start()
    obstacle.touch()
    deferred = call(memory.queue().end, "a", "SIGKILL")
    with pytest.raises(TaskExpired):
        value_of(deferred)
    assert eventually(lambda: "no worker, trying again" in caplog.text)
    obstacle.unlink()
    assert value_of(call(memory.queue().give, "b", 1)) == 1
    assert "RuntimeError: there is an obstacle" in caplog.text


# Stopping.


@pytest.mark.spec("ENV-POOL-6")
def test_task_that_is_claimed_just_as_a_pool_stops_is_run(
    make_queue: MakeQueue, plant: Plant, make_pool: MakePool
) -> None:
    queue = make_queue()
    own_claim = own(queue, "_claim")

    def claim(self: Any, timeout_ms: int | None) -> Any:
        claimed = own_claim(self, timeout_ms)
        if claimed is not None:
            pool.stop(join=False)
        return claimed

    broker = plant(queue, _claim=claim)
    pool = make_pool(broker)
    pool.start()
    assert value_of(call(broker.queue().give, "a", 1)) == 1


@pytest.mark.spec("ENV-POOL-6", "ENV-POOL-3")
def test_task_that_arrives_while_a_pool_stops_is_run_or_still_in_the_queue(
    make_queue: MakeQueue, make_pool: MakePool, start: Start, tmp_path: Path
) -> None:
    broker = Broker(make_queue())
    pool = make_pool(broker, 2)
    runs = tmp_path / "runs"
    runs.touch()
    for _ in range(TURNS):
        producer = Producer(broker, runs)
        pool.start()
        producing = start(producer.produce)
        assert producer.has_enough.wait(PATIENCE_S)
        pool.stop()
        producer.is_to_end.set()
        assert producing.error() is None
        was_run = set(runs.read_text().splitlines())
        for deferred in producer.deferreds:
            assert deferred.status == ("success" if deferred.id in was_run else "enqueued")
        broker.discard_pending_tasks()


class Producer:
    """Submits tasks that leave a mark."""

    def __init__(self, broker: Broker, runs: Path) -> None:
        self.deferreds: list[Deferred] = []
        self.has_enough = threading.Event()
        self.is_to_end = threading.Event()
        self._broker = broker
        self._runs = runs

    def produce(self) -> None:
        while not self.is_to_end.is_set():
            task_id = uuid4().hex
            self.deferreds.append(call(self._broker.queue().mark, task_id, self._runs, task_id))
            if len(self.deferreds) == ENOUGH:
                self.has_enough.set()


@pytest.mark.spec("ENV-POOL-3")
def test_stop_finishes_what_runs_and_claims_nothing_more(
    memory: Broker, make_pool: MakePool, gate: Gate, start: Start
) -> None:
    pool = make_pool(memory, 2)
    pool.start()
    running = call(memory.queue().meet, "a", gate.port, 1)
    visitor = gate.visitor()
    pool.stop(join=False)
    stopping = [start(pool.stop) for _ in range(3)]
    assert [each.sleeps() for each in stopping] == [True] * 3
    with pytest.raises(RuntimeError, match="started already"):
        pool.start()
    queued = call(memory.queue().give, "b", 2)
    visitor.let_go()
    assert [each.error() for each in stopping] == [None] * 3
    assert running.value == 1
    assert queued.status == "enqueued"
    pool.start()
    assert value_of(queued) == 2


@pytest.mark.spec("ENV-POOL-3", "ENV-POOL-16", "REL-1")
def test_what_runs_is_ended_at_the_drain_deadline_and_its_claim_released(
    make_queue: MakeQueue,
    make_pool: MakePool,
    gate: Gate,
    clock: ManualClock,
    start: Start,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = Broker(make_queue(clock=clock))
    pool = make_pool(broker, 3, drain_timeout=3)
    pool.start()
    once = call(broker.queue().meet_with_gil, "a", gate.port)
    twice = call(broker.queue().meet, "b", gate.port, attempts=2)
    Task(broker.queue().meet, id="c", ignore_result=True)(gate.port)
    visitors = [gate.visitor() for _ in range(3)]
    stopping = start(pool.stop)
    assert stopping.sleeps()
    clock.advance(2_999)
    assert stopping.sleeps()
    assert all(visitor.waits() for visitor in visitors)
    clock.advance(1)
    assert stopping.error() is None
    assert all(visitor.has_ended() for visitor in visitors)
    assert [once.status, twice.status] == [None, "enqueued"]
    assert "still running at the drain deadline, released: meet_with_gil [a]" in caplog.text
    assert "ended by the pool: meet [c]" in caplog.text


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-11", "REL-3")
@pytest.mark.parametrize("how", ["handed over", "waiting"])
def test_what_no_worker_has_begun_at_the_drain_deadline_loses_no_start(
    memory: Broker,
    make_pool: MakePool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    obstacle = tmp_path / "obstacle"
    pool = make_pool(memory, 1, tasks.init_unless, obstacle)
    pool.start()
    worker_pid = value_of(call(memory.queue().pid, "a"))
    os.kill(worker_pid, signal.SIGSTOP)
    handed = call(memory.queue().pid, "b", attempts=2)
    assert eventually(lambda: handed.status == "processing")
    if how == "waiting":
        obstacle.touch()
        os.kill(worker_pid, signal.SIGKILL)
        desk = pool._crew._desk  # type: ignore[union-attr]  # noqa: SLF001 - nothing else tells
        assert eventually(lambda: desk.has_waiting)
    pool.abort()
    pool.join()
    assert "not begun by the drain deadline, released: pid [b]" in caplog.text
    for status in ("enqueued", None):
        claim = memory.claim(0)
        assert claim is not None
        assert memory.release(memory.glance(claim))
        assert handed.status == status


@pytest.mark.spec("ENV-POOL-16", "ENV-POOL-23", "REL-1")
@pytest.mark.parametrize("how", ["abort", "interrupt twice"])
def test_abort_ends_what_runs_at_once_and_releases_it(
    make_queue: MakeQueue, make_pool: MakePool, gate: Gate, how: str
) -> None:
    broker = Broker(make_queue())
    pool = make_pool(broker, 2, drain_timeout=float("inf"))
    pool.interrupt()  # before it is started it does nothing
    pool.abort()
    pool.start()
    once = call(broker.queue().meet, "a", gate.port)
    twice = call(broker.queue().meet_with_gil, "b", gate.port, attempts=2)
    visitors = [gate.visitor(), gate.visitor()]
    if how == "abort":
        pool.abort()
        pool.abort()
    else:
        pool.interrupt()
        assert all(visitor.waits() for visitor in visitors)
        pool.interrupt()
    pool.join()
    assert all(visitor.has_ended() for visitor in visitors)
    assert [once.status, twice.status] == [None, "enqueued"]


@pytest.mark.spec("ENV-POOL-16")
def test_interrupt_stops_a_pool_which_finishes_what_runs(
    memory: Broker, make_pool: MakePool, gate: Gate
) -> None:
    pool = make_pool(memory)
    pool.start()
    running = call(memory.queue().meet, "a", gate.port, "whole")
    visitor = gate.visitor()
    pool.interrupt()
    later = call(memory.queue().give, "b")
    visitor.let_go()
    pool.join()
    assert running.value == "whole"
    assert later.status == "enqueued"


@pytest.mark.spec("ENV-POOL-5")
def test_lost_connection_does_not_end_a_pool(
    make_queue: MakeQueue,
    plant: Plant,
    make_pool: MakePool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.001)
    queue = make_queue()
    planted = {name: unreliable(own(queue, name)) for name in UNRELIABLE}
    broker = plant(queue, **planted)
    make_pool(broker).start()
    assert value_of(call(broker.queue().give, "a", 1)) == 1
    with pytest.raises(TaskExpired):
        value_of(call(broker.queue().end, "b", "SIGKILL"))
    assert caplog.text.count("nothing can be claimed") == 2
    assert caplog.text.count("nothing can be stored") == 4


def unreliable(act: Callable[..., Any]) -> Callable[..., Any]:
    """The method, which fails twice before it works."""
    failures = [LOST, LOST]

    def method(*args: Any, **kw: Any) -> Any:
        if failures:
            raise failures.pop()
        return act(*args, **kw)

    return method


# Programs.

PROGRAM = """
import logging, multiprocessing, os, signal, sys, threading
import worq
from tests.pool import tasks
from worq.pool.process import WorkerPool, start_pools

def show(*words):
    print(*words, flush=True)

def call(broker, task, *args):
    return worq.Task(getattr(broker.queue(), task), id=task)(*args)

if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
    port = int(sys.argv[1])
    one, two = (worq.get_broker("memory://", name) for name in ("one", "two"))
    pool = WorkerPool(one, tasks.init_visiting, ("one", port), workers=2, name="pool")
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    def nothing_is_left():
        assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
        assert not multiprocessing.active_children()
        assert threading.enumerate() == [threading.main_thread()]
"""

STOPS = "pool: stopping, a signal has come\n"
ENDS = "pool: ending what runs, another signal has come\n"


class Program:
    """A program of its own, in a process group of its own."""

    def __init__(self, folder: Path, gate: Gate, body: str) -> None:
        path = folder / "program.py"
        path.write_text(PROGRAM + body)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(path), str(gate.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def signal_all(self, number: int) -> None:
        """As a terminal does."""
        os.killpg(self._process.pid, number)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def end(self) -> tuple[int, str]:
        """Its exit code, and all else that it has said."""
        assert self._process.stdout is not None
        rest = self._process.stdout.read()
        self._process.stdout.close()
        return self._process.wait(PATIENCE_S), rest

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.signal_all(signal.SIGKILL)
        if self._process.returncode is None:
            self.end()


Run = Callable[[str], Program]


@pytest.fixture
def run(gate: Gate, tmp_path: Path) -> Iterator[Run]:
    programs: list[Program] = []

    def begin(body: str) -> Program:
        programs.append(Program(tmp_path, gate, body))
        return programs[-1]

    yield begin
    for program in programs:
        program.close()


JOINED = """
    deferred = call(one, "meet", port)
    pool.start()
    pool.join()
    nothing_is_left()
    show(deferred.status)
"""


@pytest.mark.spec("ENV-POOL-16", "ENV-POOL-17", "ENV-POOL-18")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_all_processes_stops_the_pool(run: Run, gate: Gate, number: int) -> None:
    program = run(JOINED)
    _workers = gate.visitor(), gate.visitor()
    task = gate.visitor()
    program.signal_all(number)
    assert program.line() == STOPS
    task.let_go()
    assert program.end() == (0, "success\n")


@pytest.mark.spec("ENV-POOL-16", "ENV-POOL-18")
def test_second_signal_ends_what_runs(run: Run, gate: Gate) -> None:
    program = run(JOINED)
    workers = gate.visitor(), gate.visitor()
    task = gate.visitor()
    program.signal(signal.SIGINT)
    assert program.line() == STOPS
    assert task.waits()
    program.signal(signal.SIGTERM)
    assert program.line() == ENDS
    assert all(each.has_ended() for each in (task, *workers))
    assert program.line() == "still running at the drain deadline, released: meet [meet]\n"
    assert program.end() == (0, "None\n")


@pytest.mark.spec("ENV-POOL-18")
def test_signals_do_what_they_did_when_the_pool_has_ended_by_itself(run: Run) -> None:
    program = run("""
    pool.start()
    threading.Thread(target=lambda: (pool.join(), show("ended"))).start()
    show("started")
    while True:
        signal.pause()
""")
    assert program.line() == "started\n"
    program.signal(signal.SIGTERM)
    assert [program.line(), program.line()] == [STOPS, "ended\n"]
    program.signal(signal.SIGTERM)
    assert program.end() == (-signal.SIGTERM, "")


@pytest.mark.spec("ENV-POOL-15")
def test_workers_end_when_their_parent_is_killed(run: Run, gate: Gate) -> None:
    program = run("""
    pool.start()
    fork = os.fork()
    if fork == 0:
        tasks.meet(port)
        os._exit(0)
    show(fork)
    call(one, "meet_with_gil", port)
    signal.pause()
""")
    pid = int(program.line())
    processes = {each.pid: each for each in (gate.visitor() for _ in range(4))}
    fork = processes.pop(pid)
    program.signal(signal.SIGKILL)
    assert all(each.has_ended() for each in processes.values())
    assert fork.waits()
    fork.let_go()


@pytest.mark.spec("ENV-POOL-3")
def test_program_that_does_not_stop_its_pool_ends(run: Run, gate: Gate) -> None:
    program = run("""
    pool.start()
    deferred = call(one, "meet", port)
    while deferred.status == "enqueued":
        pass
""")
    _workers = gate.visitor(), gate.visitor()
    gate.visitor().let_go()
    assert program.end() == (0, "")


@pytest.mark.spec("ENV-POOL-16", "ENV-POOL-20")
def test_pools_are_started_together_and_a_signal_stops_all(run: Run, gate: Gate) -> None:
    program = run("""
    other = WorkerPool(two, tasks.init, ("two",), workers=1, name="other")
    deferreds = [call(one, "meet", port), call(two, "meet", port)]
    start_pools(pool, other, timeout=5)
    nothing_is_left()
    show(*(each.status for each in deferreds))
""")
    _workers = gate.visitor(), gate.visitor()
    waiting = gate.visitor(), gate.visitor()
    program.signal(signal.SIGINT)
    assert {program.line(), program.line()} == {STOPS, STOPS.replace("pool", "other")}
    for each in waiting:
        each.let_go()
    assert program.end() == (0, "success success\n")


@pytest.mark.spec("ENV-POOL-7", "ENV-POOL-26")
def test_a_start_that_is_interrupted_anywhere_leaves_nothing(
    memory: Broker, make_pool: MakePool
) -> None:
    pool = make_pool(memory)
    handler, before = signal.getsignal(signal.SIGTERM), set(threading.enumerate())
    number = 0
    while interrupted_at(number, pool.__enter__):
        assert workers_of(pool) == []
        assert signal.getsignal(signal.SIGTERM) == handler
        assert eventually(lambda: set(threading.enumerate()) == before), f"at call {number}"
        number += 1
    assert number > 60
    assert value_of(call(memory.queue().give, "a", 1)) == 1
    gc.collect()  # queue objects of pools that were interrupted while they were made


@pytest.mark.spec("ENV-POOL-20")
def test_pools_are_started_all_or_none(memory: Broker, make_pool: MakePool) -> None:
    good, bad = make_pool(memory), make_pool(memory, 1, tasks.init_raising)
    with pytest.raises(WorkerInitError, match="no configuration"):
        start_pools(good, bad)
    assert workers_of(good) == []
