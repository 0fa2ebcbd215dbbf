"""A queue on Redis, the same through a proxy, and a client that looks behind both."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import pytest
import redis

from tests.backends.on_redis.proxy import Proxy
from worq.clock import ManualClock
from worq.queue.redis import TaskQueue


@pytest.fixture
def raw(redis_url: str) -> Iterator[Any]:
    """A client, of which redis-py does not say what it answers."""
    with redis.Redis.from_url(redis_url) as client:
        yield cast("Any", client)


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def queue(redis_url: str, clock: ManualClock) -> Iterator[TaskQueue]:
    """Afterwards it is empty, when the ids are of one of these letters or their time has come."""
    with closing(TaskQueue(redis_url, clock=clock)) as queue:
        yield queue
        queue.purge()
        for task_id in "abcdx":
            queue.discard(task_id)
        clock.advance(10_000_000)
        queue.purge()  # what has starts left is ready again


@pytest.fixture
def through(proxy: Proxy, clock: ManualClock) -> Iterator[TaskQueue]:
    """The same queue, through the proxy."""
    with closing(TaskQueue(proxy.url, clock=clock, retry_deadline_s=10)) as queue:
        yield queue


@pytest.fixture
def timed(redis_url: str) -> Iterator[TaskQueue]:
    """A queue by the clock of the server, without tasks afterwards."""
    with closing(TaskQueue(redis_url)) as queue:
        yield queue
        queue.purge()
        for task_id in "abcd":
            queue.discard(task_id)


@pytest.fixture
def timed_through(proxy: Proxy) -> Iterator[TaskQueue]:
    """The same queue, through the proxy."""
    with closing(TaskQueue(proxy.url, retry_deadline_s=10)) as queue:
        yield queue
