"""Stop in good order: what runs is finished, what waits stays in the queue for the next worker.

Prints:
    working on 1
    TERM has come
    done with 1
    left in the queue: 1
    done with 2
"""

import os
import signal
import sys
from threading import Event
from types import FrameType

from worq import get_broker
from worq.pool.thread import WorkerPool

stopping, told = Event(), Event()


def work(number: int) -> int:
    if number == 1:
        print("working on 1")
        os.kill(os.getpid(), signal.SIGTERM)  # as a supervisor does, who stops the service
        told.wait(10)
    print("done with", number)
    return number


def stop(number: int, frame: FrameType | None) -> None:
    """A handler only leaves word."""
    stopping.set()


def main(url: str) -> None:
    signal.signal(signal.SIGTERM, stop)
    with get_broker(url, "work") as broker:
        broker.expose(work)
        first, second = broker.queue().work(1), broker.queue().work(2)
        with WorkerPool(broker, workers=1) as pool:
            while not stopping.wait(0.5):
                pass
            print("TERM has come")
            pool.stop(join=False)  # from here on nothing is claimed
            told.set()
        assert first.wait(timeout=0)
        print("left in the queue:", len(broker))
        with WorkerPool(broker, workers=1):  # the next start of the service
            second.wait(timeout=10)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
