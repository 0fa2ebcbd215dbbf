"""worq itself. Variant `attempts`: tasks that may be started again."""

from typing import Any

from shared import PYTHON, THREADS, TIMEOUT_S, URL, VARIANT, mark, noop

import worq

IS_ASYNC = False

broker = worq.get_broker(URL, "bench")
queue = broker.queue(attempts=2) if VARIANT == "attempts" else broker.queue()


@broker.expose
def total(values: list[int]) -> int:
    return sum(values)


broker.expose(noop)
broker.expose(mark)


def open() -> None:  # noqa: A001 - the protocol's name
    len(broker)


def close() -> None:
    broker.close()


def worker() -> list[str]:
    run = "from worq.cli import main; main()"
    return [PYTHON, "-c", run, "worker", "on_worq:broker", "--threads", str(THREADS)]


def enqueue(value: Any) -> Any:
    return queue.noop(value)


def enqueue_mark(name: str) -> None:
    queue.mark(name)


def enqueue_many(values: Any) -> list[Any]:
    return list(worq.Task(queue.noop).map(values))


def fetch(handle: Any) -> Any:
    handle.wait(TIMEOUT_S)
    return handle.value


def fetch_many(handles: list[Any]) -> list[Any]:
    worq.wait(handles, timeout=TIMEOUT_S)
    return [handle.value for handle in handles]


def graph(count: int) -> int:
    return fetch(queue.total([queue.noop(number) for number in range(count)]))
