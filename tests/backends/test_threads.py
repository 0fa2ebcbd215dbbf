"""Many threads at once on one queue: whatever their order, each outcome is seen once."""

import queue as queues
import threading
from collections import Counter
from functools import partial

import pytest

from tests.backends.conftest import MakeQueue, Start
from worq.backend import AbstractTaskQueue
from worq.const import TASK_EXPIRED
from worq.errors import QueueClosed
from worq.values import Claim, Outcome, Request

PRODUCERS, WORKERS, WAITERS = 2, 3, 3
TASKS = 150
LONG_S = 1000.0

Ids = queues.SimpleQueue[str | None]


def produce(queue: AbstractTaskQueue, ids: list[str], waiting: list[Ids]) -> None:
    """Submit these, and have everybody wait for each."""
    for task_id in ids:
        queue.submit(Request(task_id, attempts=2), task_id.encode())
        for inbox in waiting:
            inbox.put(task_id)


def work(queue: AbstractTaskQueue) -> list[Claim]:
    """Run what comes until the queue is closed. Every third task is given back at its first start."""
    claims: list[Claim] = []
    try:
        while (claim := queue.claim()) is not None:
            claims.append(claim)
            if len(claims) % 3 == 0 and claim.token.start == 1:
                queue.release(claim.id, token=claim.token)
            else:
                queue.heartbeat(claim.id, LONG_S, token=claim.token)
                queue.finish(claim.id, claim.message, LONG_S, token=claim.token)
    except QueueClosed:
        pass
    return claims


def wait(queue: AbstractTaskQueue, inbox: Ids) -> list[tuple[str, object]]:
    """Pop each that is named, until there are no more."""
    return [(task_id, queue.pop(task_id, None)) for task_id in iter(inbox.get, None)]


@pytest.mark.spec("POP-5", "CLM-1", "TOK-3", "ENV-WAIT-5", "ENV-WAIT-6", "ENV-WAIT-7")
def test_each_start_and_each_outcome_is_seen_once(make_queue: MakeQueue, start: Start) -> None:
    queue = make_queue()
    worked_on = make_queue(queue.name)
    ids = [f"t{number}" for number in range(TASKS)]
    inboxes = [Ids() for _ in range(WAITERS)]
    workers = [start(partial(work, worked_on)) for _ in range(WORKERS)]
    waiters = [start(partial(wait, queue, inbox)) for inbox in inboxes]
    producers = [
        start(partial(produce, queue, ids[n::PRODUCERS], inboxes)) for n in range(PRODUCERS)
    ]
    for producer in producers:
        producer.answer()
    for inbox in inboxes:
        inbox.put(None)
    popped = [pair for waiter in waiters for pair in waiter.answer()]
    worked_on.close()
    claims = [claim for worker in workers for claim in worker.answer()]

    answers = {task_id: [answer for i, answer in popped if i == task_id] for task_id in ids}
    for task_id, seen in answers.items():
        assert seen.count(Outcome("result", task_id.encode())) == 1
        assert seen.count(TASK_EXPIRED) == WAITERS - 1
    starts = Counter((claim.id, claim.token.start) for claim in claims)
    assert set(starts.values()) == {1}
    assert {task_id for task_id, _ in starts} == set(ids)
    assert queue.size() == 0


@pytest.mark.spec("SUB-2", "SUB-3")
def test_of_many_submits_at_once_one_is_accepted(make_queue: MakeQueue, start: Start) -> None:
    queue = make_queue()
    together = threading.Barrier(6)

    def submit(task_id: str, args: tuple[str, ...]) -> str:
        together.wait()
        return queue.submit(Request(task_id), b"", dict.fromkeys(args)).status

    same_id = [start(partial(submit, "a", ())) for _ in range(6)]
    assert sorted(call.answer() for call in same_id) == ["accepted", *["duplicate"] * 5]
    same_argument = [start(partial(submit, task_id, ("a",))) for task_id in "bcdefg"]
    answers = sorted(call.answer() for call in same_argument)
    assert answers == ["accepted", *["unavailable"] * 5]
