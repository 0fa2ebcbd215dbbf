"""What a queue does: `step`, a pure and total function from a state and an operation to the next state and the answer.

Each function below takes a state and gives the next one with the rows of the table that it took. Time
passes first, then comes the operation's own work. [TIM-2]
"""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from worq_model import operations as ops
from worq_model.operations import Claimed, Finished, Operation, Reply, Submitted
from worq_model.table import Event, Row, row
from worq_model.values import (
    ABSENT,
    COMPLETED,
    ENQUEUED,
    EXPIRED,
    PENDING,
    PROCESSING,
    REFUSED,
    RESERVED,
    TASK_EXPIRED,
    Argument,
    LastStart,
    Outcome,
    State,
    Task,
    Token,
    argument_of,
    find,
    is_older,
    misses,
)

Rows = tuple[Row, ...]
Change = tuple[State, Rows]


class Step(NamedTuple):
    """The next state, the answer, and the rows that led there."""

    state: State
    reply: Reply
    rows: Rows

    @property
    def clauses(self) -> frozenset[str]:
        return frozenset(clause for row in self.rows for clause in row.clauses)


def step(state: State, operation: Operation, *, now_ms: int) -> Step:
    """Apply the deadlines that have passed, then the operation.

    Total: it has an answer in every state, and raises nothing.
    """
    state, rows = pass_time(state, now_ms)
    done = _DO[type(operation)](state, operation, now_ms)
    return Step(done.state, done.reply, rows + done.rows)


def next_deadline_ms(state: State) -> int | None:
    """When something will happen by itself; None if nothing will."""
    deadlines = [task.deadline_ms for task in state.tasks if task.deadline_ms is not None]
    return min([*deadlines, *(start.deadline_ms for start in state.last_starts)], default=None)


# Time


def pass_time(state: State, now_ms: int) -> Change:
    """Apply each deadline that has passed, once, in the order (deadline, id). [TIM-1] [TIM-2] [TIM-6]"""
    rows: Rows = ()
    for start in state.last_starts:
        if start.deadline_ms <= now_ms:
            state = state._replace(last_starts=tuple(s for s in state.last_starts if s != start))
            rows += (row(Event.LEASE, ABSENT, "ignore_result, last start"),)
    due = [
        (t.deadline_ms, t.id)
        for t in state.tasks
        if t.deadline_ms is not None and t.deadline_ms <= now_ms
    ]
    for _, task_id in sorted(due):
        task = _get(state, task_id)
        if task.state == PROCESSING:
            state, more = _end_lease(state, task, Event.LEASE, now_ms)
        else:
            state, more = _remove(state, task), (row(Event.RETENTION, COMPLETED),)
        rows += more
    return state, rows


def _end_lease(state: State, task: Task, event: Event, now_ms: int) -> Change:
    """Requeue the task if it has starts left, else let it expire. [TIM-3] [TIM-4]"""
    if task.starts_left:
        return _enqueue(state, task), (row(event, PROCESSING, "starts left"),)
    state, rows = _expire(state, task, now_ms)
    return state, (row(event, PROCESSING, "last start"), *rows)


# Outcomes on their way


def _expire(state: State, task: Task, now_ms: int) -> Change:
    """Make a task absent; its dependent, if it has one, hears of it. [OUT-6]"""
    state, freed = _end(state, task)
    state, rows = _arrive(state, task.dependent_id, task.id, EXPIRED, now_ms)
    return state, freed + rows


def _arrive(
    state: State, dependent_id: str | None, argument_id: str, outcome: Outcome, now_ms: int
) -> Change:
    """Bring an outcome to the dependent that reserved it, and on along the path. [OUT-1] to [OUT-6]"""
    rows: Rows = ()
    while dependent_id is not None:
        task = _with_argument(_get(state, dependent_id), argument_id, held=outcome)
        if outcome.kind == "result" or task.options.passes_errors:
            state, more = _hold(state, task, outcome.kind)
            return state, rows + more
        outcome = _of_argument(outcome, argument_id)
        state, more = _end_with(state, task, outcome, now_ms)
        rows += more
        dependent_id, argument_id = task.dependent_id, task.id
    return state, rows


