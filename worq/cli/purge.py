"""`worq purge`: drop all tasks of a queue that wait."""

import json

import click

from worq.cli.opening import opened, url_argument
from worq.const import DEFAULT
from worq.masking import masked

HELP = """Drop all tasks of a queue that wait for a worker or for an argument.

Whoever waits for one of them is told that it expired. Tasks that run and results that are kept stay
as they are. URL is redis://host:port/db, rediss://, unix:// or sqlite:///FILE, and may come from
WORQ_URL.

\b
Examples:
  worq purge redis://localhost:6379/0 --queue mail
  worq purge redis://localhost:6379/0 --queue mail --yes --json
"""


@click.command(help=HELP)
@url_argument
@click.option("--queue", "name", metavar="NAME", default=DEFAULT, show_default=True)
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def purge(url: str, name: str, *, yes: bool, as_json: bool) -> None:
    with opened("URL", url, name) as broker:
        where = f"{masked(broker.url)} [{name}]"
        if not yes:
            click.confirm(f"Drop {len(broker):,} waiting tasks of {where}?", abort=True, err=True)
        count = broker.discard_pending_tasks()
    if as_json:
        click.echo(json.dumps({"url": masked(url), "queue": name, "purged": count}))
    else:
        click.echo(f"{count:,} dropped from {where}")
