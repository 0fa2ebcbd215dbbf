"""The queues of commands that look from outside: on a server, for as long as the command runs."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

import worq
from worq.cli import logs
from worq.cli.exits import NoServer, needing_a_server
from worq.cli.options import OneUrl
from worq.core import Broker
from worq.urls import is_process_local, without_serializer

# Somebody is looking on; thirty seconds, the default, are for what runs by itself.
RETRY_SECONDS = 3.0

R = TypeVar("R")


@contextmanager
def opened(argument: str, url: str, name: str) -> Generator[Broker]:
    """A broker of that queue. A server that can't be reached within this block is one line."""
    if is_process_local(url):
        raise click.UsageError(
            f"{argument}: {url!r} means another queue in each process: nothing is seen from here"
        )
    try:
        broker = worq.get_broker(url, name, retry_deadline_s=RETRY_SECONDS)
    except (ValueError, ModuleNotFoundError) as error:
        culprit = "--queue" if str(error).startswith("name: ") else argument
        raise click.UsageError(f"{culprit}: {error}") from error
    _check_file(argument, url)
    with logs.unheard("worq.queue"), broker, needing_a_server(argument):
        yield broker


def _check_file(argument: str, url: str) -> None:
    """Whoever looks from outside makes no file: a path that was misspelt is told instead."""
    if url.startswith("sqlite://"):
        from worq.queue.sqlite.place import place_of  # noqa: PLC0415 - only a file needs SQLite

        path = place_of(without_serializer(url)).path
        if not Path(path).exists():
            raise NoServer(f"{argument}: no such file: {path!r}")


def url_argument(function: Callable[..., R]) -> Callable[..., R]:
    return click.argument("url", type=OneUrl(), envvar="WORQ_URL")(function)
