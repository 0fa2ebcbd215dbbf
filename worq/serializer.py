"""The seam between worq and the bytes of its messages, and pickle behind it. [ENV-SER-1]

**Pickles execute code.** Whoever can write to a queue's server can run anything in its workers and
clients.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

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


def check_serializer(value: Any) -> Serializer:
    """TypeError for what has no `dumps` and `loads`. [ENV-BAD-5]"""
    for method in ("dumps", "loads"):
        if not callable(getattr(value, method, None)):
            raise TypeError(f"serializer: one with dumps and loads is needed, not {value!r}")
    serializer: Serializer = value
    return serializer


# What every class that has a stand-in brings into a pickle: the name of its module.
_WORQ = b"worq."


class Pickle:
    """The serializer that is used unless told otherwise.

    It asks for stand-ins only where a pickle names something of worq's: asking costs more than the
    pickle itself.
    """

    def __init__(self, protocol: int = 5) -> None:
        self._protocol = protocol

    def dumps(self, value: object, encode: Encode) -> bytes:
        plain = self._plain(value)
        if plain is not None:
            return plain
        buffer = io.BytesIO()
        _Pickler(buffer, self._protocol, encode).dump(value)
        return buffer.getvalue()

    def _plain(self, value: object) -> bytes | None:
        """The pickle of what has nothing of worq's in it."""
        try:
            message = pickle.dumps(value, self._protocol)
        except Exception:  # noqa: BLE001 - `encode` may have something to say of what can't be pickled
            return None
        return None if _WORQ in message else message

    def loads(self, message: bytes, decode: Decode) -> object:
        if _WORQ not in message:
            return pickle.loads(message)
        return _Unpickler(io.BytesIO(message), decode).load()

    def __repr__(self) -> str:
        return f"Pickle(protocol={self._protocol})"


def restored(stand_in: StandIn) -> NoReturn:
    """Stand in a pickle for what `decode` gives; only worq can read such a pickle."""
    raise pickle.UnpicklingError(f"only worq can read this message: {stand_in!r:.200}")


class _Pickler(pickle.Pickler):
    # Persistent ids would do too, but are asked for each integer: six times slower on large lists.

    def __init__(self, file: io.BytesIO, protocol: int, encode: Encode) -> None:
        super().__init__(file, protocol)
        self._encode = encode

    def reducer_override(self, obj: object, /) -> Any:
        stand_in = self._encode(obj)
        return NotImplemented if stand_in is None else (restored, (stand_in,))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, decode: Decode) -> None:
        super().__init__(file)
        self._decode = decode

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) == (restored.__module__, restored.__name__):
            return self._decode
        return super().find_class(module_name, global_name)
