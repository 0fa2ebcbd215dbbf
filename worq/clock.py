"""Clocks for backends: whole milliseconds that never run backwards. Source: SPEC.md, section 4."""

import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Where a backend reads the time, and how it learns that a clock was advanced by hand."""

    def now_ms(self) -> int:
        """Milliseconds since an arbitrary moment."""
        ...

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have `wake` called after each advance; the answer is a function that ends the subscription."""
        ...


class MonotonicClock:
    """The machine's monotonic clock. It is never advanced by hand, so there is nothing to subscribe to."""

    def now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        del wake
        return lambda: None


class ManualClock:
    """A clock for tests, which stands still until it is advanced. Thread-safe. [ENV-WAIT-8]"""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self._now_ms = now_ms
        self._wakes: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, ms: int) -> None:
        """Let `ms` milliseconds pass, then wake whoever subscribed, in this thread."""
        if ms < 0:
            raise ValueError(f"ms: a clock does not run backwards: {ms!r}")
        with self._lock:
            self._now_ms += ms
            wakes = tuple(self._wakes)
        for wake in wakes:
            wake()

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        with self._lock:
            self._wakes.append(wake)

        def unsubscribe() -> None:
            with self._lock:
                if wake in self._wakes:
                    self._wakes.remove(wake)

        return unsubscribe
