"""The kit, as an implementer runs it, names what a mutant breaks, and shows no more than it takes.

Which other clauses may be named first is in `RELATED`: what they say of the same is seen sooner.
"""

from collections.abc import Iterator

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.clauses import LEFT, RELATED, is_for_the_kit
from tests.mutants.kit_report import STAGES
from tests.mutants.mutant import Mutant
from tests.mutants.test_mutants import marks
from tests.mutants.trials import Laboratory
from tests.mutants.unseen import UNSEEN
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


# What the kit did not see, or gave another name, or took minutes for: the clause, and the stages that come first.
MENDED = [
    ("memory", "NothingIsFreed", "OUT-7", ""),
    ("memory", "ExpiredArgumentIsEmpty", "GAR-1", ""),
    ("redis", "NothingIsFreed", "OUT-7", ""),
    ("memory", "ReserveItself", "RSV-2", ""),
    ("memory", "ReservedInSilence", "ENV-WAIT-5", STAGES),
][: by_profile(2, 5, 5)]
BY_NAME: dict[tuple[str, str], Mutant] = {(m.place, m.name): m for m in MUTANTS}


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


@pytest.mark.parametrize(
    ("place", "name", "clause", "stages"),
    [pytest.param(*each, id="-".join(each[:2]), marks=marks(each[0])) for each in MENDED],  # type: ignore[arg-type]
)
def test_it_says_still_what_it_has_once_not_said(
    place: str, name: str, clause: str, stages: str, laboratory: Laboratory
) -> None:
    verdict = laboratory.try_out(BY_NAME[place, name], "kit", only=stages)
    assert verdict.clauses[:1] == (clause,), verdict


def test_what_it_cannot_see_is_there_and_breaks_a_clause_that_it_examines() -> None:
    for key, reason in UNSEEN.items():
        assert is_for_the_kit(BY_NAME[key]), key
        assert reason
