"""What the engines do. Imported in a child process only, where `worq` is the copy with the mutant in it.

A hunt returns if it finds nothing wrong and raises what it finds; `Steps.done` is how far it came.
"""

import logging
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import redis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.mutants.engines import Engine
from tests.mutants.mutant import Backend
from tests.sqlite import leftover_rows
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.queue import memory, sqlite
from worq.queue import redis as redis_queue
from worq.queue.memory.stores import STORES
from worq.testing import calls, in_bulk, lifecycle, lockstep, vectors
from worq.testing.bench import Bench
from worq.testing.capabilities import checked
from worq.testing.exhaustive import THEMES, run_theme
from worq.testing.interleavings import Interleavings, Stage
from worq.testing.kit import USUAL, Broken, Effort, Kit, Lossy, Subject
from worq.testing.lifecycle_machine import make_lifecycle_machine
from worq.testing.machine import OneRuleMachine, RulesMachine, make_machine
from worq.testing.parallel import Parallel, Run, ThreadRun, examine
from worq.testing.parallel_programs import programs
from worq.testing.proxy import lossy_queue
from worq.testing.redis_runs import RedisRun
from worq.testing.report import described
from worq.testing.scenarios import STORIES, run_story
from worq.testing.servers import RedisServer, leftover_keys
from worq.testing.small_programs import WAITS, pairs
from worq.testing.smoke import SMOKE
from worq.testing.stages import all_checks
from worq.testing.vectors import CLIENTS
from worq.testing.walk import walk, walk_of_life

# How long a step may take that should not take any time.
HANGS_AFTER_S = 3.0
# The same for the tests: for what another thread is told, and for a whole test.
PATIENCE_S = 1.0
TEST_S_MAX = 5
# The same for the kit, whose word counts: nothing is late because the machine is busy.
PATIENCE_OF_THE_KIT_S = 8.0
# Its own, but for what depends on chance and takes longest; less on the slower backends.
OF_THE_KIT = USUAL._replace(examples=30, walks=20, programs=5, times=5)
ELSEWHERE = OF_THE_KIT._replace(length=2, every=5)
# The exhaustive histories get so long, the shortest first; on Redis a letter longer where only some are asked for.
LENGTHS: dict[Backend, int] = {"memory": 3, "redis": 2, "sqlite": 2}
EXAMPLES = 100
WALKS = 300
HASTE = 10
PREEMPTIONS = 1
INTERLEAVINGS_S_MAX = 40.0
TIMES = 3
STEPS_OF_AN_EXAMPLE = 50

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
TESTS = Path(__file__).parents[1]
VECTORS = TESTS.parent / "model" / "vectors"
CLAUSES = re.compile(r"\[((?:[A-Z]+-)+\d+(?: (?:[A-Z]+-)+\d+)*)\]")


