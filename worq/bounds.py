"""How long the calls of a block may take together, whatever the server does. [ENV-RETRY-3]"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_unsent_s: ContextVar[float | None] = ContextVar("worq_unsent_s", default=None)
_until_s: ContextVar[float | None] = ContextVar("worq_calls_until_s", default=None)


@contextmanager
def calls_within(seconds: float) -> Generator[None]:
    """Have calls of this thread that do not wait give up after so many seconds, counted from here.

    Each gives up at its own retry deadline, or then if that is earlier, and raises BackendUnavailable.
    Of blocks within one another the earliest moment counts.
    """
    until_s = time.monotonic() + seconds
    outer_s = _until_s.get()
    before = _until_s.set(until_s if outer_s is None else min(outer_s, until_s))
    try:
        yield
    finally:
        _until_s.reset(before)


@contextmanager
def unsent_within(seconds: float) -> Generator[None]:
    """Have calls of this thread give up so long after their first failure, as long as nothing was done by them.

    One that may have been done goes on until its retry deadline, or its answer would be lost. [ENV-POOL-25]
    """
    before = _unsent_s.set(seconds)
    try:
        yield
    finally:
        _unsent_s.reset(before)


def unsent_s() -> float | None:
    """How long a call that did nothing is tried again, at most; None if there is no such bound."""
    return _unsent_s.get()


def until_s() -> float | None:
    """The moment at which calls give up, by `time.monotonic`; None if there is none."""
    return _until_s.get()


def is_over() -> bool:
    """Whether that moment has passed."""
    until_s = _until_s.get()
    return until_s is not None and time.monotonic() >= until_s
