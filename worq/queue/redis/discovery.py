"""Finding the server that has a queue: the primary that sentinels name [ENV-REDIS-11], or a slot's [ENV-REDIS-12].

They are asked whenever a connection is made, over a connection of its own that is closed at once; so there is nothing
to keep up to date, and after a failover the next try goes to the new primary.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias, cast

import redis.exceptions as redis_errors
from redis.crc import key_slot

from worq.errors import BackendUnsupported
from worq.queue.redis.channel import Connection
from worq.queue.redis.retry import UnknownService, meaning, said
from worq.queue.redis.seeds import Address

ASK_TIMEOUT_S: Final = 0.5
"""How long one of those that are asked may take to be reached, and again to answer, before another one is asked."""
ASKED_MAX: Final = 5
"""How many nodes of a cluster are asked in one try. The next one begins behind them."""
_INFO: Final = b"*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n"
_LOST: Final = (redis_errors.RedisError, OSError)
_MOVED: Final = re.compile(r"(?:MOVED )?\d+ (\S*):(\d+)")

Connect: TypeAlias = Callable[[Address], Connection]


class Place(Protocol):
    """Where a queue is, as far as is known. Thread-safe; it holds nothing that is open."""

    def find(self) -> Address:
        """An error of redis-py if nobody says."""
        ...

    @property
    def question(self) -> bytes:
        """What a new connection asks its server first; empty for nothing."""
        ...

    def judge(self, address: Address, answer: bytes) -> None:
        """Raise if a server that answers so can't be used."""
        ...

    def lost(self, error: Exception) -> None:
        """A call failed: what was known may be wrong."""
        ...

    def primaries(self) -> list[Address]:
        """All servers that keys are on."""
        ...


class Sentinels:
    """The primary that they name, which must take itself for one."""

    def __init__(self, addresses: Sequence[Address], service: str, connect: Connect) -> None:
        self._order = tuple(addresses)
        self._service = service
        self._connect = connect

    def find(self) -> Address:
        errors: dict[Address, Exception] = {}
        for sentinel in self._order:
            try:
                return self._named_by(sentinel)
            except _LOST as error:
                errors[sentinel] = error
        all_said = "; ".join(f"{sentinel}: {said(error)}" for sentinel, error in errors.items())
        text = f"no sentinel says where {self._service!r} is: {all_said}"
        if all(meaning(error) in ("final", "bug") for error in errors.values()):
            raise UnknownService(text)
        raise redis_errors.ConnectionError(text)

    def _named_by(self, sentinel: Address) -> Address:
        command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
        answer = _ask(self._connect(sentinel), command)
        if answer is None:
            raise UnknownService(f"it knows of no {self._service!r}")
        host, port = cast("tuple[bytes, bytes]", answer)
        return Address(host.decode(), int(port))

    question = _INFO

    def judge(self, address: Address, answer: bytes) -> None:
        if b"role:master" not in answer:
            raise redis_errors.ConnectionError(f"{address} is not the primary of {self._service!r}")

    def lost(self, error: Exception) -> None:
        """The one that was asked may not have heard of a failover, so another is asked first."""
        del error
        self._order = (*self._order[1:], self._order[0])

    def primaries(self) -> list[Address]:
        return [self.find()]