class Steps:
    """How far the hunt in this process has come.

    `hangs_after_s`: one step. `lasts`: as does whatever comes between it and the next.
    """

    done = 0
    hangs_after_s = HANGS_AFTER_S
    lasts = True

    @classmethod
    def counted(cls, act: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, which counts, and must not hang."""

        def step(*args: Any, **kw: Any) -> Any:
            cls.done += 1
            signal.setitimer(signal.ITIMER_REAL, cls.hangs_after_s)
            try:
                return act(*args, **kw)
            finally:
                if not cls.lasts:
                    signal.setitimer(signal.ITIMER_REAL, 0)

        return step


class Place(NamedTuple):
    """Where queues are made, and what says what is left of one, or of all of them.

    `haste`: by how much to do less where nothing is to be found. `claims` and what follows is for the kit.
    """

    backend: Backend
    make: Callable[[str, ManualClock | None], AbstractTaskQueue]
    left_of: Callable[[AbstractTaskQueue], list[str]]
    left: Callable[[], list[str]]
    url: str | None = None
    only: str = ""
    haste: int = 1
    claims: tuple[str, ...] = ("reference", "manual clock")
    lossy: Callable[[str, ManualClock | None], AbstractContextManager[Lossy]] | None = None
    new_store: Callable[[], AbstractTaskQueue] | None = None


class NothingToRunError(Exception):
    """The engine, as it was narrowed, has no test: it would find everything or nothing."""


class Found(NamedTuple):
    """What was wrong, and which clauses it was about, as far as the engine knows."""

    what: str
    clauses: tuple[str, ...]


Told = Callable[[Found], None]


def hunt(
    engine: Engine,
    backend: Backend,
    number: int,
    only: str,
    tell: Told,
    *,
    is_control: bool,
    is_patient: bool = False,
) -> None:
    """Look for something wrong, and tell of the first thing that is.

    `is_control`: nothing is planted, so less is done. `is_patient`: tests may take their time. `number`: the seed. `only`: of tests as `pytest -k` has it, of programs a part of their name.
    """
    if engine.tests:
        _run_tests(engine, backend, only, tell, is_patient=is_patient)
        return
    logging.disable()  # the lives of the stories are full of failures
    # Told at once: what hangs may not let go of the threads that are in it.
    signal.signal(
        signal.SIGALRM, lambda *_: tell(Found(f"no answer for {Steps.hangs_after_s} s", ()))
    )
    lockstep.carry_out = Steps.counted(lockstep.carry_out)  # type: ignore[attr-defined]
    lockstep.carry_out_bulk = Steps.counted(lockstep.carry_out_bulk)  # type: ignore[attr-defined]
    lifecycle.LifecycleLockstep.act = Steps.counted(lifecycle.LifecycleLockstep.act)  # type: ignore[method-assign]
    with _place(backend) as place:
        try:
            haste = HASTE if is_control else 1
            _HUNTS[engine.name](place._replace(only=only, haste=haste), number)
        except NothingToRunError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it was found
            tell(_found(error))


def _found(error: BaseException) -> Found:
    text = str(error)
    if isinstance(error, Broken):
        return Found(text, error.clauses)
    named = CLAUSES.findall(text)
    # A report of the queue begins with its clauses, one of a broker ends with them.
    place = -1 if text.startswith("the broker") else 0
    return Found(f"{type(error).__name__}: {text}", tuple(named[place].split()) if named else ())


@contextmanager
def _place(backend: Backend) -> Iterator[Place]:
    """A backend of this process's own."""
    if backend == "memory":
        yield Place(
            backend,
            lambda name, clock: memory.TaskQueue("memory://mutants", name, clock=clock),
            lambda queue: [],
            lambda: [name for _, name in STORES.held()],
        )
        return
    if backend == "sqlite":
        # In memory, where there is a file system in it: nothing is to outlive a loss of power.
        with tempfile.TemporaryDirectory(
            dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
        ) as folder:
            url = f"sqlite:///{folder}/queues.db?synchronous=normal"
            place = Place(
                backend,
                lambda name, clock: sqlite.TaskQueue(url, name, clock=clock),
                lambda queue: leftover_rows(url),
                lambda: leftover_rows(url),
            )
            yield place._replace(
                claims=(*place.claims, "shared", "durable"),
                new_store=lambda: sqlite.TaskQueue(
                    f"sqlite:///{tempfile.mkdtemp(dir=folder)}/queues.db?synchronous=normal", "new"
                ),
            )
        return
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        place = Place(
            backend,
            lambda name, clock: redis_queue.TaskQueue(server.url, name, clock=clock),
            lambda queue: leftover_keys(client),
            lambda: leftover_keys(client),
            server.url,
        )
        yield place._replace(
            claims=(*place.claims, "shared", "durable", "retries"),
            lossy=lambda name, clock: lossy_queue(
                server.url, lambda url: redis_queue.TaskQueue(url, name, clock=clock)
            ),
        )


def _exhaustive(place: Place, number: int) -> None:
    length_max = 3 if place.only else LENGTHS[place.backend]
    for length in range(1, length_max + 1 - (place.haste > 1)):
        for theme in (theme for theme in THEMES if place.only in theme.name):
            bench = Bench(place.make, queues=1, clients=1)
            run_theme(theme, length, bench)
            bench.close()
            left = place.left()
            assert not left, f"left behind after {theme.name!r}: {left}"


def _bulks(place: Place, number: int) -> None:
    bench = Bench(place.make, place.left_of, queues=1, clients=1)
    for length in (1, 2):
        for program in [*in_bulk.programs(length)][:: place.haste]:
            beside = bench.lockstep()
            beside.run(program)
            bench.done(beside)


def _smoke(place: Place, number: int) -> None:
    bench = Bench(place.make, place.left_of, queues=1, clients=1)
    for program in (program for name, program in SMOKE.items() if place.only in name):
        beside = bench.lockstep()
        beside.run(program)
        bench.done(beside)


def _kit(place: Place, number: int, effort: Effort | None = None) -> None:
    """As an implementer runs it, up to the first thing that is broken. `only`: the stages that come after smoke at once."""
    effort = effort or (OF_THE_KIT if place.backend == "memory" else ELSEWHERE)
    subject = Subject(
        place.make, place.left_of, checked(place.claims), effort, place.lossy, place.new_store
    )
    kit = Kit(subject, all_checks())
    calls.PATIENCE_S = Steps.hangs_after_s = PATIENCE_OF_THE_KIT_S
    Steps.lasts = False  # between steps it waits for threads and processes
    for check in sorted(
        kit.checks, key=lambda check: check.stage != "smoke" and check.stage not in place.only
    ):
        verdict = kit.verdict(check)
        if verdict.answer == "violated":
            raise Broken(f"{check.stage}: {check.name}\n{described(verdict)}", *verdict.clauses)


def _whole_kit(place: Place, number: int) -> None:
    """With the effort that it has by itself on a backend that has a manual clock."""
    _kit(place, number, USUAL)


def _vectors(place: Place, number: int) -> None:
    bench = Bench(place.make, place.left_of, clients=CLIENTS)
    for file in sorted(VECTORS.glob("*.json")):
        for program in vectors.programs(
            vectors.loads(file.read_text(encoding="utf-8")), api=file.stem == "reference"
        ):
            beside = bench.lockstep()
            beside.run(program, observe=False)
            bench.done(beside)


def _stories(place: Place, number: int) -> None:
    bench = Bench(place.make, place.left_of, queues=2)
    for story in STORIES.values():
        beside = bench.lifecycle()
        run_story(beside, story)
        bench.lifecycle_done(beside)


def _machine(machine: type[RuleBasedStateMachine], number: int) -> None:
    run_state_machine_as_test(seed(number)(machine), settings=_settings(EXAMPLES))


def _settings(examples: int) -> settings:
    """Nothing but examples: the first that fails is told of, as it is."""
    return settings(
        max_examples=examples,
        stateful_step_count=STEPS_OF_AN_EXAMPLE,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def _quick(place: Place, number: int) -> None:
    """What finds most small changes, the quickest first, in one process."""
    for engine in (_smoke, _stories, _bulks, _exhaustive, _walk, _walk_of_life):
        engine(place, number)


def _rules(place: Place, number: int) -> None:
    bench = Bench(place.make, place.left_of, queues=2, clients=2)
    _machine(make_machine(RulesMachine, bench), number)


def _one_rule(place: Place, number: int) -> None:
    bench = Bench(place.make, place.left_of, queues=2, clients=2)
    _machine(make_machine(OneRuleMachine, bench), number)


def _lives(place: Place, number: int) -> None:
    _machine(make_lifecycle_machine(Bench(place.make, place.left_of, queues=2)), number)


def _walk(place: Place, number: int) -> None:
    bench = Bench(place.make, place.left_of, queues=2, clients=2)
    walk(bench, Random(number), WALKS // place.haste)


def _walk_of_life(place: Place, number: int) -> None:
    bench = Bench(place.make, place.left_of, queues=2)
    walk_of_life(bench, Random(number), WALKS // place.haste)


def _interleavings(place: Place, number: int) -> None:
    """All schedules of small programs: those that switch at locks first, then at lines."""
    give_up_at = time.monotonic() + INTERLEAVINGS_S_MAX / place.haste
    programs = [p for name, p in (*WAITS.items(), *pairs()) if place.only in name]
    for lines, flows in ((False, False), (False, True), (True, False), (True, True)):
        with Stage(lines=lines, flows=flows) as stage:
            interleavings = Interleavings(stage)
            interleavings.examine = Steps.counted(interleavings.examine)  # type: ignore[method-assign]
            for program in programs:
                trouble = interleavings.exhaust(program, PREEMPTIONS)
                assert trouble is None, str(trouble)
                if time.monotonic() > give_up_at:
                    return


def _linearizability(place: Place, number: int) -> None:
    """Random programs in real threads."""
    if place.url is None:
        _explore(ThreadRun(place.make), number)
        return
    with RedisRun(place.url) as run:
        _explore(run, number)


def _explore(run: Run, number: int) -> None:
    counts = Counter[str]()

    @seed(number)
    @_settings(EXAMPLES)
    @given(programs())
    def examine_some(program: Parallel) -> None:
        failure = examine(run, program, TIMES, counts)
        Steps.done = counts["operations"]
        assert failure is None, str(failure)

    examine_some()


_HUNTS: dict[str, Callable[[Place, int], None]] = {
    "smoke": _smoke,
    "quick": _quick,
    "kit": _kit,
    "whole kit": _whole_kit,
    "stories": _stories,
    "vectors": _vectors,
    "exhaustive": _exhaustive,
    "bulks": _bulks,
    "rules": _rules,
    "one rule": _one_rule,
    "lives": _lives,
    "interleavings": _interleavings,
    "linearizability": _linearizability,
    "walk": _walk,
    "walk of life": _walk_of_life,
}


class _Watch:
    """A plugin of pytest that tells of the first test that fails. `lacks`: why there are tests that can't be tried."""

    lacks = ""

    def __init__(self, tell: Told) -> None:
        self._tell = tell
        self._clauses: tuple[str, ...] = ()
        self._has_program = False
        self._found: Found | None = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and "ModuleNotFoundError" in report.longreprtext:
            self.lacks = (
                report.longreprtext
            )  # something is not installed, and every mutant would be found
        elif report.failed:
            self._tell(Found(f"not collected: {report.longreprtext}", ()))

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        Steps.done += 1
        self._clauses = tuple(str(i) for mark in item.iter_markers("spec") for i in mark.args)
        self._has_program = "run" in getattr(item, "fixturenames", ())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self._found is None:
            text = f"{report.nodeid} ({report.when}): {_last_line(report)}"
            self._found = Found(text, self._clauses)
        if self._found is None:
            return
        if report.when == "call" and self._has_program:
            # It has a session of its own, and its fixture ends it.
            signal.signal(signal.SIGALRM, lambda *_: self._say())
            signal.setitimer(signal.ITIMER_REAL, HANGS_AFTER_S)
            return
        self._say()

    def _say(self) -> None:
        assert self._found is not None
        self._tell(self._found)


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", report.longreprtext))


def _run_tests(
    engine: Engine, backend: Backend, only: str, tell: Told, *, is_patient: bool
) -> None:
    if not is_patient:
        calls.PATIENCE_S = PATIENCE_S
    seconds_max = 100 if is_patient else TEST_S_MAX
    arguments = ["-q", "-x", "-p", "no:cacheprovider", "--timeout", str(seconds_max)]
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    arguments += [
        "-o",
        "pythonpath=",
    ]  # or processes that tests start would find the checkout first
    if not any("/on_" in path for path in engine.tests):
        arguments += ["-m", "redis" if backend == "redis" else "not redis"]
        only = f"{backend} and ({only})" if only and backend == "sqlite" else only
        only = backend if backend == "sqlite" and not only else only
    if only:
        arguments += ["-k", only]
    paths = [str(TESTS / path) for path in engine.tests]
    watch = _Watch(tell)
    code = pytest.main([*arguments, *paths], plugins=[watch])
    if watch.lacks:
        raise NothingToRunError(watch.lacks)
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise NothingToRunError(f"no test of {engine.name} has {only!r} in its name")
    if code != pytest.ExitCode.OK:
        tell(Found(f"pytest ends with {code!r}", ()))
