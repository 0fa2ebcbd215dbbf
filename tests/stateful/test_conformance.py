"""The queues of worq keep SPEC.md: the conformance kit, as anybody runs it on a backend."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import redis

from tests.sqlite import leftover_rows
from tests.stateful.profile import by_profile
from worq.backend import AbstractTaskQueue
from worq.clock import Clock
from worq.queue import memory, sqlite
from worq.queue import redis as redis_queue
from worq.testing import Effort, QueueConformance
from worq.testing.kit import Lossy
from worq.testing.proxy import lossy_queue
from worq.testing.servers import leftover_keys

ON_MEMORY = by_profile(
    Effort(length=3, walks=40, programs=20),
    Effort(length=4, walks=300, programs=300),
    Effort(length=5, walks=20_000, programs=2_000),
)
ON_REDIS = ON_MEMORY._replace(programs=by_profile(3, 20, 300), times=5)
ON_SQLITE = ON_MEMORY._replace(
    examples=by_profile(30, 80, 5_000),
    length=by_profile(2, 3, 4),
    every=by_profile(10, 5, 1),
    walks=by_profile(10, 40, 2_000),
    programs=by_profile(5, 20, 300),
    times=5,
)


class TestMemory(QueueConformance):
    capabilities = ("reference", "manual clock")
    effort = ON_MEMORY

    def make_queue(self, name: str, clock: Clock | None) -> AbstractTaskQueue:
        return memory.TaskQueue("memory://stateful", name, clock=clock)


class TestRedis(QueueConformance):
    capabilities = ("reference", "manual clock", "shared", "durable", "retries")
    effort = ON_REDIS

    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> Iterator[None]:
        self.url = redis_url
        with redis.Redis.from_url(redis_url) as self.client:
            yield

    def make_queue(self, name: str, clock: Clock | None) -> AbstractTaskQueue:
        return redis_queue.TaskQueue(self.url, name, clock=clock)

    def lossy_queue(self, name: str, clock: Clock | None) -> AbstractContextManager[Lossy]:
        return lossy_queue(self.url, lambda url: redis_queue.TaskQueue(url, name, clock=clock))

    def left_behind(self, queue: AbstractTaskQueue) -> Sequence[str]:
        del queue
        return leftover_keys(self.client)


class TestSQLite(QueueConformance):
    capabilities = ("reference", "manual clock", "shared", "durable")
    effort = ON_SQLITE

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        # Nothing loses power here, so no commit waits for the disk.
        self.url = f"sqlite:///{tmp_path}/queues.db?synchronous=normal"

    def make_queue(self, name: str, clock: Clock | None) -> AbstractTaskQueue:
        return sqlite.TaskQueue(self.url, name, clock=clock)

    def new_store(self) -> AbstractTaskQueue:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        return sqlite.TaskQueue(f"sqlite:///{folder}/queues.db?synchronous=normal", "new")

    def left_behind(self, queue: AbstractTaskQueue) -> Sequence[str]:
        return leftover_rows(queue.url)
