"""The backends that the machines of `worq.testing` run on here."""

import os
from collections.abc import Callable, Iterator, Sequence

import pytest
import redis

from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.queue import memory
from worq.queue import redis as redis_queue
from worq.testing.bench import Bench, MakeQueue
from worq.testing.servers import leftover_keys

BACKENDS = ("memory", pytest.param("redis", marks=pytest.mark.redis))

MakeBench = Callable[..., Bench]


@pytest.fixture(params=BACKENDS)
def make_queue(request: pytest.FixtureRequest) -> MakeQueue:
    """Makes a queue object on the backend of this test."""
    if request.param == "memory":
        return lambda name, clock: memory.TaskQueue("memory://stateful", name, clock=clock)
    url = request.getfixturevalue("redis_url")
    return lambda name, clock: redis_queue.TaskQueue(url, name, clock=clock)


@pytest.fixture
def left_behind(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[AbstractTaskQueue], Sequence[str]]]:
    """Says what is left in Redis; a store of memory says it by itself, when it is closed."""
    if request.node.get_closest_marker("redis") is None:
        yield lambda queue: ()
        return
    with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
        yield lambda queue: leftover_keys(client)


@pytest.fixture
def make_bench(
    make_queue: MakeQueue, left_behind: Callable[[AbstractTaskQueue], Sequence[str]]
) -> Iterator[MakeBench]:
    """Makes benches of queues, and closes them."""
    benches: list[Bench] = []

    def make(**shape: int) -> Bench:
        benches.append(Bench(make_queue, left_behind, **shape))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def length_of_histories() -> int:
    """How long the exhaustive histories are, by profile."""
    return {"dev": 3, "ci": 4}.get(os.environ.get("WORQ_PROFILE", "dev"), 5)
