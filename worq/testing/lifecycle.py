"""The life cycle of tasks on real brokers, action by action beside its model.

What the model says with values of its own (`Failure`, `Raised`, `Held`) the driver finds in exceptions
and attributes; error texts of which SPEC.md gives only some words are cut to these.
"""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any, cast

from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.const import FAIL, PASS
from worq.core import Broker
from worq.task import (
    Deferred,
    DuplicateTask,
    FunctionTask,
    Task,
    TaskExpired,
    TaskFailure,
    TaskSpace,
)
from worq.testing.capabilities import IN_LOCKSTEP, MANUAL_CLOCK, Capabilities, unhurried
from worq.testing.lockstep import Disagreement
from worq.testing.programs import as_code
from worq.values import Request, Token
from worq_model import lifecycle as model
from worq_model import operations as ops
from worq_model.invariants import broken
from worq_model.lifecycle import Action, Call, Failure, Held, Raised, Use
from worq_model.queue import next_deadline_ms, step

GARBAGE = b"\x00 nobody can read this"
OPEN_ENDED = (model.NOT_SERIALIZABLE, model.UNREADABLE, model.UNAVAILABLE)
"""Errors that say more around these words."""


def tasks() -> TaskSpace:
    """The tasks that the model's `BEHAVIOURS` describe."""
    space = TaskSpace()

    def echo(*args: object) -> object:
        return args

    def give(*args: object) -> object:
        return args[0] if args else None

    def boom(*args: object) -> object:
        raise ValueError("boom")

    def leave(*args: object) -> object:
        raise SystemExit(3)

    def interrupt(*args: object) -> object:
        raise KeyboardInterrupt("stop")

    def opaque(*args: object) -> object:
        return threading.Lock()

    for function in (echo, give, boom, interrupt, opaque):
        space.task(function)
    space.task(leave, name="exit")
    return space


