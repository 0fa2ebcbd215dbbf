"""streaQ."""

from typing import Any

import shared
from shared import PYTHON, TIMEOUT_S, URL
from streaq import Worker

IS_ASYNC = True

queue = Worker(redis_url=URL)


@queue.task(name="noop")
async def noop(value: Any) -> Any:
    return value


@queue.task(name="mark")
async def mark(name: str) -> None:
    shared.mark(name)


async def open() -> None:  # noqa: A001 - the protocol's name
    await queue.__aenter__()


async def close() -> None:
    await queue.__aexit__(None, None, None)


def worker() -> list[str]:
    return [PYTHON, "-m", "streaq", "run", "on_streaq:queue"]


async def enqueue(value: Any) -> Any:
    return await noop.enqueue(value)


async def enqueue_mark(name: str) -> None:
    await mark.enqueue(name)


async def enqueue_many(values: Any) -> list[Any]:
    tasks = [noop.enqueue(value) for value in values]
    await queue.enqueue_many(tasks)
    return tasks


async def fetch(handle: Any) -> Any:
    return (await handle.result(TIMEOUT_S)).result
