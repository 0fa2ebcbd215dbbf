"""Which queue a URL means, and what of a URL may be shown. [ENV-API-9]"""

import importlib
import re
from typing import cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from worq.backend import AbstractTaskQueue

# Scheme → the module of its `TaskQueue`, which is imported when a URL asks for it.
SCHEMES = {
    "memory": "worq.queue.memory",
    "redis": "worq.queue.redis",
    "rediss": "worq.queue.redis",
    "unix": "worq.queue.redis",
}
PROCESS_LOCAL = frozenset({"memory"})

# Also for a URL that can't be parsed: all between the first colon and the last @ is a password.
_PASSWORD = re.compile(r"(://[^:/?#@]*):.*@|([?&]password=)[^&#]*", re.DOTALL)


def open_queue(url: str, name: str, *args: object, **kw: object) -> AbstractTaskQueue:
    """Open the queue of that name. Nothing is opened when this raises.

    `args` and `kw` go to the `TaskQueue`. Raises ValueError for a URL that says nothing, and
    ModuleNotFoundError, which says what to install, where a package is missing.
    """
    scheme = scheme_of(url)
    try:
        module = importlib.import_module(SCHEMES[scheme])
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise ModuleNotFoundError(
            f"url: {scheme}:// needs the package redis: pip install 'worq-spec[redis]'",
            name="redis",
        ) from error
    return cast("AbstractTaskQueue", module.TaskQueue(url, name, *args, **kw))


def scheme_of(url: object) -> str:
    """The scheme, which is one of those that there are."""
    if not isinstance(url, str):
        raise TypeError(f"url: a string is needed, not {url!r}")
    scheme, colon, _ = url.partition("://")
    if not colon or scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise ValueError(f"url: one of {known} is needed, not {masked(url)!r}")
    return scheme


def is_process_local(url: str) -> bool:
    """Does the URL mean another queue in another process?"""
    return url.partition("://")[0] in PROCESS_LOCAL


def masked(url: str) -> str:
    """The URL as it may be shown: `***` for the password."""
    return _PASSWORD.sub(lambda m: f"{m[1]}:***@" if m[1] is not None else f"{m[2]}***", url)


def without_password(url: str) -> str:
    """The URL without the password, as all clients of a queue agree on it."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    query = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(key, value) for key, value in query if key != "password"]
    if ":" not in user and len(kept) == len(query):
        return url
    username = user.partition(":")[0]
    netloc = f"{username}{at}{host}" if username else host
    # urlunsplit makes unix:/path of unix:///path.
    tail = f"?{urlencode(kept)}" if kept else ""
    return f"{parts.scheme}://{netloc}{parts.path}{tail}"
