"""On Redis, programs whose lanes run at the same time, in threads and in processes: the journal says what was right."""

import time
from collections import Counter
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.stateful.profile import by_profile
from worq.testing.parallel import (
    Failure,
    NotLinearizable,
    Parallel,
    Run,
    examine,
    shrink,
)
from worq.testing.parallel_programs import programs
from worq.testing.redis_runs import Crew, RedisRun

TIMES = 10
ON_REDIS = by_profile(5, 60, 600)  # in threads, and as many in processes
SHRINK_TIMES = 50
SHRINK_TRIES = 300


def explore(run: Run, examples: int) -> None:
    """Draw programs and run each some times. Chance is in the threads: what failed once is not asked again."""
    counts: Counter[str] = Counter()
    failures: dict[Parallel, Failure] = {}

    def smaller(program: Parallel) -> Failure | None:
        return examine(run, program, SHRINK_TIMES, Counter())

    @settings(
        max_examples=examples,
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=(HealthCheck.too_slow,),
    )
    @given(programs())
    def example(program: Parallel) -> None:
        if program not in failures:
            failure = examine(run, program, TIMES, counts)
            if failure is None:
                return
            failures[program] = shrink(failure, smaller, SHRINK_TRIES)
        raise NotLinearizable(str(failures[program]))

    began = time.monotonic()
    example()
    rate = counts["holds"] / (time.monotonic() - began)
    print(f"{dict(counts)}: {rate:.0f} histories/s")  # noqa: T201 (shown if somebody asks for it)
    assert counts["unknown"] == 0
    assert counts["holds"] >= TIMES * examples // 2
    assert counts["overlapping"] > counts["holds"] // 4


@pytest.mark.timeout(0)
@pytest.mark.parametrize("processes", [0, 4], ids=["threads", "processes"])
def test_redis(redis_url: str, processes: int) -> None:
    with ExitStack() as stack:
        crew = stack.enter_context(Crew(redis_url, processes)) if processes else None
        explore(stack.enter_context(RedisRun(redis_url, crew)), ON_REDIS)
