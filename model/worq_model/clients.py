"""Who uses a queue, as little processes: each says what it may do where it is, and where it is after the answer.

A place is a hashable value; what a client knows is what it was answered. Some use the operations of
the contract, some compose their lives from those of the API reference.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

from worq_model import operations as ops
from worq_model.operations import Claimed, Operation, Reply, Submitted
from worq_model.values import TASK_EXPIRED, Options, Outcome

Arguments = tuple[tuple[str, Hashable], ...]


class Role(Protocol):
    """A kind of client. It begins at `start`, once the incarnation that it `knows`, if any, was accepted.

    One that `serves` is never done: it is at rest where it began.
    """

    @property
    def name(self) -> str: ...

    @property
    def start(self) -> Hashable: ...

    @property
    def knows(self) -> bytes | None: ...

    @property
    def serves(self) -> bool: ...

    def may_do(self, place: Any) -> tuple[Operation, ...]:
        """The operations that it may choose from; none when it has nothing more to do."""
        ...

    def answered(self, place: Any, operation: Any, reply: Any) -> Hashable:
        """Where it is after the answer."""
        ...


def result_of(message: Hashable, arguments: Arguments) -> bytes:
    """What a task returns: it shows which task it was, and with which arguments it was run."""
    inner = b", ".join(_bytes(argument) for _, argument in arguments)
    return b"%s(%s)" % (_bytes(message), inner)


def _bytes(message: Hashable) -> bytes:
    if message == TASK_EXPIRED:
        return b"expired"
    assert isinstance(message, bytes), message
    return message


# With the operations of the contract


@dataclass(frozen=True)
class Producer:
    """Does one operation after the other; its place is how many it has done. A submit that is refused is its last."""

    operations: tuple[Operation, ...]
    name: str = field(default="producer", compare=False)
    knows: bytes | None = None
    serves: ClassVar[bool] = False
    start: ClassVar[int] = 0

    def may_do(self, place: int) -> tuple[Operation, ...]:
        return self.operations[place : place + 1]

    def answered(self, place: int, operation: Operation, reply: Reply) -> int:
        refused = isinstance(reply, Submitted) and reply.status != "accepted"
        return len(self.operations) if refused else place + 1


class Told(NamedTuple):
    """What a waiter was answered in the end."""

    reply: Reply


@dataclass(frozen=True)
class Waiter:
    """Waits for a task until it is told something; its place is what. Without a token it waits for whatever has the id.

    It `expects` that result, or that the task expires or is reserved.
    """

    id: str
    knows: bytes
    expects: bytes
    name: str = field(default="waiter", compare=False)
    has_token: bool = True
    serves: ClassVar[bool] = False
    start: ClassVar[None] = None

    def may_do(self, place: Told | None) -> tuple[Operation, ...]:
        return (ops.Pop(self.id, self.knows if self.has_token else None),) if place is None else ()

    def answered(self, place: None, operation: ops.Pop, reply: Reply) -> Told:
        return Told(reply)


class Running(NamedTuple):
    """A task in a worker's hands: how often its heart has beaten, and its arguments if it has them."""

    claim: Claimed
    beats: int = 0
    arguments: Arguments | None = None


@dataclass(frozen=True)
class Worker:
    """Claims, beats at most `beats_max` times, and finishes, again and again; its place is the task that it has."""

    name: str = field(default="worker", compare=False)
    beats_max: int = 0
    options: Options = Options()
    knows: bytes | None = None
    serves: ClassVar[bool] = True
    start: ClassVar[None] = None

    def may_do(self, place: Running | None) -> tuple[Operation, ...]:
        if place is None:
            return (ops.Claim(),)
        claim = place.claim
        arguments = tuple((key, outcome.message) for key, outcome in claim.arguments)
        outcome = Outcome("result", result_of(claim.message, arguments))
        finish = ops.Finish(claim.id, outcome, self.options.retention_ms, claim.token)
        if place.beats == self.beats_max:
            return (finish,)
        return finish, ops.Heartbeat(claim.id, self.options.lease_ms, claim.token)

    def answered(
        self, place: Running | None, operation: Operation, reply: Reply
    ) -> Running | None:
        if place is None:
            assert isinstance(reply, Claimed)
            return Running(reply)
        if isinstance(operation, ops.Heartbeat) and reply is True:
            return place._replace(beats=place.beats + 1)
        return None


# Composed by hand from the operations of the API reference, which know no tokens


class Composing(NamedTuple):
    """How far the submit of a task with arguments has come: the step, and the argument it is about."""

    step: str
    argument: int = 0
    message: bytes = b""


@dataclass(frozen=True)
class HandProducer:
    """Defers a task, reserves its arguments one after the other, sets those that are there, and gives it up if one is not."""

    defer: ops.Defer
    name: str = field(default="producer", compare=False)
    knows: bytes | None = None
    serves: ClassVar[bool] = False
    start: ClassVar[Composing] = Composing("defer")

    def may_do(self, place: Composing) -> tuple[Operation, ...]:
        match place.step:
            case "defer":
                return (self.defer,)
            case "reserve":
                return (ops.ReserveArgument(self.defer.args[place.argument], self.defer.id),)
            case "set":
                argument_id = self.defer.args[place.argument]
                return (ops.SetArgument(self.defer.id, argument_id, place.message),)
            case "discard":
                return (ops.Discard(self.defer.id),)
            case _:
                return ()

    def answered(self, place: Composing, operation: Operation, reply: Any) -> Composing:
        match place.step:
            case "defer":
                return Composing("reserve" if reply else "end")
            case "reserve":
                reserved, message = reply
                if not reserved:
                    return Composing("discard")
                return self._next(place) if message is None else place._replace(step="set", message=message)
            case "set":
                return self._next(place)
            case _:
                return Composing("end")

    def _next(self, place: Composing) -> Composing:
        number = place.argument + 1
        return Composing("reserve", number) if number < len(self.defer.args) else Composing("end")


@dataclass(frozen=True)
class HandWorker:
    """Gets a task, asks for its arguments, and sets its result."""

    name: str = field(default="worker", compare=False)
    options: Options = Options()
    knows: bytes | None = None
    serves: ClassVar[bool] = True
    start: ClassVar[None] = None

    def may_do(self, place: Running | None) -> tuple[Operation, ...]:
        if place is None:
            return (ops.Claim(),)
        if place.arguments is None:
            return (ops.GetArguments(place.claim.id),)
        outcome = Outcome("result", result_of(place.claim.message, place.arguments))
        return (ops.Finish(place.claim.id, outcome, self.options.retention_ms),)

    def answered(self, place: Running | None, operation: Operation, reply: Any) -> Running | None:
        if place is None:
            return Running(reply)
        return place._replace(arguments=reply) if place.arguments is None else None
