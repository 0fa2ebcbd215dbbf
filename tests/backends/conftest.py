"""Queues of each backend, and calls that wait on them. All of it has ended when a test has."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from string import ascii_lowercase
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pytest

from tests.backends.calls import Call
from worq.backend import AbstractTaskQueue
from worq.clock import Clock, ManualClock
from worq.errors import QueueClosed

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
    """On each backend. Afterwards all is closed and nothing is left.

    The ids of tasks are letters, or the test discards them itself.
    """
    del start  # it ends after this
    open_queue, left = _memory() if request.param == "memory" else _redis(request)
    opened: list[AbstractTaskQueue] = []

    def make(
        name: str | None = None, clock: Clock | None = None, **options: Any
    ) -> AbstractTaskQueue:
        queue = open_queue(name or f"test-{uuid4().hex}", clock, **options)
        opened.append(queue)
        return queue

    yield make
    for queue in opened:
        queue.close()
    for queue in {queue.name: queue for queue in opened}.values():
        _drain(open_queue(queue.name, queue.clock))
    assert left({queue.name for queue in opened}) == []


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(make_queue: MakeQueue, clock: ManualClock) -> AbstractTaskQueue:
    return make_queue(clock=clock)


OpenQueue = Callable[..., AbstractTaskQueue]
Left = Callable[[set[str]], list[str]]


def _memory() -> tuple[OpenQueue, Left]:
    from worq.queue.memory import TaskQueue
    from worq.queue.memory.stores import STORES

    def open_queue(name: str, clock: Clock | None, **options: Any) -> AbstractTaskQueue:
        return TaskQueue("memory://", name, clock=clock, **options)

    def left(names: set[str]) -> list[str]:
        return [name for _, name in STORES.keys() if name in names]

    return open_queue, left


def _redis(request: pytest.FixtureRequest) -> tuple[OpenQueue, Left]:
    import redis

    from worq.queue.redis import TaskQueue
    from worq.testing.servers import leftover_keys

    url = request.getfixturevalue("redis_url")

    def open_queue(name: str, clock: Clock | None, **options: Any) -> AbstractTaskQueue:
        return TaskQueue(url, name, clock=clock, **options)

    def left(names: set[str]) -> list[str]:
        del names  # the database is this test's own
        with redis.Redis.from_url(url) as client:
            return leftover_keys(client)

    return open_queue, left


def _drain(queue: AbstractTaskQueue) -> None:
    with suppress(QueueClosed):
        for task_id in ascii_lowercase:
            queue.discard(task_id)
        queue.purge()
    queue.close()
