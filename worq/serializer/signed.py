"""Messages that only those can write who have a key. [ENV-SER-5] [ENV-SER-6]"""

import hmac
import os
from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Final, Never, cast

from worq.checks import SHOWN
from worq.errors import MessageRefused
from worq.serializer.pickles import Pickle
from worq.serializer.seam import (
    SECRET,
    SIGNATURE,
    Decode,
    Encode,
    Kind,
    Place,
    Serializer,
    check_serializer,
)

KEY_BYTES_MIN: Final = 16

# What it is and in which version, kind, which key, the incarnation, the signature.
MAGIC: Final = SIGNATURE + b"\x01"
_HEAD: Final = Struct("!8sc8s16s32s")
_NO_INCARNATION: Final = bytes(16)

_LETTERS: Final[Mapping[Kind, bytes]] = {
    "task": b"T",
    "result": b"R",
    "failure": b"F",
    "value": b"V",
}
_ACCEPTED: Final[Mapping[Kind, bytes]] = {**_LETTERS, "outcome": b"RF"}
_KINDS: Final = {letter: kind for kind, letter in _LETTERS.items()}


class Signed:
    """Signs what another serializer writes, and refuses to read what none of its keys has signed.

    HMAC-SHA256 over the version of this format, the serializer's name, the kind, the key's id, the
    queue, the id and the incarnation of the task, and the message. The first key signs, all verify:
    so a new key is first added behind the old one everywhere, then put before it, then the old one
    is taken away. It signs and hides nothing else: messages are as readable as before.
    """

    def __init__(
        self,
        serializer: Serializer | None = None,
        keys: str | bytes | Iterable[str | bytes] | None = None,
    ) -> None:
        """`serializer`: Pickle unless told otherwise. `keys`: one or more, of 16 bytes or more; None: WORQ_SECRET."""
        self.serializer: Serializer = Pickle() if serializer is None else _checked(serializer)
        checked = _from_environment() if keys is None else _keys(keys)
        self._keys = {_key_id(key): key for key in checked}
        self._key_id = _key_id(checked[0])
        self._name = type(self.serializer).__qualname__.encode()

    def dumps(self, value: object, encode: Encode) -> bytes:
        """A part of a message. It is not signed: `seal` signs the whole."""
        return self.serializer.dumps(value, encode)

    def loads(self, message: bytes, decode: Decode) -> object:
        """A part of a message that `unseal` gave."""
        return self.serializer.loads(message, decode)

    def seal(self, message: bytes, place: Place) -> bytes:
        letter = _LETTERS[place.kind]
        incarnation = place.incarnation or _NO_INCARNATION
        signature = self._signature(self._key_id, letter, incarnation, place, message)
        return _HEAD.pack(MAGIC, letter, self._key_id, incarnation, signature) + message

    def unseal(self, message: bytes, place: Place) -> bytes:
        if len(message) < _HEAD.size or not message.startswith(MAGIC):
            raise MessageRefused("it is not signed")
        _, letter, key_id, incarnation, signature = _HEAD.unpack_from(message)
        if key_id not in self._keys:
            raise MessageRefused("it is signed by an unknown key")
        content = message[_HEAD.size :]
        expected = self._signature(key_id, letter, incarnation, place, content)
        if not hmac.compare_digest(signature, expected):
            raise MessageRefused("it was altered, or belongs to another task or queue")
        if letter not in _ACCEPTED[place.kind]:
            raise MessageRefused(f"it is of the kind {_KINDS.get(letter)}, not {place.kind}")
        if place.incarnation not in (None, incarnation):
            raise MessageRefused("it belongs to another task that had this id")
        return content

    def _signature(
        self, key_id: bytes, letter: bytes, incarnation: bytes, place: Place, content: bytes
    ) -> bytes:
        # Each with its length, so that no two places read the same.
        names = (self._name, place.queue.encode(), place.task_id.encode())
        sized = b"".join(len(name).to_bytes(4, "big") + name for name in names)
        signed = b"".join((MAGIC, letter, key_id, incarnation, sized, content))
        return hmac.digest(self._keys[key_id], signed, "sha256")

    def __repr__(self) -> str:
        count = len(self._keys)
        return f"Signed({self.serializer!r}, {count} key{'' if count == 1 else 's'})"

    def __reduce__(self) -> Never:
        raise TypeError(
            f"{self!r} has keys and can't be pickled: make it where it is used, or set {SECRET} there"
        )


def _checked(serializer: object) -> Serializer:
    if isinstance(serializer, (str, Signed)):
        raise TypeError(f"serializer: one that does not sign is needed, not {serializer!r}")
    return check_serializer(serializer)


def _from_environment() -> list[bytes]:
    keys = os.environ.get(SECRET, "").split()
    if not keys:
        raise ValueError(f"keys: to sign needs some, and {SECRET} has none")
    return [_key(SECRET, key) for key in keys]


def _keys(given: object) -> list[bytes]:
    """Never shows what may be a key."""
    keys: list[object]
    if isinstance(given, (str, bytes)):
        keys = [given]
    elif isinstance(given, Iterable):
        keys = list(cast("Iterable[object]", given))
    else:
        raise TypeError(f"keys: one or more are needed, not a {type(given).__name__}")
    if not keys:
        raise ValueError(f"keys: at least one is needed, not {SHOWN.repr(keys)}")
    return [_key(f"keys[{index}]", key) for index, key in enumerate(keys)]


def _key(argument: str, key: object) -> bytes:
    if not isinstance(key, (str, bytes)):
        raise TypeError(f"{argument}: a string or bytes are needed, not a {type(key).__name__}")
    encoded = key.encode() if isinstance(key, str) else key
    if len(encoded) < KEY_BYTES_MIN:
        raise ValueError(
            f"{argument}: a key has {KEY_BYTES_MIN} bytes or more, chosen at random, not {len(encoded)}"
        )
    return encoded


def _key_id(key: bytes) -> bytes:
    """Says which key it is, and nothing of it."""
    return hmac.digest(key, MAGIC + b"key id", "sha256")[:8]
