"""The errors that worq raises on purpose. Misuse is a plain ValueError or TypeError, before anything has changed."""

from collections.abc import Sequence
from typing import Any, Literal


class WorqError(Exception):
    """The base of worq's own errors.

    `answers`: where it cuts off a bulk operation, what is known to be done of it; its notes say how many. [ENV-BULK-6]
    `deferreds`: where it cuts off `enqueue_many`, what that would have returned for those tasks. [ENV-MANY-8]
    """

    answers: Sequence[object] = ()
    deferreds: Sequence[Any] = ()


class QueueClosed(WorqError):
    """The queue object was closed, by this thread or while it waited. Nothing is lost by it. [ENV-WAIT-7]"""


class BackendUnavailable(WorqError, ConnectionError):
    """The server of a queue could not be reached until the retry deadline had passed. [ENV-RETRY-2]

    `outcome` says what became of the operation: `'not_sent'` (nothing was changed, for certain) or `'unknown'`.
    """

    def __init__(self, message: str, outcome: Literal["not_sent", "unknown"]) -> None:
        super().__init__(message, outcome)
        self.message = message
        self.outcome: Literal["not_sent", "unknown"] = outcome

    def __str__(self) -> str:
        return f"{self.message} (outcome: {self.outcome})"


class BackendUnsupported(WorqError):
    """The server is too old, or its data has another format version. Nothing was changed. [ENV-REDIS-6]"""


class MessageRefused(WorqError, ValueError):
    """A message is not what it has to be, so it was not read: the text says why. [ENV-SER-4] [ENV-SER-6]"""