def _hold(state: State, task: Task, kind: str) -> Change:
    """The task keeps the argument that has arrived; with the last one it is ready. [OUT-1] [OUT-2]"""
    case = _ARRIVES[kind]
    if misses(task):
        return _put(state, task), (row(Event.ARRIVE, PENDING, case),)
    return _enqueue(state, task), (row(Event.ARRIVE, PENDING, f"{case}, last"),)


_ARRIVES = {"result": "result", "failure": "failure passed", "expired": "expiry passed"}


def _end_with(state: State, task: Task, outcome: Outcome, now_ms: int) -> Change:
    """A PENDING task with `on_error='fail'` takes over the outcome of an argument. [OUT-3] to [OUT-6]"""
    ended, freed = _end(state, task)
    if outcome.kind == "expired":
        return ended, (row(Event.ARRIVE, PENDING, "expiry"), *freed)
    if task.dependent_id is not None:
        return ended, (row(Event.ARRIVE, PENDING, "failure, reserved"), *freed)
    if task.options.ignore_result:
        return ended, (row(Event.ARRIVE, PENDING, "failure, ignore_result"), *freed)
    state = _free_arguments(state, task)[0]
    completed = _complete(task, outcome, task.options.retention_ms, now_ms)
    return _put(state, completed), (row(Event.ARRIVE, PENDING, "failure"), *freed)


def _end(state: State, task: Task) -> Change:
    """Make a task absent, and free what it had reserved. [OUT-7]"""
    state, rows = _free_arguments(state, task)
    return _remove(state, task), rows


def _free_arguments(state: State, task: Task) -> Change:
    rows: Rows = ()
    for argument in task.arguments:
        if argument.held is None and argument.answer == "promised":
            promised = _get(state, argument.id)
            state = _put(state, promised._replace(dependent_id=None))
            rows += (row(Event.FREE, promised.state, "is free again"),)
    return state, rows


def _of_argument(outcome: Outcome, argument_id: str) -> Outcome:
    """The same outcome, seen from a dependent: a failure keeps the id of the task that it first happened to. [OUT-3]"""
    if outcome.kind == "expired":
        return EXPIRED
    return outcome if outcome.source_id is not None else outcome._replace(source_id=argument_id)


# submit


def _submit(state: State, op: ops.Submit, now_ms: int) -> Step:
    there = find(state, op.id)
    if there is not None:
        return _again(
            state,
            there,
            op.incarnation,
            Event.SUBMIT,
            Submitted("accepted"),
            Submitted("duplicate"),
        )
    args = sorted(op.args)
    for argument_id, incarnation in args:
        case = _unavailable(state, argument_id, incarnation)
        if case is not None:
            return Step(
                state, Submitted("unavailable", argument_id), (row(Event.SUBMIT, ABSENT, case),)
            )
    task = Task(op.id, op.incarnation, ABSENT, op.message, op.options)
    if op.outcome is not None:
        return _submit_with(state, task, op.outcome, now_ms)
    failed = None if op.options.passes_errors else _first_failed(state, args)
    if failed is not None:
        return _submit_failed(state, task, failed, now_ms)
    state, task, rows = _take_all(state, task, args)
    if misses(task):
        state = _add(state, task._replace(state=PENDING))
        return Step(
            state,
            Submitted("accepted"),
            (row(Event.SUBMIT, ABSENT, "an argument is missing"), *rows),
        )
    state = _enqueue(_add(state, task), task)
    return Step(
        state, Submitted("accepted"), (row(Event.SUBMIT, ABSENT, "no argument is missing"), *rows)
    )


def _again(
    state: State, task: Task, incarnation: Hashable, event: Event, same: Reply, other: Reply
) -> Step:
    """A submit or a defer whose id is taken. [SUB-1] [SUB-2] [DFR-1]"""
    if task.incarnation == incarnation:
        return Step(state, same, (row(event, task.state, "same incarnation"),))
    return Step(state, other, (row(event, task.state, "other incarnation"),))


def _unavailable(state: State, argument_id: str, incarnation: Hashable) -> str | None:
    """Why a task can't be an argument, as a case of the table; None if it can. [SUB-3]"""
    task = find(state, argument_id)
    if task is None:
        return "an argument is absent"
    if incarnation is not None and task.incarnation != incarnation:
        return "an argument is of another incarnation"
    if task.options.ignore_result:
        return "an argument has ignore_result"
    return None if task.dependent_id is None else "an argument is reserved"


