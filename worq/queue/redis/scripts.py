"""The Lua scripts: one file for each operation, and the parts that they share."""

import re
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

_FOLDER = files("worq.queue.redis") / "lua"
_INCLUDE = re.compile(r"^ *-- include: (.+)$", re.MULTILINE)


class Script(NamedTuple):
    """`changes`: the operation can change something, so it gets a number and a receipt. [ENV-RETRY-1]"""

    text: bytes
    sha: bytes
    changes: bool


def _load(name: str, *, changes: bool = True) -> Script:
    text = _read(name).encode()
    # The name that EVALSHA knows it by.
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode(), changes)


def _read(name: str) -> str:
    """A file, with others in the place of its lines `-- include: NAME ...`: functions are local to where that is."""
    text = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda line: "\n".join(map(_read, line[1].split())), text)


SUBMIT = _load("submit")
SUBMIT_MANY = _load("submit_many")
DEFER = _load("defer")
CLAIM = _load("claim")
AWAIT = _load("await", changes=False)
FINISH = _load("finish")
FINISH_MANY = _load("finish_many")
HEARTBEAT = _load("heartbeat")
RELEASE = _load("release")
POP = _load("pop")
POP_MANY = _load("pop_many")
DISCARD = _load("discard")
PURGE = _load("purge")
SIZE = _load("size", changes=False)
STATUS = _load("status", changes=False)
RESERVE_ARGUMENT = _load("reserve_argument")
SET_ARGUMENT = _load("set_argument")
GET_ARGUMENTS = _load("get_arguments", changes=False)
SETTLE = _load("settle", changes=False)
CLOSE = _load("close", changes=False)
COUNTS = _load("counts", changes=False)
SIGN = _load("sign", changes=False)
SIGNS = _load("signs", changes=False)
RIGHTS = _load("rights", changes=False)
