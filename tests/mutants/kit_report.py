"""Runs the conformance kit on each mutant that breaks a clause which it examines, and writes what it names: `make kit-mutants`.

    python -m tests.mutants.kit_report docs/verification.md

First with little effort, up to the first thing that is broken; where that is nothing, once more with the effort that the kit
has by itself. Verdicts are kept in `build/kit.jsonl` as those of `make mutants` are. It fails if the kit misses or misnames one,
unless `UNSEEN` in `unseen.py` says why it can't see it.
"""

import argparse
import math
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tests.mutants.catalogue import MUTANTS
from tests.mutants.clauses import LEFT, RELATED, is_for_the_kit
from tests.mutants.kept import Trial, Verdicts, seconds, trial_of, write_between
from tests.mutants.mutant import BACKENDS, Mutant
from tests.mutants.report import TITLES
from tests.mutants.trials import Laboratory, Verdict
from tests.mutants.unseen import UNSEEN
from worq.testing.kit import ATOMIC

VERDICTS = Path("build/kit.jsonl")
MARKS = "<!-- kit: begin -->", "<!-- kit: end -->"
ENGINES = ("kit", "whole kit")
# What calls one after another do not show, other stages show: they need not come last.
STAGES = "parallel faults"
SECONDS_MAX = {"kit": 150.0, "whole kit": 400.0}

Naming = Literal["named", "related", "left", "misnamed", "unnamed", "not seen"]
RIGHT: tuple[Naming, ...] = ("named", "related", "left")


class Finding(NamedTuple):
    """What the kit says of a mutant. `clause`: the one that it names first, '' if it names none."""

    naming: Naming
    clause: str
    by: str
    operations: int
    seconds: float


def ask(laboratory: Laboratory, mutant: Mutant, trial: Trial) -> Verdict:
    return laboratory.try_out(
        mutant,
        trial.engine,
        only=STAGES if mutant.needs or _is_of_waiting(mutant) else "",
        gives_up_s=SECONDS_MAX[trial.engine],
    )


def _is_of_waiting(mutant: Mutant) -> bool:
    return all(clause.startswith("ENV-WAIT-") for clause in mutant.clauses.split())


def finding(mutant: Mutant, tried: Sequence[tuple[Trial, Verdict]]) -> Finding:
    """Of the first engine that found it, or of the last."""
    tried = sorted(tried, key=lambda each: ENGINES.index(each[0].engine))
    trial, verdict = next((each for each in tried if each[1].is_caught), tried[-1])
    what = verdict.what or ""
    clause = verdict.clauses[0] if verdict.clauses else ""
    return Finding(
        _naming(mutant, what, clause),
        clause,
        trial.engine,
        what.count("Do("),
        verdict.seconds,
    )


def _naming(mutant: Mutant, what: str, clause: str) -> Naming:
    listed = mutant.clauses.split()
    if not what:
        return "not seen"
    if clause in listed:
        return "named"
    if clause:
        related = {each for mine in listed for each in RELATED.get(mine, "").split()}
        is_related = clause in related or (clause == ATOMIC and mutant.needs == "threads")
        return "related" if is_related else "misnamed"
    if "\nsomething is left of a queue" in what and LEFT.intersection(listed):
        return "left"
    return "unnamed"


# The text


def section(mutants: Sequence[Mutant], found: dict[Mutant, Finding], still: int) -> str:
    """`mutants`: those that were tried; `still`: how many were not, or not to the end."""
    there = [f for f in found.values() if f.naming in RIGHT]
    operations = [f.operations for f in there if f.operations]
    wrong = [m for m in mutants if _is_wrong(m, found[m])]
    return "\n".join(
        [
            (
                f"{len(mutants)} mutants that break a clause which the kit examines were tried. Of {len(there)} it names what is broken, after"
                f" {seconds(statistics.median(f.seconds for f in there))} (median), {max(f.seconds for f in there):.0f} s at most;"
                f" the history that it shows has {statistics.median(operations):.0f} operations (median), {max(operations)} at most, where there is one."
            ),
            "",
            *_summary(mutants, found),
            *(
                [f"\nTo be mended: {', '.join(f'{m.place} {m.name}' for m in wrong)}"]
                if wrong
                else []
            ),
            "",
            *_unseen(mutants, found),
            "",
            *_details(mutants, found),
        ]
    )


