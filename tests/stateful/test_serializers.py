"""The life cycle is the same with each serializer: the stories of the kit, and random lives, beside the model."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.profile import by_profile
from worq.backend import AbstractTaskQueue
from worq.clock import Clock
from worq.queue import memory
from worq.serializer import Json, MsgPack, Pickle, Signed
from worq.testing.bench import Bench
from worq.testing.lifecycle_machine import make_lifecycle_machine
from worq.testing.scenarios import STORIES, run_story

KEYS = ("the key of tests", "some other key..")


def on_memory(name: str, clock: Clock | None) -> AbstractTaskQueue:
    return memory.TaskQueue("memory://serializers", name, clock=clock)


SERIALIZERS = [Json(), MsgPack(), *(Signed(each, KEYS) for each in (Pickle(), Json(), MsgPack()))]


@pytest.fixture(params=SERIALIZERS, ids=repr)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with closing(Bench(on_memory, serializer=request.param)) as bench:
        yield bench


@pytest.mark.spec("ENV-SER-4", "ENV-SER-5")
@pytest.mark.parametrize("story", STORIES)
def test_stories(bench: Bench, story: str) -> None:
    lockstep = bench.lifecycle()
    run_story(lockstep, STORIES[story])
    bench.lifecycle_done(lockstep)


@pytest.mark.spec("ENV-SER-4", "ENV-SER-5")
def test_random_lives(bench: Bench) -> None:
    examples = by_profile(dev=20, ci=50, deep=2_000)
    run_state_machine_as_test(
        make_lifecycle_machine(bench),
        settings=settings(max_examples=examples, suppress_health_check=list(HealthCheck)),
    )
