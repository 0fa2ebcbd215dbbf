"""Queues of each backend, and calls that wait on them. All of it has ended when a test has."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pytest

from tests.backends.calls import Call
from tests.sqlite import leftover_rows
from worq.backend import AbstractTaskQueue
from worq.clock import Clock, ManualClock
from worq.queue.memory import TaskQueue as MemoryQueue
from worq.queue.memory.stores import STORES
from worq.queue.redis import TaskQueue as RedisQueue
from worq.queue.sqlite import TaskQueue as SQLiteQueue
from worq.queue.sqlite import bell

R = TypeVar("R")


class MakeQueue(Protocol):
    """Opens a queue: a new one, or that of the name; `clock` None is the backend's own."""

    def __call__(
        self, name: str | None = None, clock: Clock | None = None, **options: Any
    ) -> AbstractTaskQueue: ...


class Start(Protocol):
    """Begins a call in a thread of its own."""

    def __call__(self, act: Callable[[], R]) -> Call[R]: ...


BACKENDS: dict[str, Callable[..., AbstractTaskQueue]] = {
    "memory": MemoryQueue,
    "redis": RedisQueue,
    "sqlite": SQLiteQueue,
}
# No test loses power, so no commit waits for the disk.
URLS = {"memory": "memory://", "sqlite": "sqlite:///{}/queues.db?synchronous=normal"}


@pytest.fixture
def start() -> Iterator[Start]:
    """Calls end before the test does: closing the queues unblocks those that wait."""
    calls: list[Call[Any]] = []

    def begin(act: Callable[[], R]) -> Call[R]:
        calls.append(call := Call(act))
        return call

    yield begin
    for call in calls:
        call.thread.join(10)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis), "sqlite"])
def make_queue(
    request: pytest.FixtureRequest,
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MakeQueue]:
    """On each backend. Afterwards all is closed and nothing is left, in memory, in Redis or in the file.

    The ids of tasks are letters, or the test ends them itself.
    """
    del start  # it ends after this
    backend, url = BACKENDS[request.param], URLS.get(request.param, "").format(tmp_path)
    url = url or request.getfixturevalue("redis_url")
    # On SQLite a wake-up that is lost is not made up for by looking again.
    monkeypatch.setattr(bell, "SLEEP_S_MAX", 1000.0)
    opened: list[AbstractTaskQueue] = []

    def make(
        name: str | None = None, clock: Clock | None = None, **options: Any
    ) -> AbstractTaskQueue:
        queue = backend(url, name or f"test-{uuid4().hex}", clock=clock, **options)
        opened.append(queue)
        return queue

    yield make
    for queue in opened:
        queue.close()
    for queue in {queue.name: queue for queue in opened}.values():
        with closing(backend(url, queue.name, clock=queue.clock)) as last:
            for task_id in ascii_lowercase:
                last.discard(task_id)
            last.purge()
    assert [key for key in STORES.held() if key[1] in {queue.name for queue in opened}] == []
    if backend is SQLiteQueue:
        assert leftover_rows(url, last_starts=False) == []


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(make_queue: MakeQueue, clock: ManualClock) -> AbstractTaskQueue:
    return make_queue(clock=clock)
