"""Model and backend in lockstep on random walks, which go where the machines of Hypothesis seldom are."""

import os
from collections.abc import Callable
from random import Random

import pytest

from tests.stateful.conftest import MakeBench
from worq.testing.bench import Bench
from worq.testing.walk import walk, walk_of_life

WALKS = {"dev": 40, "ci": 300, "deep": 20_000}


@pytest.mark.parametrize("walk", [walk, walk_of_life])
def test_a_random_walk_goes_as_the_model_says(
    walk: Callable[[Bench, Random, int], None], make_bench: MakeBench
) -> None:
    seed = Random().getrandbits(32)
    print(f"Random({seed})")  # noqa: T201 - shown if it fails
    bench = make_bench(queues=2, clients=2)
    walk(bench, Random(seed), WALKS[os.environ.get("WORQ_PROFILE", "dev")])
