"""What the explorer finds becomes programs with a clock, and with names that never come back."""

import pytest

from worq_model import operations as ops
from worq_model.concrete import PARTS, concrete
from worq_model.deadlines import NextDeadline, has_deadline_ahead, is_due, later, ranked
from worq_model.history import as_program, program
from worq_model.operations import Operation
from worq_model.programs import Tick, as_code, inc
from worq_model.protocol import Event
from worq_model.values import (
    EMPTY,
    PROCESSING,
    LastStart,
    Options,
    Outcome,
    State,
    Task,
    Token,
)

LENGTH_MS = 64_000
OPTIONS = Options(lease_ms=LENGTH_MS, retention_ms=LENGTH_MS)


def submit(task_id: str, number: int, *args: str) -> ops.Submit:
    return ops.Submit(task_id, inc(number), b"m", tuple((a, None) for a in args), None, OPTIONS)


def made(*labels: Operation | NextDeadline) -> list[Operation | Tick]:
    return [entry for entries in concrete(labels) for entry in entries]


# Deadlines


def running(task_id: str, number: int, deadline_ms: int | None) -> Task:
    return Task(task_id, inc(number), PROCESSING, b"m", OPTIONS, start=1, deadline_ms=deadline_ms)


def test_of_deadlines_only_the_order_is_kept() -> None:
    start = LastStart("c", Token(inc(3), 1), (), 70)
    state = State((running("a", 1, 500), running("b", 2, -3), running("d", 4, -40)), (), (start,))
    ranks = ranked(state)
    assert [task.deadline_ms for task in ranks.tasks] == [2, 0, -1]
    assert ranks.last_starts == (start._replace(deadline_ms=1),)
    assert ranked(ranks) is ranks
    assert ranked(EMPTY) is EMPTY


def test_time_passes_to_the_next_deadline_and_no_further() -> None:
    state = State((running("a", 1, 2), running("b", 2, 1)))
    assert has_deadline_ahead(state)
    assert not is_due(state)
    assert [task.deadline_ms for task in later(state).tasks] == [1, 0]
    assert is_due(later(state))
    assert not has_deadline_ahead(later(later(state)))


# Programs


def test_time_is_told_in_milliseconds() -> None:
    assert made(submit("a", 1), ops.Claim(), NextDeadline(), ops.Size()) == [
        submit("a", 1),
        ops.Claim(),
        Tick(LENGTH_MS),
        ops.Size(),
    ]


def test_no_two_deadlines_are_set_at_one_moment() -> None:
    labels = (submit("a", 1), submit("b", 2), ops.Claim(), ops.Claim(), NextDeadline())
    first_ms = LENGTH_MS // PARTS
    assert made(*labels)[3:] == [Tick(first_ms), ops.Claim(), Tick(LENGTH_MS - first_ms)]


def test_times_that_are_too_short_are_refused() -> None:
    short = OPTIONS._replace(lease_ms=PARTS - 1)
    tasks = [submit(task_id, n)._replace(options=short) for n, task_id in enumerate("ab", 1)]
    with pytest.raises(ValueError, match="make times longer"):
        made(*tasks, ops.Claim(), ops.Claim())


def test_an_incarnation_that_comes_back_gets_another_name() -> None:
    again = (
        submit("a", 1),
        ops.Discard("a", inc(1)),
        submit("a", 1),
        submit("a", 1),
        submit("a", 2),
    )
    incarnations = [
        entry.incarnation for entry in made(*again) if isinstance(entry, ops.Submit | ops.Discard)
    ]
    assert incarnations == [inc(1), inc(1), inc(2), inc(2), inc(3)]


def test_whatever_names_an_incarnation_is_renamed() -> None:
    late = (submit("x", 8), ops.Discard("x"), submit("x", 8))
    assert made(
        *late,
        ops.Defer("d", inc(9), b"m", ("x",), OPTIONS),
        ops.ReserveArgument("x", "d", inc(8), inc(9)),
        ops.Release("x", Token(inc(8), 1)),
        ops.Submit("e", inc(7), b"m", (("x", inc(8)), ("d", None))),
        ops.Pop("x", inc(0)),
    )[3:] == [
        ops.Defer("d", inc(3), b"m", ("x",), OPTIONS),
        ops.ReserveArgument("x", "d", inc(2), inc(3)),
        ops.Release("x", Token(inc(2), 1)),
        ops.Submit("e", inc(4), b"m", (("x", inc(2)), ("d", None))),
        ops.Pop("x", inc(0)),
    ]


# Histories as text

EVENTS = (
    Event("producer", submit("a", 1)._replace(options=Options())),
    Event("worker", ops.Claim(), "lost"),
    Event("worker", "dies"),
    Event("", NextDeadline()),
    Event("waiter", ops.Size(), "woken by the deadline"),
)


def test_a_history_is_printed_as_a_program() -> None:
    assert as_program(EVENTS) == (
        "PROGRAM = (\n"
        "    Do(Submit('a', inc(1), b'm')),  # producer: Submitted('accepted')\n"
        "    Do(Claim()),  # worker: Claimed('a', Token(inc(1), 1), b'm', ()), lost\n"
        "    # worker dies\n"
        "    Tick(65000),\n"
        "    Do(Size()),  # waiter: 0, woken by the deadline\n"
        ")"
    )


def test_a_history_of_operations_alone_is_printed_too() -> None:
    assert as_program([ops.Size(), ops.Pop("a")]) == (
        "PROGRAM = (\n    Do(Size()),  # 0\n    Do(Pop('a')),  # 'TASK_EXPIRED'\n)"
    )


def test_what_happens_to_clients_is_no_part_of_the_program() -> None:
    assert program(EVENTS) == (EVENTS[0].what, ops.Claim(), Tick(65_000), ops.Size())


def test_the_api_reference_answers_less() -> None:
    labels = (
        submit("a", 1),
        ops.Claim(),
        ops.Finish("a", Outcome("result", b"r"), None),
        ops.Pop("a"),
        ops.Pop("a"),
        ops.Discard("a"),
    )
    answers = [line.split("  # ")[1] for line in as_program(labels, api=True).splitlines()[1:-1]]
    assert answers == ["True", "('a', b'm')", "None", "b'r'", "'TASK_EXPIRED'", "None"]


def test_values_are_printed_as_the_code_that_makes_them() -> None:
    assert as_code((1, (inc(3),), b"m", "id")) == "(1, (inc(3),), b'm', 'id')"
    assert as_code(Outcome("result", b"r", "x")) == "Outcome('result', b'r', 'x')"
    assert as_code(Options(attempts=2)) == "Options(attempts=2)"
