"""Which files `worq demo` counts."""

import os
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from worq.cli.wordcount import Unread, reason

# Of the standard library: tests are half of it, and packages installed into it are none of it.
SKIPPED = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test"})


class Sources(NamedTuple):
    """Files to count, and the folders that could not be looked into."""

    files: list[str]
    unread: list[Unread]


def standard_library() -> Sources:
    """The standard library's own source files, without its tests."""
    return _below(Path(sysconfig.get_path("stdlib")), SKIPPED)


def sources(paths: Sequence[Path]) -> Sources:
    """The files named, whatever they are called, and all *.py below the folders named; each once."""
    once: dict[str, str] = {}
    unread: list[Unread] = []
    for path in paths:
        found = _below(path) if path.is_dir() else Sources([str(path)], [])
        unread += found.unread
        for file in found.files:
            once.setdefault(os.path.realpath(file), file)
    return Sources(list(once.values()), unread)


def _below(folder: Path, skipped: frozenset[str] = frozenset()) -> Sources:
    files: list[str] = []
    unread: list[Unread] = []

    def note(error: OSError) -> None:
        unread.append(Unread(str(error.filename), reason(error)))

    for parent, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if name not in skipped)
        files += [str(Path(parent, name)) for name in sorted(names) if name.endswith(".py")]
    return Sources(files, unread)