def _submit_with(state: State, task: Task, outcome: Outcome, now_ms: int) -> Step:
    """The producer has fetched an argument that failed or expired: the task ends with that. [SUB-4]"""
    what = "an expiry" if outcome.kind == "expired" else "a failure"
    if task.options.ignore_result:
        ended = row(Event.SUBMIT, ABSENT, f"with {what}, ignore_result")
        return Step(state, Submitted("accepted", outcome=outcome), (ended,))
    if outcome.kind == "failure":
        state = _add(state, _complete(task, outcome, task.options.retention_ms, now_ms))
    return Step(state, Submitted("accepted"), (row(Event.SUBMIT, ABSENT, f"with {what}"),))


def _first_failed(state: State, args: list[tuple[str, Hashable]]) -> Task | None:
    tasks = (_get(state, argument_id) for argument_id, _ in args)
    return next((t for t in tasks if t.outcome is not None and t.outcome.kind == "failure"), None)


def _submit_failed(state: State, task: Task, failed: Task, now_ms: int) -> Step:
    """An argument has failed already: it is consumed, and the task ends with its failure. [SUB-5]"""
    assert failed.outcome is not None
    outcome = _of_argument(failed.outcome, failed.id)
    state, rows = _remove(state, failed), (row(Event.TAKE, COMPLETED, "is consumed"),)
    if task.options.ignore_result:
        ended = row(Event.SUBMIT, ABSENT, "an argument failed, ignore_result")
        return Step(state, Submitted("accepted", outcome=outcome), (ended, *rows))
    state = _add(state, _complete(task, outcome, task.options.retention_ms, now_ms))
    return Step(
        state, Submitted("accepted"), (row(Event.SUBMIT, ABSENT, "an argument failed"), *rows)
    )


def _take_all(
    state: State, task: Task, args: list[tuple[str, Hashable]]
) -> tuple[State, Task, Rows]:
    """Consume each argument that is COMPLETED, reserve each that is not. [SUB-6]"""
    rows: Rows = ()
    for argument_id, _ in args:
        state, argument, taken = _take(state, _get(state, argument_id), task.id)
        task = task._replace(arguments=(*task.arguments, argument))
        rows += (taken,)
    return state, task, rows


def _take(state: State, task: Task, dependent_id: str) -> tuple[State, Argument, Row]:
    if task.state == COMPLETED:
        given = Argument(task.id, task.outcome, "given", task.incarnation)
        return _remove(state, task), given, row(Event.TAKE, COMPLETED, "is consumed")
    promised = Argument(task.id, None, "promised", task.incarnation)
    return (
        _put(state, task._replace(dependent_id=dependent_id)),
        promised,
        row(Event.TAKE, task.state, "is reserved"),
    )


# The rest of the contract


def _claim(state: State, op: ops.Claim, now_ms: int) -> Step:
    if not state.ready:
        return Step(state, None, (row(Event.CLAIM, ABSENT, "none is ENQUEUED"),))
    task = _get(state, state.ready[0])
    task = task._replace(start=task.start + 1)
    lease_ms = now_ms + task.options.lease_ms
    arguments = tuple((a.id, a.held) for a in task.arguments if a.held is not None)
    reply = Claimed(task.id, task.token, task.message, arguments)
    if task.options.ignore_result and not task.starts_left:
        state = _forget(_remove(state, task), task, lease_ms)
        return Step(state, reply, (row(Event.CLAIM, ENQUEUED, "ignore_result, last start"),))
    claimed = task._replace(state=PROCESSING, deadline_ms=lease_ms)
    state = _put(state._replace(ready=state.ready[1:]), claimed)
    return Step(state, reply, (row(Event.CLAIM, ENQUEUED, "longest in the queue"),))


def _forget(state: State, task: Task, lease_ms: int) -> State:
    """Of a task that was claimed for the last time only the arguments are left. [GAR-3]"""
    earlier = tuple(
        last._replace(latest=False) if last.id == task.id else last for last in state.last_starts
    )
    own = (LastStart(task.id, task.token, task.arguments, lease_ms),) if task.arguments else ()
    return state._replace(last_starts=earlier + own)


