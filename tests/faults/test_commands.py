"""Each operation, in each situation, with each command that it sends failing in each way.

The retry gets the answer that the first try had, nothing is done twice, and a second client finds what the model says.
"""

import pytest

from tests.faults.trials import Court, Trial, waker
from tests.stateful.profile import by_profile
from worq.testing.driver import Tick
from worq.testing.exhaustive import discard, pop, submit
from worq.testing.histories import Lane, Wait
from worq.testing.proxy import LOSE, Command, Fault
from worq.testing.servers import RedisServer
from worq.testing.small_programs import ACTS, BULKS, SITUATIONS

pytestmark = [pytest.mark.redis, pytest.mark.timeout(0)]

TRIALS = [
    Trial(prefix, act, waker(act))
    for prefix in SITUATIONS.values()
    for act in ACTS
    if not isinstance(act, Tick)
]
# Half of the waits end at once. They send two commands more, but are few: one in each sample, at least.
WAITS = [trial for trial in TRIALS if isinstance(trial.act, Wait)]
CHAIN: Lane = tuple(submit(f"t{n}", n + 1, *([f"t{n - 1}"] if n else [])) for n in range(920))
A_CASCADE = Trial(CHAIN, discard("t0"), None, tuple(map(pop, ("t0", "t500", "t919"))))
"""Changes more records than a script may: its rest is done by a command of its own."""


def sample(dev: int, ci: int) -> list[Trial]:
    """Every so many, a wait among them."""
    step = by_profile(dev, ci, 1)
    return [*TRIALS[::step], *WAITS[:: max(1, step // 4)]]


def fail_everywhere(
    court: Court, trial: Trial, fault: Fault, *, times: int = 1, first: int = 0
) -> int:
    """With each of its commands failing, from the first on; how many there are."""
    undisturbed = court.hold(trial, None)
    assert not undisturbed.trouble, undisturbed.trouble
    for number in range(first, undisturbed.commands):
        injected = court.proxy.counts[fault]
        failing = range(number, number + times)
        trouble = court.hold(trial, lambda command: fault if command.number in failing else None)  # noqa: B023
        assert not trouble.trouble, f"{fault} at command {number}: {trouble.trouble}"
        assert court.proxy.counts[fault] > injected
    return undisturbed.commands


@pytest.mark.parametrize("fault", LOSE)
@pytest.mark.spec("ENV-RETRY-1")
def test_the_retry_gets_the_answer_of_the_first_try(fault: Fault, court: Court) -> None:
    commands = {fail_everywhere(court, trial, fault) for trial in sample(30, 5)}
    # Two that name the client, INFO, the script's digest, the script; and for a wait the block and the script again.
    assert commands == {5, 7}


@pytest.mark.parametrize("fault", LOSE)
@pytest.mark.spec("ENV-RETRY-1", "ENV-BULK-1")
def test_the_retry_of_a_bulk_gets_the_answers_of_the_first_try(fault: Fault, court: Court) -> None:
    step = by_profile(9, 3, 1)
    trials = [Trial(prefix, bulk) for prefix in SITUATIONS.values() for bulk in BULKS]
    assert {fail_everywhere(court, trial, fault) for trial in trials[::step]} == {5}


@pytest.mark.spec("ENV-RETRY-1")
def test_a_command_that_arrives_after_its_retry_does_nothing(court: Court) -> None:
    court.heal = court.proxy.deliver
    for trial in sample(60, 10):
        fail_everywhere(court, trial, "late")


@pytest.mark.spec("ENV-RETRY-1")
def test_the_retry_may_fail_too(court: Court) -> None:
    for trial in sample(60, 10):
        fail_everywhere(court, trial, "reply lost", times=3)


@pytest.mark.spec("ENV-RETRY-1", "ENV-REDIS-4")
def test_a_cascade_goes_on_after_a_lost_reply(court: Court) -> None:
    first = by_profile(4, 3, 0)
    assert fail_everywhere(court, A_CASCADE, "reply lost", first=first) >= 6


def test_pieces_are_put_together(court: Court) -> None:
    for trial in sample(60, 10):
        fail_everywhere(court, trial, "slow")


@pytest.mark.parametrize("fault", ["not sent", "reply lost"])
@pytest.mark.spec("ENV-RETRY-1")
def test_a_server_that_crashes_comes_back_with_what_it_has_answered(
    fault: Fault, durable_court: Court, durable: RedisServer
) -> None:
    def crash() -> None:
        durable.kill()
        durable.start()

    durable_court.proxy.on_loss = crash
    for trial in sample(60, 10):
        fail_everywhere(durable_court, trial, fault)


@pytest.mark.parametrize("fault", ["not sent", "reply lost"])
@pytest.mark.spec("ENV-REDIS-1", "ENV-RETRY-1")
def test_scripts_that_are_forgotten_at_any_time_are_sent_again(fault: Fault, court: Court) -> None:
    court.proxy.on_loss = court.admin.script_flush
    for trial in sample(60, 10):
        fail_everywhere(court, trial, fault)


def test_clients_that_the_server_throws_out_come_back(court: Court) -> None:
    """All of them, before any command: those that wait, too."""
    for trial in sample(60, 10):
        commands = court.hold(trial, None).commands
        for number in range(commands):

            def throw_out(command: Command, at: int = number) -> None:
                if command.number == at:
                    court.admin.client_kill_filter(_type="normal", skipme=True)

            result = court.hold(trial, throw_out)
            assert not result.trouble, f"at command {number}: {result.trouble}"


FULL_FOR = 8


@pytest.mark.spec("ENV-RETRY-2")
def test_what_a_full_server_refuses_is_done_when_it_has_room(court: Court) -> None:
    """For some commands from any of its own on; what is refused connects anew each time."""
    court.heal = lambda: court.admin.config_set("maxmemory", 0)
    for trial in sample(60, 10):
        if isinstance(trial.act, Wait):
            continue
        for number in range(court.hold(trial, None).commands):

            def fill(command: Command, at: int = number) -> None:
                if command.number in (at, at + FULL_FOR):
                    court.admin.config_set("maxmemory", int(command.number == at))

            result = court.hold(trial, fill)
            assert not result.trouble, f"at command {number}: {result.trouble}"
