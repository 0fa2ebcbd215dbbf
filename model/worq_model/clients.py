"""Who uses a queue, as little processes: each says what it may do where it is, and where it is after the answer.

A place is a hashable value; what a client knows is what it was answered. Some use the operations of
the contract, some compose their lives from those of the API reference.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NamedTuple

from worq_model import operations as ops
from worq_model.operations import Claimed, Operation, Reply, Submitted
from worq_model.values import TASK_EXPIRED, Options, Outcome

OPTIONS: Final = Options()

Arguments = tuple[tuple[str, Hashable], ...]


@dataclass(frozen=True)
class Role(ABC):
    """A kind of client. It begins at `start`, once the incarnation that it `knows`, if any, was accepted.

    One that `serves` is never done, but at rest wherever it has nothing in hand.
    """

    name: str = field(kw_only=True, default="", compare=False)
    knows: bytes | None = field(kw_only=True, default=None)
    start: ClassVar[Hashable] = None
    serves: ClassVar[bool] = False

    @abstractmethod
    def may_do(self, place: Any) -> tuple[Operation, ...]:
        """The operations that it may choose from; none when it has nothing more to do."""

    @abstractmethod
    def answered(self, place: Any, reply: Any) -> Hashable:
        """Where it is after the answer."""


def result_of(message: Hashable, arguments: Arguments) -> bytes:
    """What a task returns: it shows which task it was, and with which arguments it was run."""
    inner = b", ".join(as_bytes(argument) for _, argument in arguments)
    return b"%s(%s)" % (as_bytes(message), inner)


def as_bytes(value: Hashable) -> bytes:
    if value == TASK_EXPIRED:
        return b"expired"
    assert isinstance(value, bytes), value
    return value


# With the operations of the contract


@dataclass(frozen=True)
class Producer(Role):
    """Does one operation after the other; its place is how many it has done. A submit that is refused is its last."""

    operations: tuple[Operation, ...]
    start: ClassVar[int] = 0

    def may_do(self, place: int) -> tuple[Operation, ...]:
        return self.operations[place : place + 1]

    def answered(self, place: int, reply: Reply) -> int:
        refused = isinstance(reply, Submitted) and reply.status != "accepted"
        return len(self.operations) if refused else place + 1


class Told(NamedTuple):
    """What a waiter was answered in the end."""

    reply: Reply


@dataclass(frozen=True)
class Waiter(Role):
    """Pops the outcome of a task; its place is what it was told. It expects that result, an expiry or a reservation.

    Without a token it takes whatever has the id.
    """

    id: str
    expects: bytes
    has_token: bool = True

    def may_do(self, place: Told | None) -> tuple[Operation, ...]:
        return (ops.Pop(self.id, self.knows if self.has_token else None),) if place is None else ()

    def answered(self, place: None, reply: Reply) -> Told:
        del place
        return Told(reply)


class Running(NamedTuple):
    """A task in a worker's hands: how often its heart has beaten, and the arguments if it has asked for them."""

    claim: Claimed
    beats: int = 0
    arguments: Arguments | None = None


@dataclass(frozen=True)
class Worker(Role):
    """Claims, beats at most `beats_max` times, and finishes, again and again; its place is the task that it has."""

    beats_max: int = 0
    serves: ClassVar[bool] = True

    def may_do(self, place: Running | None) -> tuple[Operation, ...]:
        if place is None:
            return (ops.Claim(),)
        claim = place.claim
        arguments = tuple(
            (key, TASK_EXPIRED if argument.kind == "expired" else argument.message)
            for key, argument in claim.arguments
        )
        outcome = Outcome("result", result_of(claim.message, arguments))
        finish = ops.Finish(claim.id, outcome, OPTIONS.retention_ms, claim.token)
        if place.beats == self.beats_max:
            return (finish,)
        return finish, ops.Heartbeat(claim.id, OPTIONS.lease_ms, claim.token)

    def answered(self, place: Running | None, reply: Any) -> Running | None:
        if place is None:
            return Running(reply)
        return place._replace(beats=place.beats + 1) if reply is True else None


# Composed by hand from the operations of the API reference, whose answers have no tokens


class Composing(NamedTuple):
    """How far the submit of a task with arguments has come: the step, and the argument that it is about."""

    step: str
    argument: int = 0
    message: bytes = b""


@dataclass(frozen=True)
class HandProducer(Role):
    """Defers a task, reserves its arguments one by one, sets what is there, and gives up if one is not available."""

    defer: ops.Defer
    start: ClassVar[Composing] = Composing("defer")

    def may_do(self, place: Composing) -> tuple[Operation, ...]:
        defer = self.defer
        match place.step:
            case "defer":
                return (defer,)
            case "reserve":
                return (ops.ReserveArgument(defer.args[place.argument], defer.id),)
            case "set":
                return (ops.SetArgument(defer.id, defer.args[place.argument], place.message),)
            case "discard":
                return (ops.Discard(defer.id),)
            case _:
                return ()

    def answered(self, place: Composing, reply: Any) -> Composing:
        match place.step:
            case "defer":
                return Composing("reserve" if reply else "end")
            case "reserve":
                reserved, message = reply
                if not reserved:
                    return Composing("discard")
                return (
                    self._next(place)
                    if message is None
                    else place._replace(step="set", message=message)
                )
            case "set":
                return self._next(place)
            case _:
                return Composing("end")

    def _next(self, place: Composing) -> Composing:
        number = place.argument + 1
        return Composing("reserve", number) if number < len(self.defer.args) else Composing("end")


@dataclass(frozen=True)
class HandWorker(Role):
    """Gets a task, asks for its arguments, and sets its result."""

    serves: ClassVar[bool] = True

    def may_do(self, place: Running | None) -> tuple[Operation, ...]:
        if place is None:
            return (ops.Claim(),)
        if place.arguments is None:
            return (ops.GetArguments(place.claim.id),)
        outcome = Outcome("result", result_of(place.claim.message, place.arguments))
        return (ops.Finish(place.claim.id, outcome, OPTIONS.retention_ms),)

    def answered(self, place: Running | None, reply: Any) -> Running | None:
        if place is None:
            return Running(reply)
        return place._replace(arguments=reply) if place.arguments is None else None
