"""SAQ."""

import asyncio
import time
from typing import Any

import shared
from saq import Queue
from shared import PYTHON, TIMEOUT_S, URL

IS_ASYNC = True
LOOK_S = 0.5

queue = Queue.from_url(URL)


async def noop(context: Any, *, value: Any) -> Any:
    return value


async def mark(context: Any, *, name: str) -> None:
    shared.mark(name)


settings = {"queue": queue, "functions": [noop, mark]}


async def open() -> None:  # noqa: A001 - the protocol's name
    await queue.connect()


async def close() -> None:
    await queue.disconnect()


def worker() -> list[str]:
    return [PYTHON, "-m", "saq", "on_saq.settings"]


async def enqueue(value: Any) -> Any:
    return await queue.enqueue("noop", value=value)


async def enqueue_mark(name: str) -> None:
    await queue.enqueue("mark", name=name)


async def fetch(handle: Any) -> Any:
    # It can miss the notice (it looks, and subscribes in the background): so it is asked again.
    end_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end_s:
        try:
            await handle.refresh(until_complete=LOOK_S)
        except asyncio.TimeoutError:  # noqa: UP041 - another class before Python 3.11
            continue
        return handle.result
    raise TimeoutError(f"no result of {handle.id}")
