"""How far something is: a bar that moves on a terminal, now and then a line elsewhere."""

import time
from collections.abc import Generator
from contextlib import contextmanager

import rich.progress
from rich.console import Console

from worq.cli.run import Watch

LINE_SECONDS = 2.0


@contextmanager
def progress(console: Console, *, quiet: bool = False) -> Generator[Watch]:
    """What to tell of the progress. `quiet`: no lines; a terminal has its bar all the same."""
    if console.is_terminal:
        with _bars(console) as bars:
            yield bars
    else:
        yield _nothing if quiet else _Lines(console)


@contextmanager
def _bars(console: Console) -> Generator[Watch]:
    columns = (
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("{task.description}", markup=False),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("")
        yield lambda what, done, of: bars.update(bar, description=what, completed=done, total=of)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._what = ""
        self._next = 0.0

    def __call__(self, what: str, done: int, of: int) -> None:
        now = time.monotonic()
        if what != self._what or now >= self._next:
            self._what = what
            self._next = now + LINE_SECONDS
            self._console.print(f"{done:,} of {of:,} {what}", highlight=False, markup=False)


def _nothing(what: str, done: int, of: int) -> None:
    del what, done, of
