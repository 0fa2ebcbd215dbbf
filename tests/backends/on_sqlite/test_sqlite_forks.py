"""Forks: no connection of SQLite may be in two processes. The test is a program, which has threads when it forks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sqlite import leftover_rows

PROGRAM = """
import os, sys, threading, warnings
from contextlib import closing
from worq.queue.sqlite import TaskQueue
from worq.values import Request

warnings.simplefilter("ignore", DeprecationWarning)  # later Pythons warn of forks beside threads
url, forks, tasks = sys.argv[1], 5, 20


def produce(queue, who):
    for number in range(tasks):
        assert queue.submit(Request(f"{who} {number}"), b"m").status == "accepted"


queue, other = TaskQueue(url), TaskQueue(url, "other")
waiting = threading.Thread(target=lambda: other.claim(None))
waiting.start()
producing = threading.Thread(target=produce, args=(queue, "thread"))
producing.start()
children = []
for number in range(forks):
    if not (pid := os.fork()):
        status = 1
        try:
            produce(queue, number)
            other.submit(Request(f"for the parent {number}", ignore_result=True), b"m")
            with closing(TaskQueue(url, "third")) as third:
                assert third.size() == 0
            status = 0
        finally:
            os._exit(status)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
producing.join()
waiting.join(30)
assert not waiting.is_alive()
assert queue.size() == (forks + 1) * tasks, queue.size()
assert queue.database.look(lambda c: c.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
assert (queue.purge(), other.purge()) == ((forks + 1) * tasks, forks - 1)
queue.close()
other.close()
print("done")
"""


@pytest.mark.spec("ENV-SQLITE-5", "ENV-SQLITE-2")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_parent_and_children_go_on(url: str, path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)
    assert leftover_rows(url) == []
    assert not path.with_name(f"{path.name}-wal").exists()
