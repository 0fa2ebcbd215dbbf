"""What a test leaves running: threads and, where there is a /proc, sockets and child processes."""

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GRACE_SECONDS = 2.0
POLL_SECONDS = 0.01

SELF = Path("/proc/self")
# multiprocessing starts these once a process and leaves them running, to its own end.
KEPT_BY_PYTHON = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


class Running(NamedTuple):
    """What runs at one moment."""

    threads: frozenset[threading.Thread]
    sockets: frozenset[str]
    children: frozenset[int]


def running() -> Running:
    """Look now."""
    return Running(frozenset(threading.enumerate()), frozenset(_sockets()), frozenset(_children()))


def left_behind(before: Running, *, grace_seconds: float = GRACE_SECONDS) -> list[str]:
    """Describe what runs now and did not before, once it had time to end by itself."""
    deadline = time.monotonic() + grace_seconds
    if found := _new_since(before):
        # What nobody refers to any more is closed here, and Python warns of what should have been.
        gc.collect()
    while found and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        found = _new_since(before)
    return found


def _new_since(before: Running) -> list[str]:
    now = running()
    return [
        *(f"thread {thread.name}" for thread in now.threads - before.threads),
        *sorted(now.sockets - before.sockets),
        *(f"process {pid} ({_command(pid)})" for pid in now.children - before.children),
    ]


def _sockets() -> Iterator[str]:
    for descriptor in SELF.glob("fd/*"):
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # closed meanwhile, as that of the listing itself is
            continue
        if target.startswith("socket:"):
            yield target


def _children() -> Iterator[int]:
    for children in SELF.glob("task/*/children"):
        try:
            pids = children.read_text().split()
        except (FileNotFoundError, ProcessLookupError):  # that thread has ended
            continue
        for pid in map(int, pids):
            if not any(name in _command(pid) for name in KEPT_BY_PYTHON):
                yield pid


def _command(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        command = ""
    return command.replace("\0", " ").strip() or "ended, nobody waited for it"
