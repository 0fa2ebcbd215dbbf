"""What a user of the server needs the right to do, and what of it is missing. [ENV-REDIS-13]

A script whose user lacks a right half-way stops there, and what it had changed stays. So all rights are looked for
before anything is done, by commands that change nothing.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from worq.errors import BackendUnavailable
from worq.queue.redis import scripts
from worq.queue.redis.channel import Channel
from worq.queue.redis.keys import PREFIX

OF_CONNECTIONS: Final = ("INFO", "EVAL", "EVALSHA", "BLPOP")
OF_SCRIPTS: Final[Mapping[str, str]] = {
    "UNLINK": "",
    "DEL": "",
    "PERSIST": "",
    "PEXPIRE": " 1",
    "PEXPIREAT": " 1",
    "RENAME": " {key}",
    "EXISTS": "",
    "GET": "",
    "GETRANGE": " 0 0",
    "HDEL": " x",
    "HEXISTS": " x",
    "HGET": " x",
    "HINCRBY": " x no-number",
    "HLEN": "",
    "HMGET": " x",
    "HSET": " x x of-no-value",
    "LLEN": "",
    "LPOP": "",
    "LRANGE": " 0 0",
    "SCARD": "",
    "SREM": " x",
    "ZADD": " no-number x",
    "ZCARD": "",
    "ZCOUNT": " 0 0",
    "ZMSCORE": " x",
    "ZPOPMIN": "",
    "ZRANGE": " 0 0",
    "ZRANGEBYSCORE": " 0 0",
    "ZREM": " x",
    "ZREMRANGEBYSCORE": " 0 0",
    "ZREVRANGE": " 0 0",
    "TIME": "",
    "SET": " x PX 1000",  # a string: behind it all else is of the wrong type
    "LPUSH": " x",
    "RPUSH": " x",
    "SADD": " x",
}
"""What scripts call, and what each is given behind the key, which there is not, to change nothing.

The last three take any argument: they are tried only if what they make would go again, see lua/rights.lua.
"""
COMMANDS: Final = (*OF_CONNECTIONS, *OF_SCRIPTS)

_OF_KEYS: Final = re.compile(r"access (a|one of the|at least one of the) keys?\b")
_OF_COMMAND: Final = re.compile(r"run the '([^']+)' command")
_IN_SCRIPT: Final = re.compile(r"ACL failure in script|The user executing the script can't")
_WHERE: Final = "docs/redis.md, 'Rights', has the line of ACL SETUSER"


def rules(pattern: str = f"{PREFIX}*") -> str:
    """What `ACL SETUSER` is to be told of a user that uses worq on keys of that pattern, and does nothing else."""
    commands = " ".join(f"+{command.lower()}" for command in COMMANDS)
    return f"resetkeys ~{pattern} resetchannels -@all {commands}"


def is_missing(error: Exception) -> bool:
    """Does the server say so of a right?"""
    return isinstance(error, NoPermissionError) or (
        isinstance(error, ResponseError) and _IN_SCRIPT.search(str(error)) is not None
    )


def is_half_done(error: Exception) -> bool:
    """Was it in the midst of a script that it was missing, which no look had foreseen?"""
    return _IN_SCRIPT.search(str(error)) is not None


def advice(error: Exception) -> str | None:
    """What is to be done if a right is missing; None for other errors."""
    return _WHERE if is_missing(error) else None


def check_rights(channel: Channel, begin: str, where: str) -> None:
    """BackendUnavailable that names each right which is missing on keys that begin so."""
    missing = dict.fromkeys(_missing(channel, begin))
    channel.may_be_done = False
    if missing:
        raise BackendUnavailable(
            f"{where}: the user of the URL lacks {' '.join(missing)}; {_WHERE}", "not_sent"
        )


def _missing(channel: Channel, begin: str) -> Iterator[str]:
    key = f"{begin}:session:rights:{channel.session}".encode()
    # The second has no number where one is needed, the third names no script.
    for command in ((b"INFO", b"server"), (b"BLPOP", key, b"x"), (b"EVALSHA", b"0" * 40, 1, key)):
        try:
            channel.exchange(command)
        except NoPermissionError as error:
            yield _right(error, command[0].decode(), begin)
        except NoScriptError:
            pass
        except ResponseError as error:
            if "timeout" not in str(error):
                raise
    probes = [
        (name if name == "TIME" else f"{name} {{key}}{rest}").format(key=key.decode())
        for name, rest in OF_SCRIPTS.items()
    ]
    try:
        reply = channel.exchange((b"EVAL", scripts.RIGHTS.text, 1, key, *probes))
    except NoPermissionError as error:
        yield _right(error, "EVAL", begin)
    else:
        for name, text in zip(reply[::2], reply[1::2], strict=True):
            refusal = ResponseError(text.decode(errors="replace"))
            if is_half_done(refusal):
                yield _right(refusal, name.decode(), begin)


def _right(error: Exception, command: str, begin: str) -> str:
    """As `ACL SETUSER` is told it. `command`: what was refused, unless the error names another."""
    if _OF_KEYS.search(str(error)):
        return f"~{begin}*"
    named = _OF_COMMAND.search(str(error))
    return f"+{named[1] if named else command.lower()}"
