"""taskiq. Variants: its broker on a `list`, or on a `stream`."""

from typing import Any

import shared
from shared import PYTHON, TIMEOUT_S, URL, VARIANT
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

IS_ASYNC = True
KIND = RedisStreamBroker if VARIANT == "stream" else ListQueueBroker

broker = KIND(url=URL).with_result_backend(RedisAsyncResultBackend(redis_url=URL))


@broker.task(task_name="noop")
async def noop(value: Any) -> Any:
    return value


@broker.task(task_name="mark")
async def mark(name: str) -> None:
    shared.mark(name)


async def open() -> None:  # noqa: A001 - the protocol's name
    await broker.startup()


async def emptied() -> None:
    await broker.startup()  # a stream has a group of consumers


async def close() -> None:
    await broker.shutdown()


def worker() -> list[str]:
    run = "from taskiq.__main__ import main; main()"
    quiet = ["--workers", "1", "--log-level", "WARNING"]
    return [PYTHON, "-c", run, "worker", "on_taskiq:broker", *quiet]


async def enqueue(value: Any) -> Any:
    return await noop.kiq(value)


async def enqueue_mark(name: str) -> None:
    await mark.kiq(name)


async def fetch(handle: Any) -> Any:
    return (await handle.wait_result(timeout=TIMEOUT_S)).return_value
