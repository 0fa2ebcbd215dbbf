"""Pickle, the serializer that is used unless told otherwise.

**Pickles execute code.** Whoever can write to a queue's server can run anything in its workers and
clients.
"""

import io
import pickle
from typing import Any, NoReturn

from worq.serializer.seam import Decode, Encode, StandIn

# What every class that has a stand-in brings into a pickle: the name of its module.
_WORQ = b"worq."


class Pickle:
    """Carries whatever Python can pickle. Reading executes what the message says. [ENV-SER-3]

    It asks for stand-ins only where a pickle names something of worq's: asking costs more than the
    pickle itself.
    """

    def __init__(self, protocol: int = 5) -> None:
        self._protocol = protocol

    def dumps(self, value: object, encode: Encode) -> bytes:
        try:
            message = pickle.dumps(value, self._protocol)
        except Exception:  # noqa: BLE001 - `encode` may have something to say of what can't be pickled
            message = None
        if message is not None and _WORQ not in message:
            return message
        buffer = io.BytesIO()
        _Pickler(buffer, self._protocol, encode).dump(value)
        return buffer.getvalue()

    def loads(self, message: bytes, decode: Decode) -> object:
        if _WORQ not in message:
            return pickle.loads(message)  # noqa: S301 - see above
        return _Unpickler(io.BytesIO(message), decode).load()

    def __repr__(self) -> str:
        return f"Pickle(protocol={self._protocol})"


def restored(stand_in: StandIn) -> NoReturn:
    """Stand in a pickle for what `decode` gives; only worq can read such a pickle."""
    raise pickle.UnpicklingError(f"only worq can read this message: {stand_in!r:.200}")


# So it is called in messages, wherever it stands.
restored.__module__ = "worq.serializer"


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