def _finish(state: State, op: ops.Finish, now_ms: int) -> Step:
    task = _named(state, op.id, op.token)
    if task is None:
        return _nothing(state, Event.FINISH, op.id, Finished(accepted=False))
    if task.state != PROCESSING:
        return Step(state, Finished(accepted=False), (row(Event.FINISH, task.state),))
    if task.dependent_id is not None:
        state, rows = _arrive(_remove(state, task), task.dependent_id, task.id, op.outcome, now_ms)
        reply = Finished(accepted=True, dependent_id=task.dependent_id)
        return Step(state, reply, (row(Event.FINISH, PROCESSING, "reserved"), *rows))
    if task.options.ignore_result:
        return Step(
            _remove(state, task),
            Finished(accepted=True),
            (row(Event.FINISH, PROCESSING, "ignore_result"),),
        )
    state = _put(state, _complete(task, op.outcome, op.retention_ms, now_ms))
    return Step(state, Finished(accepted=True), (row(Event.FINISH, PROCESSING, "kept"),))


def _heartbeat(state: State, op: ops.Heartbeat, now_ms: int) -> Step:
    task = _named(state, op.id, op.token)
    if task is None:
        return _nothing(state, Event.HEARTBEAT, op.id, reply=False)
    if task.state == PROCESSING:
        state = _put(state, task._replace(deadline_ms=now_ms + op.lease_ms))
    return Step(state, task.state == PROCESSING, (row(Event.HEARTBEAT, task.state),))


def _release(state: State, op: ops.Release, now_ms: int) -> Step:
    task = _named(state, op.id, op.token)
    if task is None:
        return _nothing(state, Event.RELEASE, op.id, reply=False)
    if task.state != PROCESSING:
        return Step(state, False, (row(Event.RELEASE, task.state),))
    if not op.begun and task.starts_left:
        return Step(
            _unclaim(state, task), True, (row(Event.RELEASE, PROCESSING, "not begun, starts left"),)
        )
    state, rows = _end_lease(state, task, Event.RELEASE, now_ms)
    return Step(state, True, rows)


def _pop(state: State, op: ops.Pop, now_ms: int) -> Step:
    task = find(state, op.id, op.incarnation)
    if task is None:
        return _nothing(state, Event.POP, op.id, TASK_EXPIRED)
    if task.state == COMPLETED:
        return Step(_remove(state, task), task.outcome, (row(Event.POP, COMPLETED),))
    if task.options.ignore_result:
        return Step(state, TASK_EXPIRED, (row(Event.POP, task.state, "ignore_result"),))
    if task.dependent_id is not None:
        return Step(state, RESERVED, (row(Event.POP, task.state, "reserved"),))
    return Step(state, None, (row(Event.POP, task.state, "not yet"),))


def _discard(state: State, op: ops.Discard, now_ms: int) -> Step:
    task = find(state, op.id, op.incarnation)
    if task is None:
        return _nothing(state, Event.DISCARD, op.id, reply=False)
    state, rows = _expire(state, task, now_ms)
    return Step(state, True, (row(Event.DISCARD, task.state), *rows))


def _purge(state: State, op: ops.Purge, now_ms: int) -> Step:
    rows: Rows = tuple(row(Event.PURGE, task.state) for task in state.tasks) or (
        row(Event.PURGE, ABSENT),
    )
    waiting = [task for task in state.tasks if task.state in (PENDING, ENQUEUED)]
    for task in waiting:
        state, freed = _free_arguments(state, task)
        rows += freed
    for task in waiting:
        state = _remove(state, task)
    return Step(state, len(waiting), rows)


def _size(state: State, op: ops.Size, now_ms: int) -> Step:
    rows: Rows = tuple(row(Event.SIZE, task.state) for task in state.tasks) or (
        row(Event.SIZE, ABSENT),
    )
    return Step(state, sum(task.state in (PENDING, ENQUEUED) for task in state.tasks), rows)


def _status(state: State, op: ops.Status, now_ms: int) -> Step:
    task = find(state, op.id, op.incarnation)
    if task is None:
        return _nothing(state, Event.STATUS, op.id, None)
    return Step(state, task.state, (row(Event.STATUS, task.state),))


# The API reference


def _defer(state: State, op: ops.Defer, now_ms: int) -> Step:
    there = find(state, op.id)
    if there is not None:
        return _again(state, there, op.incarnation, Event.DEFER, same=True, other=False)
    arguments = tuple(Argument(argument_id) for argument_id in sorted(set(op.args)))
    task = Task(op.id, op.incarnation, PENDING, op.message, op.options, arguments)
    return Step(_add(state, task), True, (row(Event.DEFER, ABSENT, "no such task"),))


