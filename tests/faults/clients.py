"""What the processes of a soak do: produce, work, or keep a pool, until they are told to stop, or killed.

Each is a fork of a process with one thread, so a new one costs milliseconds. TERM tells it to stop.
"""

import gc
import logging
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple, NoReturn

from tests.faults.jobs import TASKS, init
from tests.faults.witness import Here, Log, WitnessQueue
from tests.leaks import left_behind, running
from worq import Broker, Deferred, Task, TaskFailure
from worq.const import RESERVED, OnError
from worq.pool import process, thread
from worq.values import Claim, Request, Token

WINDOW: Final = 12
"""How many tasks a producer has under way."""
CALLS: Final = 4
"""The same of a caller, whose tasks cost more."""
HEARTRATE_S: Final = 0.001
"""So a lease is as short as it can be: 5.002 s."""
POOL_HEARTRATE_S: Final = 0.5
WAIT_S: Final = 0.2
LATE_EVERY_S: Final = 1.0
TERM: Final = frozenset({signal.SIGTERM})
NUMBERS: Final = 10_000_000
NICE: Final = 5
"""Or a dozen clients leave the server no time on a machine with two cores."""
SKEWS_S: Final = (0, -600, 600)


class Setting(NamedTuple):
    """Where a client is, and what sets it apart."""

    url: str
    queue: str
    folder: Path
    process: str
    first: int
    """The number of its first operation; others have numbers of their own."""
    seed: int


Role = Callable[[Setting, random.Random], None]


class Stopping:
    """Has this process been told to stop, or has its parent gone?"""

    def __init__(self) -> None:
        self._told = threading.Event()
        self._parent = os.getppid()
        signal.signal(signal.SIGTERM, self._tell)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TERM)

    def _tell(self, _signal: int, _frame: FrameType | None) -> None:
        self._told.set()

    def __bool__(self) -> bool:
        return self._told.is_set() or os.getppid() != self._parent

    def wait(self) -> None:
        while not self:
            self._told.wait(WAIT_S)


def fork(role: Role, setting: Setting) -> int:
    """Its process id. TERM waits until it can be heeded."""
    signal.pthread_sigmask(signal.SIG_BLOCK, TERM)
    pid = os.fork()
    if pid == 0:
        _be(role, setting)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TERM)
    return pid


