"""Take up a result elsewhere, by its id: in the next request of a web application, or in another process.

Prints:
    while nobody works: enqueued
    fetched elsewhere: 42
    once more: None
"""

import sys

from worq import Deferred, get_broker
from worq.pool.thread import WorkerPool


def answer() -> int:
    return 42


def first_request(url: str) -> str:
    """It keeps nothing but the id: in a cookie, a database, a URL."""
    with get_broker(url, "answers") as broker:
        deferred: Deferred = broker.queue().answer()
        return deferred.id


def main(url: str) -> None:
    with get_broker(url, "answers") as broker:
        broker.expose(answer)
        task_id = first_request(url)
        later = broker.deferred(task_id)
        print("while nobody works:", later.status)
        with WorkerPool(broker):
            later.wait(timeout=10)
        print("fetched elsewhere:", later.value)
        # Fetching takes: for others there is no such task now. To look only: broker.status(...).
        print("once more:", broker.deferred(task_id).status)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
