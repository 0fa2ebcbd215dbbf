"""Starting again: when a file changes, and as what."""

import os
import sys
import threading
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import click

from worq.pool.signals import leave_to_the_main_thread

LOOK_MS = 1_000


@contextmanager
def watching(folder: str, told: Callable[[str], None]) -> Generator[None]:
    """Have `told` called, in a thread of its own, when a source file below the folder has changed."""
    try:
        import watchfiles  # noqa: PLC0415 - it is in an extra
    except ModuleNotFoundError as error:
        raise click.UsageError(
            "--reload needs the package watchfiles: install worq-spec[watch]"
        ) from error
    over = threading.Event()
    before = set(_sources(folder, watchfiles.PythonFilter.ignore_dirs))

    def watch() -> None:
        leave_to_the_main_thread()
        looks = watchfiles.watch(
            folder,
            watch_filter=watchfiles.PythonFilter(),
            stop_event=over,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
        )
        for number, changes in enumerate(looks):
            paths = {path for _, path in changes}
            if number == 0:  # what has changed before it watched
                now = set(_sources(folder, watchfiles.PythonFilter.ignore_dirs))
                paths |= {path for path, _ in before ^ now}
            if paths:
                told(f"{min(paths)} has changed")

    watcher = threading.Thread(target=watch, name="worq reload", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _sources(folder: str, ignored: Collection[str]) -> Iterator[tuple[str, int]]:
    """Each source file, and when it was changed, ns."""
    for path, folders, files in os.walk(folder):
        folders[:] = (each for each in folders if each not in ignored)
        for file in (Path(path, each) for each in files if each.endswith(".py")):
            with suppress(FileNotFoundError):  # it is just being replaced
                yield str(file), file.stat().st_mtime_ns


def start_again(folder: str) -> NoReturn:
    """Become, under the same process id, what this process was when it began in that folder."""
    os.chdir(folder)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - it was started so


def reap() -> None:
    """End what processes left that were started before this one started again."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