def _be(role: Role, setting: Setting) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.nice(NICE)
        gc.freeze()
        before = running()
        rng = random.Random(setting.seed)
        skew_clock(rng.choice(SKEWS_S))
        logging.getLogger("worq").addHandler(logging.NullHandler())
        Here.log = Log(setting.folder, setting.process, setting.first)
        role(setting, rng)
        Here.log.close()
        left = left_behind(before)
        assert not left, f"left running: {left}"
        code = 0
    except BaseException:  # noqa: BLE001 (it is shown, and the end of the process tells of it)
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def skew_clock(seconds: float) -> None:
    """Have this process's own clock go wrong by so much."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)


# Producers.


class Waiting(NamedTuple):
    id: str
    token: Token


def produce(setting: Setting, rng: random.Random) -> None:
    """Submit tasks of all kinds, and fetch their outcomes."""
    stopping = Stopping()
    queue = WitnessQueue(setting.url, setting.queue)
    waiting: deque[Waiting] = deque()
    late: list[Waiting] = []
    look_at = 0.0
    made = 0
    while not stopping:
        while len(waiting) < WINDOW:
            made += 1
            waiting.extend(_submit(queue, f"{setting.process}.{made}", rng))
        for _ in range(WINDOW // 2):
            one = waiting.popleft()
            if _fetch(queue, one, WAIT_S if rng.random() < 0.9 else 0) is None:
                late.append(one)
        if time.monotonic() > look_at:
            late = [one for one in late if _fetch(queue, one, 0) is None]
            look_at = time.monotonic() + LATE_EVERY_S
        _meddle(queue, waiting, rng)
    queue.close()


def _submit(queue: WitnessQueue, task_id: str, rng: random.Random) -> list[Waiting]:
    """A task, and maybe one that takes its outcome; those to be waited for."""
    first = _request(task_id, rng)
    queue.submit(first, b"call " + task_id.encode())
    if first.ignore_result:
        return []
    assert first.token is not None
    made = [Waiting(first.id, first.token)]
    if rng.random() < 0.15:
        second = _request(f"{task_id}+", rng)
        assert second.token is not None
        answer = queue.submit(second, b"call " + second.id.encode(), {first.id: first.token})
        if answer.status == "accepted" and not second.ignore_result:
            made.append(Waiting(second.id, second.token))
        if rng.random() < 0.8 and answer.status == "accepted":
            del made[0]  # else it asks for what is promised to another
    return made


def _request(task_id: str, rng: random.Random) -> Request:
    on_error: OnError = "pass" if rng.random() < 0.5 else "fail"
    return Request(
        task_id,
        Token(rng.randbytes(16)),
        ignore_result=rng.random() < 0.1,
        on_error=on_error,
        heartrate=HEARTRATE_S,
        result_timeout=600,
        attempts=rng.choice((1, 1, 1, 2, 3)),
    )


def _fetch(queue: WitnessQueue, one: Waiting, timeout: float) -> object:
    answer = queue.pop(one.id, timeout, token=one.token)
    return None if answer is RESERVED else answer


def _meddle(queue: WitnessQueue, waiting: deque[Waiting], rng: random.Random) -> None:
    if waiting and rng.random() < 0.05:
        one = rng.choice(waiting)
        queue.discard(one.id, token=one.token)
    if rng.random() < 0.001:
        queue.purge()


# Workers.


def work(setting: Setting, rng: random.Random) -> None:
    """Claim tasks and end them, most of them well."""
    stopping = Stopping()
    queue = WitnessQueue(setting.url, setting.queue)
    while not stopping:
        claim = queue.claim(WAIT_S)
        if claim is not None:
            _end(queue, claim, rng)
    queue.close()


def _end(queue: WitnessQueue, claim: Claim, rng: random.Random) -> None:
    what = rng.random()
    if what < 0.005:
        return  # forget it: its lease passes
    if what < 0.02:
        queue.release(claim.id, token=claim.token)
        return
    if what < 0.05:
        queue.heartbeat(claim.id, 5.5, token=claim.token)
    message = b"outcome %d of " % claim.token.start + claim.id.encode()
    queue.finish(claim.id, message, 600, token=claim.token, failed=what > 0.95)


# Pools.


def call(setting: Setting, rng: random.Random) -> None:
    """Call tasks of pools, and wait for what becomes of them."""
    stopping = Stopping()
    queue = WitnessQueue(setting.url, setting.queue)
    broker = Broker(queue)
    tasks = broker.queue()
    waiting: deque[Deferred] = deque()
    late: list[Deferred] = []
    look_at = 0.0
    made = 0
    while not stopping:
        while len(waiting) < CALLS:
            made += 1
            function = tasks.echo if rng.random() < 0.9 else tasks.fail
            argument: Any = f"{setting.process}.{made}"
            if waiting and rng.random() < 0.2 and not waiting[-1].has_value():
                argument = waiting.pop()
            waiting.extend(_call(Task(function, **_options(setting, made, rng)), argument))
        for _ in range(CALLS // 2):
            one = waiting.popleft()
            if not one.wait(WAIT_S):
                late.append(one)
        if time.monotonic() > look_at:
            late = [one for one in late if not one.wait(0)]
            look_at = time.monotonic() + LATE_EVERY_S
    broker.close()
    queue.close()


def _call(task: Task, argument: Any) -> list[Deferred]:
    try:
        return [task(argument)]
    except TaskFailure:  # the argument is not available any more
        return []


def _options(setting: Setting, made: int, rng: random.Random) -> dict[str, Any]:
    return {
        "id": f"{setting.process}.{made}",
        "heartrate": POOL_HEARTRATE_S,
        "on_error": "pass" if rng.random() < 0.5 else "fail",
        "attempts": rng.choice((1, 1, 2)),
        "result_timeout": 600,
    }


def keep_threads(setting: Setting, _rng: random.Random) -> None:
    """A pool of threads."""
    stopping = Stopping()
    queue = WitnessQueue(setting.url, setting.queue)
    broker = Broker(queue)
    broker.expose(TASKS)
    with thread.WorkerPool(broker, workers=3):
        stopping.wait()
    queue.close()


def keep_processes(setting: Setting, _rng: random.Random) -> None:
    """A pool of processes."""
    queue = WitnessQueue(setting.url, setting.queue)
    pool = process.WorkerPool(Broker(queue), init, (setting.queue,), workers=2)
    stopping = Stopping()
    while not stopping:
        with suppress(process.WorkerInitError):  # a worker was killed before it was ready
            pool.start(handle_sigterm=False)
            break
    stopping.wait()
    pool.stop()
    queue.close()


ROLES: Final[dict[str, Role]] = {
    "producer": produce,
    "worker": work,
    "caller": call,
    "thread pool": keep_threads,
    "pool parent": keep_processes,
}
