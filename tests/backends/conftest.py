"""Queues of each backend, and calls that wait on them. All of it has ended when a test has."""

from collections.abc import Callable, Iterator
from contextlib import closing
from string import ascii_lowercase
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pytest

from tests.backends.calls import Call
from worq.backend import AbstractTaskQueue
from worq.clock import Clock, ManualClock
from worq.queue.memory import TaskQueue as MemoryQueue
from worq.queue.memory.stores import STORES
from worq.queue.redis import TaskQueue as RedisQueue

R = TypeVar("R")


class MakeQueue(Protocol):
    """Opens a queue: a new one, or that of the name; `clock` None is the backend's own."""

    def __call__(
        self, name: str | None = None, clock: Clock | None = None, **options: Any
    ) -> AbstractTaskQueue: ...


class Start(Protocol):
    """Begins a call in a thread of its own."""

    def __call__(self, act: Callable[[], R]) -> Call[R]: ...


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


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def make_queue(request: pytest.FixtureRequest, start: Start) -> Iterator[MakeQueue]:
    """On each backend. Afterwards all is closed and nothing is left, in memory or in Redis.

    The ids of tasks are letters, or the test ends them itself.
    """
    del start  # it ends after this
    backend = MemoryQueue if request.param == "memory" else RedisQueue
    url = "memory://" if request.param == "memory" else request.getfixturevalue("redis_url")
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


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(make_queue: MakeQueue, clock: ManualClock) -> AbstractTaskQueue:
    return make_queue(clock=clock)
