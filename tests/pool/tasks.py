"""What worker processes run in tests. Nothing here needs pytest, so they start fast.

A task meets the test at a gate: it connects to a port, says which process it is, and goes on when
the test lets it. When its process ends the connection does, and so the test knows that too.
"""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import worq
from worq import Broker, TaskSpace
from worq.pool.line import WorkerLine

TASKS = TaskSpace()
HELD: list[socket.socket] = []


@TASKS.task
def give(value: Any = None) -> Any:
    return value


@TASKS.task
async def loop(value: Any) -> tuple[Any, int]:
    """The value, and which loop it is; None: never."""
    if value is None:
        await asyncio.Event().wait()
    return value, id(asyncio.get_running_loop())


@TASKS.task
def text(value: object) -> str:
    return str(value)


@TASKS.task
def lock() -> object:
    return threading.Lock()


@TASKS.task
def mark(path: Path, line: str) -> str:
    """The test sees whether, and how often, it was begun."""
    with path.open("a") as file:
        file.write(f"{line}\n")
    return line


@TASKS.task
def fail(text: str) -> None:
    raise ValueError(text)


@TASKS.task
def pid() -> int:
    return os.getpid()


@TASKS.task
def hang() -> None:
    while True:
        signal.pause()


@TASKS.task
def mark_and_hang(path: Path, line: str) -> None:
    mark(path, line)
    hang()


@TASKS.task
def hang_with_gil() -> None:
    while True:
        ctypes.PyDLL(None).pause()


@TASKS.task
def meet(port: int, value: Any = None) -> Any:
    with _visit(port) as visit:
        visit.recv(1)
    return value


@TASKS.task
def meet_with_gil(port: int, value: Any = None) -> Any:
    """No other thread of the process runs until the test lets it go on."""
    with _visit(port) as visit:
        ctypes.PyDLL(None).recv(visit.fileno(), ctypes.create_string_buffer(1), 1, 0)
    return value


@TASKS.task
def meet_and_leave_a_fork(port: int) -> None:
    """A child that has what its parent had, and is let go by the test, and the task itself."""
    with _visit(port) as visit:
        if os.fork() == 0:
            with _visit(port) as child:
                child.recv(1)
            os._exit(0)
        visit.recv(1)


@TASKS.task
def leave_a_thread(port: int) -> None:
    threading.Thread(target=meet, args=(port,)).start()


@TASKS.task
def end(how: str) -> None:
    ENDS[how]()


@TASKS.task
def terminate_others() -> list[int]:
    """How a program and a fork end that are sent TERM."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as program:
        program.terminate()
        program.wait()
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), 15)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return [program.returncode, os.waitstatus_to_exitcode(status)]


@TASKS.task
def large(size: int) -> bytes:
    return bytes(size)


def _visit(port: int) -> socket.socket:
    visit = socket.create_connection(("127.0.0.1", port))
    visit.sendall(b"%10d" % os.getpid())
    return visit


def _crash() -> None:
    ctypes.string_at(0)


def _lose_the_line() -> None:
    os.closerange(3, 256)
    hang()


ENDS: dict[str, Callable[[], object]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), 9),
    "SIGSEGV": _crash,
    "exit code 3": lambda: os._exit(3),
    "SIGKILL by its pool": _lose_the_line,
}

# How workers make their broker.


def init(url: str, name: str) -> Broker:
    """Speaks for the queue, whichever it is: workers need no connection."""
    del url
    broker = worq.get_broker("memory://", name)
    broker.expose(TASKS)
    return broker


def init_connected(url: str, name: str) -> Broker:
    """As applications do it: its tasks can call others."""
    broker = worq.get_broker(url, name)
    broker.expose(TASKS)

    @broker.expose
    def call(value: Any) -> None:
        worq.Task(broker.queue().give, id="b")(value)

    return broker


def init_visiting(url: str, name: str, port: int) -> Broker:
    """The test knows how long the process lives."""
    HELD.append(_visit(port))
    return init(url, name)


def init_raising(url: str, name: str) -> NoReturn:
    raise RuntimeError(f"no configuration for {name}")


def init_exiting(url: str, name: str) -> NoReturn:
    raise SystemExit("nothing to do")


def init_ending(url: str, name: str) -> None:
    os._exit(3)


def init_nothing(url: str, name: str) -> None:
    pass


def init_other_queue(url: str, name: str) -> Broker:
    return init(url, f"not {name}")


def init_unless(url: str, name: str, obstacle: Path) -> Broker:
    if obstacle.exists():
        raise RuntimeError("there is an obstacle")
    return init(url, name)


def init_once(url: str, name: str, mark: Path, port: int) -> Broker:
    """For one worker only; another fails when the test lets it."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        meet(port)
        raise
    return init(url, name)


def init_fragile(url: str, name: str) -> Broker:
    """The worker ends when it gets a task, before it has begun it."""

    def receive(self: WorkerLine) -> NoReturn:
        self._end.recv(1)
        os._exit(4)

    WorkerLine.receive = receive  # type: ignore[method-assign]
    return init(url, name)


class Unreadable:
    """Can be pickled, and no more."""

    def __reduce__(self) -> Any:
        return _cannot_be_read, ()


def _cannot_be_read() -> NoReturn:
    raise RuntimeError("cannot be read here")
