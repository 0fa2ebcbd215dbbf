"""Tries each mutant on each engine that might find it, and writes what came of it: `make mutants`.

    python -m tests.mutants.report docs/verification.md

Verdicts are kept in `build/mutants.jsonl` until the mutant changes, so what was interrupted, or has used up its budget,
goes on where it was; `--anew` forgets them. The file is written when no trial is left.
"""

import argparse
import math
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.engines import ENGINES
from tests.mutants.equivalents import EQUIVALENT
from tests.mutants.kept import Trial, Verdicts, seconds, trial_of, write_between
from tests.mutants.mutant import Mutant
from tests.mutants.trials import Laboratory, Verdict

VERDICTS = Path("build/mutants.jsonl")
MARKS = "<!-- mutants: begin -->", "<!-- mutants: end -->"
# Seeds of the engine that ought to find it, where it draws; of any other engine.
SEEDS_OF_ITS_OWN = 3
SEEDS = 1
# How long an engine may look that need not find it.
SECONDS_MAX = 3.0
BUCKETS_S = (0.1, 1.0, 10.0, 60.0)

# Place → engines, for what calls one after another show, and for what needs threads or a crash.
TITLES = {"sqlite": "SQLite"}
SEQUENTIAL = {
    "memory": ("exhaustive", "walk", "one rule"),
    "redis": ("exhaustive", "walk"),
    "sqlite": ("exhaustive", "smoke"),
    "broker": ("stories", "walk of life"),
    "pool": (),
}
CONCURRENT = {
    "memory": ("interleavings", "linearizability"),
    "redis": ("linearizability", "waiting"),
    "sqlite": ("waiting",),
    "broker": ("stories",),
    "pool": (),
}


def trials_of(mutant: Mutant, seeds: int) -> Iterator[Trial]:
    engines = (CONCURRENT if mutant.needs else SEQUENTIAL)[mutant.place]
    for engine in dict.fromkeys((mutant.engine, *engines)):
        count = max(seeds, SEEDS_OF_ITS_OWN) if engine == mutant.engine else seeds
        for seed in range(count if ENGINES[engine].draws else 1):
            yield trial_of(mutant, engine, seed)


def ask(laboratory: Laboratory, mutant: Mutant, trial: Trial, seconds_max: float) -> Verdict:
    """The engine that ought to find it is narrowed as in the tests; the others are not, and may give up."""
    is_its_own = trial.engine == mutant.engine
    return laboratory.try_out(
        mutant,
        trial.engine,
        seed=trial.seed,
        only=mutant.only if is_its_own else "",
        gives_up_s=None if is_its_own else seconds_max,
    )


# The text


def section(mutants: Sequence[Mutant], verdicts: Verdicts) -> str:
    missed = [m for m in mutants if not any(_caught(m, verdicts))]
    needing = sum(m.needs != "" for m in mutants)
    own = [v for m in mutants for t, v in verdicts.of(m) if t.engine == m.engine]
    times = [verdict.seconds for verdict in own if verdict.is_caught]
    return "\n".join(
        [
            f"{len(mutants)} mutants, of which {needing} show only with threads or a crash; {len(missed)} missed.",
            (
                f"The engine that ought to find it does so in {len(times)} of {len(own)} trials,"
                f" after {_seconds(times)} (median), {max(times):.0f} s at most."
            ),
            "",
            *_summary(mutants, verdicts),
            *(f"\nMissed: {', '.join(m.name for m in missed)}" if missed else "").splitlines(),
            "",
            *_details(mutants, verdicts),
            "",
            "### What looks like a mutant and is none",
            "",
            *(f"- `{m.name}` ({m.file}): {reason}" for m, reason in EQUIVALENT),
        ]
    )


def _caught(mutant: Mutant, verdicts: Verdicts) -> Iterator[Verdict]:
    return (verdict for _, verdict in verdicts.of(mutant) if verdict.is_caught)


