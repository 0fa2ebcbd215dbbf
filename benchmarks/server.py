"""The server of a run: a Redis of its own, or the one that the tests are given; and what it says of itself."""

import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import redis

from worq.testing.servers import URL_VARIABLE, RedisServer, redis_for_tests

# As long as the message of a no-op on the floor.
MESSAGE = b"m" * 75
CHUNK = 20


class Counters(NamedTuple):
    """`reads`: how often it read from a client: round trips, however long the pipeline."""

    cpu_s: float
    reads: int


class Server:
    """A server that peers are measured on."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url)

    def close(self) -> None:
        self.client.close()

    @property
    def version(self) -> str:
        info = self._info("server")
        if "valkey_version" in info:
            return f"valkey {info['valkey_version']}"
        return f"redis {info['redis_version']}"

    def flush(self) -> None:
        # At once, or what is freed in the background is counted later, as if a peer had freed it.
        cast("Any", self.client).execute_command("FLUSHDB", "SYNC")

    def counters(self) -> Counters:
        info = self._info("cpu", "stats")
        cpu_s = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
        return Counters(cpu_s, int(info["total_reads_processed"]))

    def used_bytes(self) -> int:
        return int(self._info("memory")["used_memory"])

    def keys(self) -> int:
        return self.client.dbsize()

    def lpush_per_s(self, seconds: float) -> float:
        """What everything is compared with: LPUSH by redis-py, one by one, here and now."""
        count = 0
        begin_s = now_s = time.perf_counter()
        while now_s - begin_s < seconds:
            for _ in range(CHUNK):
                self.client.lpush("floor", MESSAGE)
            count += CHUNK
            now_s = time.perf_counter()
        self.client.delete("floor")
        return count / (now_s - begin_s)

    def reset_slowest(self) -> None:
        """Forget the slow commands, and note each from now on."""
        self.client.config_set("slowlog-log-slower-than", 500)
        self.client.config_set("slowlog-max-len", 1000)
        self.client.slowlog_reset()

    def slowest_ms(self) -> float:
        """The longest command since then, by the server's clock."""
        entries = self.client.slowlog_get(1000)
        return max((entry["duration"] / 1000 for entry in entries), default=0.5)

    def _info(self, *sections: str) -> Mapping[str, Any]:
        return {
            name: value for section in sections for name, value in self.client.info(section).items()
        }


@contextmanager
def a_server(*, every_second: bool = False) -> Generator[Server]:
    """On the loopback interface, without persistence; `every_second`: with appendonly, synced each second."""
    if os.environ.get(URL_VARIABLE) and not every_second:
        with redis_for_tests() as url:
            yield from _lent(url)
        return
    options = {"appendfsync": "everysec"} if every_second else {}
    with RedisServer(tcp=True, append_only=every_second, options=options) as server:
        yield from _lent(server.tcp_url)


def _lent(url: str) -> Generator[Server]:
    server = Server(url)
    try:
        yield server
    finally:
        server.close()
