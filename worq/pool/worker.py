"""One worker process, as its pool sees it."""

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from ctypes import c_double
from multiprocessing import resource_tracker
from multiprocessing.sharedctypes import RawValue
from weakref import WeakSet

from worq.errors import WorqError
from worq.pool import labour
from worq.pool.labour import Recipe
from worq.pool.line import CLAIM, REFUSED, Line, Message, pack_claim
from worq.values import Claim

# How long a worker that was dismissed may take to end, and one that was killed.
DISMISSED_S = 5.0
KILLED_S = 5.0
_LOOK_S = 0.02

# Never a fork: the pool has threads.
_log = logging.getLogger(__name__)
_spawning = multiprocessing.get_context("spawn")


class WorkerInitError(WorqError):
    """A worker has no broker: the text has the traceback of `init_func`, or how its process ended."""


class Worker:
    """One worker process, from its start until it has ended. Belongs to one thread.

    It notes in memory that it shares with the pool when it begins a task: that stands however it ends,
    and wakes nobody.
    """

    def __init__(self, recipe: Recipe, name: str) -> None:
        """Start it. Raises what pickling the recipe raises, and OSError."""
        ours, theirs = socket.socketpair()
        ending, self._lifeline = _spawning.Pipe(duplex=False)
        self.line: Line = Line(ours)
        # By a clock that all processes of a machine share. One store writes it, so it is whole.
        self._begun_s = RawValue(c_double, 0.0)
        _workers.add(self)
        self._process = _spawning.Process(
            target=labour.main,
            args=(theirs, ending, self._begun_s, recipe),
            name=name,
            daemon=False,
        )
        try:
            with _signals_held_back():
                self._process.start()
        except BaseException:
            self._let_go()
            raise
        finally:
            theirs.close()
            ending.close()
        self.pid: int | None = self._process.pid
        self._how: str | None = None

    def is_alive(self) -> bool:
        return self._how is None and self._process.exitcode is None

    def receive(self) -> Message | None:
        """The next message, None if there is none yet. EOFError if the worker has ended."""
        message = self.line.receive()
        if message is not None and message.kind == REFUSED:
            text = message.content.decode(errors="replace")
            raise WorkerInitError(f"init_func failed in a worker process:\n{text}")
        if message is not None:
            self._begun_s.value = 0.0  # it has no task any more
        return message

    def hand(self, claim: Claim) -> None:
        """Send it a task. It has none."""
        self.line.send(Message(CLAIM, pack_claim(claim)))

    @property
    def begun_s(self) -> float | None:
        """When it began the task that it has, by `time.monotonic`; None if it has begun none."""
        return self._begun_s.value or None

    def dismiss(self) -> str:
        """Have it end by itself, or else kill it, and say how it has ended."""
        self.line.hang_up()
        self._wait(DISMISSED_S)
        if self.is_alive():
            _log.warning("a worker process does not end, so it is killed: %s", self.pid)
        return self.end()

    def end(self) -> str:
        """Kill it, if it has not ended, and say how it has. Nothing of it runs afterwards. Idempotent."""
        if self.is_alive():
            self._process.kill()
            self._wait(KILLED_S)
        if self._how is None:
            code = self._process.exitcode
            self._how = _describe(code)
            if code is not None:
                self._process.close()
            self._let_go()
        return self._how

    def _wait(self, timeout_s: float) -> None:
        # The sentinel of a process is not enough: processes that it has forked hold that too.
        until_s = time.monotonic() + timeout_s
        while self.is_alive() and time.monotonic() < until_s:
            self._process.join(_LOOK_S)

    def _let_go(self) -> None:
        self.line.close()
        self._lifeline.close()
        _workers.discard(self)

    def disinherit(self) -> None:
        """In a fork of the pool's process: that one alone is to keep the worker alive."""
        self.line.close()
        self._lifeline.close()


@contextmanager
def _signals_held_back() -> Generator[None]:
    """A process that is started here gets the signals of its group only when it has its handlers."""
    # Or it would be started within, and that lets the signals through.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, labour.LEFT_TO_THE_POOL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _describe(exit_code: int | None) -> str:
    if exit_code is None:
        return "it can't be killed"
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


_workers: "WeakSet[Worker]" = WeakSet()


def _disinherit_all() -> None:
    for worker in list(_workers):
        worker.disinherit()


os.register_at_fork(after_in_child=_disinherit_all)
