"""Each mutant is caught by the engine that ought to; and none of these finds anything where nothing is planted.

`make mutants` tries other engines too.
"""

from collections.abc import Iterator

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.engines import ENGINES
from tests.mutants.mutant import Backend, Mutant
from tests.mutants.trials import Laboratory
from tests.stateful.profile import by_profile

# In the dev profile a sample, which takes some seconds.
SAMPLE = MUTANTS[:: by_profile(25, 1, 1)]
# What depends on chance may need another try.
TRIES = 3
# Of an engine whose mutants need only parts of it so many are tried without any.
PARTS_MAX = 3


@pytest.fixture(scope="module")
def laboratory() -> Iterator[Laboratory]:
    with Laboratory() as laboratory:
        yield laboratory


def marks(backend: Backend) -> tuple[pytest.MarkDecorator, ...]:
    return (pytest.mark.redis,) if backend == "redis" else ()


@pytest.mark.parametrize(
    "mutant", [pytest.param(m, id=f"{m.place}-{m.name}", marks=marks(m.backend)) for m in SAMPLE]
)
def test_a_mutant_is_caught(mutant: Mutant, laboratory: Laboratory) -> None:
    for seed in range(TRIES if ENGINES[mutant.engine].draws else 1):
        verdict = laboratory.try_out(mutant, mutant.engine, seed=seed, only=mutant.only)
        if verdict.is_caught:
            print(verdict)  # noqa: T201 - shown if somebody asks for it
            return
    pytest.fail(
        f"{mutant.engine} does not find {mutant.name}, which breaks {mutant.clauses}: in {mutant.file}\n"
        f"{mutant.old!r}\nbecame\n{mutant.new!r}"
    )


# Engines that are files of tests find nothing where nothing is planted, or this run of the suite fails
# anyway; of these one file stands for all, for it could be the trial that goes wrong.
CONTROLS = [
    (engine, backend)
    for engine, backend in sorted({(mutant.engine, mutant.backend) for mutant in SAMPLE})
    if engine == "examples" or not ENGINES[engine].tests
]


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("engine", "backend"),
    [pytest.param(*control, id="-".join(control), marks=marks(control[1])) for control in CONTROLS],
)
def test_nothing_is_found_where_nothing_is_planted(
    engine: str, backend: Backend, laboratory: Laboratory
) -> None:
    only = {
        mutant.only for mutant in SAMPLE if (mutant.engine, mutant.backend) == (engine, backend)
    }
    for part in (sorted(only - {""}) or [""])[:PARTS_MAX]:
        verdict = laboratory.try_out(None, engine, backend=backend, only=part)
        assert not verdict.is_caught, verdict
