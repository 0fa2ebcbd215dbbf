"""`worq result`: what has become of a task, and its result."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from worq.cli.exits import FAILED
from worq.cli.opening import opened
from worq.cli.options import url_option
from worq.const import COMPLETED, DEFAULT
from worq.core import Broker
from worq.masking import masked

ABSENT = "absent"

HELP = """Say what state the task ID is in: pending, enqueued, processing, completed or absent.

Absent is what was never there, what was fetched, and what has expired. With --take the result is
fetched and printed, and then it is gone: there is one for one consumer. Reading it runs code of the
application, which is looked for in the current folder too.

Exits with 1 if the task is absent, or if with --take there is nothing to fetch, or it has failed.

\b
Examples:
  worq result 2f1e... --url redis://localhost:6379/0 --queue mail
  worq result report-7 --take --json | jq .result
"""


@click.command(help=HELP)
@click.argument("task_id", metavar="ID")
@url_option(
    required=True, help="Where: redis://host:port/db, rediss://, unix:// or sqlite:///FILE."
)
@click.option("--queue", "name", metavar="NAME", default=DEFAULT, show_default=True)
@click.option("--take", is_flag=True, help="Fetch the result, if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def result(task_id: str, url: str, name: str, *, take: bool, as_json: bool) -> None:
    with opened("--url", url, name) as broker:
        found = _look(broker, task_id, take=take)
    if as_json:
        click.echo(json.dumps({"id": task_id, "queue": name, **found}, default=repr))
    else:
        click.echo(_text(found, f"{masked(url)} [{name}]"))
    if "result" not in found and (take or found["status"] == ABSENT):
        sys.exit(FAILED)


def _look(broker: Broker, task_id: str, *, take: bool) -> dict[str, Any]:
    """The status, and with `take` the `result` or the `error` that was fetched."""
    try:
        deferred = broker.deferred(task_id)
    except ValueError as error:
        raise click.UsageError(f"ID: {error}") from error
    status = broker.status(deferred)
    if not take or status != COMPLETED:
        return {"status": status or ABSENT}
    sys.path.insert(0, str(Path.cwd()))
    held = deferred.held if deferred.wait(0) else None
    if held is None or held.kind == "expired":  # somebody else was faster
        return {"status": ABSENT}
    if held.failure is not None:
        return {"status": "failed", "error": str(held.failure)}
    return {"status": "success", "result": held.value}


def _text(found: dict[str, Any], where: str) -> str:
    if found["status"] == ABSENT:
        return f"{ABSENT}: no such task in {where}; it was fetched, has expired, or never was"
    if "error" in found:
        return f"failed: {found['error']}"
    return repr(found["result"]) if "result" in found else str(found["status"])
