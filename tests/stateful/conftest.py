"""Benches of queues on each backend, for what is no part of the conformance kit."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import redis

from tests.sqlite import leftover_rows
from worq.backend import AbstractTaskQueue
from worq.clock import Clock
from worq.queue import memory, sqlite
from worq.queue import redis as redis_queue
from worq.testing.bench import Bench
from worq.testing.servers import leftover_keys
from worq.testing.vectors import CLIENTS


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis), "sqlite"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """One queue of several clients; nothing may be left of it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/queues.db?synchronous=normal"
        with closing(
            Bench(partial(_in_file, url), _left_in_file, queues=1, clients=CLIENTS)
        ) as bench:
            yield bench
        return
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


def _in_file(url: str, name: str, clock: Clock | None) -> AbstractTaskQueue:
    return sqlite.TaskQueue(url, name, clock=clock)


def _left_in_file(queue: AbstractTaskQueue) -> list[str]:
    return leftover_rows(queue.url)


def _in_memory(name: str, clock: Clock | None) -> AbstractTaskQueue:
    return memory.TaskQueue("memory://stateful", name, clock=clock)
