"""Model and broker in lockstep: the stories that reach every row, and random ones."""

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.conftest import MakeBench
from worq.testing.bench import Bench
from worq.testing.lifecycle_machine import make_lifecycle_machine
from worq.testing.scenarios import STORIES, model_rows, run_story
from worq_model.lifecycle_table import ROWS


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    return make_bench()


@pytest.mark.every_row("lifecycle_table")
def test_the_stories_reach_every_row_of_the_table() -> None:
    reached = set[object]().union(*(model_rows(story) for story in STORIES.values()))
    assert [row for row in ROWS if row not in reached] == []


@pytest.mark.parametrize("name", STORIES)
def test_a_story_goes_as_the_model_says(name: str, bench: Bench) -> None:
    lockstep = bench.lifecycle()
    run_story(lockstep, STORIES[name])
    bench.lifecycle_done(lockstep)


def test_random_lives_go_as_the_model_says(bench: Bench) -> None:
    run_state_machine_as_test(make_lifecycle_machine(bench))
