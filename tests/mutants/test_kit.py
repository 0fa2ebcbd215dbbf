"""The kit, as an implementer runs it, names what a mutant breaks, and shows no more than it takes.

Which other clauses may be named first is in `RELATED`: what they say of the same is seen sooner.
"""

from collections.abc import Iterator

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.clauses import LEFT, RELATED
from tests.mutants.mutant import Mutant
from tests.mutants.test_mutants import marks
from tests.mutants.trials import Laboratory
from tests.stateful.profile import by_profile

STEPS_MAX = 9
ENGINES_OF_ITS_OWN = ("smoke", "exhaustive", "vectors")
SEQUENTIAL = [
    m
    for m in MUTANTS
    if not m.needs and m.engine in ENGINES_OF_ITS_OWN and not m.only
    if any(not clause.startswith("ENV-") or clause in LEFT for clause in m.clauses.split())
]
EVERY = {
    "memory": by_profile(40, 12, 1),
    "redis": by_profile(40, 12, 1),
    "sqlite": by_profile(40, 12, 1),
}


def sample() -> Iterator[Mutant]:
    for place, every in EVERY.items():
        yield from [m for m in SEQUENTIAL if m.place == place][::every]


@pytest.fixture(scope="module")
def laboratory() -> Iterator[Laboratory]:
    with Laboratory() as laboratory:
        yield laboratory


@pytest.mark.parametrize(
    "mutant", [pytest.param(m, id=f"{m.place}-{m.name}", marks=marks(m.backend)) for m in sample()]
)
def test_it_names_the_clause_and_shows_a_short_history(
    mutant: Mutant, laboratory: Laboratory
) -> None:
    verdict = laboratory.try_out(mutant, "kit")
    assert verdict.what is not None
    listed = mutant.clauses.split()
    related = {each for clause in listed for each in RELATED.get(clause, "").split()}
    assert verdict.what.count("Do(") <= STEPS_MAX, verdict.what
    if "\nsomething is left of a queue" in verdict.what:  # which no clause says of all backends
        assert LEFT.intersection(listed)
        return
    assert verdict.clauses, verdict.what
    assert verdict.clauses[0] in {*listed, *related}, verdict.what
    assert f"{verdict.clauses[0]} is broken." in verdict.what
    assert "\n# expected " in verdict.what or "# got      " in verdict.what
