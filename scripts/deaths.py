"""Measure how soon one hears of a worker that was killed, and how soon work goes on when a server is back.

    python scripts/deaths.py [KILLS]

It prints the rows of docs/verification.md. A Redis of its own.
"""

import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import worq
from worq import Broker, TaskExpired
from worq.pool import process, thread
from worq.testing.servers import RedisServer

KILLS = 100
AWAY_S = (1.0, 5.0, 20.0)
CLAIM_S = 60.0
PATIENCE_S = 60.0


def begin(path: Path) -> None:
    path.touch()
    time.sleep(PATIENCE_S)


def give(value: int) -> int:
    return value


def make_broker(url: str) -> Broker:
    broker = worq.get_broker(url)
    for task in (begin, give):
        broker.expose(task)
    return broker


def kill(broker: Broker, path: Path) -> float:
    """Kill the worker in the midst of a task; how many milliseconds later who waits is told."""
    deferred = broker.queue().begin(path)
    while not path.exists():
        time.sleep(0.001)
    path.unlink()
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    began = time.perf_counter()
    os.kill(worker.pid, signal.SIGKILL)
    deferred.wait(PATIENCE_S)
    told_ms = 1000 * (time.perf_counter() - began)
    try:
        raise AssertionError(deferred.value)
    except TaskExpired:
        return told_ms


def kills(server: RedisServer, count: int) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        make_broker(server.url) as broker,
        process.WorkerPool(broker, make_broker, workers=1),
    ):
        told_ms = sorted(kill(broker, Path(folder) / "begun") for _ in range(count))
    say(
        f"a worker process is killed in a task, {count} times: who waits is told after",
        f"median {statistics.median(told_ms):.1f} ms, longest {told_ms[-1]:.0f} ms",
    )


@contextmanager
def running(kind: str, broker: Broker) -> Iterator[None]:
    if kind == "threads":
        threads = thread.WorkerPool(broker, 2)
        threads.start(CLAIM_S)
        yield
        threads.stop()
    else:
        processes = process.WorkerPool(broker, make_broker, workers=2)
        processes.start(CLAIM_S)
        yield
        processes.stop()


def outage(server: RedisServer, kind: str, away_s: float) -> None:
    with make_broker(server.url) as broker, running(kind, broker):
        assert broker.queue().give(1).wait(PATIENCE_S)
        server.kill()
        time.sleep(away_s)
        server.start()
        began = time.perf_counter()
        assert broker.queue().give(2).wait(PATIENCE_S)
        took_s = time.perf_counter() - began
    say(
        f"a pool of {kind}, the server is away for {away_s:g} s: first task done", f"{took_s:.2f} s"
    )


def main() -> None:
    with RedisServer(append_only=True) as server:
        kills(server, int(sys.argv[1]) if sys.argv[1:] else KILLS)
        for kind in ("threads", "processes"):
            for away_s in AWAY_S:
                outage(server, kind, away_s)


def say(what: str, figure: str) -> None:
    sys.stdout.write(f"| {what} | {figure} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
