"""Short stories of an application's life. Together they reach every row of the life cycle's table; a test says so."""

from collections.abc import Hashable
from typing import NamedTuple

from worq.testing.lifecycle import LifecycleLockstep
from worq_model import lifecycle as model
from worq_model.lifecycle import (
    Adopt,
    Beat,
    BrokerStatus,
    Call,
    Die,
    DiscardPending,
    FinishGarbage,
    Length,
    Peek,
    PopResult,
    Run,
    Status,
    SubmitGarbage,
    Take,
    TaskFailed,
    Use,
    Value,
    Wait,
)
from worq_model.values import Options


class Pause(NamedTuple):
    """Time that passes."""

    ms: int


Story = tuple[model.Action | Pause, ...]

LEASE_MS = 5010
KEEP = Options(lease_ms=LEASE_MS, retention_ms=60_000)
PASS = KEEP._replace(passes_errors=True)
IGNORE = KEEP._replace(ignore_result=True)
TWICE = KEEP._replace(attempts=2)
LEASE_PASSES = Pause(LEASE_MS)
WORK: Story = (Take(0, 0), Run(0))


def call(
    number: int, task_id: str, name: str, *args: Hashable, options: Options = KEEP, queue: int = 0
) -> Call:
    """The call whose Deferred, if it gets one, is worth a name; `number` makes its incarnation."""
    return Call(queue, task_id, number, name, args, options)


def all_looks(handle: int) -> Story:
    """Every way to look at a Deferred, and then again at what it holds."""
    return (
        Peek(handle),
        Status(handle),
        Peek(handle),
        Wait(handle),
        Value(handle),
        Status(handle),
        Peek(handle),
    )


