"""The Lua scripts: one file for each operation, and the parts that they share."""

import re
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

_FOLDER = files("worq.queue.redis") / "lua"
_INCLUDE = re.compile(r"^ *-- include: (.+)$", re.MULTILINE)


class Script(NamedTuple):
    """`has_receipt`: it gets a number, and leaves its answer for when it is sent again. [ENV-RETRY-1]

    Without one it does no harm if it is done twice: it reads, or does what it does to whatever is there.
    """

    text: bytes
    sha: bytes
    has_receipt: bool


def _load(name: str, *, has_receipt: bool = True) -> Script:
    text = _read(name).encode()
    # The name that EVALSHA knows it by.
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode(), has_receipt)


def _read(name: str) -> str:
    """A file, with others in the place of its lines `-- include: NAME ...`: functions are local to where that is."""
    text = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda line: "\n".join(map(_read, line[1].split())), text)


SUBMIT = _load("submit")
DEFER = _load("defer")
CLAIM = _load("claim")
FINISH = _load("finish")
HEARTBEAT = _load("heartbeat")
RELEASE = _load("release")
POP = _load("pop")
DISCARD = _load("discard")
PURGE = _load("purge")
SIZE = _load("size", has_receipt=False)
STATUS = _load("status", has_receipt=False)
RESERVE_ARGUMENT = _load("reserve_argument")
SET_ARGUMENT = _load("set_argument")
GET_ARGUMENTS = _load("get_arguments", has_receipt=False)
SETTLE = _load("settle", has_receipt=False)
CLOSE = _load("close", has_receipt=False)
COUNTS = _load("counts", has_receipt=False)
SIGN = _load("sign", has_receipt=False)
SIGNS = _load("signs", has_receipt=False)
