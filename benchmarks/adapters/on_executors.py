"""Python's own pools, and loky. Variant: `threads`, `processes`, `multiprocessing`, `loky`."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from shared import THREADS, TIMEOUT_S, VARIANT, noop

IS_ASYNC = False

pools: list[Any] = []


def open() -> None:  # noqa: A001 - the protocol's name
    pools.append(_pool())


def close() -> None:
    pool = pools.pop()
    if VARIANT == "multiprocessing":
        pool.close()
        pool.join()
    else:
        pool.shutdown()


def _pool() -> Any:
    match VARIANT:
        case "threads":
            return ThreadPoolExecutor(THREADS)
        case "processes":
            return ProcessPoolExecutor(THREADS)
        case "multiprocessing":
            return multiprocessing.Pool(THREADS)
        case _:
            import loky  # noqa: PLC0415 - only its own environment has it

            return loky.ProcessPoolExecutor(THREADS)


def enqueue(value: Any) -> Any:
    if VARIANT == "multiprocessing":
        return pools[0].apply_async(noop, (value,))
    return pools[0].submit(noop, value)


def fetch(handle: Any) -> Any:
    return handle.get(TIMEOUT_S) if VARIANT == "multiprocessing" else handle.result(TIMEOUT_S)
