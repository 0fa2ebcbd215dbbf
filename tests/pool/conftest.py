"""Pools of threads on each backend; all of them have ended when a test has."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from tests.backends.brokers import broker_of
from tests.backends.conftest import clock, make_queue, queue, start
from worq import Broker
from worq.backend import AbstractTaskQueue
from worq.pool.thread import WorkerPool

__all__ = ["clock", "make_queue", "queue", "start"]


class Plant(Protocol):
    """Opens a queue object like the one given, of a class with other methods in it.

    A pool opens its own queue objects of that class too.
    """

    def __call__(self, queue: AbstractTaskQueue, **methods: Callable[..., Any]) -> Broker: ...


@pytest.fixture
def plant() -> Iterator[Plant]:
    opened: list[AbstractTaskQueue] = []

    def open_planted(queue: AbstractTaskQueue, **methods: Callable[..., Any]) -> Broker:
        planted = type("Planted", (type(queue),), methods)
        opened.append(planted(queue.url, queue.name, clock=queue.clock))
        return broker_of(opened[-1])

    yield open_planted
    for each in opened:
        each.close()


def own(queue: AbstractTaskQueue, name: str) -> Callable[..., Any]:
    """The method of a backend that a planted one calls."""
    method: Callable[..., Any] = getattr(type(queue), name)
    return method


@pytest.fixture
def flowing(make_queue: Callable[[], AbstractTaskQueue]) -> AbstractTaskQueue:
    """A queue on the backend's own time."""
    return make_queue()


@pytest.fixture
def broker(flowing: AbstractTaskQueue) -> Broker:
    """A broker on the backend's own time."""
    return broker_of(flowing)


@pytest.fixture
def make_pool(request: pytest.FixtureRequest) -> Iterator[Callable[..., WorkerPool]]:
    """Pools that are stopped after the test, before their queues are closed."""
    if "make_queue" in request.fixturenames:
        request.getfixturevalue("make_queue")
    pools: list[WorkerPool] = []

    def make(broker: Broker, workers: int = 1, **options: Any) -> WorkerPool:
        pools.append(WorkerPool(broker, workers, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.stop()
