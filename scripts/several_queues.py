"""Measure what `worq worker` with several queues costs while nothing happens, and how late it finds a task.

    python scripts/several_queues.py

It prints the table of docs/cli.md. A Redis of its own; one pool of threads for each row.
"""

import statistics
import sys
import threading
import time

import redis

import worq
from worq.core import Broker
from worq.pool.feed import Feed
from worq.pool.thread import WorkerPool
from worq.testing.servers import RedisServer

IDLE_S = 8.0
TASKS = 200
REST_S = 0.02
# As `worq worker` does.
CLAIM_S = 60.0
# What is sent; the server counts what scripts do as well.
SENT = ("cmdstat_eval", "cmdstat_evalsha", "cmdstat_blpop")

began: list[float] = []
ended = threading.Event()


def note() -> None:
    began.append(time.perf_counter())
    ended.set()


def measure(server: RedisServer, queues: int, workers: int) -> tuple[float, float, float]:
    """Commands a second while idle; a task's way from the call into the worker, ms: the median, and of 95 in 100."""
    brokers = [worq.get_broker(server.url, f"queue-{number}") for number in range(queues)]
    brokers[0].expose(note)
    for broker in brokers[1:]:
        broker.tasks = brokers[0].tasks
    feed: Broker = Feed(brokers)
    pool = WorkerPool(feed, workers)
    pool.start(CLAIM_S)
    with redis.Redis.from_url(server.url) as client:
        time.sleep(1)
        client.config_resetstat()
        time.sleep(IDLE_S)
        stats = client.info("commandstats")
        commands = sum(int(stats[name]["calls"]) for name in SENT if name in stats)
        late_ms = [1000 * _late(brokers[number % queues]) for number in range(TASKS)]
    pool.stop()
    feed.close()
    return commands / IDLE_S, statistics.median(late_ms), sorted(late_ms)[TASKS * 95 // 100]


def _late(broker: Broker) -> float:
    time.sleep(REST_S)
    ended.clear()
    called = time.perf_counter()
    broker.queue(ignore_result=True).note()
    assert ended.wait(10)
    return began.pop() - called


def main() -> None:
    say("queues", "workers", "commands/s while idle", "a task begins after: median", "95 of 100")
    say(*["---"] * 5)
    with RedisServer() as server:
        for queues in (1, 3, 10):
            for workers in (1, 4, 16):
                commands, median, most = measure(server, queues, workers)
                say(queues, workers, f"{commands:.1f}", f"{median:.1f} ms", f"{most:.1f} ms")


def say(*cells: object) -> None:
    sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