STORIES: dict[str, Story] = {
    "a result": (call(1, "a", "echo", 1, None), *all_looks(0), *WORK, *all_looks(0), *all_looks(0)),
    "a result that value fetches": (call(1, "a", "echo"), Value(0), *WORK, Value(0), Value(0), Wait(0)),
    "a result that wait fetches": (call(1, "a", "echo"), Take(0, 0), Status(0), Run(0), Wait(0), Wait(0)),
    "two Deferreds, one consumer": (call(1, "a", "echo"), Adopt(0, True), *WORK, Value(0), Status(1), Value(1)),
    "a Deferred without a token": (
        call(1, "a", "echo"), *WORK, Adopt(0, False), Wait(1), call(2, "a", "give", 2), *WORK, Wait(0), Value(1)),
    "a value passed on": (call(1, "a", "give", 7), *WORK, Value(0), call(2, "b", "echo", Use(0), (Use(0), 1)), *WORK, Value(1)),
    "a value passed to another queue": (
        call(1, "a", "give", 7), *WORK, Wait(0), call(2, "b", "echo", Use(0), queue=1), Take(1, 1), Run(1), Value(1)),
    "an argument that comes later": (
        call(1, "a", "give", 7), call(2, "b", "echo", Use(0), (Use(0),)), Wait(0), Value(0), Status(0), PopResult(0), Status(1),
        *WORK, *WORK, Value(1), Status(0)),
    "an argument that is there": (call(1, "a", "give", 7), *WORK, call(2, "b", "echo", Use(0)), *WORK, Value(1), Wait(0)),
    "a diamond": (
        call(1, "a", "give", 1), call(2, "b", "give", 2), call(3, "c", "echo", Use(0), Use(1)), call(4, "a2", "give", Use(2)),
        *WORK, *WORK, *WORK, *WORK, Value(3)),
    "an argument of another queue": (call(1, "a", "give", 7), call(2, "b", "echo", Use(0), queue=1), Wait(0)),
    "two incarnations of one id": (
        call(1, "a", "give", 7), TaskFailed(0), call(2, "a", "give", 8), call(3, "b", "echo", Use(0), Use(1)),
        call(4, "c", "echo", Use(1), Use(0))),
    "an argument that is gone": (call(1, "a", "give", 7), TaskFailed(0), call(2, "b", "echo", Use(0)), Status(0)),
    "an argument that is reserved": (
        call(1, "a", "give", 7), call(2, "b", "echo", Use(0)), call(3, "c", "echo", Use(0)), Length(0)),
    "a duplicate": (call(1, "a", "echo"), call(2, "a", "echo"), Length(0), DiscardPending(0), call(3, "a", "echo")),
    "a failure": (call(1, "a", "boom"), *WORK, Adopt(0, True), *all_looks(0), Value(1)),
    "a failure that value fetches": (call(1, "a", "boom"), *WORK, Value(0), Value(0)),
    "a failure that wait fetches": (call(1, "a", "exit"), *WORK, Wait(0), Value(0)),
    "whatever a task raises": (
        call(1, "a", "exit"), call(2, "b", "interrupt"), call(3, "c", "boom"), *WORK, *WORK, *WORK, Value(0), Value(1), Value(2)),
    "no such task": (call(1, "a", "nobody"), *WORK, Value(0)),
    "a result that can't be serialized": (call(1, "a", "opaque"), *WORK, Value(0)),
    "a task that can't be read": (SubmitGarbage(0, "a", 1), Take(0, 0), Status(0), Value(0)),
    "a taken id is refused to what can't be read": (call(1, "a", "echo"), SubmitGarbage(0, "a", 2), *WORK, Value(0), Length(0)),
    "a result that can't be read": (
        call(1, "a", "echo"), call(2, "b", "echo"), Take(0, 0), FinishGarbage(0), Wait(0), Value(0), Take(0, 0), FinishGarbage(0), Value(1)),
    "an argument that can't be read": (
        call(1, "a", "echo"), call(2, "b", "echo", Use(0)), Take(0, 0), FinishGarbage(0), Take(0, 0), Value(1)),
    "a failed argument": (
        call(1, "a", "boom"), call(2, "b", "echo", Use(0)), call(3, "c", "echo", Use(1)), *WORK, Wait(2), Value(2), Status(1)),
    "a failed argument that value fetches": (call(1, "a", "boom"), call(2, "b", "echo", Use(0)), *WORK, Value(1)),
    "a failed argument, passed": (
        call(1, "a", "boom"), call(2, "b", "echo", Use(0), options=PASS), *WORK, *WORK, Value(1)),
    "a failure of an argument, passed": (
        call(1, "a", "boom"), call(2, "b", "echo", Use(0)), call(3, "c", "echo", Use(1), options=PASS), *WORK, *WORK, Value(2)),
    "a failure that is returned": (
        call(1, "a", "boom"), call(2, "b", "give", Use(0), options=PASS), *WORK, *WORK, Value(1)),
    "a fetched failure, passed": (
        call(1, "a", "boom"), *WORK, Wait(0), call(2, "b", "echo", Use(0), options=PASS), *WORK, Value(1)),
    "a fetched failure": (
        call(1, "a", "boom"), *WORK, Wait(0), call(2, "b", "echo", Use(0)), Status(1), Value(1),
        call(3, "c", "echo", Use(0), options=IGNORE), call(4, "d", "echo", Use(1)), Value(2)),
    "a failed argument of a call whose result is ignored": (
        call(1, "a", "boom"), call(2, "b", "boom"), *WORK, *WORK,
        call(3, "c", "echo", Use(1), Use(0), options=IGNORE), Wait(0), Value(1)),
    "a fetched expiry": (
        call(1, "a", "echo"), TaskFailed(0), Wait(0), call(2, "b", "echo", Use(0)), Wait(1), Value(1),
        call(3, "c", "echo", Use(0), options=PASS), *WORK, Value(2)),
    "an expiry": (call(1, "a", "echo"), Take(0, 0), LEASE_PASSES, Status(0), Value(0), *all_looks(0), Run(0)),
    "an expired argument": (
        call(1, "a", "echo"), call(2, "b", "echo", Use(0)), Take(0, 0), Die(0), LEASE_PASSES, Wait(1), Value(1)),
    "an expired argument, passed": (
        call(1, "a", "echo"), call(2, "b", "echo", Use(0), options=PASS), Take(0, 0), Die(0), LEASE_PASSES, *WORK, Value(1)),
    "heartbeats": (
        call(1, "a", "echo"), Take(0, 0), Pause(LEASE_MS - 1), Beat(0), Pause(LEASE_MS - 1), Beat(0), LEASE_PASSES, Beat(0), Run(0), Value(0)),
    "a worker that is late": (
        call(1, "a", "echo", options=TWICE), Take(0, 0), LEASE_PASSES, Take(1, 0), Beat(0), Run(0), Wait(0), Run(1), Value(0)),
    "fire and forget": (call(1, "a", "echo", options=IGNORE), Length(0), Take(0, 0), Beat(0), Run(0)),
    "the broker's own looks": (
        call(1, "a", "give", 7), BrokerStatus(0), PopResult(0), *WORK, BrokerStatus(0), PopResult(0), BrokerStatus(0), PopResult(0)),
    "failures that the broker pops": (
        call(1, "a", "boom"), call(2, "b", "echo", Use(0)), PopResult(0), *WORK, PopResult(1), SubmitGarbage(0, "c", 3), Take(0, 0), PopResult(2)),
}  # fmt: skip


def run_story(lockstep: LifecycleLockstep, story: Story) -> None:
    """Act a story out on empty queues, looking at everything after each action."""
    for action in story:
        if isinstance(action, Pause):
            lockstep.tick(action.ms)
        else:
            lockstep.act(action)
            lockstep.observe()


def model_rows(story: Story) -> set[object]:
    """The rows that a story takes: the model alone is asked."""
    rows: set[object] = set()
    world, now_ms = model.start(("one", "two"), 2), 0
    for action in story:
        if isinstance(action, Pause):
            now_ms += action.ms
        else:
            seen = model.act(world, action, now_ms=now_ms)
            world = seen.world
            rows.update(seen.rows)
    return rows
