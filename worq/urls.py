"""Which queue a URL means. [ENV-API-9] [ENV-API-10]"""

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from worq.backend import AbstractTaskQueue
from worq.masking import masked
from worq.serializer import PICKLE, check_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# Scheme → the module of its `TaskQueue`, which is imported when a URL asks for it.
SCHEMES = {
    "memory": "worq.queue.memory",
    "redis": "worq.queue.redis",
    "rediss": "worq.queue.redis",
    "unix": "worq.queue.redis",
    "redis+sentinel": "worq.queue.redis",
    "rediss+sentinel": "worq.queue.redis",
    "redis+cluster": "worq.queue.redis",
    "rediss+cluster": "worq.queue.redis",
    "sqlite": "worq.queue.sqlite",
}
_OF_REDIS = ("redis", "hiredis")
PROCESS_LOCAL = frozenset({"memory"})
_OPTION = "serializer"
GROUP = "worq.backends"
"""Entry points of other distributions: scheme → their `TaskQueue`."""


def open_queue(url: str, name: str, *args: object, **kw: object) -> AbstractTaskQueue:
    """Open the queue of that name. Nothing is opened when this raises.

    `args` and `kw` go to the `TaskQueue`, which does not see a `serializer` in the URL. Raises
    ValueError for a URL that says nothing, and ModuleNotFoundError, which says what to install,
    where a package is missing.
    """
    backend: Any = _backend(scheme_of(url))
    _check_options(backend, kw)
    return cast("AbstractTaskQueue", backend(without_serializer(url), name, *args, **kw))


def _backend(scheme: str) -> type[AbstractTaskQueue]:
    if scheme not in SCHEMES:
        return _registered_backend(scheme)
    try:
        module = importlib.import_module(SCHEMES[scheme])
    except ModuleNotFoundError as error:
        if error.name not in _OF_REDIS:  # a part of one that is missing is told as it is
            raise
        raise ModuleNotFoundError(
            f"url: {scheme}:// needs the package {error.name}, which the extra worq-spec[redis] brings",
            name=error.name,
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


# The name of the serializer in a URL, `?serializer=json`: it is the broker's, and no backend sees it. [ENV-SER-7]


def serializer_in(url: object) -> str | None:
    """The name of the serializer, None if the URL names none. ValueError if there is none of that name."""
    if not isinstance(url, str):
        return None  # who opens it says so
    names = [value for _, key, value in _options(url) if key == _OPTION]
    if not names:
        return None
    try:
        if len(names) > 1:
            raise ValueError(f"{_OPTION}: it is there more than once")  # noqa: TRY301
        from urllib.parse import unquote  # noqa: PLC0415 - it is slow to import

        # A plus means a blank in a query, but it is what people write.
        return check_name(_OPTION, unquote(names[0]).replace(" ", "+"))
    except ValueError as error:
        raise ValueError(f"url: {error}: {masked(url)!r}") from None


def without_serializer(url: str) -> str:
    """The URL as its backend knows it."""
    options = _options(url)
    if not any(key == _OPTION for _, key, _ in options):
        return url
    query = "&".join(option for option, key, _ in options if key != _OPTION)
    base = url.partition("?")[0]
    return f"{base}?{query}" if query else base


def with_serializer(url: str, name: str | None) -> str:
    """The URL, of a backend, with that name; as it is for pickle and for what has no name."""
    if name in (None, PICKLE):
        return url
    return f"{url}{'&' if '?' in url else '?'}{_OPTION}={name}"


def _options(url: str) -> list[tuple[str, str, str]]:
    """Each option of the query as it stands there, its name and its value."""
    options = url.partition("?")[2].split("&")
    return [(each, each.partition("=")[0], each.partition("=")[2]) for each in options if each]
