"""The sandbox for applications: the same each time, and as the real thing would."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worq import Broker, TaskExpired, TaskFailure, TaskSpace
from worq.clock import ManualClock
from worq.testing.sandbox import Death, Sandbox, Started


def adds() -> TaskSpace:
    space = TaskSpace()

    @space.task
    def add(x: int, y: int) -> int:
        return x + y

    return space


def test_nothing_runs_until_it_is_told_to_and_then_in_order() -> None:
    with Sandbox(adds()) as box:
        three = box.queue().add(1, 2)
        seven = box.queue().add(three, 4)
        assert three.status == "enqueued"
        assert seven.status == "pending"
        started = box.run_all()
        assert [(each.name, each.id, each.start) for each in started] == [
            ("add", three.id, 1),
            ("add", seven.id, 1),
        ]
        assert seven.value == 7
        assert box.run_all() == []


def test_a_worker_that_dies_is_told_of_as_expiry() -> None:
    with Sandbox(adds()) as box:
        three = box.queue().add(1, 2)
        seven = box.queue().add(three, 4)
        (started,) = box.run_all(["before"])
        assert started == Started("add", three.id, 1, "before")
        with pytest.raises(TaskExpired):
            _ = seven.value


def test_a_task_with_another_start_left_runs_again_and_may_have_run_before() -> None:
    ran: list[int] = []
    with Sandbox() as box:
        box.broker.expose(ran.append)
        deferred = box.queue(attempts=3).append(7)
        started = box.die("before", "after").run_all()
        assert [(each.start, each.died) for each in started] == [
            (1, "before"),
            (2, "after"),
            (3, None),
        ]
        assert deferred.wait(0)
    assert ran == [7, 7]


def test_a_task_expires_on_demand_and_when_time_passes() -> None:
    with Sandbox(adds()) as box:
        one, other = box.queue().add(1, 2), box.queue(result_timeout=60).add(3, 4)
        box.expire(one)
        assert one.status is None
        assert [each.id for each in box.run_all()] == [other.id]
        box.advance(59.999)
        assert box.broker.status(other) == "completed"
        box.advance(0.001)
        assert box.broker.status(other) is None


def test_a_task_without_end_is_noticed() -> None:
    with Sandbox() as box:

        def again() -> None:
            box.queue(ignore_result=True).again()

        box.broker.expose(again)
        again()
        with pytest.raises(RuntimeError, match="more than 10,000 starts, the last one: Started"):
            box.run_all()


def test_a_death_that_is_none_is_refused() -> None:
    with Sandbox() as box, pytest.raises(ValueError, match=r"deaths: .* is needed, not 'sudden'"):
        box.run_all(["before", "sudden"])  # type: ignore[list-item]


@pytest.mark.parametrize("timeout", [1, 1e-9, None, float("inf")])
def test_a_wait_of_the_thread_that_drives_it_is_refused_instead_of_never_ending(
    timeout: float | None,
) -> None:
    with Sandbox(adds()) as box:
        three = box.queue().add(1, 2)
        with pytest.raises(RuntimeError, match=r"call run_all\(\) or advance\(\)"):
            three.wait(timeout)
        assert box.broker.status(three) == "enqueued"
        box.run_all()
        assert three.wait(timeout)
        assert three.value == 3
        with pytest.raises(RuntimeError, match="nothing runs while you wait"):
            box.broker.next_task(timeout)


def test_a_wait_that_has_its_answer_is_not_refused() -> None:
    with Sandbox(adds()) as box:
        three = box.queue().add(1, 2)
        seven = box.queue().add(three, 4)
        assert not three.wait(1)  # it is promised
        box.expire(seven)
        assert seven.wait(1)


def test_a_task_that_waits_for_another_fails_with_that() -> None:
    with Sandbox(adds()) as box:

        def ask() -> bool:
            return bool(box.queue().add(1, 2).wait(1))

        box.broker.expose(ask)
        asked = box.queue().ask()
        assert [each.name for each in box.run_all()] == ["ask", "add"]
        with pytest.raises(TaskFailure, match="nothing runs while you wait"):
            _ = asked.value


def test_another_thread_waits_until_it_has_run() -> None:
    with Sandbox(adds()) as box, ThreadPoolExecutor(1) as other:
        waited = other.submit(box.queue().add(1, 2).wait, 60)
        box.run_all()
        assert waited.result()


def test_two_sandboxes_share_nothing() -> None:
    with Sandbox(adds()) as one, Sandbox(adds()) as other:
        one.queue().add(1, 2)
        assert other.run_all() == []
        assert len(one.run_all()) == 1


@given(st.lists(st.sampled_from((None, "before", "after")), max_size=6), st.integers(1, 4))
def test_whoever_dies_a_chain_ends_in_its_result_or_in_an_expiry(
    deaths: list[Death | None], attempts: int
) -> None:
    with Sandbox(adds()) as box:
        queue = box.queue(attempts=attempts)
        last = queue.add(queue.add(queue.add(1, 2), 3), 4)
        started = box.run_all(deaths)
        assert len(started) <= 3 * attempts
        assert last.wait(0)
        try:
            assert last.value == 10
        except TaskExpired:
            assert any(each.start == attempts and each.died for each in started)


def test_fixtures_are_one_sandbox(
    worq_sandbox: Sandbox, worq_broker: Broker, worq_clock: ManualClock, run_all: object
) -> None:
    assert worq_broker is worq_sandbox.broker
    assert worq_clock is worq_sandbox.clock
    assert run_all == worq_sandbox.run_all
