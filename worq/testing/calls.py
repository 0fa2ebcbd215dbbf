"""Calls that wait, each in a thread of its own."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

R_co = TypeVar("R_co", covariant=True)

# How long anything may take on a busy machine that should not take any time.
PATIENCE_S = 20.0
SAMPLES = 6
SAMPLED_EVERY_S = 0.01


class Call(Generic[R_co]):
    """A call in a thread of its own, which has begun."""

    def __init__(self, act: Callable[[], R_co]) -> None:
        self._act = act
        self._future: Future[R_co] = Future()
        self.thread: threading.Thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._future.set_result(self._act())
        except BaseException as error:  # noqa: BLE001 (it is raised again where the answer is asked)
            self._future.set_exception(error)

    def answer(self) -> R_co:
        """What the call answers, or raises; soon."""
        return self._future.result(PATIENCE_S)

    def error(self) -> BaseException | None:
        """What the call raises; soon."""
        return self._future.exception(PATIENCE_S)

    def ended(self, within_s: float) -> bool:
        """Whether it has ended, or does so within so many seconds."""
        self.thread.join(within_s)
        return not self.thread.is_alive()

    def sleeps(self) -> bool:
        """True once its thread does nothing any more, False once it has answered."""
        return falls_asleep(self.thread, self._future.done)


class WatchedCall(Call[R_co]):
    """A call of which it is known when its thread did anything, at Python's level or by calling into C."""

    def __init__(self, act: Callable[[], R_co]) -> None:
        self._did_at_s: list[float] = []
        super().__init__(act)

    def _run(self) -> None:
        def note(*_: object) -> None:
            self._did_at_s.append(time.monotonic())

        sys.setprofile(note)
        super()._run()

    def moments_since(self, began_s: float, each_s: float) -> int:
        """In how many stretches of so many seconds after that moment it did anything."""
        return len({int((at_s - began_s) / each_s) for at_s in self._did_at_s if at_s > began_s})


def falls_asleep(thread: threading.Thread, is_over: Callable[[], bool]) -> bool:
    """True once the thread does nothing any more, False once what it does is over."""
    seen: list[tuple[int, int] | None] = []
    until = time.monotonic() + PATIENCE_S
    while not is_over():
        seen.append(_place(thread))
        if seen[-1] is not None and seen[-SAMPLES:] == seen[-1:] * SAMPLES:
            return True
        assert time.monotonic() < until, "it neither ends nor sleeps"
        time.sleep(SAMPLED_EVERY_S)
    return False


def _place(thread: threading.Thread) -> tuple[int, int] | None:
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - nothing else tells
    return None if frame is None else (id(frame), frame.f_lasti)
