"""What a serializer is to worq: the seam between values and the bytes of messages. [ENV-SER-1]"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

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
