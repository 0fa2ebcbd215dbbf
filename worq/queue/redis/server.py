"""Is the server new enough? [ENV-REDIS-6]"""

import re
from typing import NoReturn

from worq.errors import BackendUnsupported

REDIS_MIN = (6, 2)
VALKEY_MIN = (7, 2)
NEEDED = "Redis 6.2 or Valkey 7.2 or later is needed"


def check_server(info: bytes) -> None:
    """`info`: the reply to INFO server. BackendUnsupported if that server is too old, or can't be made out."""
    if b"_mode:sentinel" in info:  # it is "redis" or "server" before that
        raise BackendUnsupported(
            "this is a sentinel, which only knows where the server is: "
            "redis+sentinel://HOST:PORT/SERVICE instead of redis://HOST:PORT finds it"
        )
    fields = dict(re.findall(rb"^(\w+):([^\r\n]*)", info, flags=re.MULTILINE))
    # Valkey goes by a version of Redis too, for clients that know no other.
    name, version_min = (
        ("Valkey", VALKEY_MIN) if b"valkey_version" in fields else ("Redis", REDIS_MIN)
    )
    version = fields.get(f"{name.lower()}_version".encode(), b"").decode(errors="replace")
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None:
        _refuse("of an unknown version" if not version else f"{name} {version}")
    if (int(numbers[1]), int(numbers[2])) < version_min:
        _refuse(f"{name} {version}")


def _refuse(found: str) -> NoReturn:
    raise BackendUnsupported(f"{NEEDED}; the server is {found}")
