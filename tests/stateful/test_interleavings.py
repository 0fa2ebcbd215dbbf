"""The memory queue's own code under a controlled scheduler: small programs in all interleavings, others in some."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import given, settings

from tests.stateful.profile import by_profile
from worq.queue.memory.tasks import Tasks
from worq.testing.exhaustive import CLAIM, submit
from worq.testing.interleavings import Interleavings, Nondeterminism, Stage, replay
from worq.testing.parallel import Parallel
from worq.testing.parallel_programs import programs
from worq.testing.small_programs import SITUATIONS, WAITS, pairs, pairs_with_bulks

Pairs = Callable[[], Iterator[tuple[str, Parallel]]]
PREEMPTIONS = by_profile(1, 2, 3)
PREEMPTIONS_AT_LINES = by_profile(1, 1, 2)
EVERY = by_profile(4, 1, 1)
EVERY_AT_LINES = by_profile(8, 2, 1)
EXAMPLES = by_profile(10, 100, 5_000)
SCHEDULES_MAX = by_profile(50, 100, 1_000)
SEEDS = range(by_profile(3, 5, 50))

on_both_clocks = pytest.mark.parametrize("flows", [False, True], ids=["by hand", "flows"])


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with Stage(**getattr(request, "param", {})) as stage:
        yield stage


def examine_pairs(
    situation: str, stage: Stage, preemptions: int, every: int, which: Pairs = pairs
) -> None:
    interleavings = Interleavings(stage)
    here = [program for name, program in which() if name == situation]
    for program in here[::every]:
        trouble = interleavings.exhaust(program, preemptions)
        assert trouble is None, str(trouble)
    print(dict(interleavings.counts))  # noqa: T201 (shown if somebody asks for it)
    assert interleavings.counts["schedules"] > 2 * len(here) // every


@on_both_clocks
@pytest.mark.parametrize("situation", SITUATIONS)
def test_two_operations_at_the_same_time_are_atomic(situation: str, *, flows: bool) -> None:
    with Stage(flows=flows) as stage:
        examine_pairs(situation, stage, PREEMPTIONS, EVERY)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_two_operations_are_atomic_wherever_threads_switch(situation: str) -> None:
    with Stage(lines=True) as stage:
        examine_pairs(situation, stage, PREEMPTIONS_AT_LINES, EVERY_AT_LINES)


@pytest.mark.spec("ENV-BULK-1")
@pytest.mark.parametrize("lines", [False, True], ids=["at locks", "at lines"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_operations_in_bulk_are_atomic_one_by_one(situation: str, *, lines: bool) -> None:
    with Stage(lines=lines) as stage:
        examine_pairs(situation, stage, PREEMPTIONS_AT_LINES, EVERY_AT_LINES, pairs_with_bulks)


@on_both_clocks
@pytest.mark.parametrize("lines", [False, True], ids=["at locks", "at lines"])
@pytest.mark.parametrize("name", WAITS)
def test_nobody_sleeps_while_what_it_waits_for_is_there(
    name: str, *, lines: bool, flows: bool
) -> None:
    with Stage(lines=lines, flows=flows) as stage:
        trouble = Interleavings(stage).exhaust(
            WAITS[name], PREEMPTIONS_AT_LINES if lines else PREEMPTIONS
        )
    assert trouble is None, str(trouble)


@on_both_clocks
def test_random_programs_are_right_in_many_interleavings(*, flows: bool) -> None:
    with Stage(flows=flows) as stage:
        interleavings = Interleavings(stage)

        @settings(max_examples=EXAMPLES)
        @given(programs(3, 3, queues=1, forever=True))
        def examine(program: Parallel) -> None:
            trouble = interleavings.exhaust(program, 1, SCHEDULES_MAX)
            assert trouble is None, str(trouble)

        examine()
    assert interleavings.counts["preemptions"] > EXAMPLES


@on_both_clocks
def test_longer_random_programs_are_right_in_random_interleavings(*, flows: bool) -> None:
    with Stage(lines=True, flows=flows) as stage:
        interleavings = Interleavings(stage)

        @settings(max_examples=EXAMPLES)
        @given(programs(3, 8, queues=1, forever=True))
        def examine(program: Parallel) -> None:
            trouble = interleavings.sample(program, SEEDS)
            assert trouble is None, str(trouble)

        examine()
    assert interleavings.counts["schedules"] >= EXAMPLES


TWO_CLAIMS = Parallel((submit("a", 1),), ((CLAIM,), (CLAIM,)))


@pytest.mark.parametrize("stage", [{"lines": True}], indirect=True)
def test_a_schedule_is_repeated_from_its_text(stage: Stage) -> None:
    run, _ = Interleavings(stage).examine(TWO_CLAIMS, lambda enabled, _: enabled[-1])
    again = stage.run(TWO_CLAIMS, lambda enabled, _: enabled[-1])
    assert run.schedule.startswith("b")
    assert again.history == run.history
    assert replay(stage, TWO_CLAIMS, run.schedule) is None


def test_what_the_scheduler_does_not_control_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = count()
    monkeypatch.setattr(Tasks, "size", lambda _: next(sizes))
    with pytest.raises(Nondeterminism):
        Interleavings(stage)._again(  # noqa: SLF001 (the check of the first run would object before)
            TWO_CLAIMS, stage.run(TWO_CLAIMS), -1
        )
