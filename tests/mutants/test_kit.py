"""The kit, as an implementer runs it, names what a mutant breaks, and shows no more than it takes.

Which other clauses may be named first is in `RELATED`: what they say of the same is seen sooner.
"""

from collections.abc import Iterator

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.test_mutants import marks
from tests.mutants.trials import Laboratory
from tests.stateful.profile import by_profile

STEPS_MAX = 9
# Each clause, and those by which its mistakes are seen, or that say the same of other operations.
RELATED: dict[str, str] = {
    "SUB-3": "SUB-6 STA-1 BRK-3",
    "SUB-4": "SUB-5 OUT-5",
    "SUB-5": "SUB-6 SUB-7 SUB-8 OUT-5",
    "SUB-6": "SUB-3 SUB-7",
    "SUB-7": "SUB-6 CLM-1",
    "SUB-8": "SUB-5",
    "CLM-1": "TIM-1 TIM-3 TIM-4",
    "CLM-3": "CLM-1 GAR-3",
    "FIN-2": "OUT-1",
    "FIN-4": "TIM-1 TIM-5",
    "HRT-1": "TIM-1 TIM-3 TIM-4",
    "DSC-1": "OUT-6 SIZ-1",
    "PRG-1": "DSC-1 SIZ-1 OUT-7",
    "SIZ-1": "SUB-7",
    "STA-1": "SUB-7",
    "TOK-3": "TOK-1",
    "TOK-4": "RSV-4 RSV-2",
    "POP-5": "TIM-1 TIM-5",
    "TIM-5": "TIM-1",
    "TIM-1": "TIM-3 TIM-4 TIM-5",
    "TIM-2": "TIM-1 TIM-3 CLM-1",
    "TIM-3": "CLM-1 CLM-4 POP-3 TIM-1",
    "TIM-4": "TIM-1 OUT-6 STA-1",
    "OUT-1": "FIN-2 ARG-3 CLM-1",
    "OUT-2": "DSC-1 OUT-6",
    "OUT-3": "OUT-5 FIN-2",
    "OUT-6": "TIM-4 DSC-1 DSC-2",
    "OUT-7": "DSC-1 FIN-4 OUT-6",
    "ARG-3": "DSC-1",
    "ARG-4": "CLM-1 ARG-3",
    "DFR-2": "ARG-3 DFR-1",
    "RSV-1": "RSV-2",
    "RSV-4": "FIN-2 POP-3",
    "RSV-2": "RSV-1 RSV-4",
    "GAR-1": "DSC-1 CLM-1",
    "GAR-2": "GAR-3",
    "GAR-3": "GAR-2 CLM-3 CLM-4",
    "ENV-SQLITE-1": "SUB-6",
}
ENGINES_OF_ITS_OWN = ("smoke", "exhaustive", "vectors")
LEFT = frozenset({"ENV-REDIS-5", "ENV-SQLITE-8"})
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
