"""`worq spec`: what the specification says, and histories with its answers for backends in any language."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from worq.cli.exits import FAILED

HELP = """Print the specification, or the CLAUSES that are named; or write histories with its answers.

The histories of --vectors are short, and take every row of the tables of the specification: each is a
line of JSON, with what is asked, the answer, and the clauses that say so. model/vectors/README.md has
the schema. `worq check URL --vectors FILE` replays them.

\b
Examples:
  worq spec CLM-1 ENV-WAIT-3
  worq spec --vectors histories.jsonl
"""


@click.command(help=HELP)
@click.argument("clauses", nargs=-1)
@click.option(
    "--vectors", "path", metavar="FILE", help="Write the histories; - is standard output."
)
def spec(clauses: Sequence[str], path: str | None) -> None:
    from worq.testing.report import sentences  # only this command needs the model
    from worq.testing.vectors import HISTORIES, packaged

    if path is not None and clauses:
        raise click.UsageError("--vectors: there are no histories of single CLAUSES")
    if path is not None:
        _write(path, packaged(HISTORIES).read_text(encoding="utf-8"))
        return
    if not clauses:
        click.echo(packaged("SPEC.md").read_text(encoding="utf-8"), nl=False)
        return
    said = sentences()
    for name in clauses:
        if name not in said:
            raise click.UsageError(f"CLAUSES: there is no {name!r}; `worq spec` prints all")
        click.echo(f"[{name}] {said[name]}")


def _write(path: str, text: str) -> None:
    if path == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        click.echo(f"worq: --vectors: {error}", err=True)
        sys.exit(FAILED)
