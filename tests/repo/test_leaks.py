"""Whatever a test could leave running is seen, and what ends by itself in time is not."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from tests.leaks import left_behind, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def test_nothing_is_left_by_a_test_that_does_nothing() -> None:
    assert left_behind(running()) == []


def test_a_thread_that_goes_on_is_seen() -> None:
    before, end = running(), threading.Event()
    thread = threading.Thread(target=end.wait, name="sleeper")
    thread.start()
    assert left_behind(before, grace_seconds=0) == ["thread sleeper"]
    end.set()
    assert left_behind(before) == []


def test_an_open_socket_is_seen() -> None:
    before = running()
    with socket.socket() as connection:
        inode = os.fstat(connection.fileno()).st_ino
        assert left_behind(before, grace_seconds=0) == [f"socket:[{inode}]"]
    assert left_behind(before, grace_seconds=0) == []


def test_a_running_child_is_seen() -> None:
    before = running()
    with subprocess.Popen(["cat", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"runs\n")
        child.stdin.flush()
        child.stdout.readline()
        seen = left_behind(before, grace_seconds=0)
    assert seen == [f"process {child.pid} (cat -)"]


def test_a_child_that_nobody_waited_for_is_seen() -> None:
    before = running()
    child = subprocess.Popen(["sleep", "60"])
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    seen = left_behind(before, grace_seconds=0)
    child.wait()
    assert seen == [f"process {child.pid} (ended, nobody waited for it)"]
