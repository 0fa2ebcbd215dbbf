"""Call a function in a worker, and get what it returned.

Prints:
    3
"""

import sys

from worq import get_broker
from worq.pool.thread import WorkerPool


def add(x: int, y: int) -> int:
    return x + y


def main(url: str) -> None:
    with get_broker(url, "sums") as broker:
        broker.expose(add)
        with WorkerPool(broker):
            three = broker.queue().add(1, 2)  # a Deferred: it is here at once, its value is not
            if three.wait(timeout=10):
                print(three.value)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