def _undefer(state: State, op: ops.Undefer, now_ms: int) -> Step:
    task = find(state, op.id, op.incarnation)
    if task is None:
        return _nothing(state, Event.UNDEFER, op.id, None)
    return Step(
        state, REFUSED if task.state == PENDING else None, (row(Event.UNDEFER, task.state),)
    )


def _reserve_argument(state: State, op: ops.ReserveArgument, now_ms: int) -> Step:
    dependent = find(state, op.deferred_id, op.deferred_incarnation)
    if dependent is None:
        return _nothing(state, Event.RESERVE, op.deferred_id, (False, None))
    if dependent.state == COMPLETED:
        return Step(state, (False, None), (row(Event.RESERVE, COMPLETED),))
    argument = argument_of(dependent, op.argument_id)
    if (
        argument is not None
        and argument.answer != "refused"
        and op.incarnation in (None, argument.incarnation)
    ):
        return _reserve_again(state, dependent, argument)
    if argument is None or argument.held is not None or argument.answer != "refused":
        return Step(
            state, (False, None), (row(Event.RESERVE, dependent.state, "misses no such argument"),)
        )
    case = _unreservable(state, op, dependent)
    if case is not None:
        return Step(state, (False, None), (row(Event.RESERVE, PENDING, case),))
    return _reserve(state, dependent, _get(state, op.argument_id), now_ms)


def _reserve_again(state: State, dependent: Task, argument: Argument) -> Step:
    """The same answer as the first time. [RSV-1]"""
    if argument.answer == "promised":
        return Step(
            state, (True, None), (row(Event.RESERVE, dependent.state, "again, was promised"),)
        )
    assert argument.held is not None
    return Step(
        state,
        (True, argument.held.message),
        (row(Event.RESERVE, dependent.state, "again, was given"),),
    )


def _unreservable(state: State, op: ops.ReserveArgument, dependent: Task) -> str | None:
    """Why an argument can't be reserved, as a case of the table; None if it can. [RSV-2]"""
    task = find(state, op.argument_id)
    if task is None:
        return "argument absent"
    if op.incarnation is not None and task.incarnation != op.incarnation:
        return "argument of another incarnation"
    if task.options.ignore_result:
        return "argument has ignore_result"
    if task.dependent_id is not None:
        return "argument reserved by another"
    return None if is_older(state, task, dependent) else "argument not older"


def _reserve(state: State, dependent: Task, task: Task, now_ms: int) -> Step:
    """Promise or give the outcome of `task` to the dependent. [RSV-3] [RSV-4]"""
    state, argument, taken = _take(state, task, dependent.id)
    dependent = _with_argument(
        dependent, task.id, answer=argument.answer, incarnation=argument.incarnation
    )
    state = _put(state, dependent)
    if argument.held is None:
        return Step(
            state, (True, None), (row(Event.RESERVE, PENDING, "argument not COMPLETED"), taken)
        )
    state, rows = _arrive(state, dependent.id, task.id, argument.held, now_ms)
    reply = (True, argument.held.message)
    return Step(state, reply, (row(Event.RESERVE, PENDING, "argument COMPLETED"), taken, *rows))


def _set_argument(state: State, op: ops.SetArgument, now_ms: int) -> Step:
    task = find(state, op.id, op.incarnation)
    if task is None:
        return _nothing(state, Event.SET_ARGUMENT, op.id, reply=False)
    if task.state == COMPLETED:
        return Step(state, False, (row(Event.SET_ARGUMENT, COMPLETED),))
    argument = argument_of(task, op.argument_id)
    if argument is None:
        return Step(state, False, (row(Event.SET_ARGUMENT, task.state, "no such argument"),))
    if argument.held is not None:
        case = "has it, misses another" if task.state == PENDING else "has it"
        return Step(state, task.state != PENDING, (row(Event.SET_ARGUMENT, task.state, case),))
    return _supply(state, task, argument, op.message)


