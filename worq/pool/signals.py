"""INT and TERM, for all pools of this process."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import Any

from worq.pool.labour import LEFT_TO_THE_POOL

_log = logging.getLogger(__name__)

# Python may begin to wait just when a signal has come, and handles it when it looks again.
SIGNAL_LOOK_S = 0.5

Told = Callable[[], None]


def leave_to_the_main_thread() -> None:
    """Have no signal come to this thread, nor to a process that it starts, until that wants it.

    Python handles signals in the main thread, but one that comes to another does not wake that.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_THE_POOL)


class Signals:
    """Tells those who watch for a signal that it has come. Thread-safe.

    They are told in a thread of their own: a handler may interrupt its thread anywhere, even while
    that holds the lock that they need. Only the main thread can set handlers; so when the last of
    those who watch has gone, the previous handler comes back as soon as the main thread calls
    `restore`, or another signal comes, which is then handled as if nobody had ever watched.
    [ENV-POOL-18]
    """

    def __init__(self) -> None:
        self._told: dict[int, list[Told]] = {}
        self._before: dict[int, Any] = {}
        self._dispatcher: _Dispatcher | None = None
        self._lock = threading.Lock()

    def watch(self, number: int, told: Told) -> bool:
        """Have `told` called at each such signal, once however often it watches.

        False outside the main thread: nothing is watched.
        """
        if threading.current_thread() is not threading.main_thread():
            return False
        with self._lock:
            self._told.setdefault(number, []).append(told)
            if self._dispatcher is None:
                # Known before it runs: so what interrupts its start leaves nothing that nobody ends.
                self._dispatcher = _Dispatcher(self._told)
                self._dispatcher.start()
            if (handler := signal.getsignal(number)) != self._note:
                self._before[number] = handler
                signal.signal(number, self._note)
        return True

    def unwatch(self, number: int, told: Told) -> None:
        """End that, if it was watched."""
        with self._lock:
            watching = self._told.get(number, [])
            if told in watching:
                watching.remove(told)
            dispatcher = self._dispatcher
            if dispatcher is None or any(self._told.values()):
                dispatcher = None
            else:
                self._dispatcher = None
        if dispatcher is not None:
            dispatcher.end()
        self.restore()

    @contextmanager
    def watching(self, number: int, told: Told) -> Generator[None]:
        is_watched = self.watch(number, told)
        try:
            yield
        finally:
            if is_watched:
                self.unwatch(number, told)

    def restore(self) -> None:
        """Bring back the handlers of signals that nobody watches for, if this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in list(self._before):
                if not self._told.get(number):
                    self._restore(number)

    def _restore(self, number: int) -> None:
        before = self._before.pop(number, None)
        if signal.getsignal(number) == self._note:  # or somebody else has set another since
            signal.signal(number, signal.SIG_DFL if before is None else before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        dispatcher = self._dispatcher
        if dispatcher is not None and self._told.get(number):
            dispatcher.arrived.put(number)
        else:
            self._restore(number)
            signal.raise_signal(number)

    def forget(self) -> None:
        """In a fork, which has no pool that runs."""
        self._lock = threading.Lock()
        self._told.clear()
        self._dispatcher = None
        self.restore()


class _Dispatcher:
    """The thread that tells."""

    def __init__(self, told: dict[int, list[Told]]) -> None:
        self._told = told
        # The one queue that a handler may put into, whatever it interrupts.
        self.arrived: SimpleQueue[int | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._tell, name="worq signals", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _tell(self) -> None:
        leave_to_the_main_thread()
        while (number := self.arrived.get()) is not None:
            for told in dict.fromkeys(self._told.get(number, ())):
                try:
                    told()
                except Exception:  # noqa: BLE001 - it is logged; later signals must be told as well
                    _log.exception("a signal was not heeded by all: %d", number)

    def end(self) -> None:
        self.arrived.put(None)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()


SIGNALS = Signals()
os.register_at_fork(after_in_child=SIGNALS.forget)
