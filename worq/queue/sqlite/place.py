"""What a URL says: which file, and how it is written. [ENV-API-11]"""

import os
from typing import Literal, NamedTuple, get_args
from urllib.parse import parse_qsl

Synchronous = Literal["full", "normal"]
SCHEME = "sqlite://"
FORMS = "sqlite:///relative/path.db or sqlite:////absolute/path.db"


class Place(NamedTuple):
    """A file, by its real path, and whether each commit waits for the disk (`full`) or not (`normal`).

    Queue objects of one process share a connection: it waits once one of them says so.
    """

    path: str
    synchronous: Synchronous


def place_of(url: str) -> Place:
    """What the URL says, as SQLAlchemy reads it; ValueError if that makes no sense.

    The path is taken as it stands, up to the first `?`. A relative one begins in the directory where
    the process is now.
    """
    rest, _, query = url.removeprefix(SCHEME).partition("?")
    host, slash, path = rest.partition("/")
    if host:
        raise _error(url, f"a file has no host, not {host!r}; {FORMS} is needed")
    if not slash or not path:
        raise _error(url, f"a file is needed: {FORMS}")
    if path == ":memory:":
        raise _error(url, "a file is needed, not ':memory:'; memory:// is the queue in memory")
    if "\0" in path or path.endswith(("/", os.sep)):
        raise _error(url, f"a path of a file is needed, not {path!r}")
    return Place(os.path.realpath(path), _synchronous(url, query))


def _synchronous(url: str, query: str) -> Synchronous:
    found: Synchronous = "full"
    for option, value in parse_qsl(query, keep_blank_values=True):
        if option != "synchronous":
            raise _error(url, f"there is no option {option!r}; there is synchronous")
        for known in get_args(Synchronous):
            if value.lower() == known:
                found = known
                break
        else:
            raise _error(url, f"synchronous: full or normal is needed, not {value!r}")
    return found


def _error(url: str, reason: str) -> ValueError:
    return ValueError(f"url: {reason}: {url!r}")
