"""What of a URL may be shown, or sent to others: not its passwords; and which URLs mean the same."""

import re

_NAMES = ("password", "ssl_password", "sentinel_password")
# Also for a URL that can't be parsed: all between the first colon and the last @ is a password.
_PASSWORD = re.compile(r"(://[^:/?#@]*):.*@|([?&](?:ssl_|sentinel_)?password=)[^&#]*", re.DOTALL)


def masked(url: str) -> str:
    """The URL as it may be shown: `***` for the password."""
    return _PASSWORD.sub(lambda m: f"{m[1]}:***@" if m[1] is not None else f"{m[2]}***", url)


def without_password(url: str) -> str:
    """The URL without the passwords, all else as it stands."""
    if "@" not in url and "?" not in url:
        return url
    from urllib.parse import unquote_plus  # noqa: PLC0415 - it is slow to import

    # By hand: `urlsplit` refuses a list of addresses in brackets, by version, and urlunsplit makes unix:/path of
    # unix:///path.
    base, _, options = url.partition("#")[0].partition("?")
    scheme, _, place = base.partition("://")
    authority, slash, path = place.partition("/")
    user, at, host = authority.rpartition("@")
    query = [each for each in options.split("&") if each]
    kept = [each for each in query if unquote_plus(each.partition("=")[0]) not in _NAMES]
    if ":" not in user and len(kept) == len(query):
        return url
    username = user.partition(":")[0]
    netloc = f"{username}{at}{host}" if username else host
    tail = f"?{'&'.join(kept)}" if kept else ""
    return f"{scheme}://{netloc}{slash}{path}{tail}"


_OF_SERVERS = re.compile(r"(rediss?\+(?:sentinel|cluster)://)([^/?#]*)(.*)", re.DOTALL)
_OF_REDIS = ("redis://", "rediss://", "redis+", "rediss+", "unix://")
_DEFAULT_PREFIX = re.compile(r"(?<=[?&])prefix=worq(?::|%3[Aa])(?:&|$)")


def canonical(url: str) -> str:
    """The URL without the passwords, as all clients of a queue agree on it.

    They may name its servers in any order, and spell out the prefix that it has anyway.
    """
    url = without_password(url)
    if not url.startswith(_OF_REDIS):
        return url
    if found := _OF_SERVERS.fullmatch(url):
        user, at, hosts = found[2].rpartition("@")
        url = f"{found[1]}{user}{at}{','.join(sorted(hosts.split(',')))}{found[3]}"
    if "prefix=" not in url:
        return url
    return _DEFAULT_PREFIX.sub("", url).rstrip("?&")
