"""What an application sees: calls, workers, and looks at Deferreds, on top of the queue's `step`. SPEC.md, section 8.

Here messages are values with a shape: a task is `Work`, a failure a `Failure`, a result whatever the
task returned, and `GARBAGE` is bytes that nobody can read. What a task does is told by its name (`BEHAVIOURS`).
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final, Literal, NamedTuple

from worq_model import operations as ops
from worq_model import queue
from worq_model import table as queue_table
from worq_model.lifecycle_table import EXPIRY, FAILURE, NOTHING, VALUE, Event, Row, row
from worq_model.operations import Claimed, Submitted
from worq_model.values import COMPLETED, EMPTY, RESERVED, TASK_EXPIRED, Options, Outcome, State

GARBAGE: Final = "GARBAGE"
UNAVAILABLE: Final = "result is not available"
DUPLICATE: Final = "a task with this id is in the queue"
NO_SUCH_TASK: Final = "no such task"
ARGUMENT_FAILED: Final = "argument failed"
TASK_EXPIRED_ERROR: Final = "task expired"
NOT_SERIALIZABLE: Final = "result cannot be serialized"
UNREADABLE: Final = "cannot be read"
UNKNOWN_NAME: Final = "?"
NEVER_THERE: Final = "an incarnation that no task has"
NO_VALUE: Final = "AttributeError"
NO_KEY: Final = "KeyError"


class Failure(NamedTuple):
    """A TaskFailure; `kind` is its class. [ENV-API-1]"""

    kind: Literal["TaskFailure", "TaskExpired", "DuplicateTask"]
    name: str
    queue: str
    id: str
    error: str
    cause: "Failure | None" = None

    def __str__(self) -> str:
        return f"{self.name} [{self.queue}:{self.id}] {self.error}"


class Raised(NamedTuple):
    """The caller gets this failure as an exception."""

    failure: Failure


class Reference(NamedTuple):
    """A place in a message where the outcome of an argument belongs."""

    id: str
    name: str


class Use(NamedTuple):
    """A Deferred, by its number, among the arguments of a call."""

    handle: int


class Work(NamedTuple):
    """The message of a task: a name, and arguments (tuples may be nested)."""

    name: str
    args: tuple[Hashable, ...]
    options: Options


class Handle(NamedTuple):
    """A Deferred. `held` is None, `Held(value)` or a Failure; `seen` the state that `status` last gave."""

    queue: int
    id: str
    name: str
    incarnation: Hashable
    held: "Held | Failure | None" = None
    source_id: str | None = None  # of a held failure [DEF-4]
    seen: str | None = None
    is_expired: bool = (
        False  # what is held is an expiry; a TaskExpired that a task returned is none [RUN-1]
    )


class Held(NamedTuple):
    value: Hashable


class Running(NamedTuple):
    """A claim in the hands of a worker, its arguments read."""

    queue: int
    claim: Claimed
    work: Work


Rows = tuple[Row | queue_table.Row, ...]


class World(NamedTuple):
    """Queues with a broker each, the Deferreds that were handed out, and what each worker has in hand."""

    names: tuple[str, ...]
    queues: tuple[State, ...]
    handles: tuple[Handle, ...] = ()
    workers: tuple[Running | None, ...] = ()


class Seen(NamedTuple):
    """What came of an action: the world after it, what the caller saw, and the rows that led there."""

    world: World
    reply: Hashable
    rows: Rows


def start(names: tuple[str, ...], workers: int) -> World:
    return World(names, tuple(EMPTY for _ in names), (), (None,) * workers)


# What can be done


class Call(NamedTuple):
    queue: int
    id: str
    incarnation: Hashable
    name: str
    args: tuple[Hashable, ...]
    options: Options


class SubmitGarbage(NamedTuple):
    """A task whose message nobody can read."""

    queue: int
    id: str
    incarnation: Hashable


class Adopt(NamedTuple):
    """`broker.deferred(...)`: another Deferred of the task of `handle`, with its token or without."""

    handle: int
    with_token: bool


class Take(NamedTuple):
    worker: int
    queue: int


class Run(NamedTuple):
    worker: int


class FinishGarbage(NamedTuple):
    """A worker of some other make: its result can't be read."""

    worker: int


