"""The files of transitions; every two in a row in the deep profile; what goes wrong by hand, on every backend."""

from functools import cache

import pytest

from tests.stateful.profile import by_profile
from worq.testing import shortest
from worq.testing.bench import Bench
from worq.testing.vectors import NAMES, Vectors, generate, kept, program, programs
from worq_model import history
from worq_model.catalogue import BY_HAND, PAIRS
from worq_model.explore import explore


@pytest.mark.parametrize("name", NAMES)
def test_the_programs_of_a_file_take_more_steps_than_there_are_transitions(name: str) -> None:
    vectors = kept(name)
    assert sum(map(len, vectors.programs)) > vectors.transitions > 10_000


@cache
def in_pairs(name: str) -> Vectors:
    return generate(PAIRS[name], in_pairs=True)


@pytest.mark.parametrize("name", by_profile((), (), tuple(PAIRS)))
def test_every_two_transitions_in_a_row_go_as_the_model_says(name: str, bench: Bench) -> None:
    vectors = in_pairs(name)
    for entries in programs(vectors, api=name == "reference"):
        shortest.run(bench, entries, observe=False)
    steps = sum(map(len, vectors.programs))
    print(f"{vectors.transitions:,} pairs, {len(vectors.programs):,} programs, {steps:,} steps")  # noqa: T201 (shown if somebody asks for it)


@pytest.mark.parametrize("name", BY_HAND)
def test_what_goes_wrong_by_hand_goes_wrong_on_every_backend(name: str, bench: Bench) -> None:
    trace = explore(BY_HAND[name].system()).trace
    entries = program(history.program(label for label, _ in trace), api=True)
    shortest.run(bench, entries, observe=False)
