"""The values that cross between a client and a backend. Source: SPEC.md, sections 4 and 5."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from worq.const import FAIL, INCARNATION_BYTES, OnError


class Token(NamedTuple):
    """Names one incarnation of an id and, with `start` > 0, one claim of it. [TOK-1]"""

    incarnation: bytes
    start: int = 0

    @classmethod
    def new(cls) -> "Token":
        """A token for a task that is about to be submitted: 16 random bytes, not claimed."""
        try:
            return cls(_INCARNATIONS.pop(), 0)
        except IndexError:
            _draw()
            return cls.new()


# Drawn many at a time: each drawing is a system call in which the thread lets others run.
_INCARNATIONS: list[bytes] = []
_DRAWN_AT_ONCE = 128


def _draw() -> None:
    drawn = os.urandom(_DRAWN_AT_ONCE * INCARNATION_BYTES)
    _INCARNATIONS.extend(
        drawn[i : i + INCARNATION_BYTES] for i in range(0, len(drawn), INCARNATION_BYTES)
    )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_INCARNATIONS.clear)  # it draws its own


class Submittable(Protocol):
    """What a backend reads of the task it is given; times in seconds. SPEC.md, section 5."""

    @property
    def id(self) -> str: ...
    @property
    def token(self) -> Token | None: ...
    @property
    def ignore_result(self) -> bool: ...
    @property
    def on_error(self) -> OnError: ...
    @property
    def heartrate(self) -> float: ...
    @property
    def result_timeout(self) -> float: ...
    @property
    def attempts(self) -> int: ...


class Request(NamedTuple):
    """The plainest `Submittable`: a task as a backend sees it. Without a token, one is made for it."""

    id: str
    token: Token | None = None
    ignore_result: bool = False
    on_error: OnError = FAIL
    heartrate: float = 30.0
    result_timeout: float = 3600.0
    attempts: int = 1


OutcomeKind = Literal["result", "failure", "expired"]


class Outcome(NamedTuple):
    """How a task ended. `message` is None for an expiry.

    `source_id` is the task that it first happened to, None for the task itself. [OUT-3]
    """

    kind: OutcomeKind
    message: bytes | None = None
    source_id: str | None = None


EXPIRED = Outcome("expired")


class Submitted(NamedTuple):
    """The answer to a submit. [SUB-1] [SUB-2]

    `argument_id` names the first argument that is unavailable [SUB-3]. `outcome` is that of a task
    with `ignore_result` which has ended at once, else None [SUB-8].
    """

    status: Literal["accepted", "duplicate", "unavailable"]
    argument_id: str | None = None
    outcome: Outcome | None = None


class Claim(NamedTuple):
    """One start of a task, leased to whoever holds it. [CLM-1] [CLM-4]

    `arguments` maps the id of each argument to its outcome.
    """

    id: str
    token: Token
    message: bytes
    arguments: Mapping[str, Outcome]


class Finished(NamedTuple):
    """The answer to a finish: was the claim current, and which dependent got the outcome. [FIN-1] [FIN-2]"""

    accepted: bool
    dependent_id: str | None = None


NO_ARGS: Mapping[str, Token | None] = MappingProxyType({})


class Submission(NamedTuple):
    """One submit of many: what `submit` is given. [ENV-BULK-1]"""

    result: Submittable
    message: bytes
    args: Mapping[str, Token | None] = NO_ARGS
    outcome: Outcome | None = None


class Finishing(NamedTuple):
    """One finish of many: what `finish` is given. [ENV-BULK-1]"""

    task_id: str
    message: bytes
    timeout: float
    token: Token | None = None
    failed: bool = False
