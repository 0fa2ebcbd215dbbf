"""What a failed call means, and how long it is tried again.

| what failed | what it means | then |
|---|---|---|
| connecting, sending | the server has not got the whole command, so it did nothing | again |
| reading, or a time-out | it may have been done: `unknown`, unless a later try answers | again |
| an answer in `REFUSALS` | the server refused before it changed anything | again |
| authentication, permissions, certificates, no such database | it will not get better | BackendUnavailable at once |
| any other error that the server answers | a bug | the error of redis-py |

Sending again is harmless: the operation keeps its number, and the session's receipt has its answer. [ENV-RETRY-1]
The first try after a failure follows at once, the next after 50 ms, then twice as long each time up to 1 s, until
the retry deadline has passed, counted from the first failure. After a refusal the connection is made anew, since
the server may have lost its role to another.
"""

import random
import re
import threading
import time
from typing import Literal

import redis.exceptions as redis_errors

from worq.errors import BackendUnavailable, QueueClosed, WorqError
from worq.queue.redis import rights, tls

DELAY_S_MIN = 0.05
DELAY_S_MAX = 1.0
REFUSALS = (
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
)
"""Codes of errors. Where a script meets one, it is at its first write: the server checks no later."""
_REFUSED = re.compile(rf"\b({'|'.join(REFUSALS)})\b")
# redis-py takes the code off those that it has a class for.
_REFUSED_CLASSES = tuple(
    getattr(redis_errors, name)
    for name in (
        "AskError",  # MovedError too
        "BusyLoadingError",
        "ClusterDownError",
        "MasterDownError",
        "OutOfMemoryError",
        "ReadOnlyError",
        "TryAgainError",
    )
    if hasattr(redis_errors, name)
)
NO_DATABASE = "DB index is out of range"


class UnknownService(redis_errors.RedisError):
    """No sentinel knows of a primary of that name."""


_FINAL = (redis_errors.AuthenticationError, UnknownService)

Meaning = Literal["lost", "refused", "final", "bug"]


def meaning(error: Exception) -> Meaning:
    if isinstance(error, _FINAL) or _advice(error) or NO_DATABASE in str(error):
        return "final"
    if isinstance(error, _REFUSED_CLASSES):
        return "refused"
    if isinstance(error, redis_errors.ResponseError):
        return "refused" if _REFUSED.search(str(error)) else "bug"
    return "lost"


def said(error: Exception) -> str:
    """The error, and what is to be done if no other try will mend it."""
    advice = _advice(error)
    return f"{error}; {advice}" if advice else str(error)


def _advice(error: Exception) -> str | None:
    return rights.advice(error) or tls.advice(error)


class Tries:
    """The tries of one operation. `closed` ends the pauses between them."""

    def __init__(
        self,
        where: str,
        deadline_s: float,
        until_s: float | None,
        closed: threading.Event,
        unsent_s: float | None = None,
    ) -> None:
        """`deadline_s`: the retry deadline, from the first failure on. `until_s`: a moment that ends them too.

        `unsent_s`: a deadline that counts as long as nothing can have been done.
        """
        self._where = where
        self._deadline_s = deadline_s
        self._until_s = until_s
        self._closed = closed
        self._unsent_s = deadline_s if unsent_s is None else min(unsent_s, deadline_s)
        self._unsent_at = 0.0
        self._give_up_at: float | None = None
        self._delay_s = 0.0
        self._outcome: Literal["not_sent", "unknown"] = "not_sent"

    def failed(self, error: Exception, *, may_be_done: bool) -> None:
        """Return when it is time for another try; else raise what the caller gets. [ENV-RETRY-2]"""
        if self._closed.wait(self.pause_s(error, may_be_done=may_be_done)):
            raise self.cut_off(error) from error

    def pause_s(self, error: Exception, *, may_be_done: bool) -> float:
        """How long until it is time for another try; else raise what the caller gets."""
        means = meaning(error)
        if means == "bug":
            raise error
        if (means == "lost" and may_be_done) or rights.is_half_done(error):
            self._outcome = "unknown"
        now = time.monotonic()
        if self._give_up_at is None:
            self._give_up_at = now + self._deadline_s
            self._unsent_at = now + self._unsent_s
            if self._until_s is not None:
                self._give_up_at = min(self._give_up_at, self._until_s)
        give_up_at = self._give_up_at
        if self._outcome == "not_sent":
            give_up_at = min(give_up_at, self._unsent_at)
        if means == "final" or now >= give_up_at:
            raise BackendUnavailable(f"{self._where}: {said(error)}", self._outcome) from error
        pause_s = min(self._delay_s * random.uniform(0.5, 1), give_up_at - now)  # noqa: S311
        self._delay_s = min(max(DELAY_S_MIN, 2 * self._delay_s), DELAY_S_MAX)
        return pause_s

    def cut_off(self, error: Exception) -> WorqError:
        """What the caller gets where `close` ends the pause."""
        if self._outcome == "unknown":
            return BackendUnavailable(f"{self._where}: closed: {error}", "unknown")
        return QueueClosed(f"{self._where}: the queue was closed")
