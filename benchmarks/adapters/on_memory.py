"""worq's queue in memory, with a pool of its own. Variant: `threads` or `processes`."""

from typing import Any

from shared import THREADS, TIMEOUT_S, VARIANT, noop

import worq
from worq.pool.process import WorkerPool as ProcessPool
from worq.pool.thread import WorkerPool as ThreadPool

IS_ASYNC = False


def make_broker(url: str) -> worq.Broker:
    broker = worq.get_broker(url, "bench")
    broker.expose(noop)
    return broker


broker = make_broker("memory://")
queue = broker.queue()
pools: list[Any] = []


def open() -> None:  # noqa: A001 - the protocol's name
    if VARIANT == "processes":
        pools.append(ProcessPool(broker, make_broker, workers=THREADS))
    else:
        pools.append(ThreadPool(broker, workers=THREADS))
    pools[-1].start()


def close() -> None:
    pools.pop().stop()


def enqueue(value: Any) -> Any:
    return queue.noop(value)


def fetch(handle: Any) -> Any:
    handle.wait(TIMEOUT_S)
    return handle.value
