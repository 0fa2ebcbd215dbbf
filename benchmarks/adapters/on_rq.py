"""RQ. Variant `simple`: its worker that does not fork for each task."""

from typing import Any

import redis
import rq
from shared import PYTHON, TIMEOUT_S, URL, VARIANT, mark, noop

IS_ASYNC = False

connection = redis.Redis.from_url(URL)
queue = rq.Queue(connection=connection)


def total(ids: list[str]) -> int:
    """RQ has no results as arguments: the dependent fetches them."""
    jobs = rq.job.Job.fetch_many(ids, connection=connection)
    return sum(job.return_value() for job in jobs)


def open() -> None:  # noqa: A001 - the protocol's name
    connection.ping()


def close() -> None:
    connection.close()


def worker() -> list[str]:
    kind = "rq.SimpleWorker" if VARIANT == "simple" else "rq.worker.Worker"
    return [PYTHON, "-m", "rq.cli", "worker", "-u", URL, "-w", kind, "--logging_level", "WARNING"]


def enqueue(value: Any) -> Any:
    return queue.enqueue(noop, value)


def enqueue_mark(name: str) -> None:
    queue.enqueue(mark, name)


def enqueue_many(values: Any) -> list[Any]:
    return queue.enqueue_many([rq.Queue.prepare_data(noop, (value,)) for value in values])


def fetch(handle: Any) -> Any:
    return handle.latest_result(timeout=TIMEOUT_S).return_value


def graph(count: int) -> int:
    jobs = [enqueue(number) for number in range(count)]
    return fetch(queue.enqueue(total, [job.id for job in jobs], depends_on=jobs))