class LifecycleLockstep:
    """A broker on each queue, `workers` pairs of hands, and the world of the model beside them."""

    def __init__(
        self,
        queues: Sequence[AbstractTaskQueue],
        clock: ManualClock,
        workers: int = 2,
        claimed: Capabilities = IN_LOCKSTEP,
    ) -> None:
        self.clock = clock
        self._claimed = claimed
        self.queues = queues
        self.brokers: list[Broker] = [Broker(queue) for queue in queues]
        for broker in self.brokers:
            broker.expose(tasks())
        self.world: model.World = model.start(tuple(queue.name for queue in queues), workers)
        self.rows: Counter[object] = Counter()
        self._deferreds: list[Deferred] = []
        self._hands: list[FunctionTask | None] = [None] * workers
        self._log: list[str] = []
        self._looks: set[int] = set()
        """The places in it of what only looks."""

    def tick(self, ms: int) -> None:
        """Let time pass."""
        if MANUAL_CLOCK in self._claimed:
            self._log.append(f"tick({ms})")
            self.clock.advance(ms)

    def act(self, action: Action) -> None:
        """Do it on both sides, and compare what the caller sees."""
        if isinstance(action, Call) and MANUAL_CLOCK not in self._claimed:
            action = action._replace(options=unhurried(action.options))
        seen = model.act(self.world, action, now_ms=self.clock.now_ms())
        clauses = " ".join(sorted({clause for row in seen.rows for clause in row.clauses}))
        self._log.append(f"{as_code(action)}  # {as_code(seen.reply)}  [{clauses}]")
        try:
            got = _DO[type(action)](self, action)
        except Exception as error:
            raise self._disagreement(seen, error) from error
        if got != seen.reply or type(got) is not type(
            seen.reply
        ):  # tuples of several names are equal
            raise self._disagreement(seen, got)
        self.world = seen.world
        self.rows.update(seen.rows)
        for state in self.world.queues:
            assert not broken(state), (broken(state), self._log)

    def _look(self, action: Action) -> None:
        self._looks.add(len(self._log))
        self.act(action)

    def observe(self) -> None:
        """Look at all there is from outside: sizes, and the state of every Deferred's task."""
        for number in range(len(self.queues)):
            self._look(model.Length(number))
        for number in range(len(self._deferreds)):
            self._look(model.Peek(number))
            self._look(model.BrokerStatus(number))

    def next_deadline_ms(self) -> int | None:
        deadlines = [next_deadline_ms(state) for state in self.world.queues]
        return min((at - self.clock.now_ms() for at in deadlines if at is not None), default=None)

    def wind_up(self) -> None:
        """End every task, so that nothing may be left of any queue."""
        for number, queue in enumerate(self.queues):
            state = self.world.queues[number]
            for last in state.last_starts:
                if MANUAL_CLOCK in self._claimed:
                    self.clock.advance(max(0, last.deadline_ms - self.clock.now_ms()))
            for task in state.tasks:
                queue.discard(task.id)
                state = step(state, ops.Discard(task.id), now_ms=self.clock.now_ms()).state
            assert queue.size() == 0

    def abandon(self) -> None:
        """End every task that there may be, whatever the queues answer."""
        for queue in self.queues:
            for deferred in self._deferreds:
                with suppress(Exception):
                    queue.discard(deferred.id)
            with suppress(Exception):
                queue.purge()

    def history(self) -> str:
        """What was done, with the model's answers; of what only looked at the end the last one."""
        last = len(self._log) - 1
        return "\n".join(
            line for n, line in enumerate(self._log) if n == last or n not in self._looks
        )

    # One method for each action; the answer is in the model's values.

    def call(self, action: Call) -> Hashable:
        options = action.options
        task = Task(
            getattr(self.brokers[action.queue].queue(), action.name),
            id=action.id,
            on_error=PASS if options.passes_errors else FAIL,
            ignore_result=options.ignore_result,
            result_timeout=float("inf")
            if options.retention_ms is None
            else options.retention_ms / 1000,
            heartrate=(options.lease_ms - 5000) / 2000,
            attempts=options.attempts,
        )
        try:
            deferred = task(*(self._argument(arg) for arg in action.args))
        except TaskFailure as failure:
            return Raised(_failure(failure))
        if deferred is None:
            return None
        self._deferreds.append(deferred)
        return "a Deferred"

    def submit_garbage(self, action: model.SubmitGarbage) -> Hashable:
        request = Request(action.id, Token.new())
        queue, broker = self.queues[action.queue], self.brokers[action.queue]
        if queue.submit(request, GARBAGE).status != "accepted":
            return False
        self._deferreds.append(broker.deferred(action.id, "garbage", request.token))
        return True

    def adopt(self, action: model.Adopt) -> Hashable:
        deferred = self._deferreds[action.handle]
        broker = self.brokers[self.world.handles[action.handle].queue]
        token = deferred.token if action.with_token else None
        self._deferreds.append(broker.deferred(deferred.id, deferred.name, token))
        return None

    def take(self, action: model.Take) -> Hashable:
        if self._hands[action.worker] is not None:
            return "busy"
        task = self.brokers[action.queue].next_task(0)
        self._hands[action.worker] = task
        return None if task is None else task.id

    def run(self, action: model.Run) -> Hashable:
        task = self._hands[action.worker]
        if task is None:
            return "idle"
        self._hands[action.worker] = None
        running = self.world.workers[action.worker]
        assert running is not None
        self.brokers[running.queue].invoke(task)
        return None

    def finish_garbage(self, action: model.FinishGarbage) -> Hashable:
        task = self._hands[action.worker]
        if task is None:
            return "idle"
        self._hands[action.worker] = None
        running = self.world.workers[action.worker]
        assert running is not None
        self.queues[running.queue].finish(task.id, GARBAGE, task.result_timeout, token=task.token)
        return None

    def beat(self, action: model.Beat) -> Hashable:
        task = self._hands[action.worker]
        running = self.world.workers[action.worker]
        if task is None or running is None:
            return "idle"
        return self.brokers[running.queue].heartbeat(task)

    def die(self, action: model.Die) -> Hashable:
        self._hands[action.worker] = None
        return None

    def wait(self, action: model.Wait) -> Hashable:
        return self._deferreds[action.handle].wait(0)

    def value(self, action: model.Value) -> Hashable:
        try:
            return Held(_value(self._deferreds[action.handle].value))
        except AttributeError:
            return model.NO_VALUE
        except TaskFailure as failure:
            return Raised(_failure(failure))

    def status(self, action: model.Status) -> Hashable:
        return self._deferreds[action.handle].status

    def peek(self, action: model.Peek) -> Hashable:
        deferred = self._deferreds[action.handle]
        shown = repr(deferred).removesuffix(">").rpartition(" ")[2]
        return deferred.has_value(), shown

    def pop_result(self, action: model.PopResult) -> Hashable:
        try:
            got = self._broker_of(action.handle).pop_result(self._deferreds[action.handle])
        except KeyError:
            return model.NO_KEY
        except TaskExpired as expired:
            return Raised(_failure(expired))
        return _failure(got) if isinstance(got, TaskFailure) else Held(_value(got))

    def task_failed(self, action: model.TaskFailed) -> Hashable:
        self._broker_of(action.handle).task_failed(self._deferreds[action.handle])
        return None

    def broker_status(self, action: model.BrokerStatus) -> Hashable:
        return self._broker_of(action.handle).status(self._deferreds[action.handle])

    def discard_pending(self, action: model.DiscardPending) -> Hashable:
        return self.brokers[action.queue].discard_pending_tasks()

    def length(self, action: model.Length) -> Hashable:
        return len(self.brokers[action.queue])

    def _broker_of(self, handle: int) -> Broker:
        return self.brokers[self.world.handles[handle].queue]

    def _argument(self, arg: Hashable) -> object:
        """What the caller passes: Deferreds nested in lists, where the model has tuples."""
        if isinstance(arg, Use):
            return self._deferreds[arg.handle]
        return [self._argument(inner) for inner in arg] if type(arg) is tuple else arg

    def _disagreement(self, seen: model.Seen, got: object) -> Disagreement:
        text = "\n".join(
            [
                "the broker does not do what the model does",
                self.history(),
                f"# expected {as_code(seen.reply)}",
                f"# got      {as_code(got)}",
            ]
        )
        return Disagreement(text, tuple(dict.fromkeys(c for row in seen.rows for c in row.clauses)))


