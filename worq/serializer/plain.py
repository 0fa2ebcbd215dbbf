"""Serializers that carry data and nothing else: reading a message makes values, and runs no code. [ENV-SER-4]"""

import base64
import importlib
import json
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeGuard, cast

from worq.checks import shown
from worq.errors import MessageRefused
from worq.serializer.seam import Decode, Encode, NotPlain, StandIn

DEPTH_MAX = 100
"""So deep lists and dicts may be nested: what one process could write, another can read."""

_STR = frozenset({str})
# No subclasses: what goes in is what comes out.
_JSON_SCALARS = frozenset({type(None), bool, int, float, str})
_MSGPACK_SCALARS = _JSON_SCALARS | {bytes}


class _Raised(Exception):
    """Carries what `decode` raised past whoever parses."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class _Plain:
    """Makes values of lists, dicts with str keys and scalars, for one message. NotPlain for others."""

    def __init__(
        self,
        scalars: frozenset[type],
        encode: Encode,
        box: Callable[[StandIn], object],
        others: Callable[[object], object] = lambda value: None,
        escape: Callable[[dict[str, Any]], dict[str, Any]] = lambda value: value,
    ) -> None:
        """`box`: what carries a stand-in; `others`: what carries another value, or None; `escape`: a dict."""
        self._scalars = scalars
        self._encode = encode
        self._box = box
        self._others = others
        self._escape = escape

    def of(self, value: object, depth_left: int = DEPTH_MAX) -> object:
        kind = type(value)
        if kind in self._scalars:
            return value
        if kind is list or kind is tuple:
            return self._list(cast("Sequence[object]", value), depth_left)
        if kind is dict:
            return self._dict(cast("dict[object, object]", value), depth_left)
        if (other := self._others(value)) is not None:
            return other
        stand_in = self._encode(value)
        if stand_in is None:
            raise NotPlain(
                value,
                f"its type is {kind.__qualname__}, and only None, bool, int, float, str, bytes, "
                "and lists, tuples and dicts of them are carried",
            )
        return self._box(stand_in)

    def _list(self, values: Sequence[object], depth_left: int) -> object:
        _check_depth(values, depth_left)
        if self._scalars.issuperset(map(type, values)):  # most are, and so nothing is slow
            return values
        made: list[object] = []
        for index, value in enumerate(values):
            try:
                made.append(self.of(value, depth_left - 1))
            except NotPlain as error:
                error.path.insert(0, index)
                raise
        return made

    def _dict(self, values: dict[object, object], depth_left: int) -> object:
        _check_depth(values, depth_left)
        if not _STR.issuperset(map(type, values)):
            key = next(key for key in values if type(key) is not str)
            raise NotPlain(
                key, f"its type is {type(key).__qualname__}, and the keys of a dict are str"
            )
        made: dict[str, object] = {}
        for key, value in cast("dict[str, object]", values).items():
            try:
                made[key] = self.of(value, depth_left - 1)
            except NotPlain as error:
                error.path.insert(0, key)
                raise
        return self._escape(made)


def _check_depth(value: object, depth_left: int) -> None:
    if not depth_left:
        raise NotPlain(value, f"it lies more than {DEPTH_MAX} levels deep, or contains itself")


class Json:
    """Carries data as JSON, in ASCII: None, bool, int, float, str, bytes, lists, and dicts with str keys.

    A tuple comes back as a list. What JSON lacks is `{"!": [kind, ...]}`: `ascii` and `base64` are
    bytes, `worq` a stand-in, and `dict` a dict that has a key `!` of its own, as pairs.
    """

    _encoder = json.JSONEncoder(check_circular=False, separators=(",", ":"))

    def dumps(self, value: object, encode: Encode) -> bytes:
        plain = _Plain(_JSON_SCALARS, encode, self._boxed, self._other, self._escaped)
        # Stand-ins have bytes in them too.
        return self._encoder.encode(plain.of(value)).encode("ascii")

    def loads(self, message: bytes, decode: Decode) -> object:
        def hook(found: dict[str, Any]) -> object:
            return _unmarked(found, decode) if "!" in found else found

        try:
            return json.loads(message.decode(), object_hook=hook)
        except _Raised as raised:
            raise raised.error from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise MessageRefused(f"it is no JSON of worq's: {_reason(error)}") from error

    def _boxed(self, stand_in: StandIn) -> object:
        plain = _Plain(_JSON_SCALARS, _nothing, self._boxed, self._other)
        return {"!": ["worq", plain.of(stand_in)]}

    @staticmethod
    def _other(value: object) -> object:
        if type(value) is not bytes:
            return None
        if value.isascii():
            return {"!": ["ascii", value.decode("ascii")]}
        return {"!": ["base64", base64.b64encode(value).decode("ascii")]}

    @staticmethod
    def _escaped(value: dict[str, Any]) -> dict[str, Any]:
        return {"!": ["dict", [list(pair) for pair in value.items()]]} if "!" in value else value

    def __repr__(self) -> str:
        return "Json()"


def _unmarked(mark: dict[str, object], decode: Decode) -> object:
    kind, content = _pair(mark["!"] if len(mark) == 1 else mark)
    if kind == "ascii" and isinstance(content, str):
        return content.encode("ascii")
    if kind == "base64" and isinstance(content, str):
        return base64.b64decode(content, validate=True)
    if kind == "worq" and _is_list(content):
        return _decoded(content, decode)
    if kind == "dict" and _is_list(content):
        return dict(map(_pair, content))
    raise ValueError(f"it has an unknown mark: {shown(mark)}")


def _pair(value: object) -> tuple[str, object]:
    match value if _is_list(value) else []:
        case [str(key), content]:
            return key, content
        case _:
            raise ValueError(f"a string and a value are needed, not {shown(value)}")


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


class MsgPack:
    """Carries the same as `Json`, as MessagePack by msgspec: smaller, and bytes as they are.

    Integers are those of 64 bits. A tuple comes back as a list. Stand-ins are extensions of type 1.
    """

    _STAND_IN = 1

    def __init__(self) -> None:
        """ModuleNotFoundError, which says what to install, without msgspec."""
        self._msgpack = _msgspec_msgpack()

    def dumps(self, value: object, encode: Encode) -> bytes:
        plain = _Plain(_MSGPACK_SCALARS, encode, self._boxed).of(value)
        return cast("bytes", self._msgpack.encode(plain))

    def loads(self, message: bytes, decode: Decode) -> object:
        def hook(code: int, data: memoryview) -> object:
            if code != self._STAND_IN:
                raise ValueError(f"it has an extension of the unknown type {code}")
            return _decoded(self._msgpack.decode(data), decode)

        try:
            return self._msgpack.decode(message, ext_hook=hook)
        except _Raised as raised:
            raise raised.error from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise MessageRefused(f"it is no MessagePack of worq's: {_reason(error)}") from error

    def _boxed(self, stand_in: StandIn) -> object:
        return self._msgpack.Ext(self._STAND_IN, self._msgpack.encode(stand_in))

    def __repr__(self) -> str:
        return "MsgPack()"


def _msgspec_msgpack() -> ModuleType:
    try:
        msgspec = importlib.import_module("msgspec")
    except ModuleNotFoundError as error:
        if error.name != "msgspec":  # a part of it that is missing is told as it is
            raise
        raise ModuleNotFoundError(
            "serializer: msgpack needs the package msgspec, which the extra worq-spec[msgpack] brings",
            name="msgspec",
        ) from None
    return cast("ModuleType", msgspec.msgpack)


def _nothing(value: object) -> None:
    del value


def _decoded(stand_in: StandIn, decode: Decode) -> object:
    try:
        return decode(stand_in)
    except (RecursionError, MemoryError):
        raise
    except Exception as error:
        raise _Raised(error) from error


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, MemoryError):
        return "it needs too much memory"
    return str(error)
