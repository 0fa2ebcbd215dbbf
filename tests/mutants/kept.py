"""Verdicts of trials, in a file: what was interrupted, or has used up its budget, goes on where it was."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Lock, local
from typing import NamedTuple

from tests.mutants.mutant import Mutant
from tests.mutants.trials import Laboratory, Verdict

TOLD_EVERY = 100


class Trial(NamedTuple):
    """`planted`: what the mutant is, in short."""

    place: str
    name: str
    engine: str
    seed: int
    planted: str


Ask = Callable[[Laboratory, Mutant, Trial], Verdict]


def trial_of(mutant: Mutant, engine: str, seed: int = 0) -> Trial:
    return Trial(mutant.place, mutant.name, engine, seed, digest(mutant))


def digest(mutant: Mutant) -> str:
    what = (mutant.file, mutant.old, mutant.new, mutant.only)
    return sha256(repr(what).encode()).hexdigest()[:16]


class Verdicts:
    """Those of earlier runs, and of this one, each kept as soon as it is known."""

    def __init__(self, path: Path, *, anew: bool) -> None:
        self._path = path
        self._writing = Lock()
        self._of_thread = local()
        self.known: dict[Trial, Verdict] = {}
        path.parent.mkdir(exist_ok=True)
        if anew:
            path.unlink(missing_ok=True)
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            tried, verdict = json.loads(line)
            self.known[Trial(*tried)] = Verdict(**verdict | {"clauses": tuple(verdict["clauses"])})

    def of(self, mutant: Mutant) -> Iterator[tuple[Trial, Verdict]]:
        """Those of a mutant as it is now."""
        planted = digest(mutant)
        return (
            (tried, verdict)
            for tried, verdict in self.known.items()
            if (tried.place, tried.name, tried.planted) == (mutant.place, mutant.name, planted)
        )

    def try_all(
        self, todo: Sequence[tuple[Mutant, Trial]], ask: Ask, *, jobs: int, until: float
    ) -> None:
        """Do these in their order, and say how far it is; none begins after that moment."""
        began = time.monotonic()
        done: list[Trial] = []

        def attempt(mutant: Mutant, trial: Trial) -> None:
            if time.monotonic() > until:
                return
            verdict = ask(self._laboratory(), mutant, trial)
            with self._writing, self._path.open("a", encoding="utf-8") as file:
                self.known[trial] = verdict
                print(json.dumps([trial, verdict._asdict()]), file=file)
                done.append(trial)
                if len(done) % TOLD_EVERY == 0 or len(done) == len(todo):
                    took = time.monotonic() - began
                    print(f"{len(done)} of {len(todo)} trials in {took:.0f} s", flush=True)  # noqa: T201

        with ThreadPoolExecutor(jobs) as pool:
            for future in [pool.submit(attempt, *each) for each in todo]:
                future.result()

    def _laboratory(self) -> Laboratory:
        """This thread's own."""
        if not hasattr(self._of_thread, "laboratory"):
            self._of_thread.laboratory = Laboratory()
        laboratory: Laboratory = self._of_thread.laboratory
        return laboratory


def write_between(marks: tuple[str, str], path: Path, text: str, title: str) -> None:
    """Put the text between its marks, which are made at the end of the file if there are none."""
    begin, end = marks
    old = path.read_text(encoding="utf-8") if path.exists() else "# Verification\n"
    if begin not in old:
        old = f"{old.rstrip()}\n\n## {title}\n\n{begin}\n{end}\n"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    new = pattern.sub(lambda _: f"{begin}\n{text}\n{end}", old, count=1)
    path.write_text(new, encoding="utf-8")


def seconds(median: float) -> str:
    return f"{median:.2f} s" if median < 1 else f"{median:.1f} s"
