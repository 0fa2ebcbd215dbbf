"""Calls that wait, each in a thread of its own, and clocks that know who looked at them."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from worq.clock import ManualClock

R = TypeVar("R")

# How long anything may take on a busy machine that should not take any time.
PATIENCE_S = 20.0
SAMPLES = 6
SAMPLED_EVERY_S = 0.01


class Call(Generic[R]):
    """A call in a thread of its own, which has begun."""

    def __init__(self, act: Callable[[], R]) -> None:
        self._act = act
        self._future: Future[R] = Future()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._future.set_result(self._act())
        except BaseException as error:  # noqa: BLE001 (it is raised again where the answer is asked)
            self._future.set_exception(error)

    def answer(self) -> R:
        """What the call answers, or raises; soon."""
        return self._future.result(PATIENCE_S)

    def error(self) -> BaseException | None:
        """What the call raises; soon."""
        return self._future.exception(PATIENCE_S)

    def sleeps(self) -> bool:
        """True once its thread does nothing any more, False once it has answered."""
        still = 0
        place = None
        until = time.monotonic() + PATIENCE_S
        while not self._future.done() and still < SAMPLES and time.monotonic() < until:
            time.sleep(SAMPLED_EVERY_S)
            earlier, place = place, self._place()
            still = still + 1 if place is not None and place == earlier else 0
        return still == SAMPLES

    def _place(self) -> tuple[int, int] | None:
        frame = sys._current_frames().get(self.thread.ident or 0)  # noqa: SLF001 (nothing else tells)
        return None if frame is None else (id(frame), frame.f_lasti)


class WatchedClock(ManualClock):
    """A manual clock that counts who looked at it: thread → how often."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: Counter[int] = Counter()

    def now_ms(self) -> int:
        self.looks[threading.get_ident()] += 1
        return super().now_ms()

    def looks_of(self, call: Call[R]) -> int:
        """How often the thread of this call has looked."""
        return self.looks[call.thread.ident or 0]
