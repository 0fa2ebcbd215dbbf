"""`worq demo`: a main job on real input, checked against a count without a queue."""

import sys
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from worq import get_broker
from worq.cli import logs
from worq.cli.exits import FAILED, SIGNALLED, NoServer
from worq.cli.options import OneUrl
from worq.cli.progress import progress
from worq.cli.report import Report
from worq.cli.run import count_serially, count_with_tasks, plan
from worq.cli.sources import Sources, sources, standard_library
from worq.cli.stopping import Stopped, Stopping, stopping
from worq.core import Broker
from worq.errors import BackendUnavailable, BackendUnsupported
from worq.failures import TaskFailure
from worq.masking import masked
from worq.urls import is_process_local

WORKERS_MAX = 256
# Somebody is looking on; thirty seconds, the default, are for what runs by itself.
RETRY_SECONDS = 3.0


# click leaves what follows \b as it is.
HELP = """Count the words of Python source files with a tree of tasks.

Each file is a task, which counts the identifiers in it (keywords are none, `match` is one). Their
Deferreds are the arguments of tasks that merge 16 counts each, and so on up to one task, whose
result is the answer. Then the same is counted without a queue; it must be the same.

FILE is read whatever its name is, of a FOLDER all *.py below it. Without any, it is Python's
standard library on this machine, without its tests. A file that can't be read is reported, and
stops nothing.

The queue has a name of its own in each run, and no task is left in it, after Ctrl-C neither. (What
Redis remembers of the connections it forgets by itself within two minutes.)

\b
Examples:
  worq demo
  worq demo --workers 2 src/ setup.py
  worq demo --url redis://localhost:6379/0 --json | jq .top
"""


@click.command(help=HELP)
@click.argument(
    "paths",
    nargs=-1,
    metavar="[FILE|FOLDER]...",
    type=click.Path(exists=True, readable=False, path_type=Path),
)
@click.option(
    "--url",
    type=OneUrl(),
    default="memory://",
    envvar="WORQ_URL",
    show_default=True,
    show_envvar=True,
    help="The queue: memory://, redis://host:port/db, rediss://, unix:// or sqlite:///FILE.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    default=4,
    show_default=True,
    help="Threads that run the tasks.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def demo(paths: Sequence[Path], url: str, workers: int, *, as_json: bool) -> None:
    with stopping() as stop:
        found = _sources(paths)
        with (
            logs.unheard("worq.pool", "worq.queue"),
            _broker(url) as broker,
            _ending_clearly(broker),
        ):
            made = _run(broker, found, workers, stop, quiet=as_json)
    if as_json:
        click.echo(made.as_json())
    else:
        made.show(Console())
    if not made.is_same:
        sys.exit(FAILED)


def _sources(paths: Sequence[Path]) -> Sources:
    found = sources(paths) if paths else standard_library()
    if found.files:
        return found
    where = ", ".join(repr(str(path)) for path in paths) or "Python's standard library"
    raise click.UsageError(f"there are no Python files (*.py) in {where}")


@contextmanager
def _broker(url: str) -> Generator[Broker]:
    """A broker for a queue that nobody else uses, on a server that answers."""
    name = f"demo-{uuid.uuid4().hex[:12]}"
    try:
        if is_process_local(url):
            broker = get_broker(url, name)
        else:
            broker = get_broker(url, name, retry_deadline_s=RETRY_SECONDS)
    except (ValueError, ModuleNotFoundError) as error:
        raise click.UsageError(str(error)) from error
    with broker:
        try:
            len(broker)
        except (BackendUnavailable, BackendUnsupported) as error:
            raise NoServer(f"--url: {error}") from error
        yield broker


@contextmanager
def _ending_clearly(broker: Broker) -> Generator[None]:
    try:
        yield
    except Stopped as stopped:
        click.echo(f"worq: stopped; no task is left in the queue {broker.name}", err=True)
        sys.exit(SIGNALLED + stopped.number)
    except TaskFailure as failure:
        raise click.ClickException(f"a task failed: {failure}") from failure
    except BackendUnavailable as error:
        raise NoServer(f"{error}; tasks may be left in the queue {broker.name}") from error


def _run(broker: Broker, found: Sources, workers: int, stop: Stopping, *, quiet: bool) -> Report:
    steps = plan(found.files)
    with progress(Console(stderr=True), quiet=quiet) as show:

        def watch(what: str, done: int, of: int) -> None:
            stop.check()
            show(what, done, of)

        counted = count_with_tasks(broker, steps, workers=workers, watch=watch)
        left = len(broker)
        serial = count_serially(found.files, watch)
    return Report(
        url=masked(broker.url),
        queue=broker.name,
        workers=workers,
        tasks=len(steps),
        counted=counted,
        serial=serial,
        unread=(*found.unread, *counted.tally.unread),
        left=left,
    )