def _value(value: object) -> Any:
    """A result as the model has it: lists are tuples, failures are `Failure`s."""
    if isinstance(value, TaskFailure):
        return _failure(value)
    if isinstance(value, list | tuple):
        return tuple(_value(inner) for inner in cast("Sequence[object]", value))
    return value


def _failure(failure: TaskFailure) -> Failure:
    cause = failure.__cause__
    seen = _failure(cause) if isinstance(cause, TaskFailure) else None
    error = failure.error
    if seen is not None and error == f"{model.ARGUMENT_FAILED}: {cause}":
        return Failure(_kind(failure), *_address(failure), f"{model.ARGUMENT_FAILED}: {seen}", seen)
    error = next((words for words in OPEN_ENDED if words in error), error)
    return Failure(_kind(failure), *_address(failure), error, seen)


def _kind(failure: TaskFailure) -> Any:
    kind = type(failure)
    assert kind in (TaskFailure, TaskExpired, DuplicateTask), failure
    return kind.__name__


def _address(failure: TaskFailure) -> tuple[str, str, str]:
    return failure.task_name, failure.queue, failure.task_id


_DO: dict[type[Action], Callable[[LifecycleLockstep, Any], Hashable]] = {
    model.Call: LifecycleLockstep.call,
    model.SubmitGarbage: LifecycleLockstep.submit_garbage,
    model.Adopt: LifecycleLockstep.adopt,
    model.Take: LifecycleLockstep.take,
    model.Run: LifecycleLockstep.run,
    model.FinishGarbage: LifecycleLockstep.finish_garbage,
    model.Beat: LifecycleLockstep.beat,
    model.Die: LifecycleLockstep.die,
    model.Wait: LifecycleLockstep.wait,
    model.Value: LifecycleLockstep.value,
    model.Status: LifecycleLockstep.status,
    model.Peek: LifecycleLockstep.peek,
    model.PopResult: LifecycleLockstep.pop_result,
    model.TaskFailed: LifecycleLockstep.task_failed,
    model.BrokerStatus: LifecycleLockstep.broker_status,
    model.DiscardPending: LifecycleLockstep.discard_pending,
    model.Length: LifecycleLockstep.length,
}
