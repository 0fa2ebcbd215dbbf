"""Which queue a URL means. [ENV-API-9]"""

import importlib
import inspect
from typing import cast

from worq.backend import AbstractTaskQueue
from worq.masking import masked

# Scheme → the module of its `TaskQueue`, which is imported when a URL asks for it.
SCHEMES = {
    "memory": "worq.queue.memory",
    "redis": "worq.queue.redis",
    "rediss": "worq.queue.redis",
    "unix": "worq.queue.redis",
}
PROCESS_LOCAL = frozenset({"memory"})


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
            f"url: {scheme}:// needs the package redis, which the extra worq-spec[redis] brings",
            name="redis",
        ) from error
    _check_options(module.TaskQueue, kw)
    return cast("AbstractTaskQueue", module.TaskQueue(url, name, *args, **kw))


def _check_options(backend: type, options: dict[str, object]) -> None:
    known = inspect.signature(backend).parameters
    for option, value in options.items():
        if option not in known:
            there = ", ".join(name for name in known if name not in ("url", "name"))
            raise TypeError(f"{option}: there is no such option: {value!r}; there are {there}")


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