def _summary(mutants: Sequence[Mutant], verdicts: Verdicts) -> Iterator[str]:
    yield (
        "| engine | found | of trials | median steps | median time | "
        + " | ".join(f"≤ {bucket:g} s" for bucket in BUCKETS_S)
        + " |"
    )
    yield "|---" * (5 + len(BUCKETS_S)) + "|"
    by_engine: dict[str, list[Verdict]] = defaultdict(list)
    for mutant in mutants:
        for trial, verdict in verdicts.of(mutant):
            by_engine[trial.engine].append(verdict)
    for engine in ENGINES:
        tried = by_engine[engine]
        found = [verdict for verdict in tried if verdict.is_caught]
        if not found:
            continue
        times = [verdict.seconds for verdict in found]
        counts = [
            sum(low < seconds <= high for seconds in times)
            for low, high in zip((-1.0, *BUCKETS_S), BUCKETS_S, strict=False)
        ]
        yield (
            f"| {engine} | {len(found)} | {len(tried)} | {_steps(found):,} | {_seconds(times)} | "
            + " | ".join(map(str, counts))
            + " |"
        )


def _details(mutants: Sequence[Mutant], verdicts: Verdicts) -> Iterator[str]:
    for place in ("memory", "redis", "sqlite", "broker", "pool"):
        there = [mutant for mutant in mutants if mutant.place == place]
        yield f"### {TITLES.get(place, place.capitalize())}: {len(there)}"
        yield ""
        yield "| mutant | breaks | needs | caught by (steps, median time; in how many of several seeds) |"
        yield "|---|---|---|---|"
        for mutant in there:
            yield (
                f"| {mutant.name} | {mutant.clauses} | {mutant.needs} "
                f"| {'; '.join(_finders(mutant, verdicts)) or '**nothing**'} |"
            )
        yield ""


def _finders(mutant: Mutant, verdicts: Verdicts) -> Iterator[str]:
    """The engine that ought to find it first, then the quickest."""
    found: dict[str, list[Verdict]] = defaultdict(list)
    tried: dict[str, int] = defaultdict(int)
    for trial, verdict in verdicts.of(mutant):
        tried[trial.engine] += 1
        if verdict.is_caught:
            found[trial.engine].append(verdict)
    for engine in sorted(
        found, key=lambda e: (e != mutant.engine, statistics.median(v.seconds for v in found[e]))
    ):
        hits = found[engine]
        times = _seconds([verdict.seconds for verdict in hits])
        share = f"; {len(hits)}/{tried[engine]}" if len(hits) < tried[engine] else ""
        yield f"{engine} ({_steps(hits):,}, {times}{share})"


def _steps(found: Iterable[Verdict]) -> int:
    return round(statistics.median(verdict.steps for verdict in found))


def _seconds(times: Iterable[float]) -> str:
    return seconds(statistics.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("path", type=Path, help="the file that has the section")
    parser.add_argument("--anew", action="store_true", help="forget earlier verdicts")
    parser.add_argument("--only", default="", help="mutants with this in their name or place")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the engines that draw")
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS_MAX,
        help="that an engine looks which need not find it",
    )
    parser.add_argument("--budget", type=float, default=math.inf, help="seconds to begin trials in")
    options = parser.parse_args()
    verdicts = Verdicts(VERDICTS, anew=options.anew)
    chosen = [m for m in MUTANTS if options.only in f"{m.place} {m.name}"]
    every = [(m, trial) for m in MUTANTS for trial in trials_of(m, options.seeds)]
    todo = [(m, trial) for m, trial in every if m in chosen and trial not in verdicts.known]
    # What is cut short still says that none is missed.
    todo.sort(key=lambda each: each[0].engine != each[1].engine)
    verdicts.try_all(
        todo,
        partial(ask, seconds_max=options.seconds),
        jobs=options.jobs,
        until=time.monotonic() + options.budget,
    )
    if left := sum(trial not in verdicts.known for _, trial in every):
        sys.exit(f"{left} trials are left, so nothing is written: call it again, not anew")
    write_between(MARKS, options.path, section(MUTANTS, verdicts), "Mutants")


if __name__ == "__main__":
    main()
