"""Tasks that take the results of others. Nobody waits in between, and no result passes through here.

Prints:
    385
"""

import sys

from worq import get_broker
from worq.pool.thread import WorkerPool


def square(number: int) -> int:
    return number * number


def total(numbers: list[int]) -> int:
    return sum(numbers)


def main(url: str) -> None:
    with get_broker(url, "sums") as broker:
        broker.expose(square)
        broker.expose(total)
        queue = broker.queue()
        squares = [queue.square(number) for number in range(1, 11)]
        halves = [queue.total(squares[:5]), queue.total(squares[5:])]
        whole = queue.total(halves)  # Deferreds are found in lists, tuples and dicts
        with WorkerPool(broker, workers=4):
            if whole.wait(timeout=10):
                print(whole.value)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