def _supply(state: State, task: Task, argument: Argument, message: Hashable) -> Step:
    """A missing argument is set by hand. [ARG-3] [ARG-4]"""
    rows: Rows = ()
    if argument.answer == "promised":
        promised = _get(state, argument.id)
        state = _put(state, promised._replace(dependent_id=None))
        rows = (row(Event.FREE, promised.state, "is free again"),)
    task = _with_argument(task, argument.id, held=Outcome("result", message))
    if misses(task):
        case = "was reserved, misses another" if rows else "misses another"
        return Step(_put(state, task), False, (row(Event.SET_ARGUMENT, PENDING, case), *rows))
    case = "was reserved, last" if rows else "last"
    return Step(_enqueue(state, task), True, (row(Event.SET_ARGUMENT, PENDING, case), *rows))


def _get_arguments(state: State, op: ops.GetArguments, now_ms: int) -> Step:
    task = _named(state, op.id, op.token)
    if task is not None:
        shown = () if task.state == COMPLETED else task.arguments
        return Step(state, _messages(shown), (row(Event.GET_ARGUMENTS, task.state),))
    nobody_there = find(state, op.id) is None
    for start in state.last_starts:
        is_meant = start.latest and nobody_there if op.token is None else start.token == op.token
        if start.id == op.id and is_meant:
            found = row(Event.GET_ARGUMENTS, ABSENT, "ignore_result, last start")
            return Step(state, _messages(start.arguments), (found,))
    return _nothing(state, Event.GET_ARGUMENTS, op.id, ())


def _messages(arguments: tuple[Argument, ...]) -> tuple[tuple[str, Hashable], ...]:
    held = ((argument.id, argument.held) for argument in arguments if argument.held is not None)
    return tuple(
        (key, TASK_EXPIRED if outcome.kind == "expired" else outcome.message)
        for key, outcome in held
    )


# Helpers: each gives a new state


def _get(state: State, task_id: str) -> Task:
    """A task that is there for certain."""
    task = find(state, task_id)
    assert task is not None, task_id
    return task


def _named(state: State, task_id: str, token: Token | None) -> Task | None:
    return find(state, task_id, token.incarnation, token.start) if token else find(state, task_id)


def _nothing(state: State, event: Event, task_id: str, reply: Reply) -> Step:
    """The answer for an absent task. [TOK-1]"""
    case = "no such task" if find(state, task_id) is None else "stale token"
    return Step(state, reply, (row(event, ABSENT, case),))


def _add(state: State, task: Task) -> State:
    return state._replace(tasks=(*state.tasks, task))


def _put(state: State, task: Task) -> State:
    return state._replace(
        tasks=tuple(task if other.id == task.id else other for other in state.tasks)
    )


def _remove(state: State, task: Task) -> State:
    tasks = tuple(other for other in state.tasks if other.id != task.id)
    return state._replace(
        tasks=tasks, ready=tuple(other for other in state.ready if other != task.id)
    )


def _enqueue(state: State, task: Task) -> State:
    """Ready, at the tail. [SUB-7]"""
    state = _put(state, task._replace(state=ENQUEUED, deadline_ms=None))
    return state._replace(ready=(*state.ready, task.id))


def _unclaim(state: State, task: Task) -> State:
    """As it was before this claim, but that the next one has another token. [REL-3] [TOK-3]"""
    task = task._replace(state=ENQUEUED, deadline_ms=None, given_back=task.given_back + 1)
    return _put(state, task)._replace(ready=(task.id, *state.ready))


def _complete(task: Task, outcome: Outcome, retention_ms: int | None, now_ms: int) -> Task:
    """The task with its outcome; what it no longer needs is gone. [FIN-4]"""
    deadline_ms = None if retention_ms is None else now_ms + retention_ms
    return task._replace(
        state=COMPLETED, outcome=outcome, deadline_ms=deadline_ms, arguments=(), message=None
    )


def _with_argument(task: Task, argument_id: str, **change: Any) -> Task:
    arguments = tuple(a._replace(**change) if a.id == argument_id else a for a in task.arguments)
    return task._replace(arguments=arguments)


_DO: dict[type[Operation], Callable[[State, Any, int], Step]] = {
    ops.Submit: _submit,
    ops.Claim: _claim,
    ops.Finish: _finish,
    ops.Heartbeat: _heartbeat,
    ops.Release: _release,
    ops.Pop: _pop,
    ops.Discard: _discard,
    ops.Purge: _purge,
    ops.Size: _size,
    ops.Status: _status,
    ops.Defer: _defer,
    ops.Undefer: _undefer,
    ops.ReserveArgument: _reserve_argument,
    ops.SetArgument: _set_argument,
    ops.GetArguments: _get_arguments,
}
