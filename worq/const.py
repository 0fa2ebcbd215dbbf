"""The words that cross worq's public API: states, options, sentinels. Source: SPEC.md, sections 2 and 3."""

from enum import Enum
from typing import Final, Literal

PENDING: Final = "pending"
ENQUEUED: Final = "enqueued"
PROCESSING: Final = "processing"
COMPLETED: Final = "completed"
SUCCESS: Final = "success"
FAILED: Final = "failed"

State = Literal["pending", "enqueued", "processing", "completed"]
"""The states of a task in a queue; absent is None. [STA-1] [STA-2]"""
Status = Literal["pending", "enqueued", "processing", "completed", "success", "failed"]
"""What `Deferred.status` says; None for an absent task. [DEF-6]"""

FAIL: Final = "fail"
PASS: Final = "pass"
OnError = Literal["fail", "pass"]
"""What a failed argument does to its dependent. [OUT-2] [OUT-3]"""

DEFAULT: Final = "default"
"""The name of the queue when none is given."""

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
TIMEOUT_S_MAX: Final = 10**9
ATTEMPTS_MAX: Final = 1_000_000
INCARNATION_BYTES: Final = 16
NAME_BYTES_MAX: Final = 1_024
ARGUMENTS_MAX: Final = 10_000


class Sentinel(Enum):
    """Answers that are no message. They compare by identity, across pickling too."""

    RESERVED = "reserved"
    TASK_EXPIRED = "task expired"

    def __repr__(self) -> str:
        return self.name


RESERVED: Final = Sentinel.RESERVED
"""The outcome is promised to a dependent; not final. [POP-3]"""
TASK_EXPIRED: Final = Sentinel.TASK_EXPIRED
"""Not here, nor coming. [POP-1]"""
