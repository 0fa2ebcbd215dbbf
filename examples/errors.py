"""What a failure looks like to the one who called the task. Its traceback is in the worker's log.

Prints:
    divide failed: ZeroDivisionError: division by zero
    its status: failed
    nonsense failed: no such task
    divide was cancelled: task expired
"""

import sys

from worq import TaskExpired, TaskFailure, get_broker
from worq.pool.thread import WorkerPool


def divide(x: float, y: float) -> float:
    return x / y


def main(url: str) -> None:
    with get_broker(url, "sums") as broker:
        broker.expose(divide)
        queue = broker.queue()
        divided, unknown, cancelled = queue.divide(1, 0), queue.nonsense(), queue.divide(1, 2)
        broker.task_failed(cancelled)  # no worker will start it, or its result is dropped
        with WorkerPool(broker):
            divided.wait(timeout=10)
            unknown.wait(timeout=10)
        try:
            print(divided.value)
        except TaskFailure as failure:
            print(f"{failure.task_name} failed: {failure.error}")
        print("its status:", divided.status)
        try:
            print(unknown.value)
        except TaskFailure as failure:
            print(f"{failure.task_name} failed: {failure.error}")
        try:
            print(cancelled.value)
        except TaskExpired as expiry:  # a TaskFailure too
            print(f"{expiry.task_name} was cancelled: {expiry.error}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
