"""The lock of a store, for calls that a signal's handler may interrupt. Why: docs/decisions/0006-signal-handlers.md."""

import threading
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

INTERRUPTED: Final = (
    "what interrupts an operation on a queue in memory, as a signal's handler or a finalizer may, "
    "can't do another one in the same thread: have a handler set an Event"
)


class Guard:
    """A lock that knows when its holder comes again, in the midst of what it does. [ENV-WAIT-9]

    That would wait for itself at a plain lock, and find things half done behind one that lets it in.
    """

    def __init__(self) -> None:
        self.lock: threading.RLock = threading.RLock()
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

    def condition(self) -> threading.Condition:
        return threading.Condition(self.lock)

    def wait(self, condition: threading.Condition, timeout_s: float) -> None:
        """Wait for a condition of this lock, which others may have meanwhile: handlers in this thread too."""
        self._is_busy = False
        try:
            condition.wait(timeout_s)
        finally:
            self._is_busy = True
