"""`python -m tests.stateful.histories memory redis`: many concurrent histories, and what the checker said of each.

Each is checked twice: as it was, and with an answer altered in the part that ran alone, for which there was one
right answer only. So both verdicts of the checker are counted, and any other than the right one fails. The seed
chooses the programs; the timing is the machine's.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Final, Protocol

from hypothesis import HealthCheck, Phase, given, seed, settings

from worq.queue import memory, sqlite
from worq.testing.driver import Do
from worq.testing.histories import History
from worq.testing.linearizability import Verdict
from worq.testing.parallel import Failure, Parallel, ThreadRun, Tried, overlaps
from worq.testing.parallel_programs import programs
from worq.testing.redis_runs import Crew, RedisRun
from worq.testing.servers import redis_for_tests

HISTORIES: Final = 10_000
TIMES: Final = 10  # of each program
PROCESSES: Final = 4
OVERLAPPING_MIN: Final = 0.25


class Runs(Protocol):
    """Runs a program once, and judges histories of it."""

    def __call__(self, program: Parallel, /) -> Tried: ...

    def judge(self, history: History, /) -> Verdict: ...


@contextmanager
def in_memory() -> Generator[Runs]:
    yield ThreadRun(lambda name, clock: memory.TaskQueue("memory://histories", name, clock=clock))


@contextmanager
def on_redis() -> Generator[Runs]:
    with redis_for_tests() as url, RedisRun(url) as run:
        yield run


@contextmanager
def on_redis_from_processes() -> Generator[Runs]:
    with redis_for_tests() as url, Crew(url, PROCESSES) as crew, RedisRun(url, crew) as run:
        yield run


@contextmanager
def in_a_file() -> Generator[Runs]:
    with tempfile.TemporaryDirectory(prefix="worq-histories-") as folder:
        url = f"sqlite:///{folder}/queues.db?synchronous=normal"
        yield ThreadRun(lambda name, clock: sqlite.TaskQueue(url, name, clock=clock))


PLACES = {
    "memory": in_memory,
    "redis": on_redis,
    "redis-processes": on_redis_from_processes,
    "sqlite": in_a_file,
}


def altered(history: History, random: Random) -> History | None:
    """Another answer to the last operation before the lanes, if there is one."""
    acts = {event.op_id: event.value for event in history if event.kind == "call"}
    replies = [event for event in history if event.kind == "return"]
    alone = [e for e in replies if e.process == "prefix" and isinstance(acts[e.op_id], Do)]
    if not alone:
        return None
    event = alone[-1]
    kept = (event.value, type(event.value))
    others = [None, True, False, *(reply.value for reply in replies)]
    other = random.choice([reply for reply in others if (reply, type(reply)) != kept])
    return [event._replace(value=other) if e is event else e for e in history]


class Count:
    """What was said of the histories of one place, and the first failure."""

    def __init__(self) -> None:
        self.right: Counter[str] = Counter()
        self.altered: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.failure: Failure | None = None

    def add(self, program: Parallel, run: Runs, random: Random) -> None:
        history, verdict = run(program)
        self.right[verdict.answer] += 1
        self.seen["operations"] += len(history) // 2
        self.seen["overlapping"] += overlaps(history)
        if verdict.answer != "holds":
            self.failure = self.failure or Failure(program, history, verdict)
        other = altered(history, random)
        if other is not None:
            self.altered[run.judge(other).answer] += 1

    def lacking(self, histories: int) -> Generator[str]:
        """Why this is not enough."""
        if self.right["holds"] < self.right.total():
            yield str(self.failure)
        if self.right["holds"] < histories:
            yield f"only {self.right['holds']:,} histories hold"
        if self.altered["violated"] < self.altered.total():
            yield "a wrong history was not found"
        if self.altered["violated"] < histories // 2:
            yield f"only {self.altered['violated']:,} wrong histories"
        if self.seen["overlapping"] < OVERLAPPING_MIN * histories:
            yield f"only {self.seen['overlapping']:,} histories in which anything overlaps"


def explore(run: Runs, histories: int, number: int) -> Count:
    """As many histories, of programs drawn from that seed; or fewer, once one is not right."""
    count, random = Count(), Random(number)

    @seed(number)
    @settings(
        max_examples=-(-histories // TIMES),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def example(program: Parallel) -> None:
        for _ in range(TIMES):
            if count.failure is None:
                count.add(program, run, random)

    example()
    return count


def line(place: str, count: Count, seconds: float) -> str:
    def verdicts(answers: Counter[str]) -> str:
        return ", ".join(f"{name} {answers[name]:,}" for name in ("holds", "violated", "unknown"))

    return (
        f"{place}: {count.right.total():,} histories of {count.seen['operations']:,} operations, "
        f"{count.seen['overlapping']:,} with some at the same time: {verdicts(count.right)}; "
        f"with an answer altered: {verdicts(count.altered)}; {seconds:.0f} s"
    )


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.stateful.histories", description=__doc__)
    parser.add_argument("places", nargs="+", choices=PLACES)
    parser.add_argument("--histories", type=int, default=HISTORIES, help="in each place")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    asked = parser.parse_args(arguments)
    print(f"seed {asked.seed}", flush=True)
    failed = False
    for place in asked.places:
        began = time.monotonic()
        with PLACES[place]() as run:
            count = explore(run, asked.histories, asked.seed)
        print(line(place, count, time.monotonic() - began), flush=True)
        for each in count.lacking(asked.histories):
            print(f"TOO LITTLE: {each}", flush=True)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