class Cluster:
    """The node that has the slot of a key."""

    def __init__(self, addresses: Sequence[Address], key: str, connect: Connect) -> None:
        self._slot: int = key_slot(key.encode())
        self._seeds = tuple(addresses)
        self._nodes = self._seeds
        self._at: Address | None = None
        self._connect = connect

    def find(self) -> Address:
        at = self._at
        if at is None:
            for first, last, primary in self._slots():
                if first <= self._slot <= last:
                    at = self._at = primary
        if at is None:
            raise redis_errors.ConnectionError(f"no node of the cluster has slot {self._slot}")
        return at

    question = b""  # a node that hasn't the slot says so itself, whatever it is asked

    def judge(self, address: Address, answer: bytes) -> None:
        raise NotImplementedError

    def lost(self, error: Exception) -> None:
        moved = _MOVED.match(str(error)) if is_moved(error) else None
        if moved is not None:
            self._at = _at((moved[1].strip("[]"), moved[2]), self._at or self._nodes[0])
        elif not is_resharding(error):
            self._at = None
            self._nodes = (*self._nodes[1:], self._nodes[0])

    def primaries(self) -> list[Address]:
        return sorted({primary for _, _, primary in self._slots()})

    def _slots(self) -> list[tuple[int, int, Address]]:
        """First, last, primary of them, by the first node that says so."""
        errors: list[str] = []
        for node in self._nodes[:ASKED_MAX]:
            try:
                answer = _ask(self._connect(node), ("CLUSTER", "SLOTS"))
            except _LOST as error:
                if meaning(error) == "bug":
                    raise BackendUnsupported(f"{node} is no node of a cluster: {error}") from error
                if meaning(error) == "final":
                    raise
                errors.append(f"{node}: {said(error)}")
                continue
            rows = [(int(row[0]), int(row[1]), _node(row[2], node)) for row in answer]
            found = (_node(each, node) for row in answer for each in row[2:])
            self._nodes = tuple(dict.fromkeys((node, *found, *self._seeds)))
            return rows
        passed = min(ASKED_MAX, len(self._nodes)) - 1  # and one by `lost`
        self._nodes = (*self._nodes[passed:], *self._nodes[:passed])
        raise redis_errors.ConnectionError(f"no node of the cluster answers: {'; '.join(errors)}")


class Led:
    """A connection to wherever the place is when it is made."""

    def __init__(self, place: Place, connect: Connect) -> None:
        self._place = place
        self._connect = connect
        self._connection: Connection | None = None

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_connected

    @property
    def _sock(self) -> Any:
        """For whoever interrupts it: `Channel.interrupt`."""
        return getattr(self._connection, "_sock", None)

    def send_packed_command(self, command: list[bytes], *, check_health: bool) -> None:
        if not self.is_connected:
            self._make()
        self._made.send_packed_command(command, check_health=check_health)

    def _make(self) -> None:
        address = self._place.find()
        self._connection = self._connect(address)
        if not self._place.question:
            return
        try:
            self._connection.send_packed_command([self._place.question], check_health=False)
            self._place.judge(address, self._connection.read_response())
        except BaseException:
            self.disconnect()
            raise

    @property
    def _made(self) -> Connection:
        if self._connection is None:
            raise redis_errors.ConnectionError("not connected")
        return self._connection

    def read_response(self) -> Any:
        return self._made.read_response()

    def can_read(self, timeout: float = 0) -> bool:
        return self._made.can_read(timeout)

    def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()


def is_moved(error: Exception) -> bool:
    """Does the server say that another node of its cluster has the key?"""
    return isinstance(error, redis_errors.MovedError) or str(error).startswith("MOVED ")


def is_resharding(error: Exception) -> bool:
    """Is the slot on its way to another node? Where it was is still who knows."""
    kinds = (redis_errors.AskError, redis_errors.TryAgainError)
    if isinstance(error, redis_errors.MovedError):
        return False
    return isinstance(error, kinds) or str(error).startswith(("ASK ", "TRYAGAIN"))


def _ask(connection: Connection, command: Sequence[str]) -> Any:
    """The answer, over a connection that is only for that."""
    packed = b"*%d\r\n" % len(command) + b"".join(_packed(part.encode()) for part in command)
    try:
        connection.send_packed_command([packed], check_health=False)
        return connection.read_response()
    finally:
        with suppress(*_LOST):
            connection.disconnect()


def _packed(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)


def _node(fields: Sequence[Any], asked: Address) -> Address:
    """Of an answer to CLUSTER SLOTS."""
    return _at(((fields[0] or b"").decode(), fields[1]), asked)


def _at(place: tuple[str, str | int], asked: Address) -> Address:
    """A node that does not know its own host leaves that out."""
    host, port = place
    return Address(asked.host if host in ("", "?") else host, int(port))
