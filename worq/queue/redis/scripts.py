"""The Lua scripts: one file for each operation, and the parts that they share."""

import re
from hashlib import sha1
from importlib.resources import files
from typing import Final, NamedTuple

_FOLDER = files("worq.queue.redis") / "lua"
LANE: Final = "lane"
"""How the names of those parts begin without which a script does the same: docs/redis.md."""
_INCLUDE = re.compile(r"^ *-- include: (.+)$", re.MULTILINE)


class Script(NamedTuple):
    """`changes`: the operation can change something, so it gets a number and a receipt. [ENV-RETRY-1]"""

    text: bytes
    sha: bytes
    changes: bool


def load(name: str, *, changes: bool = True, lanes: bool = True) -> Script:
    """`lanes=False` is for tests: the general text alone."""
    text = _read(name, lanes=lanes).encode()
    # The name that EVALSHA knows it by.
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode(), changes)


def _read(name: str, *, lanes: bool) -> str:
    """A file, with others in the place of its lines `-- include: NAME ...`: functions are local to where that is."""
    text = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    return _INCLUDE.sub(
        lambda line: "\n".join(
            _read(part, lanes=lanes)
            for part in line[1].split()
            if lanes or not part.startswith(LANE)
        ),
        text,
    )


SUBMIT = load("submit")
SUBMIT_MANY = load("submit_many")
DEFER = load("defer")
CLAIM = load("claim")
AWAIT = load("await", changes=False)
FINISH = load("finish")
FINISH_MANY = load("finish_many")
HEARTBEAT = load("heartbeat")
RELEASE = load("release")
POP = load("pop")
POP_MANY = load("pop_many")
DISCARD = load("discard")
PURGE = load("purge")
SIZE = load("size", changes=False)
STATUS = load("status", changes=False)
RESERVE_ARGUMENT = load("reserve_argument")
SET_ARGUMENT = load("set_argument")
GET_ARGUMENTS = load("get_arguments", changes=False)
SETTLE = load("settle", changes=False)
CLOSE = load("close", changes=False)
COUNTS = load("counts", changes=False)
SIGN = load("sign", changes=False)
SIGNS = load("signs", changes=False)
RIGHTS = load("rights", changes=False)
