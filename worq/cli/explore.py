"""`worq explore`: search the executable specification to its end for what breaks its claims."""

import json
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worq.cli.exits import FAILED, SIGNALLED
from worq.cli.stopping import Stopped, stopping

if TYPE_CHECKING:
    from worq.testing.exploring import Found, Progress

HELP = """Search the executable specification to its end, breadth first, for what breaks its claims.

NAMES are spaces of the queue by itself, or clients beside a queue of which one may die; all but the
largest are explored if none is given. Some lack what keeps them right, and must be found out. What
breaks a claim is shown as the shortest history that does.

Exits with 1 if anything comes out otherwise than it should, or a limit was met.

\b
Examples:
  worq explore
  worq explore contract-large --seconds 600
  worq explore no-alarm stranded --history
"""

Tell = Callable[[str, "Progress"], None]
STATES_MAX = 1_000_000


@click.command(help=HELP)
@click.argument("names", nargs=-1)
@click.option("--seconds", type=click.FloatRange(min=0), help="Give up each after so long.")
@click.option(
    "--states",
    type=click.IntRange(min=1),
    default=STATES_MAX,
    show_default=True,
    help="Give up each after so many states.",
)
@click.option("--history", is_flag=True, help="Show also those histories that are expected.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object a line.")
def explore(
    names: Sequence[str], seconds: float | None, states: int, *, history: bool, as_json: bool
) -> None:
    all_found: list[Found] = []
    seconds_max = float("inf") if seconds is None else seconds
    for found in _explored(names, states, seconds_max):
        all_found.append(found)
        if as_json:
            click.echo(json.dumps(found._asdict() | {"as_expected": found.is_as_expected}))
    if not as_json:
        _show(all_found, history=history)
    if not all(found.is_as_expected for found in all_found):
        sys.exit(FAILED)


def _explored(names: Sequence[str], states_max: int, seconds_max: float) -> Iterator["Found"]:
    from worq.testing.exploring import NAMES, USUAL, explored  # only this command needs the model

    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise click.UsageError(f"NAMES: {unknown[0]!r} is none of {', '.join(NAMES)}")
    with _telling() as tell:
        for name in names or USUAL:
            yield explored(
                name,
                states_max=states_max,
                seconds_max=seconds_max,
                progress=partial(tell, name),
            )


@contextmanager
def _telling() -> Generator[Tell]:
    """How far it is, on standard error, if that is a terminal; and Ctrl-C is noticed."""
    console = Console(stderr=True)
    shown = console.status("") if console.is_terminal else nullcontext()
    with stopping() as stop, shown as status:

        def tell(name: str, progress: "Progress") -> None:
            stop.check()
            if status is not None:
                status.update(
                    f"{name}: {progress.states:,} states, {progress.edges:,} steps, "
                    f"depth {progress.depth}, {progress.waiting:,} waiting"
                )

        try:
            yield tell
        except Stopped as stopped:
            sys.exit(SIGNALLED + stopped.number)


def _show(all_found: Sequence["Found"], *, history: bool) -> None:
    Console().print(_table(all_found))
    for found in all_found:
        if found.about:
            click.echo(f"{found.name}: {found.verdict}: {found.about}")
        if found.history and (history or not found.is_as_expected):
            click.echo(_endless(found) + found.history)


def _table(all_found: Sequence["Found"]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for column in ("states", "steps", "depth", "seconds", "steps/s"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for found in all_found:
        counts = (found.states, found.edges, found.depth)
        rate = found.edges / max(found.seconds, 0.001)
        table.add_row(
            found.name,
            *(f"{count:,}" for count in counts),
            f"{found.seconds:.1f}",
            f"{rate:,.0f}",
            _verdict(found),
        )
    return table


def _verdict(found: "Found") -> Text:
    if found.is_as_expected:
        return Text("as it should" if found.expected else found.verdict)
    return Text(found.verdict, style="bold red")


def _endless(found: "Found") -> str:
    return "" if found.loop is None else f"# {found.loop} steps, and then the others for ever\n"
