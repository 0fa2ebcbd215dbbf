"""The lock of a store, for calls that a signal's handler may interrupt. Why: docs/decisions/0006-signal-handlers.md."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

INTERRUPTED: Final = (
    "what interrupts an operation on a queue in memory, as a signal's handler or a finalizer may, "
    "can't do another one in the same thread: have a handler set an Event"
)


class Gate:
    """Where one call waits. Opened before it does, it is open then: a Condition would have told nobody. [ENV-WAIT-9]"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire(blocking=False)

    def open(self) -> None:
        """Let the call pass once. Idempotent."""
        with suppress(RuntimeError):  # it is open
            self._lock.release()

    def wait(self, timeout_s: float) -> bool:
        """Until it is opened, and shut it again. False if nobody did."""
        return self._lock.acquire(timeout=max(0.0, timeout_s))


class Guard:
    """A lock that knows when its holder comes again, in the midst of what it does. [ENV-WAIT-9]

    That would wait for itself at a plain lock, and find things half done behind one that lets it in.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._is_busy = False

    def run(self, act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do something under the lock. RuntimeError in the midst of what this thread does under it."""
        with self.lock:
            if self._is_busy:
                raise RuntimeError(INTERRUPTED)
            try:
                self._is_busy = True
                return act(*args, **kwargs)
            finally:
                self._is_busy = False

    def wait(self, gate: Gate, timeout_s: float) -> None:
        """Wait at a gate. Others may have the lock meanwhile: handlers in this thread too."""
        self._is_busy = False
        held = self._let_go()
        try:
            gate.wait(timeout_s)
        finally:
            for _ in range(held):
                self.lock.acquire()
            self._is_busy = True

    def _let_go(self) -> int:
        """Release the lock, and say how often: once, but for a handler that waits, and came before it was released."""
        held = 0
        with suppress(RuntimeError):  # it has it no more
            while True:
                self.lock.release()
                held += 1
        return held
