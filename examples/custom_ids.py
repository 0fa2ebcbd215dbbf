"""Ids of your own: of the tasks that exist in a queue, only one may have an id.

Prints:
    import of orders.csv is under way already
    imported orders.csv
    the id is free again: imported orders.csv
    made from the arguments: import-customers.csv
"""

import sys

from worq import DuplicateTask, Task, get_broker
from worq.pool.thread import WorkerPool


def load(name: str) -> str:
    return f"imported {name}"


def task_id(name: str) -> str:
    """Called with the arguments of the task."""
    return f"import-{name}"


def main(url: str) -> None:
    with get_broker(url, "imports") as broker:
        broker.expose(load)
        queue = broker.queue()
        first = Task(queue.load, id="import-orders.csv")("orders.csv")
        try:
            Task(queue.load, id="import-orders.csv")("orders.csv")
        except DuplicateTask:
            print("import of orders.csv is under way already")
        with WorkerPool(broker):
            first.wait(timeout=10)
            print(first.value)
            again = Task(queue.load, id=task_id)("orders.csv")  # it was fetched, so the id is free
            again.wait(timeout=10)
            print("the id is free again:", again.value)
            other = Task(queue.load, id=task_id)("customers.csv")
            other.wait(timeout=10)
            print("made from the arguments:", other.id)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
