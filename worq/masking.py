"""What of a URL may be shown, or sent to others: not its passwords."""

import re

_NAMES = ("password", "ssl_password", "sentinel_password")
# Also for a URL that can't be parsed: all between the first colon and the last @ is a password.
_PASSWORD = re.compile(r"(://[^:/?#@]*):.*@|([?&](?:ssl_|sentinel_)?password=)[^&#]*", re.DOTALL)


def masked(url: str) -> str:
    """The URL as it may be shown: `***` for the password."""
    return _PASSWORD.sub(lambda m: f"{m[1]}:***@" if m[1] is not None else f"{m[2]}***", url)


def without_password(url: str) -> str:
    """The URL without the passwords, as all clients of a queue agree on it."""
    if "@" not in url and "?" not in url:
        return url
    from urllib.parse import parse_qsl, urlencode  # noqa: PLC0415 - it is slow to import

    # By hand: `urlsplit` refuses a list of addresses in brackets, by version, and urlunsplit makes unix:/path of
    # unix:///path.
    base, _, options = url.partition("#")[0].partition("?")
    scheme, _, place = base.partition("://")
    authority, slash, path = place.partition("/")
    user, at, host = authority.rpartition("@")
    query = parse_qsl(options, keep_blank_values=True)
    kept = [(key, value) for key, value in query if key not in _NAMES]
    if ":" not in user and len(kept) == len(query):
        return url
    username = user.partition(":")[0]
    netloc = f"{username}{at}{host}" if username else host
    tail = f"?{urlencode(kept)}" if kept else ""
    return f"{scheme}://{netloc}{slash}{path}{tail}"
