"""Many operations, one by one, as a backend does them that knows no better."""

from functools import partial
from typing import Any

import pytest

from tests.backends.calls import Call
from worq.backend import AbstractTaskQueue
from worq.const import COMPLETED
from worq.errors import BackendUnavailable
from worq.queue.memory import TaskQueue as MemoryQueue
from worq.values import Finished, Finishing, Outcome, Request, Submission, Submitted

OPERATIONS = ("_submit_many", "_finish_many", "_claim_many", "_pop_many")
DONE = Outcome("result", b"done")


class Plain(MemoryQueue):
    """A backend with single operations only, of which the N-th fails if `fails_at` says so."""

    fails_at: int | None = None

    def _apply(self, act: Any, *args: Any, **kwargs: Any) -> Any:
        if self.fails_at is not None:
            self.fails_at -= 1
            if self.fails_at == 0:
                raise BackendUnavailable("gone", "not_sent")
        return super()._apply(act, *args, **kwargs)


for _name in OPERATIONS:
    setattr(Plain, _name, getattr(AbstractTaskQueue, _name))


@pytest.fixture
def queue() -> Any:
    queue = Plain("memory://plain")
    yield queue
    queue.fails_at = None
    for task_id in "abcd":
        queue.discard(task_id)
    queue.close()


def submissions(ids: str) -> list[Submission]:
    return [Submission(Request(task_id, attempts=2), b"") for task_id in ids]


def running(queue: Plain, ids: str) -> list[Finishing]:
    """Tasks that are claimed, and how they end."""
    queue.submit_many(submissions(ids))
    claims = [queue.claim(0) for _ in ids]
    return [Finishing(claim.id, b"done", 60, claim.token) for claim in claims if claim is not None]


@pytest.mark.spec("ENV-BULK-1", "ENV-BULK-3")
def test_one_by_one(queue: Plain) -> None:
    assert queue.submit_many(submissions("abc")) == [Submitted("accepted")] * 3
    (a,) = queue.claim_many(5, 0)
    answers, (b,) = queue.finish_many([Finishing(a.id, b"done", 60, a.token)], 5)
    assert answers == [Finished(True)]
    assert (a.id, b.id) == ("a", "b")
    assert queue.pop_many([("a", a.token), ("b", b.token)], None) == [DONE, None]


@pytest.mark.spec("ENV-BULK-5")
def test_several_are_looked_at_again_and_again(queue: Plain) -> None:
    ends = running(queue, "ab")
    call = Call(partial(queue.pop_many, [("a", None), ("b", None)], None))
    assert not call.ended(0.2)
    queue.finish_many(ends[1:])
    assert call.answer() == [None, DONE]


@pytest.mark.spec("ENV-BULK-6")
def test_an_error_says_how_many_were_submitted(queue: Plain) -> None:
    queue.fails_at = 3
    with pytest.raises(BackendUnavailable) as caught:
        queue.submit_many(submissions("abcd"))
    assert caught.value.answers == (Submitted("accepted"),) * 2
    assert caught.value.__notes__ == ["of 4 operations 2 are known to be done"]
    assert queue.size() == 2
    assert queue.submit_many(submissions("d")) == [Submitted("accepted")]


@pytest.mark.spec("ENV-BULK-6")
def test_an_error_has_the_outcomes_that_were_taken(queue: Plain) -> None:
    queue.finish_many(running(queue, "ab"))
    queue.fails_at = 2
    with pytest.raises(BackendUnavailable) as caught:
        queue.pop_many([("a", None), ("b", None)])
    assert caught.value.answers == (DONE,)
    assert queue.status("b") == COMPLETED


@pytest.mark.spec("ENV-BULK-6")
def test_an_error_of_the_next_claim_has_the_finishes(queue: Plain) -> None:
    ends = running(queue, "ab")
    queue.fails_at = 3
    with pytest.raises(BackendUnavailable) as caught:
        queue.finish_many(ends, 1)
    assert caught.value.answers == (Finished(True),) * 2


def test_an_error_of_a_single_operation_has_none(queue: Plain) -> None:
    queue.fails_at = 1
    with pytest.raises(BackendUnavailable) as caught:
        queue.size()
    assert caught.value.answers == ()
