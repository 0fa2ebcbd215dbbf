"""Clients beside the queue: as specified nothing breaks; with a rule less, or composed by hand, something does."""

from collections.abc import Iterator

import pytest

from tests.stateful.profile import by_profile
from worq_model import operations as ops
from worq_model.catalogue import BY_HAND, LACKING, RESULTS, SYSTEMS
from worq_model.clients import Composing, HandProducer, HandWorker, Producer, Role, Waiter, Worker
from worq_model.deadlines import NextDeadline
from worq_model.explore import Report, Verdict, explore
from worq_model.graph import grow
from worq_model.history import as_program
from worq_model.programs import inc
from worq_model.protocol import NO_RESULT_GOES_ASTRAY, Event, Protocol, World

# Name → states, steps, depth.
SMALL = {
    "argument": (3_601, 12_511, 12),
    "two-arguments": (7_538, 25_853, 15),
    "two-waiters": (7_577, 33_688, 13),
    "id-comes-back": (11_014, 44_416, 14),
}
WHOLE = SMALL | {"two-dependents": (30_635, 133_702, 14)}
CLOSED = by_profile(SMALL, WHOLE, WHOLE)


@pytest.mark.parametrize("name", CLOSED)
def test_clients_of_the_contract_get_done_whoever_dies_and_whatever_is_lost(name: str) -> None:
    report = explore(SYSTEMS[name].system)
    assert (report.verdict, report.about) == (Verdict.HOLDS, "")
    assert (report.states, report.edges, report.depth) == CLOSED[name]


def told(report: Report[World, Event]) -> list[str]:
    return as_program(label for label, _ in report.trace).splitlines()[1:-1]


def broken(name: str) -> Report[World, Event]:
    report = explore(SYSTEMS[name].system)
    assert report[:2] == (Verdict.VIOLATED, SYSTEMS[name].breaks)
    return report


def test_each_system_that_breaks_something_is_known_to() -> None:
    assert {name for name, entry in SYSTEMS.items() if entry.breaks} == {*LACKING, *BY_HAND}


def test_without_the_alarm_for_leases_a_sleeper_is_never_woken() -> None:
    assert told(broken("no-alarm")) == [
        "    Do(Submit('x', inc(1), b'x')),  # producer: Submitted('accepted')",
        "    Do(Submit('d', inc(2), b'd', (('x', inc(1)),))),  # producer: Submitted('accepted')",
        "    Do(Pop('d', inc(2))),  # waiter: None, sleeps",
        "    Do(Claim()),  # worker 1: Claimed('x', Token(inc(1), 1), b'x', ())",
        "    # worker 1 dies",
        "    Do(Claim()),  # worker 2: None, sleeps",
    ]


def test_a_wake_up_that_is_lost_with_its_worker_must_go_to_the_next() -> None:
    assert told(broken("no-next")) == [
        "    Do(Claim()),  # worker 1: None, sleeps",
        "    Do(Claim()),  # worker 2: None, sleeps",
        "    Do(Submit('x', inc(1), b'x')),  # producer: Submitted('accepted')",
        "    # worker 1 dies",
    ]


def test_an_outcome_whose_answer_was_lost_must_be_answered_again() -> None:
    assert told(broken("no-answer-again"))[-2:] == [
        "    Do(Pop('d', inc(2))),  # waiter: Outcome('result', b'd(x())'), lost",
        "    Do(Pop('d', inc(2))),  # waiter: 'TASK_EXPIRED'",
    ]


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_composed_by_hand_breaks(name: str) -> None:
    assert told(broken(name))[-1].endswith(
        {
            "stranded": "# producer 2 dies",
            "without-arguments": "Do(GetArguments('d')),  # worker: ()",
            "late-result": "# waiter: Outcome('result', b'first()')",
            "next-result": "# waiter: Outcome('result', b'next()')",
        }[name]
    )


def protocol(*roles: Role, crashes: int = 0) -> Protocol:
    return Protocol(roles, RESULTS, crashes=crashes, losses=0)


SUBMIT_X = ops.Submit("x", inc(1), b"x")
DEFER = ops.Defer("d", inc(2), b"d", ("x",))


def test_by_hand_it_goes_well_while_nobody_dies_or_is_late() -> None:
    """The claims that are broken when one is late hold in the histories in which no time passes."""
    system = protocol(
        Producer((SUBMIT_X,)),
        HandProducer(DEFER, knows=inc(1)),
        Waiter("d", b"d(x())", has_token=False, knows=inc(2)),
        HandWorker(),
        HandWorker(),
    ).system()

    def timeless(world: World) -> Iterator[tuple[Event, World]]:
        steps = system.successors(world)
        return (s for s in steps if not isinstance(s[0].what, NextDeadline))

    report = explore(system._replace(successors=timeless, sometimes={}))
    assert (report.verdict, report.about) == (Verdict.HOLDS, "")


def places(graph_of: Protocol, number: int) -> set[object]:
    return {world.processes[number].place for world in grow(graph_of.system()).states}


def test_a_producer_by_hand_sets_what_was_there_and_gives_up_what_is_gone() -> None:
    taker = Waiter("x", b"x()", knows=inc(1))
    composing = protocol(Producer((SUBMIT_X,)), HandProducer(DEFER, knows=inc(1)), Worker(), taker)
    steps = {place.step for place in places(composing, 1) if isinstance(place, Composing)}
    assert steps == {"defer", "reserve", "set", "discard", "end"}


def test_a_producer_by_hand_reserves_one_argument_after_the_other() -> None:
    defer = ops.Defer("d", inc(3), b"d", ("x", "y"))
    composing = protocol(
        Producer((SUBMIT_X, ops.Submit("y", inc(2), b"y"))), HandProducer(defer, knows=inc(2))
    )
    assert Composing("reserve", 1) in places(composing, 1)


def test_a_producer_by_hand_leaves_an_id_that_is_taken() -> None:
    taken = ops.Submit("d", inc(1), b"x")
    composing = protocol(Producer((taken,)), HandProducer(DEFER, knows=inc(1)))
    assert places(composing, 1) >= {Composing("defer"), Composing("end")}


def test_a_producer_whose_submit_is_refused_does_nothing_more() -> None:
    rival = Producer((SUBMIT_X._replace(incarnation=inc(2)), ops.Discard("x")), knows=inc(1))
    refused = {
        world.processes[1].place
        for world in grow(protocol(Producer((SUBMIT_X,)), rival).system()).states
        if world.state.tasks
    }
    assert refused == {0, 2}


def test_an_expiry_shows_in_what_is_run_with_it() -> None:
    passing = ops.Submit("d", inc(2), b"d", (("x", inc(1)),))
    passing = passing._replace(options=passing.options._replace(passes_errors=True))
    clients = protocol(
        Producer((SUBMIT_X, passing)),
        Waiter("d", b"d(x())", knows=inc(2)),
        Worker(),
        Worker(),
        crashes=1,
    )
    report = explore(clients.system())
    assert report.about == NO_RESULT_GOES_ASTRAY
    assert "Outcome('result', b'd(expired)')" in told(report)[-1]
