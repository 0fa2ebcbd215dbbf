"""Ctrl-C and SIGTERM, noticed where it suits: between two operations of a queue, not within one."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """Somebody asked to stop; the signal says how."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stopping:
    """`check` raises Stopped once a signal has come."""

    def __init__(self) -> None:
        self._number: int | None = None

    def check(self) -> None:
        if self._number is not None:
            raise Stopped(self._number)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal; the second one does at once what it always does."""
        del frame
        self._number = number
        for each in SIGNALS:
            signal.signal(each, signal.default_int_handler)


@contextmanager
def stopping() -> Generator[Stopping]:
    """Notice signals within this block. Only the main thread can; in another nothing is noticed."""
    noticed = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield noticed
        return
    before = {each: signal.signal(each, noticed.note) for each in SIGNALS}
    try:
        yield noticed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
