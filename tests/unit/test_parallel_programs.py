"""Parallel programs: what is drawn, how a failing one gets smaller, and how it is shown."""

from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings

from worq.queue import memory
from worq.testing.driver import Do
from worq.testing.exhaustive import CLAIM, discard, finish, pop, submit
from worq.testing.histories import Act, Event, Wait
from worq.testing.linearizability import Verdict
from worq.testing.parallel import Failure, Parallel, ThreadRun, Tried, examine, overlaps, shrink
from worq.testing.parallel_programs import programs
from worq_model import operations as ops

LONG = Parallel(
    (submit("a", 1), submit("b", 2)),
    (
        (CLAIM, finish("a"), pop("a"), discard("b")),
        (pop("b"), CLAIM, discard("a"), finish("b"), Wait(CLAIM, 3)),
        (Do(ops.Size()), pop("a")),
    ),
)


def failure(program: Parallel) -> Failure:
    return Failure(program, [], Verdict("violated", {}))


def fails_with(*needed: Act) -> Callable[[Parallel], Failure | None]:
    def fails(program: Parallel) -> Failure | None:
        there = [act for lane in (program.prefix, *program.lanes) for act in lane]
        return failure(program) if all(act in there for act in needed) else None

    return fails


def test_a_failing_program_shrinks_to_what_fails() -> None:
    shrunk = shrink(failure(LONG), fails_with(discard("a"), finish("a")), 1_000).program
    assert shrunk == Parallel((finish("a"), discard("a")), ())


def test_waits_stay_in_their_lanes() -> None:
    shrunk = shrink(failure(LONG), fails_with(Wait(CLAIM, 3), finish("a")), 1_000).program
    assert shrunk == Parallel((finish("a"),), ((Wait(CLAIM, 3),),))


def test_shrinking_gives_up_after_so_many_tries() -> None:
    tried: list[Parallel] = []

    def fails(program: Parallel) -> None:
        tried.append(program)

    assert shrink(failure(LONG), fails, 7).program == LONG
    assert len(tried) == 7


@settings(max_examples=100)
@given(programs())
def test_each_submission_that_is_drawn_is_another_incarnation(program: Parallel) -> None:
    made = [
        act.operation.incarnation
        for lane in (program.prefix, *program.lanes)
        for act in lane
        if isinstance(act, Do) and isinstance(act.operation, ops.Submit | ops.Defer)
    ]
    assert len(set(made)) == len(made)


def test_a_history_has_an_answer_for_each_act_and_leaves_no_task() -> None:
    counts: Counter[str] = Counter()
    run = ThreadRun(lambda name, clock: memory.TaskQueue("memory://unit", name, clock=clock))
    assert examine(run, LONG, 5, counts) is None
    history = run(LONG).history
    asked = sum(len(lane) for lane in (LONG.prefix, *LONG.lanes))
    assert sum(e.kind == "return" and e.process != "after" for e in history) >= asked
    assert history[-1].value == 0  # the size
    assert counts["holds"] == 5


def test_a_failure_shows_program_lanes_and_objections() -> None:
    history = [
        Event(1, "lane 0", 0, "call", CLAIM),
        Event(2, "lane 1", 1, "call", pop("a")),
        Event(3, "lane 0", 0, "return", None),
        Event(4, "lane 1", 1, "unknown"),
    ]
    verdict = Verdict("violated", {}, (0,), ("because",))
    program = Parallel((), ((CLAIM,), (pop("a"),)))
    assert str(Failure(program, history, verdict)).splitlines() == [
        "the answers have no order that the model allows:",
        "PROGRAM = Parallel(",
        "    (),",
        "    (",
        "        (Do(Claim()),),",
        "        (Do(Pop('a')),),",
        "    ),",
        ")",
        "# lane 0",
        "    Do(Claim()),  # 0-2: None",
        "# lane 1",
        "    Do(Pop('a')),  # 1-?: unknown",
        "# the longest order that the model allows:",
        "#     Do(Claim())",
        "# because",
    ]
    assert overlaps(history)


def test_the_first_history_that_is_wrong_is_told() -> None:
    verdicts = iter([Verdict("holds", {}), Verdict("unknown", {}), Verdict("holds", {})])
    found = examine(lambda _: Tried([], next(verdicts)), LONG, 3, Counter())
    assert found is not None
    assert found.verdict.answer == "unknown"
    assert "could not be checked" in str(found)
