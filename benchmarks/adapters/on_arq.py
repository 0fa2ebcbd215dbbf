"""arq."""

from typing import Any

import shared
from arq.connections import ArqRedis, RedisSettings, create_pool
from shared import PYTHON, TIMEOUT_S, URL

IS_ASYNC = True
SETTINGS = RedisSettings.from_dsn(URL)

pools: list[ArqRedis] = []


async def noop(context: Any, value: Any) -> Any:
    return value


async def mark(context: Any, name: str) -> None:
    shared.mark(name)


class WorkerSettings:
    """What its command reads."""

    functions = (noop, mark)
    redis_settings = SETTINGS


async def open() -> None:  # noqa: A001 - the protocol's name
    pools.append(await create_pool(SETTINGS))


async def close() -> None:
    await pools.pop().aclose()


def worker() -> list[str]:
    quiet = "import logging; logging.disable(logging.INFO); from arq.cli import cli; cli()"
    return [PYTHON, "-c", quiet, "on_arq.WorkerSettings"]


async def enqueue(value: Any) -> Any:
    return await pools[0].enqueue_job("noop", value)


async def enqueue_mark(name: str) -> None:
    await pools[0].enqueue_job("mark", name)


async def fetch(handle: Any) -> Any:
    return await handle.result(timeout=TIMEOUT_S)
