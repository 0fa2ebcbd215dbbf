"""How long everybody else waits while one operation does much: purging, and many leases that pass at once."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final, Self

from benchmarks.measures.filling import fill
from benchmarks.peers import FOLDER
from benchmarks.plan import Plan
from benchmarks.samples import Samples
from benchmarks.server import Server
from worq.clock import ManualClock
from worq.queue.redis import TaskQueue

PURGE, LEASES, NOTHING = "pause of a purge", "pause of leases", "pause of nothing"
COMMAND: Final = ", longest command"
LEASE_MS: Final = 65_000
LOOKS: Final = 1000
QUIET_S: Final = 1.0


class Prober:
    """Another client, in a process of its own, that sends PING after PING."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.prober", url],
            cwd=FOLDER.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.longest_ms()

    def longest_ms(self) -> float:
        """The longest that one took since this was asked last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()


def measure_purge(server: Server, samples: Samples, plan: Plan) -> Iterator[str]:
    """Yields what it is doing."""
    with closing(TaskQueue(server.url, "purge")) as queue:
        for there in fill(queue, plan.purge_tasks):
            yield f"purge: {there:,} of {plan.purge_tasks:,} tasks"
        yield "purge"
        with Prober(server.url) as prober:
            time.sleep(QUIET_S)
            samples.add(NOTHING, "worq", prober.longest_ms())
            server.reset_slowest()
            begin_s = time.perf_counter()
            assert queue.purge() == plan.purge_tasks
            samples.add("purge", "worq", 1000 * (time.perf_counter() - begin_s))
            time.sleep(QUIET_S)  # what is freed in the background
            _note(PURGE, server, samples, prober)


def measure_leases(server: Server, samples: Samples, plan: Plan) -> Iterator[str]:
    """All leases pass at one instant, by a clock that is advanced by hand. Yields what it is doing."""
    clock = ManualClock()
    with closing(TaskQueue(server.url, "leases", clock=clock)) as queue:
        for there in fill(queue, plan.leases):
            yield f"leases: {there:,} of {plan.leases:,} tasks"
        for number in range(plan.leases):
            queue.claim(0)
            if number % LOOKS == 0:
                yield f"leases: {number:,} of {plan.leases:,} claimed"
        yield "leases pass"
        with Prober(server.url) as prober:
            server.reset_slowest()
            clock.advance(LEASE_MS)
            begin_s = time.perf_counter()
            assert queue.size() == 0
            samples.add("leases", "worq", 1000 * (time.perf_counter() - begin_s))
            _note(LEASES, server, samples, prober)


def _note(measure: str, server: Server, samples: Samples, prober: Prober) -> None:
    samples.add(measure, "worq", prober.longest_ms())
    samples.add(measure + COMMAND, "worq", server.slowest_ms())
