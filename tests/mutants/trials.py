"""Trials: one mutant, one engine, one seed, and whether it was found."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.mutants.host import package
from tests.mutants.mutant import Backend, Mutant, Planted

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 120.0
# What the pytest that we may be part of has said to its own processes.
NOT_FOR_IT = (
    "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS", "WORQ_TEST_REDIS_URL", "COVERAGE_PROCESS_CONFIG",
)  # fmt: skip


class Verdict(NamedTuple):
    """`what` was found, None if nothing was; after how many steps and seconds; which clauses it names."""

    what: str | None
    clauses: tuple[str, ...]
    steps: int
    seconds: float

    @property
    def is_caught(self) -> bool:
        return self.what is not None


class TrialFailed(RuntimeError):
    """Something is wrong with the trial itself."""


class Laboratory:
    """A process that tries mutants, one after another: `with Laboratory() as laboratory: ...`."""

    def __init__(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in NOT_FOR_IT}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._host = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.host"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def try_out(
        self,
        mutant: Mutant | Planted | None,
        engine: str,
        *,
        backend: Backend | None = None,
        seed: int = 0,
        only: str = "",
        gives_up_s: float | None = None,
        is_patient: bool = False,
    ) -> Verdict:
        """Have an engine hunt a mutant; None: the code as it is.

        What takes longer than `SECONDS_MAX` hangs, and so was found. `gives_up_s`: was not found by then.
        `is_patient`: nothing is wrong with tests that are slow.
        """
        planted: Planted | None
        if isinstance(mutant, Mutant):
            backend = backend or mutant.backend
            planted = Planted("worq", mutant.file, mutant.planted(package()))
        else:
            planted = mutant
        trial = {
            "planted": planted,
            "engine": engine,
            "backend": backend or "memory",
            "seed": seed,
            "only": only,
            "seconds_max": SECONDS_MAX if gives_up_s is None else gives_up_s,
            "gives_up": gives_up_s is not None,
            "is_patient": is_patient or mutant is None,
        }
        answer = self._ask(trial)
        if "error" in answer:
            raise TrialFailed(f"{planted and planted.file}, {engine}: {answer['error']}")
        return Verdict(**answer | {"clauses": tuple(answer["clauses"])})

    def _ask(self, trial: dict[str, Any]) -> dict[str, Any]:
        assert self._host.stdin is not None
        assert self._host.stdout is not None
        print(json.dumps(trial), file=self._host.stdin, flush=True)
        line = self._host.stdout.readline()
        if not line:
            raise TrialFailed("the host has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._host.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
