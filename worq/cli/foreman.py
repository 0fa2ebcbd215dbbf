"""From the start of a pool to its end: signals, the drain deadline, and why it ended."""

import enum
import logging
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Protocol

from worq.pool.signals import SIGNAL_LOOK_S, SIGNALS, leave_to_the_main_thread

_log = logging.getLogger(__name__)

# What kills a process and its group, as GNU timeout does, sends the same signal twice: that is one.
ONE_SIGNAL_S = 0.5
# A pool in which nothing runs has ended by then, once it is told to stop; so one that has not is cut short.
IDLE_S = 0.5


class Pool(Protocol):
    """What a foreman needs of a pool, which leaves all deadlines to it."""

    def stop(self, join: bool = True) -> None: ...  # noqa: FBT001, FBT002 - the API's signature

    def abort(self) -> None: ...

    def join(self) -> None: ...


class Ending(enum.Enum):
    """How it ended."""

    WHOLE = enum.auto()  # all that it had begun was finished
    CUT = enum.auto()  # what still ran was ended
    RELOAD = enum.auto()  # whole or cut, it is to start again


class Foreman:
    """Has a pool work until it is told to stop.

    The first INT or TERM stops it, and what runs has until the drain deadline; then, or at the
    second one, what still runs is ended. The same one again at once is no second one.
    HUP does as the first, and is a wish to start again.
    Signals are told in a thread of their own, the rest happens in that which calls `run`.
    """

    def __init__(self, drain_s: float) -> None:
        self._drain_s = drain_s
        self._pool: Pool | None = None
        self._deadline_s: float | None = None
        self._is_asked = False
        self._first: tuple[str, float] | None = None
        self._is_reload = False
        self._is_spent = False
        self._is_cut = False
        self._is_over = False
        self._is_news = False
        self._changed = threading.Condition()

    # What others say.

    @contextmanager
    def listening(self) -> Generator[None]:
        """Heed signals within this block."""
        with ExitStack() as watching:
            for number in (signal.SIGINT, signal.SIGTERM):
                told = partial(self._told, number.name)
                watching.enter_context(SIGNALS.watching(number, told))
            told = partial(self.reload, "SIGHUP")
            watching.enter_context(SIGNALS.watching(signal.SIGHUP, told))
            yield

    def spent(self) -> None:
        """There is nothing more to claim; what runs has all the time it needs."""
        with self._changed:
            self._is_spent = True
            self._note()

    def reload(self, why: str) -> None:
        """Start again as soon as what runs has ended."""
        with self._changed:
            if self._is_asked or self._is_reload:
                return
            self._is_reload = True
            self._begin_to_drain()
        self._act()
        _log.info("%s: reloading, what runs has %g s", why, self._drain_s)

    def _told(self, name: str) -> None:
        with self._changed:
            if self._is_the_first(name):
                return
            self._is_reload = False
            is_second = self._is_asked
            self._is_asked = True
            self._begin_to_drain()
            if is_second and self._ends_by_itself():
                return
            self._is_cut |= is_second
        self._act()  # here: the main thread may be in the midst of starting workers
        if is_second:
            _log.warning("%s again: what still ran was ended", name)
        else:
            _log.info("%s: stopping, what runs has %g s", name, self._drain_s)

    def _is_the_first(self, name: str) -> bool:
        """Is it the signal that has come just now? Note it, if none has."""
        now_s = time.monotonic()
        if self._first is None:
            self._first = (name, now_s)
            return False
        first, at_s = self._first
        return name == first and now_s - at_s < ONE_SIGNAL_S

    def _ends_by_itself(self) -> bool:
        """Has it been told to stop while nothing runs?"""
        return self._changed.wait_for(lambda: self._is_over, IDLE_S)

    def _begin_to_drain(self) -> None:
        if self._deadline_s is None:
            self._deadline_s = time.monotonic() + self._drain_s
        self._note()

    def _note(self) -> None:
        self._is_news = True
        self._changed.notify_all()

    def _act(self) -> None:
        """Tell the pool what it has to know by now. Outside the lock."""
        pool = self._pool
        if pool is not None:
            if self._is_cut:
                pool.abort()
            elif self._is_stopping:
                pool.stop(join=False)

    @property
    def _is_stopping(self) -> bool:
        return self._is_spent or self._deadline_s is not None

    # What the main thread does.

    def run(self, pool: Pool, start: Callable[[], None]) -> Ending:
        """Start the pool, and return when it has ended. Raises what `start` raises."""
        self._pool = pool
        try:
            start()
        except BaseException:
            if self._is_asked:
                return Ending.WHOLE  # nothing had begun
            raise
        joining = threading.Thread(
            target=self._join, args=(pool,), name="worq foreman", daemon=True
        )
        joining.start()
        self._oversee()
        joining.join()
        if self._is_reload:
            return Ending.RELOAD
        return Ending.CUT if self._is_cut else Ending.WHOLE

    def wait(self) -> Ending:
        """Without a pool: wait for a signal."""
        with self._changed:
            while not (self._is_asked or self._is_reload):
                self._changed.wait(SIGNAL_LOOK_S)
            return Ending.RELOAD if self._is_reload else Ending.WHOLE

    def _oversee(self) -> None:
        while True:
            self._act()
            with self._changed:
                if self._is_over:
                    return
                left_s = None
                if self._deadline_s is not None and not self._is_cut:
                    left_s = self._deadline_s - time.monotonic()
                    if left_s <= 0:
                        if self._ends_by_itself():
                            return
                        _log.warning("the drain deadline has passed: ending what runs")
                        self._is_cut = True
                        continue
                if not self._is_news:
                    self._changed.wait(min(left_s or SIGNAL_LOOK_S, SIGNAL_LOOK_S))
                self._is_news = False

    def _join(self, pool: Pool) -> None:
        leave_to_the_main_thread()
        pool.join()
        with self._changed:
            self._is_over = True
            self._note()
