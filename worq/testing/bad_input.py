"""Bad input: refused by name and value, before anything has changed. [ENV-BAD-1] to [ENV-BAD-5]"""

from collections.abc import Callable, Iterable
from typing import Any

from worq.backend import AbstractTaskQueue
from worq.testing.kit import Broken
from worq.values import Request, Submission

Give = Callable[[AbstractTaskQueue, Any], object]

CASES: tuple[tuple[str, str, Give, tuple[tuple[Any, type[Exception]], ...]], ...] = (
    ("ENV-BAD-1", "id", lambda q, v: q.submit(Request(v), b""), ((7, TypeError), ("", ValueError), ("\ud800", ValueError))),
    ("ENV-BAD-1", "task_id", lambda q, v: q.status(v), ((None, TypeError), ("", ValueError))),
    ("ENV-BAD-1", "args", lambda q, v: q.submit(Request("z"), b"", {v: None}), ((b"a", TypeError), ("", ValueError))),
    ("ENV-BULK-2", "submissions[1].id", lambda q, v: q.submit_many([Submission(Request("z"), b""), Submission(Request(v), b"")]), ((7, TypeError), ("", ValueError))),
    ("ENV-BULK-2", "tasks[1].token", lambda q, v: q.pop_many([("z", None), ("z", v)]), ((7, TypeError),)),
    ("ENV-BULK-2", "limit", lambda q, v: q.claim_many(v), ((0, ValueError), (None, TypeError))),
    ("ENV-BAD-2", "timeout", lambda q, v: q.claim(v), ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError))),
    ("ENV-BAD-2", "timeout", lambda q, v: q.heartbeat("z", v), ((float("inf"), ValueError), (None, TypeError))),
    ("ENV-BAD-3", "message", lambda q, v: q.submit(Request("z"), v), (("text", TypeError), (None, TypeError))),
    ("ENV-BAD-4", "on_error", lambda q, v: q.submit(Request("z", on_error=v), b""), (("ignore", ValueError),)),
    ("ENV-BAD-4", "attempts", lambda q, v: q.submit(Request("z", attempts=v), b""), ((0, ValueError),)),
    ("ENV-BAD-4", "heartrate", lambda q, v: q.submit(Request("z", heartrate=v), b""), ((0, ValueError),)),
    ("ENV-BAD-4", "result_timeout", lambda q, v: q.submit(Request("z", result_timeout=v), b""), ((0, ValueError),)),
)  # fmt: skip
"""Clause, the argument that the error must name, who is given the value, and the values with what they must raise."""


def refusals(queue: AbstractTaskQueue) -> Iterable[str]:
    """Give an empty queue what makes no sense; the clauses that it kept."""
    for clause, argument, give, values in CASES:
        for value, error in values:
            _refused(queue, clause, argument, give, value, error)
    _too_long(queue)
    return tuple(dict.fromkeys([*(clause for clause, *_ in CASES), "ENV-BAD-5"]))


def _refused(
    queue: AbstractTaskQueue,
    clause: str,
    argument: str,
    give: Give,
    value: object,
    expected: type[Exception],
) -> None:
    try:
        answer = give(queue, value)
    except Exception as error:
        if not isinstance(error, expected):
            raise Broken(f"{argument}={value!r}: {expected.__name__} is needed, not {error!r}", clause) from error  # fmt: skip
        if argument not in str(error) or repr(value) not in str(error):
            raise Broken(f"{argument}={value!r}: the error does not name both: {error}", "ENV-BAD-5") from error  # fmt: skip
    else:
        raise Broken(f"{argument}={value!r}: it is accepted, and the answer is {answer!r}", clause)
    if queue.size() or queue.status("z") is not None:
        raise Broken(f"{argument}={value!r}: it is refused, and a task is there", "ENV-BAD-5")


def _too_long(queue: AbstractTaskQueue) -> None:
    try:
        queue.submit(Request("z"), bytes(queue.message_bytes_max + 1))
    except ValueError:
        return
    queue.discard("z")
    raise Broken(f"a message of {queue.message_bytes_max + 1:,} bytes is accepted", "ENV-BAD-3")