class Beat(NamedTuple):
    worker: int


class Die(NamedTuple):
    """The worker forgets its task; what happens then is the lease's business. [TIM-3] [TIM-4]"""

    worker: int


class Wait(NamedTuple):
    handle: int


class Value(NamedTuple):
    handle: int


class Status(NamedTuple):
    handle: int


class Peek(NamedTuple):
    handle: int


class PopResult(NamedTuple):
    handle: int


class TaskFailed(NamedTuple):
    handle: int


class BrokerStatus(NamedTuple):
    handle: int


class DiscardPending(NamedTuple):
    queue: int


class Length(NamedTuple):
    queue: int


Action = (
    Call | SubmitGarbage | Adopt | Take | Run | FinishGarbage | Beat | Die | Wait | Value | Status | Peek
    | PopResult | TaskFailed | BrokerStatus | DiscardPending | Length
)  # fmt: skip


def act(world: World, action: Action, *, now_ms: int) -> Seen:
    """Total and pure, as `queue.step` is."""
    return _DO[type(action)](world, action, now_ms)


# Calls


def _call(world: World, action: Call, now_ms: int) -> Seen:
    uses = [world.handles[number] for number in _uses(action.args)]
    uses.sort(key=lambda handle: handle.id)
    foreign = next((h for h in uses if h.held is None and h.queue != action.queue), None)
    if foreign is not None:
        return Seen(
            world,
            Raised(_unavailable(world, foreign)),
            (row(Event.PASS, NOTHING, "another queue"),),
        )
    args, rows = _arguments(uses, action.options)
    work = Work(action.name, _message(world, action.args), action.options)
    ends = _ends_with(uses, action.options)
    submit = ops.Submit(action.id, action.incarnation, work, args, ends, action.options)
    world, reply, more = _step(world, action.queue, submit, now_ms)
    assert isinstance(reply, Submitted)
    rows += more
    queue_name = world.names[action.queue]
    if reply.status == "duplicate":
        failure = Failure("DuplicateTask", action.name, queue_name, action.id, DUPLICATE)
        return Seen(world, Raised(failure), (*rows, row(Event.CALL, NOTHING, "duplicate")))
    if reply.status == "unavailable":
        argument = next(h for h in uses if h.id == reply.argument_id and h.held is None)
        raised = Raised(_unavailable(world, argument))
        return Seen(world, raised, (*rows, row(Event.CALL, NOTHING, "unavailable")))
    if action.options.ignore_result:
        what = "accepted" if reply.outcome is None else "ended"
        return Seen(world, None, (*rows, row(Event.CALL, NOTHING, f"{what}, ignore_result")))
    handle = Handle(action.queue, action.id, action.name, action.incarnation)
    world = world._replace(handles=(*world.handles, handle))
    return Seen(world, "a Deferred", (*rows, row(Event.CALL, NOTHING, "accepted")))


def _uses(args: tuple[Hashable, ...]) -> Iterator[int]:
    for arg in args:
        if isinstance(arg, Use):
            yield arg.handle
        elif type(arg) is tuple:
            yield from _uses(arg)


def _arguments(
    uses: list[Handle], options: Options
) -> tuple[tuple[tuple[str, Hashable], ...], Rows]:
    """The id and the incarnation of each argument to reserve. [CALL-1] [CALL-3] [CALL-5]"""
    args: dict[str, Hashable] = {}
    rows: Rows = ()
    for handle in uses:
        if isinstance(handle.held, Failure):
            rows += (
                row(
                    Event.PASS,
                    _holds(handle),
                    f"on_error='{'pass' if options.passes_errors else 'fail'}'",
                ),
            )
        elif handle.held is not None:
            rows += (row(Event.PASS, VALUE),)
        elif args.get(handle.id) in (None, handle.incarnation) or handle.incarnation is None:
            args[handle.id] = handle.incarnation if args.get(handle.id) is None else args[handle.id]
            rows += (row(Event.PASS, NOTHING, "same queue"),)
        else:
            args[handle.id] = NEVER_THERE
            rows += (row(Event.PASS, NOTHING, "two incarnations"),)
    return tuple(args.items()), rows


