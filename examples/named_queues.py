"""Two queues on one server, each with workers of its own, so that slow work never delays the quick one.

Prints:
    quick work is done: pong
    slow work is still: processing
    slow work is done: rendered
"""

import sys
from threading import Event

from worq import get_broker
from worq.pool.thread import WorkerPool

started, may_end = Event(), Event()


def ping() -> str:
    return "pong"


def render() -> str:
    started.set()
    may_end.wait(10)
    return "rendered"


def main(url: str) -> None:
    with get_broker(url, "quick") as quick, get_broker(url, "slow") as slow:
        quick.expose(ping)
        slow.expose(render)
        with WorkerPool(quick, workers=1), WorkerPool(slow, workers=1):
            rendered = slow.queue().render()
            pong = quick.queue().ping()
            started.wait(10)
            pong.wait(timeout=10)
            print("quick work is done:", pong.value)
            print("slow work is still:", rendered.status)
            may_end.set()
            rendered.wait(timeout=10)
            print("slow work is done:", rendered.value)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
