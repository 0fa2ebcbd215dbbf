"""What is wrong with a URL, part by part, since redis-py takes much of it in silence. [ENV-API-11]"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from worq.masking import masked

SCHEMES: Final = ("redis", "rediss", "unix")
PORT_MAX: Final = 65_535
STRAY_MARK: Final = "password: a / ? or # in it must be percent-encoded, and so must an @ in a path or an option (%40)"
"""It can't be told which of both it is: all before the last @ may be a password."""
_TRUTHS: Final = {"1", "t", "true", "y", "yes", "0", "f", "false", "n", "no"}
"""What redis-py takes for false, and their opposites; it takes all else for true."""

Expected = tuple[Callable[[str], bool], str]
"""Is that a value, and what is one?"""


class UrlError(ValueError):
    """Says which part, and what is expected there; the URL is shown by whoever catches it."""


def _is_whole(minimum: int) -> Callable[[str], bool]:
    return lambda value: value.isascii() and value.isdigit() and int(value) >= minimum


def _is_seconds(value: str) -> bool:
    with suppress(ValueError):
        return float(value) >= 0  # NaN is not
    return False


def _is_one_of(*words: str) -> Callable[[str], bool]:
    return lambda value: value.lower() in words


_IS_PREFIX: Final = re.compile(r"[A-Za-z0-9:._/-]{1,64}")
"""No braces, or the hash tag would be another; none of what patterns of keys and of ACLs read as more than itself."""

_TEXT: Final[Expected] = (lambda _: True, "text")
_WHOLE: Final[Expected] = (_is_whole(0), "a whole number of 0 or more")
_SOME: Final[Expected] = (_is_whole(1), "a whole number of 1 or more")
_SECONDS: Final[Expected] = (_is_seconds, "a number of seconds")
_TRUTH: Final[Expected] = (_is_one_of(*_TRUTHS), "true or false")

_OPTIONS: Final[Mapping[str, Expected]] = {
    "db": _WHOLE,
    "username": _TEXT,
    "password": _TEXT,
    "client_name": _TEXT,
    "max_connections": _SOME,
    "prefix": (
        lambda value: _IS_PREFIX.fullmatch(value) is not None,
        "text of 1 to 64 letters of ASCII, digits and : . _ - /",
    ),
    "protocol": (_is_one_of("2", "3"), "2 or 3"),
    "socket_timeout": _SECONDS,
    "socket_connect_timeout": _SECONDS,
    "socket_keepalive": _TRUTH,
    "socket_read_size": _SOME,
}
_TLS_OPTIONS: Final[Mapping[str, Expected]] = {
    "ssl_ca_certs": _TEXT,
    "ssl_ca_data": _TEXT,
    "ssl_ca_path": _TEXT,
    "ssl_certfile": _TEXT,
    "ssl_keyfile": _TEXT,
    "ssl_password": _TEXT,
    "ssl_ciphers": _TEXT,
    "ssl_cert_reqs": (_is_one_of("none", "optional", "required"), "none, optional or required"),
    "ssl_check_hostname": _TRUTH,
    "ssl_min_version": _WHOLE,
}
_WITHOUT_EFFECT: Final[Mapping[str, Expected]] = {
    "decode_responses": _TEXT,
    "health_check_interval": _WHOLE,
    "retry_on_error": _TEXT,
    "retry_on_timeout": _TRUTH,
    "timeout": _SECONDS,
}
"""They may stand in a URL that serves others too; here retries and the like are the backend's own."""


def check_parts(url: str) -> None:
    """Raise UrlError for the first part that makes no sense.

    It shows no part of what may be a password: one that is not percent-encoded could be anywhere in the URL.
    """
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise UrlError(
            "scheme: redis://, rediss:// or unix:// is needed, or one of the first two with +sentinel or +cluster, "
            f"not {scheme!r}"
        )
    try:
        parts, shown = urlsplit(url), urlsplit(masked(url))
    except ValueError:
        raise UrlError("host: it can't be told from the rest; are there brackets in it?") from None
    if _server(parts) != _server(shown):
        raise UrlError(STRAY_MARK)
    if parts.scheme == "unix":
        _check_socket(parts)
    else:
        _check_address(parts)
    if parts.fragment:
        raise UrlError("fragment: none is allowed")
    _check_options(parts)


def _server(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _check_socket(parts: SplitResult) -> None:
    if _server(parts):
        raise UrlError("host: none is allowed; the path begins with a third /")
    if not parts.path:
        raise UrlError("path: that of a socket is needed")


def _check_address(parts: SplitResult) -> None:
    if not _has_port(parts):
        raise UrlError(f"port: a number from 1 to {PORT_MAX} is needed")
    if not parts.hostname:
        raise UrlError("host: one is needed")
    database = parts.path.removeprefix("/")
    if database and not _is_whole(0)(database):
        raise UrlError("path: the number of a database is needed, or nothing")


def _has_port(parts: SplitResult) -> bool:
    """Whether the port is one, or is left out."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _check_options(parts: SplitResult) -> None:
    known = _OPTIONS if parts.scheme != "rediss" else {**_OPTIONS, **_TLS_OPTIONS}
    seen: set[str] = set()
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        expected = known.get(name) or _WITHOUT_EFFECT.get(name)
        if expected is None:
            raise UrlError(f"{name}: there is no such option; there are {', '.join(known)}")
        is_value, what = expected
        if not is_value(value):
            raise UrlError(f"{name}: {what} is needed, not {value!r}")
        if name in seen:
            raise UrlError(f"{name}: it is there twice")
        seen.add(name)
        database = parts.path.removeprefix("/")
        if name == "db" and parts.scheme != "unix" and database and int(database) != int(value):
            raise UrlError(f"db: the path has another number of a database than {value!r}")
