"""The conformance kit on Redis as the user with the least rights, whose line docs/redis.md has."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import pytest
import redis

from tests.backends.on_redis.users import PASSWORD, documented
from tests.stateful.profile import by_profile
from worq.backend import AbstractTaskQueue
from worq.clock import Clock
from worq.queue.redis import TaskQueue
from worq.testing import Effort, QueueConformance
from worq.testing.kit import Lossy
from worq.testing.proxy import lossy_queue
from worq.testing.servers import RedisServer, leftover_keys


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as server, redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "worq", *documented("worq"))
        yield server


@pytest.mark.redis
@pytest.mark.spec("ENV-REDIS-13")
class TestLeastRights(QueueConformance):
    """Not as much as in test_conformance.py, but each check."""

    capabilities = ("reference", "manual clock", "shared", "durable", "retries")
    effort = by_profile(
        Effort(length=1, every=40, examples=4, walks=2, programs=1, times=1),
        Effort(length=1, every=10, examples=15, walks=10, programs=2, times=2),
        Effort(length=3, every=1, examples=500, walks=300, programs=50, times=5),
    )

    @pytest.fixture(autouse=True)
    def _server(self, server: RedisServer) -> Iterator[None]:
        self.url = server.tcp_url.replace("//", f"//worq:{PASSWORD}@")
        with redis.Redis.from_url(server.url) as self.admin:
            yield

    def make_queue(self, name: str, clock: Clock | None) -> AbstractTaskQueue:
        return TaskQueue(self.url, name, clock=clock)

    def lossy_queue(self, name: str, clock: Clock | None) -> AbstractContextManager[Lossy]:
        return lossy_queue(self.url, lambda url: TaskQueue(url, name, clock=clock))

    def left_behind(self, queue: AbstractTaskQueue) -> Sequence[str]:
        del queue
        return leftover_keys(self.admin)
