"""Huey. Variants: `notify` tells those who wait for a result, who poll otherwise; `memory` lives in this process."""

from typing import Any

import shared
from huey import MemoryHuey, RedisHuey
from shared import PYTHON, THREADS, TIMEOUT_S, URL, VARIANT

IS_ASYNC = False
IN_MEMORY = VARIANT == "memory"
WORKERS = 4

huey: Any = (
    MemoryHuey("bench")
    if IN_MEMORY
    else RedisHuey("bench", url=URL, notify_result=VARIANT == "notify")
)
consumers: list[Any] = []


@huey.task()
def noop(value: Any) -> Any:
    return value


@huey.task()
def mark(name: str) -> None:
    shared.mark(name)


def open() -> None:  # noqa: A001 - the protocol's name
    if IN_MEMORY:
        consumers.append(huey.create_consumer(workers=THREADS, initial_delay=0.001, max_delay=0.01))
        consumers[-1].start()


def close() -> None:
    for each in consumers:
        each.stop(graceful=True)
    consumers.clear()


def worker() -> list[str]:
    return [PYTHON, "-m", "huey.bin.huey_consumer", "on_huey.huey", "-w", str(WORKERS), "-q"]


def enqueue(value: Any) -> Any:
    return noop(value)


def enqueue_mark(name: str) -> None:
    mark(name)


def fetch(handle: Any) -> Any:
    if IN_MEMORY:  # the default grows to 10 s
        return handle.get(blocking=True, timeout=TIMEOUT_S, backoff=1, max_delay=0.001)
    return handle.get(blocking=True, timeout=TIMEOUT_S)
