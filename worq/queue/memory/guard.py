"""The lock of a store, for calls that a signal's handler may interrupt. Why: docs/decisions/0006-signal-handlers.md."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

INTERRUPTED: Final = (
    "what interrupts an operation on a queue in memory, as a signal's handler or a finalizer may, "
    "can't do another one in the same thread: have a handler put something into a queue.SimpleQueue"
)


class Gate:
    """Where one call sleeps. What is opened before the sleep begins lets it pass: a Condition would forget it."""

    def __init__(self, guarded: threading.Lock) -> None:
        self._guarded = guarded
        self._lock = threading.Lock()
        self._lock.acquire(blocking=False)

    def open(self) -> None:
        """Let the call pass. Idempotent. Only under the lock of what it waits for."""
        assert self._guarded.locked(), "woken without the lock"
        with suppress(RuntimeError):  # it is open
            self._lock.release()

    def wait(self, timeout_s: float) -> bool:
        """Until it is opened; False if the timeout passes first."""
        return self._lock.acquire(timeout=max(0.0, timeout_s))


class Guard:
    """A lock that knows whose operations are under way, so that none waits for the one that it interrupts. [ENV-WAIT-9]

    A lock alone would have it wait for itself, and one that lets its holder in again would show it things half done.
    """

    def __init__(self) -> None:
        self.lock: threading.Lock = threading.Lock()
        self._busy: set[int] = set()  # threads, which add and discard themselves alone

    def run(self, act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do something under the lock. RuntimeError in the midst of what this thread does under it."""
        me = threading.get_ident()
        if me in self._busy:
            raise RuntimeError(INTERRUPTED)
        try:
            self._busy.add(me)
            with self.lock:
                return act(*args, **kwargs)
        finally:
            self._busy.discard(me)

    def gate(self) -> Gate:
        return Gate(self.lock)

    def wait(self, gate: Gate, timeout_s: float) -> None:
        """Sleep at a gate, in the midst of `run`. Others have the lock meanwhile: handlers in this thread too.

        The lock is released first: whoever is let in can take it, and opens a gate that remembers.
        What a handler raises meanwhile is raised when the lock is taken back, and no sooner.
        """
        me = threading.get_ident()
        taken: list[bool] = []
        interruption: BaseException | None = None
        try:
            self.lock.release()
            self._busy.discard(me)
            gate.wait(timeout_s)
        finally:
            while not taken:  # whoever goes on without it would release it for somebody else
                try:
                    self._busy.add(me)
                    # In one step of the interpreter: it is never taken without being known to be.
                    taken.extend(map(self.lock.acquire, (True,)))
                except BaseException as raised:  # noqa: BLE001 - by a handler; it is raised below
                    interruption = raised
            if interruption is not None:
                raise interruption
