"""`worq check`: is this server, or this backend, good for worq? The conformance kit against a URL."""

import json
import logging
import sys
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worq.cli.exits import FAILED, SIGNALLED, needing_a_server
from worq.cli.opening import url_argument
from worq.cli.progress import progress
from worq.cli.stopping import Stopped, stopping
from worq.errors import BackendUnavailable, BackendUnsupported
from worq.masking import masked

if TYPE_CHECKING:
    from worq.testing.kit import Kit
    from worq.testing.report import Clause, Report
    from worq.testing.scratch import Scratch

HELP = """Check whether the server that URL names does what worq needs.

The conformance kit runs on scratch queues of its own, which are removed at the end; it looks at no
other. What comes out is a verdict for each clause of SPEC.md, and for each that is broken the
shortest history that shows it. URL is redis://host:port/db, rediss://, unix://, sqlite:///FILE or
memory://, and may come from WORQ_URL; backends of other distributions can be checked too. It
takes a minute near a server; --thorough takes several.

\b
Examples:
  worq check redis://localhost:6379/0
  worq check rediss://:secret@redis.example.org --json | jq '.clauses'
"""

NEEDED = frozenset({"hypothesis", "pytest"})


@click.command(help=HELP)
@url_argument
@click.option("--thorough", is_flag=True, help="As much as the tests of worq itself do.")
@click.option(
    "--vectors", metavar="FILE", help="Replay the histories of `worq spec --vectors` instead."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(url: str, *, thorough: bool, vectors: str | None, as_json: bool) -> None:
    with _scratch(url) as scratch:
        from worq.testing.kit import USUAL
        from worq.testing.scratch import ON_A_SERVER

        with needing_a_server("URL"):
            _reach(scratch)
            kit = scratch.kit(USUAL if thorough else ON_A_SERVER)
            if vectors is not None:
                kit = _replaying(vectors, kit)
            report = _run(kit)
            left = scratch.close()
    if as_json:
        found = {"url": masked(url), **report.as_json(), "left": left}
        click.echo(json.dumps(found | {"conforms": report.conforms and not left}))
    else:
        _show(masked(url), report, left)
    if left or not report.conforms:
        sys.exit(FAILED)


@contextmanager
def _scratch(url: str) -> Generator["Scratch"]:
    """A place for queues, cleared up however this ends; and no word of the failures that tasks are made to have."""
    try:
        from hypothesis import settings

        from worq.testing.scratch import Scratch
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in NEEDED:
            raise
        raise click.UsageError(f"this needs {error.name}: install worq-spec[testing]") from error
    try:
        scratch = Scratch(url)
        scratch.queue("first").close()
    except (ValueError, TypeError, ModuleNotFoundError) as error:
        raise click.UsageError(f"URL: {error}") from error
    before = settings.get_current_profile_name()
    settings.register_profile("worq check", database=None, print_blob=False)
    settings.load_profile("worq check")
    logging.disable()
    try:
        yield scratch
    finally:
        with suppress(Exception):  # it may be away; what is to be said of it has been said
            scratch.close()
        logging.disable(logging.NOTSET)
        settings.load_profile(before)


def _reach(scratch: "Scratch") -> None:
    """Whatever else is wrong is for the kit to say."""
    with closing(scratch.queue("first")) as queue:
        try:
            queue.size()
        except (BackendUnavailable, BackendUnsupported):
            raise
        except Exception:  # noqa: BLE001
            return


def _replaying(path: str, kit: "Kit") -> "Kit":
    """A kit with nothing but the histories of a file."""
    from worq.testing.kit import Check, Kit
    from worq.testing.stages import replayed
    from worq.testing.vectors import histories_of

    try:
        histories = histories_of(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--vectors: {path}: {error}") from error
    check = Check("transitions", f"the histories of {path}", partial(replayed, histories))
    return Kit(kit.subject, [check])


def _run(kit: "Kit") -> "Report":
    """All checks, with their progress on standard error."""
    from worq.testing.report import Report

    console = Console(stderr=True)
    with stopping() as stop, progress(console) as watch:
        try:
            for number, each in enumerate(kit.checks):
                stop.check()
                what = f"{each.stage}: {each.name}" if console.is_terminal else each.stage
                watch(what, number, len(kit.checks))
                kit.verdict(each)
        except Stopped as stopped:
            sys.exit(SIGNALLED + stopped.number)
    return Report(kit.checks, kit.verdicts, kit.subject.claimed)


def _show(url: str, report: "Report", left: Sequence[str]) -> None:
    from worq.testing.report import described

    console = Console()
    console.print(_table(report.clauses()))
    for each, verdict in report.violated():
        console.print(f"{each.stage}: {each.name}", style="bold red", markup=False)
        click.echo(described(verdict) + "\n")
    for line in report.lines():
        click.echo(line)
    if left:
        click.echo(f"left behind, and removed: {', '.join(left)}")
    click.echo(f"{url}: {'conforms' if report.conforms and not left else 'DOES NOT CONFORM'}")


STYLES = {
    "holds": "green",
    "violated": "bold red",
    "blocked": "yellow",
    "not claimed": "dim",
    "not examined": "dim",
}


def _table(clauses: dict[str, "Clause"]) -> Table:
    """A row for each family of clauses, a column for each verdict."""
    table = Table("clauses", *STYLES, box=box.SIMPLE_HEAD)
    families: dict[str, dict[str, list[str]]] = {}
    for name, clause in clauses.items():
        family, _, number = name.rpartition("-")
        families.setdefault(family or name, {}).setdefault(clause.answer, []).append(number)
    for family, answers in families.items():
        cells = [Text(" ".join(answers.get(each, ())), style) for each, style in STYLES.items()]
        table.add_row(family, *cells)
    return table
