"""The operations of a backend, as values, and their answers. SPEC.md, sections 5 and 6.

Those operations of the API reference that are the contract's under another name have no value of their own.
`incarnation` and `token` are None for "whatever is there" [TOK-2].
"""

from collections.abc import Hashable
from typing import Literal, NamedTuple

from worq_model.values import Options, Outcome, Token


class Submit(NamedTuple):
    id: str
    incarnation: Hashable
    message: Hashable
    args: tuple[tuple[str, Hashable], ...] = ()  # (argument id, its incarnation or None)
    outcome: Outcome | None = None
    options: Options = Options()


class Claim(NamedTuple):
    pass


class Finish(NamedTuple):
    id: str
    outcome: Outcome
    retention_ms: int | None
    token: Token | None = None


class Heartbeat(NamedTuple):
    id: str
    lease_ms: int
    token: Token | None = None


class Release(NamedTuple):
    id: str
    token: Token | None = None
    begun: bool = True


class Pop(NamedTuple):
    id: str
    incarnation: Hashable = None


class Discard(NamedTuple):
    id: str
    incarnation: Hashable = None


class Purge(NamedTuple):
    pass


class Size(NamedTuple):
    pass


class Status(NamedTuple):
    id: str
    incarnation: Hashable = None


class Defer(NamedTuple):
    id: str
    incarnation: Hashable
    message: Hashable
    args: tuple[str, ...]
    options: Options = Options()


class Undefer(NamedTuple):
    id: str
    incarnation: Hashable = None


class ReserveArgument(NamedTuple):
    argument_id: str
    deferred_id: str
    incarnation: Hashable = None
    deferred_incarnation: Hashable = None


class SetArgument(NamedTuple):
    id: str
    argument_id: str
    message: Hashable
    incarnation: Hashable = None


class GetArguments(NamedTuple):
    id: str
    token: Token | None = None


Operation = (
    Submit | Claim | Finish | Heartbeat | Release | Pop | Discard | Purge | Size | Status
    | Defer | Undefer | ReserveArgument | SetArgument | GetArguments
)  # fmt: skip


class Submitted(NamedTuple):
    status: Literal["accepted", "duplicate", "unavailable"]
    argument_id: str | None = None  # the first that is unavailable
    outcome: Outcome | None = None  # with which a task of no result has ended at once [SUB-8]


class Claimed(NamedTuple):
    id: str
    token: Token
    message: Hashable
    arguments: tuple[tuple[str, Outcome], ...]  # in the order of ids


class Finished(NamedTuple):
    accepted: bool
    dependent_id: str | None = None


def is_accepted(reply: Hashable) -> bool:
    """Whether this answers a submit or a defer that was accepted."""
    return reply is True or (isinstance(reply, Submitted) and reply.status == "accepted")


Reply = Hashable
"""What an operation answers: one of the above, an `Outcome`, a state, a number, a truth value, or None."""
