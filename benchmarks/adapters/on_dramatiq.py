"""Dramatiq. Variant `stub`: its broker in memory, with a worker in this process."""

from typing import Any

import dramatiq
import shared
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from dramatiq.results.backends.stub import StubBackend
from shared import PYTHON, THREADS, TIMEOUT_S, URL, VARIANT

IS_ASYNC = False
IN_MEMORY = VARIANT == "stub"

broker = StubBroker() if IN_MEMORY else RedisBroker(url=URL)
broker.add_middleware(Results(backend=StubBackend() if IN_MEMORY else RedisBackend(url=URL)))
dramatiq.set_broker(broker)
workers: list[dramatiq.Worker] = []


@dramatiq.actor(store_results=True)
def noop(value: Any) -> Any:
    return value


@dramatiq.actor
def mark(name: str) -> None:
    shared.mark(name)


def open() -> None:  # noqa: A001 - the protocol's name
    if IN_MEMORY:
        workers.append(dramatiq.Worker(broker, worker_threads=THREADS))
        workers[-1].start()


def close() -> None:
    for each in workers:
        each.stop()
    workers.clear()
    if not IN_MEMORY:
        broker.close()


def worker() -> list[str]:
    return [PYTHON, "-m", "dramatiq", "on_dramatiq", "--processes", "1"]


def enqueue(value: Any) -> Any:
    return noop.send(value)


def enqueue_mark(name: str) -> None:
    mark.send(name)


def enqueue_many(values: Any) -> list[Any]:
    return list(dramatiq.group([noop.message(value) for value in values]).run().children)


def fetch(handle: Any) -> Any:
    return handle.get_result(block=True, timeout=1000 * TIMEOUT_S)
