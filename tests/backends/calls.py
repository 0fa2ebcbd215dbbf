"""Calls that wait, each in a thread of its own, and clocks that know who looked at them."""

import threading
from collections import Counter

from worq.clock import ManualClock
from worq.testing.calls import PATIENCE_S, Call, falls_asleep

__all__ = ["PATIENCE_S", "Call", "WatchedClock", "falls_asleep"]


class WatchedClock(ManualClock):
    """A manual clock that counts who looked at it: thread → how often."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: Counter[int] = Counter()

    def now_ms(self) -> int:
        self.looks[threading.get_ident()] += 1
        return super().now_ms()

    def looks_of(self, call: Call[object]) -> int:
        """How often the thread of this call has looked."""
        return self.looks[call.thread.ident or 0]
