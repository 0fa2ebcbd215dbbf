"""Fire and forget: a task whose result nobody wants.

Prints:
    a call is None
    to ada@example.org: Hello
"""

import sys
from threading import Event

from worq import get_broker
from worq.pool.thread import WorkerPool

sent = Event()


def send(address: str, subject: str) -> None:
    print(f"to {address}: {subject}")
    sent.set()


def main(url: str) -> None:
    with get_broker(url, "mail") as broker:
        broker.expose(send)
        queue = broker.queue(ignore_result=True)  # of all its calls; Task(queue.send, ...) of one
        print("a call is", queue.send("ada@example.org", subject="Hello"))
        with WorkerPool(broker):
            sent.wait(10)  # nobody else is told when it has been done


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
