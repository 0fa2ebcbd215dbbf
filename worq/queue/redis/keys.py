"""The names of a queue's keys, and which of them are there. [ENV-REDIS-2]"""

from typing import Any, Final, NamedTuple, cast
from urllib.parse import quote

import redis

PREFIX: Final = "worq:"
"""What all keys begin with, unless the URL has another `prefix`."""
SESSION = ":session:"
"""What the names of keys contain that have TTLs of their own: receipts, registrations of those who wait, the
arguments of tasks that were claimed for the last time. [ENV-REDIS-5]"""
GUARD = b":session:guard"
"""The end of the name of a key that never exists; scripts declare it in a cluster. [ENV-REDIS-12]"""


class QueueKeys(NamedTuple):
    """The keys of a queue: those that hold its tasks, and those that go by themselves."""

    kept: frozenset[bytes]
    transient: frozenset[bytes]


def prefix(name: str, begin: str = PREFIX) -> str:
    """The key that all keys of a queue begin with. One queue, one prefix: names are percent-encoded.

    `begin`: what stands before the hash tag. [ENV-REDIS-10]
    """
    return f"{begin}{{{quote(name, safe='')}}}"


def keys_of(client: redis.Redis, name: str, begin: str = PREFIX) -> QueueKeys:
    """What is on the server of the queue `name` now; for tests and for people, since it scans all keys."""
    begin = prefix(name, begin)
    keys = cast("Any", client).scan_iter(f"{begin}*")
    found = frozenset(bytes(key) for key in keys)
    transient = frozenset(key for key in found if key.startswith((begin + SESSION).encode()))
    return QueueKeys(found - transient, transient)
