"""Measures how long others wait for what is much at once: python scripts/sqlite_pauses.py FOLDER [LEASES [TASKS]]

In a queue of the file many leases pass together, and many tasks are purged; another process uses another queue of the
same file meanwhile. What it waits for is one transaction of the other, and the lock after that.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from worq.clock import ManualClock
from worq.queue.sqlite import TaskQueue
from worq.values import Request

LEASES: Final = 100_000
TASKS: Final = 1_000_000
SOURCE: Final = "source"
COLUMNS: Final = "queue, id, incarnation, state, attempts, ignore_result, passes_errors, lease_ms"


def fill(queue: TaskQueue, count: int, state: str) -> None:
    """Tasks as submit and claim leave them, in one statement."""
    deadline, position = ("1", "NULL") if state == "processing" else ("NULL", "value")
    queue.database.look(
        lambda connection: connection.executescript(
            f"""
            BEGIN;
            WITH RECURSIVE numbers(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers LIMIT {count})
            INSERT INTO task (key, {COLUMNS}, start, deadline_ms, position)
            SELECT value, '{queue.name}', 'task ' || value, randomblob(16), '{state}', 2, 0, 0, 65000,
                1, {deadline}, {position} FROM numbers;
            INSERT INTO body SELECT key, randomblob(100) FROM task;
            COMMIT;
            """  # noqa: S608 (words of ours)
        )
    )


def beside(url: str) -> None:
    """The other process: until its input ends it submits, claims and finishes; then says what that took."""
    took: list[float] = []
    with closing(TaskQueue(url, "beside", retry_deadline_s=600)) as queue:
        queue.size()
        print("ready", flush=True)  # noqa: T201
        import select  # noqa: PLC0415 (only here)

        while not select.select([sys.stdin], [], [], 0)[0]:
            for act in (
                lambda: queue.submit(Request("a"), b"m"),
                lambda: queue.claim(0),
                lambda: queue.finish("a", b"r", 60),
                lambda: queue.pop("a", 0),
            ):
                began = time.monotonic()
                act()
                took.append((time.monotonic() - began) * 1000)
    took.sort()
    print(took[len(took) // 2], took[len(took) * 99 // 100], took[-1], len(took))  # noqa: T201


def measured(url: str, what: str, act: Callable[[], object]) -> None:
    with subprocess.Popen(
        [sys.executable, __file__, "--beside", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        began = time.monotonic()
        act()
        seconds = time.monotonic() - began
        other.stdin.close()
        median, most, longest, count = other.stdout.readline().split()
    print(  # noqa: T201
        f"{what}: {seconds:.1f} s; beside it {count} operations, median {float(median):.1f} ms,"
        f" 99 % {float(most):.1f} ms, longest {float(longest):.1f} ms",
        flush=True,
    )


def main(folder: str, leases: str = str(LEASES), tasks: str = str(TASKS)) -> None:
    for how in ("full", "normal"):
        path = Path(folder) / "pauses.db"
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()
        url = f"sqlite:///{path.resolve()}?synchronous={how}"
        with closing(TaskQueue(url, SOURCE, clock=ManualClock(10**9))) as queue:
            queue.size()
            fill(queue, int(leases), "processing")
            measured(url, f"{how}: {leases} leases that pass", queue.size)
            queue.purge()
            fill(queue, int(tasks), "enqueued")
            measured(url, f"{how}: a purge of {tasks} tasks", queue.purge)
            assert queue.size() == 0
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()


if __name__ == "__main__":
    if sys.argv[1] == "--beside":
        beside(sys.argv[2])
    else:
        main(*sys.argv[1:])
