"""Who uses a queue, as little processes: each says what it may do where it is, and where it is after the answer.

A place is None at first, and any hashable value later. What a client knows is what it was answered.
Some use the operations of the contract, some compose their lives from those of the API reference.
"""

from collections.abc import Hashable
from typing import NamedTuple, Protocol

from worq_model import operations as ops
from worq_model.operations import Claimed, Operation, Reply, Submitted
from worq_model.values import Options, Outcome

DONE = "done"


class Role(Protocol):
    """A kind of client."""

    def may_do(self, place: Hashable) -> tuple[Operation, ...]:
        """The operations that it may choose from; none when it has nothing more to do."""
        ...

    def answered(self, place: Hashable, operation: Operation, reply: Reply) -> Hashable:
        """Where it is after the answer."""
        ...


def result_of(message: Hashable, arguments: tuple[tuple[str, Hashable], ...]) -> bytes:
    """What a task returns: from this one sees which task it was, and what arguments it was run with."""
    assert isinstance(message, bytes)
    inner = ", ".join(_shown(argument) for _, argument in arguments)
    return b"%s(%s)" % (message, inner.encode())


def _shown(argument: Hashable) -> str:
    return argument.decode() if isinstance(argument, bytes) else "expired"


class Producer(NamedTuple):
    """Does one operation after the other; its place is how many it has done. A submit that is refused is its last."""

    operations: tuple[Operation, ...]

    def may_do(self, place: Hashable) -> tuple[Operation, ...]:
        done = 0 if place is None else place
        return () if done == DONE else self.operations[done : done + 1]  # type: ignore[misc]

    def answered(self, place: Hashable, operation: Operation, reply: Reply) -> Hashable:
        ...
