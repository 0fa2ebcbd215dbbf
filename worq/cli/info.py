"""`worq info`: the queues of a server, how much is in them, and who serves them."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from worq.cli.opening import opened, url_argument
from worq.cli.stopping import Stopped, stopping
from worq.const import DEFAULT
from worq.introspection import Counts, Introspective, Seen
from worq.masking import masked

WATCH_SECONDS = 1.0
LOOK_SECONDS = 0.05
TASKS_SHOWN = 3
# Twice as long as the time between two signs of life.
LATE_MS = 20_000

HELP = """Show the queues of a server: how many tasks are in which state, and which pools serve them.

A queue is shown if it has tasks or workers. A pool leaves a sign of life every ten seconds; one that
was killed is shown, as late, for half a minute more. Finding the queues of a Redis looks at the
names of all its keys, which takes a while if there are millions; --queue spares that. URL is
redis://host:port/db, rediss://, unix:// or sqlite:///FILE, and may come from WORQ_URL.

\b
Examples:
  worq info redis://localhost:6379/0
  worq info redis://localhost:6379/0 --queue mail --watch
  worq info sqlite:////var/lib/mail/jobs.db
  worq info redis://localhost:6379/0 --json | jq '.queues[] | {name, waiting}'
"""


class Found(NamedTuple):
    """One queue."""

    name: str
    counts: Counts
    workers: list[Seen]

    @property
    def waiting(self) -> int:
        return self.counts.pending + self.counts.enqueued

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "waiting": self.waiting,
            **self.counts._asdict(),
            "workers": [seen.sign._asdict() | {"age_ms": seen.age_ms} for seen in self.workers],
        }


@click.command(help=HELP)
@url_argument
@click.option("--queue", "names", metavar="NAME", multiple=True, help="Only this; can be repeated.")
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: one object, one a line to --watch."
)
def info(url: str, names: Sequence[str], *, watch: bool, as_json: bool) -> None:
    def look() -> list[Found]:
        return [_look(url, name) for name in names or _names(url)]

    def say(found: list[Found]) -> None:
        queues = [each.as_json() for each in found]
        click.echo(json.dumps({"url": masked(url), "queues": queues}))

    console = Console()
    if not watch:
        found = look()
        if as_json:
            say(found)
        else:
            console.print(shown(found))
    elif as_json:
        _watch(look, say)
    elif not console.is_terminal:  # a file or a pipe: one look after another
        _watch(look, lambda found: console.print(shown(found)))
    else:
        with Live(console=console, auto_refresh=False) as live:
            _watch(look, lambda found: live.update(shown(found), refresh=True))


def _names(url: str) -> list[str]:
    with opened("URL", url, DEFAULT) as broker:
        return _of(url, broker.introspection).queues()


def _look(url: str, name: str) -> Found:
    with opened("URL", url, name) as broker:
        backend = _of(url, broker.introspection)
        return Found(name, backend.counts(), backend.workers())


def _of(url: str, introspection: Introspective | None) -> Introspective:
    if introspection is None:
        raise click.UsageError(f"URL: the backend tells nothing of its queues: {masked(url)!r}")
    return introspection


def _watch(look: Callable[[], list[Found]], show: Callable[[list[Found]], object]) -> None:
    """Until a signal, which is how it is meant to end."""
    with stopping() as stop:
        try:
            while True:
                show(look())
                until_s = time.monotonic() + WATCH_SECONDS
                while (left_s := until_s - time.monotonic()) > 0:
                    stop.check()
                    time.sleep(min(left_s, LOOK_SECONDS))
        except Stopped:
            return


def shown(found: Sequence[Found]) -> Group | Text:
    """For people."""
    if not found:
        return Text("no queue has tasks or workers")
    parts = [_queues(found)]
    if any(each.workers for each in found):
        parts.append(_workers(found))
    return Group(*parts)


def _queues(found: Sequence[Found]) -> Table:
    table = Table("queue", box=box.SIMPLE_HEAD)
    for column in ("waiting", *Counts._fields, "pools"):
        table.add_column(column, justify="right")
    for each in found:
        numbers = (each.waiting, *each.counts, len(each.workers))
        table.add_row(Text(each.name), *(f"{number:,}" for number in numbers))
    return table


def _workers(found: Sequence[Found]) -> Table:
    table = Table("queue", "pool", "host", box=box.SIMPLE_HEAD)
    for column in ("pid", "workers", "started", "last sign"):
        table.add_column(column, justify="right")
    table.add_column("runs")
    for each in found:
        for sign, age_ms in each.workers:
            late = " late" if age_ms > LATE_MS else ""
            table.add_row(
                Text(each.name),
                Text(sign.name),
                Text(sign.host),
                str(sign.pid),
                f"{sign.workers:,}",
                f"{_ago(sign.running_ms + age_ms)} ago",
                Text(f"{_ago(age_ms)} ago{late}", style="red" if late else ""),
                Text(_ids(sign.tasks)),
            )
    return table


def _ids(tasks: Sequence[str]) -> str:
    more = f" and {len(tasks) - TASKS_SHOWN} more" if len(tasks) > TASKS_SHOWN else ""
    return ", ".join(tasks[:TASKS_SHOWN]) + more


def _ago(ms: int) -> str:
    """In the largest unit of which it is at least one."""
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if ms >= size_ms:
            return f"{ms / size_ms:.1f} {unit}"
    return f"{ms / 1000:.0f} s"
