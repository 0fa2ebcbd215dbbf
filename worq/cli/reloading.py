"""Starting again: when a file changes, and as what."""

import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn

import click

from worq.pool.signals import leave_to_the_main_thread


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

    def watch() -> None:
        leave_to_the_main_thread()
        for changes in watchfiles.watch(
            folder, watch_filter=watchfiles.PythonFilter(), stop_event=over
        ):
            told(f"{min(path for _, path in changes)} has changed")

    watcher = threading.Thread(target=watch, name="worq reload", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


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