def _ends_with(uses: list[Handle], options: Options) -> Outcome | None:
    """The fetched failure or expiry that a task ends with, if any. [CALL-3]"""
    first = next((handle for handle in uses if isinstance(handle.held, Failure)), None)
    if first is None or options.passes_errors:
        return None
    assert isinstance(first.held, Failure)
    if _holds(first) == EXPIRY:
        return Outcome("expired")
    if first.source_id is None:
        return Outcome("failure", first.held, first.id)
    return Outcome("failure", first.held.cause, first.source_id)


def _message(world: World, args: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """The arguments as they travel: held outcomes by value, the others as references."""

    def travel(arg: Hashable) -> Hashable:
        if isinstance(arg, Use):
            handle = world.handles[arg.handle]
            match handle.held:
                case None:
                    return Reference(handle.id, handle.name)
                case Held(value):
                    return value
                case failure:
                    return failure
        return tuple(travel(inner) for inner in arg) if type(arg) is tuple else arg

    return tuple(travel(arg) for arg in args)


def _unavailable(world: World, handle: Handle) -> Failure:
    return Failure("TaskFailure", handle.name, world.names[handle.queue], handle.id, UNAVAILABLE)


def _submit_garbage(world: World, action: SubmitGarbage, now_ms: int) -> Seen:
    world, reply, rows = _step(
        world, action.queue, ops.Submit(action.id, action.incarnation, GARBAGE), now_ms
    )
    assert isinstance(reply, Submitted)
    if reply.status != "accepted":
        return Seen(world, False, rows)
    handle = Handle(action.queue, action.id, "garbage", action.incarnation)
    return Seen(world._replace(handles=(*world.handles, handle)), True, rows)


def _adopt(world: World, action: Adopt, now_ms: int) -> Seen:
    handle = world.handles[action.handle]
    incarnation = handle.incarnation if action.with_token else None
    adopted = Handle(handle.queue, handle.id, handle.name, incarnation)
    return Seen(world._replace(handles=(*world.handles, adopted)), None, ())


# Workers


def _take(world: World, action: Take, now_ms: int) -> Seen:
    """`next_task`: claim, and read the message and its arguments. What can't be read fails at once. [RUN-5]"""
    if world.workers[action.worker] is not None:
        return Seen(world, "busy", ())
    world, claim, rows = _step(world, action.queue, ops.Claim(), now_ms)
    if not isinstance(claim, Claimed):
        return Seen(world, None, rows)
    work, more = _read(claim, world.names[action.queue])
    if work is None:
        known = (
            claim.message if isinstance(claim.message, Work) else Work(UNKNOWN_NAME, (), Options())
        )
        failure = Failure(
            "TaskFailure", known.name, world.names[action.queue], claim.id, UNREADABLE
        )
        running = Running(action.queue, claim, known)
        world, last = _finish(world, running, Outcome("failure", failure), now_ms)
        return Seen(world, None, (*rows, *more, *last))
    running = Running(action.queue, claim, work)
    return Seen(_hand(world, action.worker, running), claim.id, (*rows, *more))


def _read(claim: Claimed, queue_name: str) -> tuple[Work | None, tuple[Row, ...]]:
    """The task with its arguments in place; None if something can't be read."""
    unreadable = row(Event.RUN, NOTHING, "message not readable")
    if not isinstance(claim.message, Work):
        return None, (unreadable,)
    outcomes = dict(claim.arguments)
    if any(outcome.message == GARBAGE for outcome in outcomes.values()):
        return None, (unreadable,)

    def place(arg: Hashable) -> Hashable:
        if isinstance(arg, Reference):
            seen: Hashable = _seen_as(outcomes[arg.id], arg.name, queue_name, arg.id)
            return seen
        return tuple(place(inner) for inner in arg) if type(arg) is tuple else arg

    kinds = {outcome.kind for outcome in outcomes.values()}
    rows = tuple(
        row(Event.RUN, NOTHING, case) for kind, case in _ARGUMENTS.items() if kind in kinds
    )
    args = tuple(place(arg) for arg in claim.message.args)
    return claim.message._replace(args=args), rows


_ARGUMENTS = {"failure": "argument failed", "expired": "argument expired"}


def _seen_as(outcome: Outcome, name: str, queue_name: str, task_id: str) -> Any:
    """An outcome as its consumer sees it: a value, or a failure under the consumer's name for it.

    [DEF-4] [DEF-5] [RUN-6]
    """
    if outcome.kind == "expired":
        return Failure("TaskExpired", name, queue_name, task_id, TASK_EXPIRED_ERROR)
    if outcome.source_id is None:
        return outcome.message
    cause = outcome.message
    assert isinstance(cause, Failure)
    error = f"{ARGUMENT_FAILED}: {cause}"
    return Failure("TaskFailure", name, queue_name, task_id, error, cause)


def _run(world: World, action: Run, now_ms: int) -> Seen:
    """`invoke`: what the task does, then its outcome. [RUN-1] to [RUN-4]"""
    running = world.workers[action.worker]
    if running is None:
        return Seen(world, "idle", ())
    case, outcome = _behave(running, world.names[running.queue])
    world = _hand(world, action.worker, None)
    world, rows = _finish(world, running, outcome, now_ms)
    return Seen(world, None, (row(Event.RUN, NOTHING, case), *rows))


def _behave(running: Running, queue_name: str) -> tuple[str, Outcome]:
    work = running.work
    case, result = BEHAVIOURS.get(work.name, _no_such_task)(work.args)
    if case == "returns":
        return case, Outcome("result", result)
    if isinstance(result, Failure):
        return case, Outcome("failure", result)
    return case, Outcome(
        "failure", Failure("TaskFailure", work.name, queue_name, running.claim.id, result)
    )


def _no_such_task(args: tuple[Hashable, ...]) -> tuple[str, Any]:
    return "no such task", NO_SUCH_TASK


def _give(args: tuple[Hashable, ...]) -> tuple[str, Any]:
    """Returns its first argument: a failure if that is one."""
    first = args[0] if args else None
    return ("returns a TaskFailure" if isinstance(first, Failure) else "returns"), first


BEHAVIOURS: dict[str, Callable[[tuple[Hashable, ...]], tuple[str, Any]]] = {
    "echo": lambda args: ("returns", args),
    "give": _give,
    "boom": lambda args: ("raises", "ValueError: boom"),
    "exit": lambda args: ("raises", "SystemExit: 3"),
    "interrupt": lambda args: ("raises", "KeyboardInterrupt: stop"),
    "opaque": lambda args: ("result not serializable", NOT_SERIALIZABLE),
}
"""Task name → what it does with its arguments: a case of the table, and the result, or the error of its failure."""


def _finish(world: World, running: Running, outcome: Outcome, now_ms: int) -> tuple[World, Rows]:
    """Hand in an outcome; nobody waits for that of a fire-and-forget task at its last start. [RUN-7]"""
    dropped = (row(Event.RUN, NOTHING, "claim lost, or fire-and-forget"),)
    claim, options = running.claim, running.work.options
    if options.ignore_result and claim.token.start == options.attempts:
        return world, dropped
    finish = ops.Finish(claim.id, outcome, options.retention_ms, claim.token)
    world, reply, rows = _step(world, running.queue, finish, now_ms)
    assert isinstance(reply, ops.Finished)
    return world, rows if reply.accepted else rows + dropped


def _finish_garbage(world: World, action: FinishGarbage, now_ms: int) -> Seen:
    running = world.workers[action.worker]
    if running is None:
        return Seen(world, "idle", ())
    world = _hand(world, action.worker, None)
    claim = running.claim
    finish = ops.Finish(
        claim.id, Outcome("result", GARBAGE), running.work.options.retention_ms, claim.token
    )
    world, _, rows = _step(world, running.queue, finish, now_ms)
    return Seen(world, None, rows)


def _beat(world: World, action: Beat, now_ms: int) -> Seen:
    running = world.workers[action.worker]
    if running is None:
        return Seen(world, "idle", ())
    heartbeat = ops.Heartbeat(running.claim.id, running.work.options.lease_ms, running.claim.token)
    world, reply, rows = _step(world, running.queue, heartbeat, now_ms)
    return Seen(
        world, reply, (row(Event.HEARTBEAT, NOTHING, "stands" if reply is True else "lost"), *rows)
    )


def _die(world: World, action: Die, now_ms: int) -> Seen:
    return Seen(_hand(world, action.worker, None), None, ())


# Looks


def _wait(world: World, action: Wait, now_ms: int) -> Seen:
    return _look(world, action.handle, Event.WAIT, lambda held: held is not None, now_ms)


def _value(world: World, action: Value, now_ms: int) -> Seen:
    return _look(world, action.handle, Event.VALUE, _value_of, now_ms)


def _value_of(held: Held | Failure | None) -> Hashable:
    if held is None:
        return NO_VALUE
    return Raised(held) if isinstance(held, Failure) else held


def _look(
    world: World,
    number: int,
    event: Event,
    answer: Callable[[Held | Failure | None], Hashable],
    now_ms: int,
) -> Seen:
    """Answer from what is held, else fetch. [DEF-1] to [DEF-5]"""
    handle = world.handles[number]
    if handle.held is not None:
        return Seen(world, answer(handle.held), (row(event, _holds(handle), "held"),))
    world, case, held, rows = _fetch(world, number, now_ms)
    return Seen(world, answer(held), (row(event, NOTHING, case), *rows))


def _fetch(
    world: World, number: int, now_ms: int
) -> tuple[World, str, Held | Failure | None, tuple[queue_table.Row, ...]]:
    """Pop the outcome into the handle."""
    handle = world.handles[number]
    world, reply, rows = _step(world, handle.queue, ops.Pop(handle.id, handle.incarnation), now_ms)
    case, held = _popped(reply, handle, world.names[handle.queue])
    source_id = reply.source_id if isinstance(reply, Outcome) else None
    handle = handle._replace(held=held, source_id=source_id, is_expired=case == "expired")
    return _put(world, number, handle), case, held, rows


def _popped(reply: object, handle: Handle, queue_name: str) -> tuple[str, Held | Failure | None]:
    if reply == TASK_EXPIRED:
        return "expired", _seen_as(Outcome("expired"), handle.name, queue_name, handle.id)
    if reply == RESERVED:
        return "reserved", None
    if not isinstance(reply, Outcome):
        return "not yet", None
    if reply.message == GARBAGE:
        return "unreadable", Failure("TaskFailure", handle.name, queue_name, handle.id, UNREADABLE)
    if reply.kind == "result":
        return "result", Held(reply.message)
    case = "failure" if reply.source_id is None else "failure of an argument"
    return case, _seen_as(reply, handle.name, queue_name, handle.id)


def _status(world: World, action: Status, now_ms: int) -> Seen:
    handle = world.handles[action.handle]
    if handle.held is not None:
        return Seen(world, _final(handle.held), (row(Event.STATUS, _holds(handle), "held"),))
    status = ops.Status(handle.id, handle.incarnation)
    world, state, rows = _step(world, handle.queue, status, now_ms)
    if state != COMPLETED:
        assert state is None or isinstance(state, str)
        world = _put(world, action.handle, handle._replace(seen=state))
        return Seen(
            world,
            state,
            (row(Event.STATUS, NOTHING, "not COMPLETED" if state else "absent"), *rows),
        )
    world, case, held, more = _fetch(world, action.handle, now_ms)
    case = "COMPLETED, result" if case == "result" else "COMPLETED, failure"
    assert held is not None
    return Seen(world, _final(held), (row(Event.STATUS, NOTHING, case), *rows, *more))


def _peek(world: World, action: Peek, now_ms: int) -> Seen:
    handle = world.handles[action.handle]
    shown = (handle.seen or "incomplete") if handle.held is None else _final(handle.held)
    return Seen(world, (handle.held is not None, shown), (row(Event.PEEK, _holds(handle)),))


def _final(held: Held | Failure) -> str:
    return "failed" if isinstance(held, Failure) else "success"


def _holds(handle: Handle) -> str:
    match handle.held:
        case None:
            return NOTHING
        case Failure():
            return EXPIRY if handle.is_expired else FAILURE
        case _:
            return VALUE


# The broker's own operations


def _pop_result(world: World, action: PopResult, now_ms: int) -> Seen:
    handle = world.handles[action.handle]
    world, reply, rows = _step(world, handle.queue, ops.Pop(handle.id, handle.incarnation), now_ms)
    case, held = _popped(reply, handle, world.names[handle.queue])
    answer: Hashable = NO_KEY if held is None else held
    if isinstance(held, Failure):
        answer = Raised(held) if case == "expired" else held
        case = "expired" if case == "expired" else "failure"
    return Seen(world, answer, (row(Event.POP_RESULT, NOTHING, case), *rows))


def _task_failed(world: World, action: TaskFailed, now_ms: int) -> Seen:
    handle = world.handles[action.handle]
    world, _, rows = _step(world, handle.queue, ops.Discard(handle.id, handle.incarnation), now_ms)
    return Seen(world, None, (row(Event.TASK_FAILED), *rows))


def _broker_status(world: World, action: BrokerStatus, now_ms: int) -> Seen:
    handle = world.handles[action.handle]
    world, state, rows = _step(
        world, handle.queue, ops.Status(handle.id, handle.incarnation), now_ms
    )
    return Seen(world, state, (row(Event.BROKER_STATUS), *rows))


def _discard_pending(world: World, action: DiscardPending, now_ms: int) -> Seen:
    world, count, rows = _step(world, action.queue, ops.Purge(), now_ms)
    return Seen(world, count, (row(Event.DISCARD_PENDING), *rows))


def _length(world: World, action: Length, now_ms: int) -> Seen:
    world, size, rows = _step(world, action.queue, ops.Size(), now_ms)
    return Seen(world, size, (row(Event.LENGTH), *rows))


# Helpers


def _step(
    world: World, number: int, operation: ops.Operation, now_ms: int
) -> tuple[World, ops.Reply, tuple[queue_table.Row, ...]]:
    done = queue.step(world.queues[number], operation, now_ms=now_ms)
    queues = (*world.queues[:number], done.state, *world.queues[number + 1 :])
    return world._replace(queues=queues), done.reply, done.rows


def _put(world: World, number: int, handle: Handle) -> World:
    handles = (*world.handles[:number], handle, *world.handles[number + 1 :])
    return world._replace(handles=handles)


def _hand(world: World, worker: int, running: Running | None) -> World:
    workers = (*world.workers[:worker], running, *world.workers[worker + 1 :])
    return world._replace(workers=workers)


_DO: dict[type[Action], Callable[[World, Any, int], Seen]] = {
    Call: _call,
    SubmitGarbage: _submit_garbage,
    Adopt: _adopt,
    Take: _take,
    Run: _run,
    FinishGarbage: _finish_garbage,
    Beat: _beat,
    Die: _die,
    Wait: _wait,
    Value: _value,
    Status: _status,
    Peek: _peek,
    PopResult: _pop_result,
    TaskFailed: _task_failed,
    BrokerStatus: _broker_status,
    DiscardPending: _discard_pending,
    Length: _length,
}
