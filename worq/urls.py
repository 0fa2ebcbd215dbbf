"""Which queue a URL means. [ENV-API-9] [ENV-API-10]"""

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from worq.backend import AbstractTaskQueue
from worq.masking import masked

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# Scheme → the module of its `TaskQueue`, which is imported when a URL asks for it.
SCHEMES = {
    "memory": "worq.queue.memory",
    "redis": "worq.queue.redis",
    "rediss": "worq.queue.redis",
    "unix": "worq.queue.redis",
    "sqlite": "worq.queue.sqlite",
}
PROCESS_LOCAL = frozenset({"memory"})
GROUP = "worq.backends"
"""Entry points of other distributions: scheme → their `TaskQueue`."""


def open_queue(url: str, name: str, *args: object, **kw: object) -> AbstractTaskQueue:
    """Open the queue of that name. Nothing is opened when this raises.

    `args` and `kw` go to the `TaskQueue`. Raises ValueError for a URL that says nothing, and
    ModuleNotFoundError, which says what to install, where a package is missing.
    """
    backend: Any = _backend(scheme_of(url))
    _check_options(backend, kw)
    return cast("AbstractTaskQueue", backend(url, name, *args, **kw))


def _backend(scheme: str) -> type[AbstractTaskQueue]:
    if scheme not in SCHEMES:
        return _registered_backend(scheme)
    try:
        module = importlib.import_module(SCHEMES[scheme])
    except ModuleNotFoundError as error:
        if error.name != "redis":  # a part of it that is missing is told as it is
            raise
        raise ModuleNotFoundError(
            f"url: {scheme}:// needs the package redis, which the extra worq-spec[redis] brings",
            name="redis",
        ) from None
    return cast("type[AbstractTaskQueue]", module.TaskQueue)


@cache
def registered() -> "dict[str, list[EntryPoint]]":
    """What other distributions register: scheme → the entry points, of which there ought to be one."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - it is slow to import

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        if entry.name not in SCHEMES:
            found.setdefault(entry.name, []).append(entry)
    return found


def _registered_backend(scheme: str) -> type[AbstractTaskQueue]:
    entries = {entry.value: entry for entry in registered()[scheme]}
    if len(entries) > 1:
        raise ValueError(f"url: {scheme}:// is registered more than once: {', '.join(entries)}")
    (entry,) = entries.values()
    backend = entry.load()
    if not (isinstance(backend, type) and issubclass(backend, AbstractTaskQueue)):
        raise TypeError(f"url: {scheme}:// is registered as {entry.value}, no AbstractTaskQueue")
    return backend


def _check_options(backend: type, options: dict[str, object]) -> None:
    if not options:
        return
    import inspect  # noqa: PLC0415 - it is slow to import

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
    if not colon or (scheme not in SCHEMES and scheme not in registered()):
        known = ", ".join(f"{each}://" for each in (*SCHEMES, *registered()))
        raise ValueError(f"url: one of {known} is needed, not {masked(url)!r}")
    return scheme


def is_process_local(url: str) -> bool:
    """Does the URL mean another queue in another process?"""
    scheme = url.partition("://")[0]
    if scheme in SCHEMES:
        return scheme in PROCESS_LOCAL
    return scheme in registered() and _backend(scheme).process_local
