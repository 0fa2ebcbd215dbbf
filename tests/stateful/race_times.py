"""`python -m tests.stateful.race_times`: how soon each planted race is found, by the scheduler and by plain threads."""

import time
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import Phase, given, seed, settings

from tests.stateful.races import RACES
from tests.stateful.test_races import SEARCHES
from worq.queue import memory
from worq.testing.interleavings import Interleavings, Stage
from worq.testing.parallel import Parallel, ThreadRun, examine
from worq.testing.parallel_programs import programs

SECONDS_MAX = 30.0
SEEDS = (1, 2, 3)
TIMES = 10


def scheduler() -> str:
    """Schedules and CPU seconds until it is found."""
    began, schedules = time.process_time(), 0
    for small, options in SEARCHES:
        with Stage(**options) as stage:
            interleavings = Interleavings(stage)
            for program in small:
                if interleavings.exhaust(program, 1):
                    schedules += interleavings.counts["schedules"]
                    return f"{schedules} schedules, {time.process_time() - began:.2f} s"
            schedules += interleavings.counts["schedules"]
    return "not found"


def threads(number: int) -> str:
    """Histories and seconds until it is found, with programs drawn from one seed."""
    run = ThreadRun(lambda name, clock: memory.TaskQueue("memory://races", name, clock=clock))
    began, counts, found = time.monotonic(), Counter[str](), [""]

    @seed(number)
    @settings(max_examples=10_000, phases=[Phase.generate], database=None, deadline=None)
    @given(programs())
    def example(program: Parallel) -> None:
        took_s = time.monotonic() - began
        if not found[0] and took_s < SECONDS_MAX and examine(run, program, TIMES, counts):
            found[0] = f"{counts['holds']}, {took_s:.1f} s"
        assert not found[0]
        assert took_s < SECONDS_MAX

    with suppress(BaseException):  # it ends so, found or not
        example()
    return found[0] or f"not in {SECONDS_MAX:.0f} s"


def main() -> None:
    print("| planted | scheduler | threads: histories, time (three seeds) |\n|---|---|---|")  # noqa: T201
    for name, plant in RACES.items():
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            row = [name, scheduler(), "; ".join(map(threads, SEEDS))]
        print(f"| {' | '.join(row)} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
