"""An observer beside the queue: it keeps account of each incarnation, by what is asked, answered, and there.

It knows the guarantee of SPEC.md, section 1, and nothing of how the queue keeps it.
"""

from collections.abc import Hashable
from typing import NamedTuple

from worq_model import operations as ops
from worq_model.operations import Claimed, Operation, Reply
from worq_model.values import ENQUEUED, PENDING, PROCESSING, Argument, Outcome, State, Task, find


class Entry(NamedTuple):
    """One incarnation that was accepted and is there: its claims, how many were given back, and whether one stands."""

    incarnation: Hashable
    claims: int = 0
    given_back: int = 0
    is_claimed: bool = False


class Ledger(NamedTuple):
    """An entry for each incarnation that is there, oldest first; `fault`: what must never happen, and has."""

    entries: tuple[Entry, ...] = ()
    fault: str | None = None


def observe(
    ledger: Ledger, before: State, operation: Operation, reply: Reply, after: State
) -> Ledger:
    """The account after an operation that applied no deadlines, or that did nothing else. A fault stays."""
    entries = {entry.incarnation: entry for entry in ledger.entries}
    fault = ledger.fault
    if isinstance(reply, Claimed):
        entry = entries.get(reply.token.incarnation)
        fault = fault or _claimed(entry, reply, before)
        if entry is not None:
            entries[entry.incarnation] = entry._replace(claims=entry.claims + 1, is_claimed=True)
    if isinstance(operation, ops.Release) and not operation.begun and reply is True:
        returned = find(before, operation.id)
        if returned is not None and returned.incarnation in entries:
            entry = entries[returned.incarnation]
            entries[entry.incarnation] = entry._replace(given_back=entry.given_back + 1)
    fault = fault or _ended(operation, reply, before, after)
    kept = tuple([_present(entries, task) for task in after.tasks])
    return Ledger(kept, fault or _differs(kept, after))


def _present(entries: dict[Hashable, Entry], task: Task) -> Entry:
    """The entry of a task that is there; a claim stands while its task is PROCESSING."""
    entry = entries.get(task.incarnation)
    if entry is None:
        return Entry(task.incarnation)
    return entry if task.state == PROCESSING else entry._replace(is_claimed=False)


def _claimed(entry: Entry | None, claim: Claimed, before: State) -> str | None:
    task = find(before, claim.id, claim.token.incarnation)
    if task is None or entry is None:
        return "what was not there was claimed"
    if entry.is_claimed:
        return "two live claims"
    if entry.claims - entry.given_back >= task.options.attempts:
        return "started more often than its attempts"
    return None if claim.token.start == entry.claims + 1 else "a token was made twice"


def _differs(entries: tuple[Entry, ...], after: State) -> str | None:
    """What the queue says of starts and claims is what was seen of them."""
    for entry, task in zip(entries, after.tasks, strict=True):
        seen = (entry.claims, entry.given_back, entry.is_claimed)
        if seen != (task.start, task.given_back, task.state == PROCESSING):
            return "starts and claims are not those that were answered"
    return None


def _ended(operation: Operation, reply: Reply, before: State, after: State) -> str | None:
    """Whatever is gone was delivered to one consumer or expired, by what concerned it; nothing else was delivered."""
    there = {task.incarnation for task in after.tasks}
    gone = {task.incarnation: task for task in before.tasks if task.incarnation not in there}
    consumed = _consumed(operation, reply, before, after)
    if len(consumed) > len(set(consumed)):
        return "an outcome has two consumers"
    if not gone.keys() >= set(consumed):
        return "an outcome was delivered and is still there, or was not there"
    if not gone:
        return None
    if not {task.id for task in gone.values()} <= _concerned(operation, before):
        return "a task was lost silently"
    for incarnation, task in gone.items():
        if not _is_accounted_for(task, operation, gone, is_consumed=incarnation in consumed):
            return "an incarnation ended as neither delivered nor expired, or as both"
    return None


def _consumed(operation: Operation, reply: Reply, before: State, after: State) -> list[Hashable]:
    """The incarnations whose outcomes reached a client or a dependent by this operation."""
    if isinstance(operation, ops.Pop) and isinstance(reply, Outcome):
        popped = find(before, operation.id, operation.incarnation)
        return [popped and popped.incarnation]
    if isinstance(operation, ops.SetArgument):
        return []
    old = {(task.incarnation, argument.id) for task, argument in _held(before)}
    new = [(task.incarnation, argument.id, argument) for task, argument in _held(after)]
    return [argument.incarnation for *key, argument in new if tuple(key) not in old]


def _held(state: State) -> list[tuple[Task, Argument]]:
    """The arguments that arrived as results or failures, each with its dependent."""
    return [
        (task, argument)
        for task in state.tasks
        for argument in task.arguments
        if argument.held is not None and argument.held.kind != "expired"
    ]


def _concerned(operation: Operation, before: State) -> set[str]:
    """The ids of the tasks that an operation may end, if deadlines end no other."""
    match operation:
        case ops.Pop():
            return {operation.id}
        case ops.Claim():
            return set(before.ready[:1])
        case ops.Finish() | ops.Release() | ops.Discard():
            return _path(before, operation.id)
        case ops.Submit():
            return {argument_id for argument_id, _ in operation.args}
        case ops.ReserveArgument():
            return {operation.argument_id} | _path(before, operation.deferred_id)
        case ops.Purge():
            return {task.id for task in before.tasks if task.state in (PENDING, ENQUEUED)}
        case _:
            due = [t for t in before.tasks if t.deadline_ms is not None and t.deadline_ms <= 0]
            return set[str]().union(*(_path(before, task.id) for task in due))


def _path(state: State, task_id: str | None) -> set[str]:
    """A task, its dependent, that one's dependent, and so on."""
    path: set[str] = set()
    while task_id is not None:
        path.add(task_id)
        task = find(state, task_id)
        task_id = None if task is None else task.dependent_id
    return path


_DELIVER = (ops.Pop, ops.Claim, ops.Finish, ops.Submit, ops.ReserveArgument)


def _is_accounted_for(
    task: Task, operation: Operation, gone: dict[Hashable, Task], *, is_consumed: bool
) -> bool:
    """Delivered by what delivers, expired by what expires; or fire-and-forget; or its failure went on to the next."""
    if not isinstance(operation, _DELIVER):
        return not is_consumed
    return is_consumed or task.options.ignore_result or _has_failed(operation, gone)


def _has_failed(operation: Operation, gone: dict[Hashable, Task]) -> bool:
    if isinstance(operation, ops.Finish):
        return operation.outcome.kind == "failure"
    return any(
        task.outcome is not None and task.outcome.kind == "failure" for task in gone.values()
    )
