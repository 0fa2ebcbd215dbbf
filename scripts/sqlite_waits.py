"""Measures the SQLite backend for docs/sqlite.md: what operations cost, and how late a wait hears of others.

python scripts/sqlite_waits.py [FOLDER]     a folder on the disk that is to be measured
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from worq.queue.sqlite import TaskQueue
from worq.values import Request

CYCLES = 200
WAKES = 20
IDLE_S = 10.0
# Prints when it has submitted, by the clock that all processes of a machine share.
PRODUCER = """
import sys, time
from worq.queue.sqlite import TaskQueue
from worq.values import Request
queue = TaskQueue(sys.argv[1])
for number in range(int(sys.argv[2])):
    time.sleep(float(sys.argv[3]))
    queue.submit(Request(str(number), ignore_result=True), b"m")
    print(time.monotonic(), flush=True)
"""


def cycles(url: str) -> float:
    """Milliseconds of one life: submit, claim, finish, pop."""
    with closing(TaskQueue(url)) as queue:
        queue.size()
        began = time.monotonic()
        for number in range(CYCLES):
            queue.submit(Request(str(number)), b"m")
            queue.claim(0)
            queue.finish(str(number), b"r", 60)
            queue.pop(str(number))
        return (time.monotonic() - began) / CYCLES * 1000


def wakes(url: str, every_s: float) -> list[float]:
    """How many milliseconds after another process has submitted a task a claim that waits has it."""
    late_ms: list[float] = []
    with (
        closing(TaskQueue(url)) as queue,
        subprocess.Popen(  # noqa: S603 (this Python)
            [sys.executable, "-c", PRODUCER, url, str(WAKES), str(every_s)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for _ in range(WAKES):
            queue.claim(60)
            got = time.monotonic()
            late_ms.append(1000 * max(0.0, got - float(process.stdout.readline())))
    return late_ms


def idle(url: str) -> float:
    """Milliseconds of CPU that a second of waiting takes."""
    with closing(TaskQueue(url)) as queue:
        queue.size()
        before = resource.getrusage(resource.RUSAGE_SELF)
        queue.claim(IDLE_S)
        after = resource.getrusage(resource.RUSAGE_SELF)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used_s / IDLE_S * 1000


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as folder:
        for how in ("full", "normal"):
            url = f"sqlite:///{Path(folder) / how}.db?synchronous={how}"
            say(f"{how}: submit, claim, finish, pop", f"{cycles(url):.2f} ms")
            for every_s in (0.02, 1.0):
                late_ms = wakes(url, every_s)
                say(
                    f"{how}: a claim hears of a task, one each {every_s:g} s",
                    f"median {statistics.median(late_ms):.1f} ms, longest {max(late_ms):.1f} ms",
                )
            say(f"{how}: CPU of waiting", f"{idle(url):.1f} ms a second")


def say(what: str, figure: str) -> None:
    sys.stdout.write(f"{what}: {figure}\n")


if __name__ == "__main__":
    main()
