"""What a serializer is to worq: the seam between values and the bytes of messages. [ENV-SER-1]"""

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, Protocol

from worq.checks import shown

SECRET: Final = "WORQ_SECRET"
"""The environment variable with the keys of what signs, separated by white space; the first one signs."""

SIGNATURE: Final = b"worqsig"
"""What a signed message begins with, whatever its version."""

StandIn = list[Any]
"""What stands in a message for an object of worq's: a list of str, bytes, and such lists."""

Encode = Callable[[object], StandIn | None]
"""Asked for every object that is no plain value: its stand-in, or None to serialize it as usual."""

Decode = Callable[[StandIn], object]
"""Asked for the object that a stand-in stands for."""


class Serializer(Protocol):
    """What turns values into bytes and back. Thread-safe.

    Besides what tasks take and return it carries worq's own envelopes: lists of bool, int, float
    (infinity too), str, bytes, dicts with str keys, and such lists, which may come back as tuples.
    What `encode` and `decode` raise passes through.
    """

    def dumps(self, value: object, encode: Encode) -> bytes:
        """The value as bytes, with the stand-ins that `encode` gives. Raises what it likes."""
        ...

    def loads(self, message: bytes, decode: Decode) -> object:
        """The value again, with what `decode` gives for each stand-in. Raises what it likes."""
        ...


Kind = Literal["task", "result", "failure", "outcome", "value"]
"""What a message is for. Only readers say `outcome`: a result or a failure. `value`: of `Broker.serialize`."""


class Place(NamedTuple):
    """Where a message belongs: one that is found elsewhere is refused. [ENV-SER-6]

    `incarnation`: that of the task; None if whoever reads does not know which it must be. A failure
    that came from an argument has the place of that: whoever reads knows no more of it than the id.
    """

    kind: Kind
    queue: str
    task_id: str
    incarnation: bytes | None = None


class Sealing(Serializer, Protocol):
    """A serializer that closes each whole message too, as by a signature or a cipher.

    `dumps` and `loads` are asked for the parts of a message, `seal` and `unseal` for all of it.
    """

    def seal(self, message: bytes, place: Place) -> bytes:
        """The message, closed for that place."""
        ...

    def unseal(self, message: bytes, place: Place) -> bytes:
        """What `seal` was given. MessageRefused if it was not closed, by somebody who may, for that place."""
        ...


class NotPlain(TypeError):
    """A value that is not plain data. `path`: the indices and keys that lead to it."""

    def __init__(self, value: object, reason: str) -> None:
        super().__init__(value, reason)
        self.value = value
        self.reason = reason
        self.path: list[int | str] = []

    def __str__(self) -> str:
        where = self.where()
        return f"{where}{': ' if where else ''}{shown(self.value)}: {self.reason}"

    def where(self, skip: int = 0) -> str:
        """The path as one would write it, without its first steps: `[0]['key']`."""
        return "".join(f"[{step!r}]" for step in self.path[skip:])


def check_serializer(value: object) -> Serializer:
    """TypeError for what has no `dumps` and `loads`. [ENV-BAD-5]"""
    for method in ("dumps", "loads"):
        if not callable(getattr(value, method, None)):
            raise TypeError(f"serializer: one with dumps and loads is needed, not {value!r}")
    return value  # type: ignore[return-value]
