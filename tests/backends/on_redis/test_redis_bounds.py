"""No script takes long, however much is to be done."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.backends.on_redis.cases import KEY, claim, complete, submit
from tests.backends.on_redis.proxy import Proxy
from worq.clock import ManualClock
from worq.const import RESERVED
from worq.queue.redis import TaskQueue
from worq.queue.redis.keys import keys_of
from worq.values import Outcome, Request

MANY = 2_500
RECORDS_MAX = 1_000


class Steps:
    """How large something is before each script."""

    def __init__(self, proxy: Proxy, look: Callable[[], int]) -> None:
        self._look = look
        self.seen: list[int] = []
        proxy.before_script = lambda: self.seen.append(look())

    def largest(self) -> int:
        self.seen.append(self._look())
        return max(
            abs(after - before) for before, after in zip(self.seen, self.seen[1:], strict=False)
        )


class TestBounds:
    def chain(self, queue: TaskQueue) -> None:
        submit(queue, "a")
        last = "a"
        for n in range(MANY):
            submit(queue, f"t{n}", last, result_timeout=1000)
            last = f"t{n}"

    @pytest.mark.spec("ENV-REDIS-4")
    def test_a_chain_ends_in_bounded_steps(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        self.chain(queue)
        steps = Steps(proxy, lambda: raw.hlen(f"{KEY}:waiting"))
        assert through.discard("a")
        assert steps.largest() <= RECORDS_MAX
        assert len(steps.seen) > 2
        assert queue.size() == 0

    @pytest.mark.spec("ENV-REDIS-4")
    def test_whoever_comes_next_sees_no_cascade_half_done(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        self.chain(queue)
        queue.discard("x")  # the server knows the script from now on
        proxy.faults.extend([None, "not sent"])
        assert through.discard("a")
        assert raw.hlen(f"{KEY}:waiting") > MANY - RECORDS_MAX
        assert queue.status(f"t{MANY - 1}") is None

    @pytest.mark.spec("ENV-REDIS-4", "TIM-6")
    def test_what_is_finished_later_happens_at_the_time_of_what_began_it(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any, clock: ManualClock
    ) -> None:
        self.chain(queue)
        claim(queue)
        queue.finish("x", b"", 1)  # the server knows the script from now on
        proxy.faults.extend([None, "not sent"])
        began_ms = clock.now_ms()
        assert through.finish("a", b"why", 10, failed=True) == (True, "t0")
        clock.advance(5_000)
        last = f"t{MANY - 1}"
        assert queue.status(last) == "completed"
        assert raw.zscore(f"{KEY}:retained", last) == began_ms + 1_000_000
        assert queue.pop(last, 0) == Outcome("failure", b"why", "a")

    @pytest.mark.spec("ENV-REDIS-4")
    def test_many_arguments_are_reserved_and_freed_in_bounded_steps(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        ids = [f"t{n}" for n in range(MANY)]
        for task_id in ids:
            submit(queue, task_id)
        steps = Steps(proxy, lambda: raw.hlen(f"{KEY}:args"))
        assert submit(through, "b", *ids).status == "accepted"
        assert steps.largest() <= RECORDS_MAX
        assert {queue.pop(task_id, 0) for task_id in ids} == {RESERVED}
        assert through.discard("b")
        assert steps.largest() <= RECORDS_MAX
        assert {queue.pop(task_id, 0) for task_id in ids} == {None}
        assert raw.hlen(f"{KEY}:args") == 0

    @pytest.mark.spec("ENV-REDIS-4")
    def test_many_arguments_are_claimed_in_bounded_steps(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        ids = [f"t{n}" for n in range(MANY)]
        queue.defer_task(Request("d"), b"", ids)
        for task_id in ids:
            queue.set_argument("d", task_id, task_id.encode())
        steps = Steps(proxy, lambda: raw.hlen(f"{KEY}:args"))
        assert len(claim(through).arguments) == MANY
        assert steps.largest() <= RECORDS_MAX
        assert raw.exists(f"{KEY}:args") == 0
        assert len(queue.get_arguments("d")) == MANY

    @pytest.mark.parametrize("attempts", [1, 2])
    @pytest.mark.spec("ENV-REDIS-4", "TIM-2")
    def test_leases_are_swept_in_bounded_steps(
        self,
        attempts: int,
        queue: TaskQueue,
        through: TaskQueue,
        proxy: Proxy,
        raw: Any,
        clock: ManualClock,
    ) -> None:
        ids = [f"t{n:05}" for n in range(MANY)]
        for task_id in ids:
            submit(queue, task_id, attempts=attempts)
            claim(queue)
        clock.advance(10_000_000)
        steps = Steps(proxy, lambda: raw.hlen(f"{KEY}:claimed"))
        assert through.size() == (attempts - 1) * MANY
        assert steps.largest() <= RECORDS_MAX
        if attempts == 2:
            assert [claim(queue).id for _ in ids] == ids

    @pytest.mark.spec("ENV-REDIS-4", "TIM-5")
    def test_retentions_are_swept_in_bounded_steps(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any, clock: ManualClock
    ) -> None:
        for n in range(MANY):
            complete(queue, f"t{n}")
        clock.advance(10_000_000)
        steps = Steps(proxy, lambda: raw.hlen(f"{KEY}:claimed"))
        assert through.size() == 0
        assert steps.largest() <= RECORDS_MAX
        assert not keys_of(raw, "default").kept

    @pytest.mark.spec("ENV-REDIS-4")
    def test_entries_of_discarded_tasks_do_not_pile_up(self, queue: TaskQueue, raw: Any) -> None:
        submit(queue, "a")
        for n in range(MANY):
            submit(queue, f"t{n}")
            queue.discard(f"t{n}")
        assert raw.llen(f"{KEY}:ready") + raw.llen(f"{KEY}:front") < 20
        assert raw.scard(f"{KEY}:stale") < 20
        assert claim(queue).id == "a"
        assert queue.claim(0) is None

    @pytest.mark.spec("CLM-1", "DSC-1")
    def test_discarded_tasks_do_not_change_the_order(self, queue: TaskQueue) -> None:
        ids = [f"t{n}" for n in range(60)]
        for task_id in ids:
            submit(queue, task_id)
        for task_id in ids[5:50:3]:
            queue.discard(task_id)
        for task_id in ids[5:50:6]:  # the same ids again, at the tail
            submit(queue, task_id)
        left = [task_id for task_id in ids if task_id not in ids[5:50:3]]
        assert [claim(queue).id for _ in left] == left
        assert [claim(queue).id for _ in ids[5:50:6]] == ids[5:50:6]
        assert queue.claim(0) is None

    @pytest.mark.spec("ENV-REDIS-8")
    def test_a_purge_takes_no_time_in_proportion(self, queue: TaskQueue, raw: Any) -> None:
        submit(queue, "a")
        raw.eval(
            """local record = redis.call('HGET', KEYS[1] .. ':waiting', 'a')
            for n = 1, 100000 do
              redis.call('HSET', KEYS[1] .. ':waiting', 't' .. n, record)
              redis.call('RPUSH', KEYS[1] .. ':ready', 't' .. n)
            end""",
            1,
            KEY,
        )
        raw.config_resetstat()
        assert queue.purge() == 100_001
        commands = raw.info("commandstats")
        assert sum(each["calls"] for each in commands.values()) < 30
        assert "cmdstat_unlink" in commands  # in the background
        assert "cmdstat_del" not in commands
