"""Ask what state a task is in. `broker.status` only looks; `deferred.status` may fetch the outcome.

Prints:
    before there is a worker: enqueued, pending
    while the first one runs: processing, pending
    when both have been done: None, completed
    fetched: success
"""

import sys
import time
from threading import Event

from worq import get_broker
from worq.pool.thread import WorkerPool

started, may_end = Event(), Event()


def measure() -> int:
    started.set()
    may_end.wait(10)
    return 21


def double(number: int) -> int:
    return 2 * number


def main(url: str) -> None:
    with get_broker(url, "states") as broker:
        broker.expose(measure)
        broker.expose(double)
        first = broker.queue().measure()
        second = broker.queue().double(first)  # which needs the result of the first

        def states() -> str:
            return f"{broker.status(first)}, {broker.status(second)}"

        print("before there is a worker:", states())
        with WorkerPool(broker):
            started.wait(10)
            print("while the first one runs:", states())
            may_end.set()
            while broker.status(second) != "completed":
                time.sleep(0.01)
        print("when both have been done:", states())
        print("fetched:", second.status)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
