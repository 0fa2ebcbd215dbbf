"""What operations do to a queue on Redis, case by case."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from worq.const import RESERVED, TASK_EXPIRED
from worq.queue.redis import TaskQueue
from worq.queue.redis.keys import prefix
from worq.values import (
    Claim,
    Finished,
    Finishing,
    Outcome,
    Request,
    Submission,
    Submitted,
    Token,
)

KEY: Final = prefix("default")


def submit(queue: TaskQueue, task_id: str, *args: str, **options: Any) -> Submitted:
    return queue.submit(Request(task_id, **options), b"of " + task_id.encode(), dict.fromkeys(args))


def claim(queue: TaskQueue) -> Claim:
    claimed = queue.claim(0)
    assert claimed is not None
    return claimed


def complete(queue: TaskQueue, task_id: str, message: bytes = b"done") -> Finished:
    submit(queue, task_id)
    assert claim(queue).id == task_id
    return queue.finish(task_id, message, 100)


class Case(NamedTuple):
    """An operation that can be lost: what was before, and what it answers."""

    prepare: Callable[[TaskQueue], object]
    act: Callable[[TaskQueue], object]
    answer: object


def nothing(queue: TaskQueue) -> None:
    pass


def a_claimed(queue: TaskQueue) -> Claim:
    submit(queue, "a")
    return claim(queue)


def a_deferred(queue: TaskQueue) -> None:
    complete(queue, "a")
    queue.defer_task(Request("d"), b"", ["a", "b"])


def _submission(task_id: str, *args: str) -> Submission:
    return Submission(Request(task_id), b"", dict.fromkeys(args))


def _ids_of(answer: tuple[list[Finished], list[Claim]]) -> tuple[list[Finished], list[str]]:
    return answer[0], [claimed.id for claimed in answer[1]]


TOKEN = Token(b"incarnation of x")
CASES: Final = {
    "submit": Case(nothing, lambda q: submit(q, "a"), Submitted("accepted")),
    "submit that ends at once": Case(
        nothing,
        lambda q: q.submit(Request("a", TOKEN), b"", outcome=Outcome("expired")),
        Submitted("accepted"),
    ),
    "submit of a taken id": Case(
        lambda q: submit(q, "a"), lambda q: submit(q, "a"), Submitted("duplicate")
    ),
    "submit with an argument": Case(
        lambda q: complete(q, "a"), lambda q: submit(q, "b", "a"), Submitted("accepted")
    ),
    "defer": Case(nothing, lambda q: q.defer_task(Request("d"), b"", ["a"]), answer=True),
    "claim": Case(lambda q: submit(q, "a"), lambda q: claim(q).message, b"of a"),
    "claim for the last time": Case(
        lambda q: submit(q, "a", ignore_result=True), lambda q: claim(q).message, b"of a"
    ),
    "claim with an argument": Case(
        lambda q: (complete(q, "a"), submit(q, "b", "a")),
        lambda q: claim(q).arguments,
        {"a": Outcome("result", b"done")},
    ),
    "finish": Case(a_claimed, lambda q: q.finish("a", b"", 10), Finished(accepted=True)),
    "finish for a dependent": Case(
        lambda q: (a_claimed(q), submit(q, "b", "a")),
        lambda q: q.finish("a", b"", 10),
        Finished(accepted=True, dependent_id="b"),
    ),
    "heartbeat": Case(a_claimed, lambda q: q.heartbeat("a", 10), answer=True),
    "release": Case(a_claimed, lambda q: q.release("a"), answer=True),
    "pop": Case(lambda q: complete(q, "a"), lambda q: q.pop("a", 0), Outcome("result", b"done")),
    "pop of nothing": Case(nothing, lambda q: q.pop("a", 0), TASK_EXPIRED),
    "discard": Case(lambda q: submit(q, "a"), lambda q: q.discard("a"), answer=True),
    "purge": Case(lambda q: submit(q, "a"), lambda q: q.purge(), 1),
    "reserve_argument": Case(a_deferred, lambda q: q.reserve_argument("a", "d"), (True, b"done")),
    "set_argument": Case(a_deferred, lambda q: q.set_argument("d", "b", b""), answer=False),
    "submit_many": Case(
        lambda q: complete(q, "a"),
        lambda q: q.submit_many([_submission("b", "a"), _submission("b"), _submission("c")]),
        [Submitted("accepted"), Submitted("duplicate"), Submitted("accepted")],
    ),
    "finish_many": Case(
        lambda q: (a_claimed(q), submit(q, "b", "a"), submit(q, "c", attempts=2)),
        lambda q: _ids_of(q.finish_many([Finishing("a", b"", 10), Finishing("a", b"", 10)], 2)),
        ([Finished(accepted=True, dependent_id="b"), Finished(accepted=False)], ["c"]),
    ),
    "claim_many": Case(
        lambda q: (submit(q, "a"), submit(q, "b", attempts=2), submit(q, "c")),
        lambda q: [claimed.id for claimed in q.claim_many(5, 0)],
        ["a", "b"],
    ),
    "pop_many": Case(
        lambda q: (complete(q, "a"), submit(q, "b"), submit(q, "c", "b")),
        lambda q: q.pop_many([(task_id, None) for task_id in "axbc"]),
        [Outcome("result", b"done"), TASK_EXPIRED, RESERVED, None],
    ),
    "size": Case(lambda q: submit(q, "a"), lambda q: q.size(), 1),
    "status": Case(lambda q: submit(q, "a"), lambda q: q.status("a"), "enqueued"),
    "get_arguments": Case(a_deferred, lambda q: q.get_arguments("d"), {}),
}


def state(raw: Any) -> dict[bytes, object]:
    """All that is kept, but for the sessions."""
    return {key: raw.dump(key) for key in raw.keys(f"{KEY}*") if b":session:" not in key}
