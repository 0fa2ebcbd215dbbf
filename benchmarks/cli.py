"""`python -m benchmarks`: what `make bench` runs."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import machine, reach
from benchmarks.chart import chart
from benchmarks.measures import NAMES
from benchmarks.peers import Peer, read
from benchmarks.plan import FULL, QUICK, SLOW
from benchmarks.report import CHART, Report
from benchmarks.run import Run
from worq.cli.progress import progress
from worq.testing.servers import ServerUnavailable

FOLDER = Path(__file__).parent
PARTS = FOLDER.parent / "build/bench"
NOT_MEASURED = "not in a quick run: it polls or forks, which takes minutes"

HELP = f"""Measure worq, its peers and the floors on bare redis-py side by side, in one run.

Writes RESULTS.md and {CHART}, into benchmarks/ if everything was measured, else into build/bench/.

\b
Measures: {", ".join(NAMES)}
Examples (after make bench ARGS="..."):
  --quick
  --peers huey,rq --measures enqueue,drain --rounds 3
  --json build/bench/results.json
"""


@click.command(help=HELP)
@click.option("--quick", is_flag=True, help="Two to three minutes instead of twenty.")
@click.option(
    "--peers",
    default="",
    help="Only those whose names contain one of these; worq and the floors always.",
)
@click.option("--measures", default="", help="Only these.")
@click.option("--rounds", type=click.IntRange(min=1), help="How often each peer has its turn.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all samples.",
)
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="Where the report goes."
)
def main(
    *,
    quick: bool,
    peers: str,
    measures: str,
    rounds: int | None,
    json_path: Path | None,
    output: Path | None,
) -> None:
    plan = QUICK if quick else FULL
    if rounds is not None:
        plan = plan._replace(rounds=rounds)
    everybody, environments = read()
    chosen = _chosen(everybody, peers, quick=quick)
    names = _measures(measures)
    run = Run(plan, chosen, environments, names)
    if quick and not peers:
        for name in SLOW:
            run.samples.say("*", name, NOT_MEASURED)
    console = Console(stderr=True)
    described = _run(run, console)
    whole = not peers and names == NAMES
    folder = output or (FOLDER if whole else PARTS)
    command = _command(quick=quick, peers=peers, measures=measures, rounds=rounds)
    report = Report(run.samples, chosen, plan, described, command)
    _write(folder, report, chart(run.samples, chosen))
    if json_path is not None:
        _write_json(json_path, run, described, command)
    _show(reach.rows(run.samples, chosen))
    console.print(f"written: {folder / 'RESULTS.md'}", highlight=False, markup=False)


def _run(run: Run, console: Console) -> dict[str, str]:
    begin_s = time.monotonic()
    described = {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), **machine.described()}
    try:
        with progress(console) as tell:
            run(tell)
    except ServerUnavailable as error:
        raise click.ClickException(str(error)) from error
    described["server"] = run.server_version
    described["peers"] = ", ".join(run.versions())
    described["took"] = f"{(time.monotonic() - begin_s) / 60:.1f} minutes, {run.plan.rounds} rounds"
    described["load at the end"] = machine.load()
    return described


def _chosen(everybody: Sequence[Peer], text: str, *, quick: bool) -> list[Peer]:
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    for part in wanted:
        if not any(part in peer.name for peer in everybody):
            names = "; ".join(peer.name for peer in everybody)
            raise click.BadParameter(f"{part!r} is in none of: {names}", param_hint="--peers")
    if not wanted:
        return [peer for peer in everybody if not (quick and peer.name in SLOW)]
    return [
        peer
        for peer in everybody
        if not peer.is_rival or peer.is_base or any(part in peer.name for part in wanted)
    ]


def _measures(text: str) -> tuple[str, ...]:
    wanted = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in wanted:
        if part not in NAMES:
            raise click.BadParameter(
                f"{part!r} is none of {', '.join(NAMES)}", param_hint="--measures"
            )
    return wanted or NAMES


def _command(*, quick: bool, peers: str, measures: str, rounds: int | None) -> str:
    """What makes such a report again."""
    arguments = ["--quick"] if quick else []
    given = {"--peers": peers, "--measures": measures, "--rounds": rounds}
    arguments += [f"{option} {value}" for option, value in given.items() if value]
    return f'make bench ARGS="{" ".join(arguments)}"' if arguments else "make bench"


def _write(folder: Path, report: Report, svg: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "RESULTS.md").write_text(str(report), encoding="utf-8")
    (folder / CHART).write_text(svg, encoding="utf-8")


def _write_json(path: Path, run: Run, described: dict[str, str], command: str) -> None:
    content: dict[str, Any] = {
        "command": command,
        "plan": run.plan._asdict(),
        "machine": described,
        "results": run.samples.as_json(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _show(rows: Sequence[reach.Row]) -> None:
    table = Table(box=None)
    for head in ("measure", "worq", "wanted", ""):
        table.add_column(head)
    for row in rows:
        if row.verdict == "not measured" and not row.why:
            continue  # in a run of a part
        checks = "; ".join(map(str, row.checks))
        table.add_row(row.measure, row.worq, checks, row.verdict.strip("*"))
    Console().print(table)
