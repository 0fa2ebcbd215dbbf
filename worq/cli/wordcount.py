"""The tasks of `worq demo`: count the identifiers of one file, and merge such counts."""

import keyword
import stat
import tokenize
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from worq.task import TaskSpace

tasks: TaskSpace = TaskSpace("wordcount")

UNREADABLE = (OSError, SyntaxError, ValueError, LookupError, tokenize.TokenError)


class Unread(NamedTuple):
    """A file that could not be read, decoded or tokenized, and why."""

    path: str
    reason: str


class Tally(NamedTuple):
    """What was found: identifier → how often; how many files it stands for; and those that don't count."""

    words: Counter[str]
    files: int
    unread: tuple[Unread, ...]


@tasks.task
def count(path: str) -> Tally:
    """Count the identifiers of one file of Python source. A file that can't be read is part of the answer."""
    try:
        return Tally(_identifiers(path), 1, ())
    except UNREADABLE as error:
        return Tally(Counter(), 0, (Unread(path, reason(error)),))


@tasks.task
def merge(tallies: Iterable[Tally]) -> Tally:
    """Add counts up."""
    words: Counter[str] = Counter()
    files = 0
    unread: list[Unread] = []
    for tally in tallies:
        words.update(tally.words)
        files += tally.files
        unread += tally.unread
    return Tally(words, files, tuple(unread))


def reason(error: Exception) -> str:
    """Why, without the path, which is shown beside it."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"{type(error).__name__}: {text}"


def _identifiers(path: str) -> Counter[str]:
    # A pipe would never end.
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError("not a regular file")
    with tokenize.open(path) as source:
        return Counter(
            token.string
            for token in tokenize.generate_tokens(source.readline)
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string)
        )