def _is_wrong(mutant: Mutant, found: Finding) -> bool:
    """Chance may show what an excuse says that the kit does not see, if it takes threads or a crash."""
    is_right = found.naming in RIGHT
    if (mutant.place, mutant.name) in UNSEEN:
        return is_right and not mutant.needs
    return not is_right


def _summary(mutants: Sequence[Mutant], found: dict[Mutant, Finding]) -> Iterator[str]:
    yield "| backend | mutants | names a clause that it is listed with | one of those beside it | says what is left | names another | names none | not seen |"
    yield "|---" * 8 + "|"
    for backend in BACKENDS:
        counts = Counter(found[m].naming for m in mutants if m.place == backend)
        columns = [counts[n] for n in ("named", "related", "left", "misnamed", "unnamed", "not seen")]  # fmt: skip
        yield f"| {_title(backend)} | {counts.total()} | {' | '.join(map(str, columns))} |"


def _unseen(mutants: Sequence[Mutant], found: dict[Mutant, Finding]) -> Iterator[str]:
    yield "What it can't see, and why:"
    yield ""
    for reason in dict.fromkeys(UNSEEN.values()):
        names = [f"`{m.name}` ({_title(m.place)})" for m in mutants if UNSEEN.get((m.place, m.name)) == reason]  # fmt: skip
        yield f"- {reason} {len(names)}: {', '.join(names)}."


def _details(mutants: Sequence[Mutant], found: dict[Mutant, Finding]) -> Iterator[str]:
    for backend in BACKENDS:
        there = [m for m in mutants if m.place == backend and found[m].naming != "not seen"]
        yield f"### The kit on the mutants of {_title(backend)}: {len(there)}"
        yield ""
        yield "| mutant | is listed with | the kit names | operations | time |"
        yield "|---|---|---|---|---|"
        for mutant in there:
            f = found[mutant]
            by = " (whole kit)" if f.by == "whole kit" else ""
            clause = f.clause or ("what is left" if f.naming == "left" else "nothing")
            mark = "**" if f.naming in ("misnamed", "unnamed") else ""
            yield (
                f"| {mutant.name} | {mutant.clauses} | {mark}{clause}{mark} | {f.operations or ''} "
                f"| {seconds(f.seconds)}{by} |"
            )
        yield ""


def _title(backend: str) -> str:
    return TITLES.get(backend, backend.capitalize())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("path", type=Path, help="the file that has the section")
    parser.add_argument("--anew", action="store_true", help="forget earlier verdicts")
    parser.add_argument("--only", default="", help="mutants with this in their place and name")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--budget", type=float, default=math.inf, help="seconds to begin trials in")
    options = parser.parse_args()
    verdicts = Verdicts(VERDICTS, anew=options.anew)
    mutants = [mutant for mutant in MUTANTS if is_for_the_kit(mutant)]
    until = time.monotonic() + options.budget
    for engine in ENGINES:
        todo = [
            (mutant, trial_of(mutant, engine))
            for mutant in mutants
            if options.only in f"{mutant.place} {mutant.name}"
            and trial_of(mutant, engine) not in verdicts.known
            and not any(verdict.is_caught for _, verdict in verdicts.of(mutant))
            and not (engine == ENGINES[-1] and (mutant.place, mutant.name) in UNSEEN)
        ]
        todo.sort(key=lambda each: each[0].needs != "")  # those that take longest come last
        verdicts.try_all(todo, ask, jobs=options.jobs, until=until)
    tried = {mutant: list(verdicts.of(mutant)) for mutant in mutants}
    found = {m: finding(m, those) for m, those in tried.items() if those}
    for mutant, what in found.items():
        if _is_wrong(mutant, what):
            _tell(mutant, what)
    tried_to_the_end = [
        m
        for m in mutants
        if m in found
        and (
            found[m].naming != "not seen"
            or (m.place, m.name) in UNSEEN
            or trial_of(m, ENGINES[-1]) in verdicts.known
        )
    ]
    still = len(mutants) - len(tried_to_the_end)
    write_between(MARKS, options.path, section([*found], found, still), "The kit on each mutant")
    if still:
        sys.exit(f"{still} mutants are still to be tried to the end: call it again, not anew")
    sys.exit(any(_is_wrong(mutant, what) for mutant, what in found.items()))


def _tell(mutant: Mutant, found: Finding) -> None:
    said = f"{found.naming} {found.clause}".rstrip()
    print(f"{mutant.place} {mutant.name}, listed with {mutant.clauses}: {said}")  # noqa: T201


if __name__ == "__main__":
    main()
