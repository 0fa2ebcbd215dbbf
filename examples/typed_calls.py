"""Calls that mypy and pyright check: the parameters are those of the function, the value has its type.

Prints:
    12
"""

import sys

from worq import Deferred, get_broker, typed
from worq.pool.thread import WorkerPool


def add(x: int, y: int = 0) -> int:
    return x + y


def main(url: str) -> None:
    with get_broker(url, "sums") as broker:
        broker.expose(add)
        call = typed(broker.queue(), add)
        three: Deferred[int] = call(1, y=2)
        ten = call(three, 7)  # what will be an int may stand for one; call("1") is an error
        with WorkerPool(broker):
            ten.wait(timeout=10)
        number: int = ten.value
        print(number + 2)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
