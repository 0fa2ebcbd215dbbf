"""Every transition of the bounded models, on every backend; every two in a row in the deep profile."""

from functools import cache

import pytest

from tests.repo.clauses import ROOT
from tests.stateful.conftest import MakeBench
from tests.stateful.profile import by_profile
from worq.testing.bench import Bench
from worq.testing.driver import Program
from worq.testing.vectors import CLIENTS, Vectors, generate, loads, program, programs
from worq_model import history
from worq_model.catalogue import BY_HAND, PAIRS, VECTORS
from worq_model.explore import explore

FOLDER = ROOT / "model" / "vectors"


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    return make_bench(queues=1, clients=CLIENTS)


def replay(bench: Bench, entries: Program) -> None:
    lockstep = bench.lockstep()
    lockstep.run(entries, observe=False)
    bench.done(lockstep)


@pytest.mark.parametrize("name", VECTORS)
def test_every_transition_goes_as_the_model_says(name: str, bench: Bench) -> None:
    vectors = loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert sum(map(len, vectors.programs)) > vectors.transitions > 10_000
    for entries in programs(vectors, api=name == "reference"):
        replay(bench, entries)


@cache
def in_pairs(name: str) -> Vectors:
    return generate(PAIRS[name], in_pairs=True)


@pytest.mark.parametrize("name", by_profile((), (), tuple(PAIRS)))
def test_every_two_transitions_in_a_row_go_as_the_model_says(name: str, bench: Bench) -> None:
    for entries in programs(in_pairs(name), api=name == "reference"):
        replay(bench, entries)


@pytest.mark.parametrize("name", BY_HAND)
def test_what_goes_wrong_by_hand_goes_wrong_on_every_backend(name: str, bench: Bench) -> None:
    trace = explore(BY_HAND[name].system()).trace
    replay(bench, program(history.program(label for label, _ in trace), api=True))
