"""Producers in asyncio keep SPEC.md: the same kit, through an event loop, as looped.py has it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.stateful.looped import Looped, loops
from tests.stateful.profile import by_profile
from worq.backend import AbstractTaskQueue
from worq.clock import Clock
from worq.queue import memory
from worq.queue import redis as redis_queue
from worq.testing import Effort, QueueConformance
from worq.testing.kit import Lossy
from worq.testing.proxy import lossy_queue

ON_MEMORY = by_profile(
    Effort(length=1, every=40, examples=8, walks=3, programs=3, times=2),
    Effort(length=2, every=5, examples=50, walks=30, programs=30, times=3),
    Effort(length=4, every=1, examples=5_000, walks=2_000, programs=300, times=5),
)
ON_REDIS = by_profile(
    Effort(length=1, every=100, examples=5, walks=2, programs=2, times=2),
    ON_MEMORY._replace(every=10),
    ON_MEMORY._replace(length=3),
)


class LoopedMemory(Looped, memory.TaskQueue):
    pass


class LoopedRedis(Looped, redis_queue.TaskQueue):
    pass


@pytest.fixture(scope="module", autouse=True)
def _loop() -> Iterator[None]:
    with loops() as Looped.looping:
        yield


class TestMemory(QueueConformance):
    capabilities = ("reference", "manual clock")
    effort = ON_MEMORY

    def make_queue(self, name: str, clock: Clock | None) -> AbstractTaskQueue:
        return LoopedMemory("memory://looped", name, clock=clock)


class TestRedis(QueueConformance):
    capabilities = ("reference", "manual clock", "retries")
    effort = ON_REDIS

    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> None:
        self.url = redis_url

    def make_queue(self, name: str, clock: Clock | None) -> AbstractTaskQueue:
        return LoopedRedis(self.url, name, clock=clock)

    def lossy_queue(self, name: str, clock: Clock | None) -> AbstractContextManager[Lossy]:
        return lossy_queue(self.url, lambda url: LoopedRedis(url, name, clock=clock))
