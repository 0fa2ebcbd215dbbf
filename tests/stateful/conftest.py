"""Benches of queues on each backend, for what is no part of the conformance kit."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from worq.backend import AbstractTaskQueue
from worq.clock import Clock
from worq.queue import memory
from worq.queue import redis as redis_queue
from worq.testing.bench import Bench
from worq.testing.servers import leftover_keys
from worq.testing.vectors import CLIENTS


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """One queue of several clients; nothing may be left of it."""
    if request.param == "memory":
        with closing(Bench(_in_memory, queues=1, clients=CLIENTS)) as bench:
            yield bench
        return
    url = request.getfixturevalue("redis_url")

    def on_redis(name: str, clock: Clock | None) -> AbstractTaskQueue:
        return redis_queue.TaskQueue(url, name, clock=clock)

    with (
        redis.Redis.from_url(url) as client,
        closing(
            Bench(on_redis, lambda _: leftover_keys(client), queues=1, clients=CLIENTS)
        ) as bench,
    ):
        yield bench


def _in_memory(name: str, clock: Clock | None) -> AbstractTaskQueue:
    return memory.TaskQueue("memory://stateful", name, clock=clock)
