"""Forks: no connection of SQLite may be in two processes. The test is a program, which has threads when it forks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sqlite import leftover_rows

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")

GO_ON = """
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


TWO_FORK = """
import os, sys, threading, warnings
from worq.queue.sqlite import TaskQueue

warnings.simplefilter("ignore", DeprecationWarning)
queue = TaskQueue(sys.argv[1])
queue.size()
forking, forks = threading.Event(), [0, 0]


def fork(who):
    for _ in range(100):
        if not (pid := os.fork()):
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        forks[who] += 1


def use():
    while not forking.is_set():
        assert queue.size() == 0


threads = [threading.Thread(target=fork, args=(who,), daemon=True) for who in (0, 1)]
using = threading.Thread(target=use, daemon=True)
using.start()
for each in threads:
    each.start()
for each in threads:
    each.join(60)
forking.set()
using.join(10)
assert forks == [100, 100], forks
assert not using.is_alive()
queue.close()
print("done")
"""

HANDLER_IN_FORK = """
import os, signal, sys

queues = []


def early():
    if queues:
        signal.raise_signal(signal.SIGUSR1)


os.register_at_fork(before=early)  # before worq's: so it comes after them
from worq.queue.sqlite import TaskQueue

def handle(*_):
    for queue in queues:
        try:
            queue.size()
        except RuntimeError as error:
            said.append("fork" in str(error))


said = []
signal.signal(signal.SIGUSR1, handle)
queues += [TaskQueue(sys.argv[1]), TaskQueue(sys.argv[1] + "2")]
queues[0].size()
pid = os.fork()
if not pid:
    os._exit(queues[0].size())
assert os.waitpid(pid, 0)[1] == 0
assert said == [True, True], said
assert [queue.size() for queue in queues] == [0, 0]
for queue in queues:
    queue.close()
print("done")
"""

FORK_IN_HANDLER = """
import os, signal, sys
from worq.clock import ManualClock
from worq.queue.sqlite import TaskQueue
from worq.values import Request


class Clock(ManualClock):
    armed = False

    def now_ms(self):  # it is asked in the midst of an operation
        if self.armed:
            self.armed = False
            signal.raise_signal(signal.SIGUSR1)
        return super().now_ms()


def refused(act):
    try:
        act()
    except RuntimeError as error:
        return "was forked in the midst of an operation on this file" in str(error)
    return False


def handle(*_):
    global pid
    pid = os.fork()
    if not pid:
        status = 1
        try:
            with_others = [TaskQueue(url), TaskQueue(url, "other")]
            if refused(queue.size) and all(refused(each.size) for each in with_others):
                status = 0
        finally:
            if status or how == "leaves":
                os._exit(status)


url, how = sys.argv[1], sys.argv[2]
clock = Clock()
queue = TaskQueue(url, clock=clock)
queue.size()
signal.signal(signal.SIGUSR1, handle)
clock.armed, parent = True, os.getpid()
if how == "leaves":
    queue.submit(Request("a"), b"")
else:
    is_refused = refused(lambda: queue.submit(Request("a"), b""))
    if os.getpid() != parent:
        os._exit(0 if is_refused and refused(queue.size) else 1)
    assert not is_refused
assert os.waitpid(pid, 0)[1] == 0
assert queue.size() == 1
assert queue.database.look(lambda c: c.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
assert queue.purge() == 1
queue.close()
print("done")
"""

FORK_BESIDE_OTHERS = """
import os, signal, sys, threading, warnings
from worq.clock import ManualClock
from worq.queue.sqlite import TaskQueue

warnings.simplefilter("ignore", DeprecationWarning)


class Clock(ManualClock):
    def __init__(self, act):
        super().__init__()
        self.act = act

    def now_ms(self):  # it is asked in the midst of an operation
        act, self.act = self.act, lambda: None
        act()
        return super().now_ms()


def works():
    under_way.set()
    assert goes_on.wait(60)


def handle(*_):
    global pid
    pid = os.fork()
    if not pid:
        status = 1
        try:
            TaskQueue(url + "2").size()
        except RuntimeError as error:
            status = 0 if "was forked in the midst" in str(error) else 1
        finally:
            os._exit(status)
    goes_on.set()


url, under_way, goes_on = sys.argv[1], threading.Event(), threading.Event()
queue = TaskQueue(url, clock=Clock(lambda: signal.raise_signal(signal.SIGUSR1)))
other = TaskQueue(url + "2", clock=Clock(works))
signal.signal(signal.SIGUSR1, handle)
working = threading.Thread(target=other.size, daemon=True)
working.start()
assert under_way.wait(60)
assert queue.size() == 0
assert os.waitpid(pid, 0)[1] == 0
working.join(60)
assert not working.is_alive()
assert (queue.size(), other.size()) == (0, 0)
queue.close()
other.close()
print("done")
"""


OPEN_BESIDE_A_FORK = """
import os, sys, threading, warnings

warnings.simplefilter("ignore", DeprecationWarning)
opening = []


def early():
    if opening:
        opening[0].start()
        opening[0].join(0.2)  # it would be done by then


os.register_at_fork(before=early)  # before worq's: so it comes after them
from worq.queue.sqlite import TaskQueue

path, queues, sizes = sys.argv[1], [], []


def open_it():
    queues.append(TaskQueue("sqlite:///" + path))
    sizes.append(queues[0].size())


opening.append(threading.Thread(target=open_it, daemon=True))
pid = os.fork()
if not pid:
    there = {os.path.realpath(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")}
    os._exit(path in there)
assert os.waitpid(pid, 0)[1] == 0
opening[0].join(60)
assert sizes == [0]
queues[0].close()
print("done")
"""


def run(program: str, *arguments: str) -> None:
    """It says that it is done, and nothing else."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.spec("ENV-SQLITE-5", "ENV-SQLITE-2")
def test_parent_and_children_go_on(url: str, path: Path) -> None:
    run(GO_ON, url)
    assert leftover_rows(url) == []
    assert not path.with_name(f"{path.name}-wal").exists()


@pytest.mark.spec("ENV-SQLITE-5")
def test_two_threads_fork_at_the_same_time(url: str, path: Path) -> None:
    run(TWO_FORK, url)
    assert not path.with_name(f"{path.name}-wal").exists()


@pytest.mark.spec("ENV-SQLITE-5")
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="nobody says which files are open")
def test_what_is_opened_while_another_thread_forks_is_not_in_the_child(path: Path) -> None:
    run(OPEN_BESIDE_A_FORK, str(path))


@pytest.mark.spec("ENV-SQLITE-5")
def test_a_fork_that_interrupts_an_operation_waits_for_no_other(path: Path) -> None:
    run(FORK_BESIDE_OTHERS, f"sqlite:///{path}")


@pytest.mark.spec("ENV-SQLITE-5", "ENV-WAIT-9")
def test_a_handler_that_interrupts_a_fork_is_refused(path: Path) -> None:
    run(HANDLER_IN_FORK, f"sqlite:///{path}")


@pytest.mark.spec("ENV-SQLITE-5", "ENV-WAIT-9")
@pytest.mark.parametrize("child", ["leaves", "goes on"])
def test_a_child_of_an_operation_that_was_interrupted_is_refused(child: str, url: str) -> None:
    run(FORK_IN_HANDLER, url, child)
    assert leftover_rows(url) == []
