"""What is on a server, for people: names of queues, counts, signs of life. SPEC.md, section 11."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import unquote

import redis

from worq.errors import BackendUnavailable
from worq.introspection import Counts, Seen, Sign
from worq.queue.redis.retry import said
from worq.queue.redis.url import Target

_PAGE = 1000
_AGE_BYTES, _LENGTH_BYTES = 6, 4
# After the prefix, the key that a queue with tasks has, and the one that a queue with workers has.
_OF_A_QUEUE = re.compile(rb"\{([^{}]*)\}(?::session:workers)?")


def queue_names(target: Target) -> list[str]:
    """The queues that have tasks or workers. It scans all keys of the database."""
    begin = target.prefix.encode()
    try:
        with target.clients() as clients:
            keys = (key for client in clients for key in _scan(client, begin))
            found = [_OF_A_QUEUE.fullmatch(key, len(begin)) for key in keys]
    except redis.RedisError as error:
        raise BackendUnavailable(f"{target.url}: {said(error)}", "not_sent") from error
    return sorted({unquote(match[1].decode()) for match in found if match is not None})


def _scan(client: redis.Redis, begin: bytes) -> Iterator[bytes]:
    return cast("Iterator[bytes]", cast("Any", client).scan_iter(begin + b"{*", count=_PAGE))


def counts(reply: bytes) -> Counts:
    return Counts(*map(int, reply.split()))


def packed(sign: Sign) -> bytes:
    return json.dumps(sign._asdict()).encode()


def seen(reply: bytes) -> Iterator[Seen]:
    """The signs in a reply."""
    at = 0
    while at < len(reply):
        begin = at + _AGE_BYTES + _LENGTH_BYTES
        age_ms = int.from_bytes(reply[at : at + _AGE_BYTES], "big")
        end = begin + int.from_bytes(reply[at + _AGE_BYTES : begin], "big")
        fields = json.loads(reply[begin:end])
        yield Seen(Sign(**fields | {"tasks": tuple(fields["tasks"])}), age_ms)
        at = end
