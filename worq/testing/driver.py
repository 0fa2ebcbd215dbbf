"""Model operations, carried out on a real queue: the answer comes back in the model's own values."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from worq.backend import AbstractTaskQueue
from worq.const import RESERVED, TASK_EXPIRED
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
from worq_model import operations as ops
from worq_model import values
from worq_model.programs import Tick

__all__ = ["Bulk", "BulkProgram", "Do", "Program", "Tick", "carry_out", "carry_out_bulk", "project"]

FOREVER = float("inf")


class Do(NamedTuple):
    """One operation of one client on one of the queues of a program.

    `api`: by the name that the API reference has for it.
    """

    operation: ops.Operation
    queue: int = 0
    client: int = 0
    api: bool = False


class Bulk(NamedTuple):
    """Several operations in one call: submits, finishes and then claims, claims, or pops. SPEC.md, "In bulk"."""

    operations: tuple[ops.Operation, ...]
    queue: int = 0
    client: int = 0


Program = tuple[Do | Tick, ...]
BulkProgram = tuple[Do | Bulk | Tick, ...]


def carry_out(queue: AbstractTaskQueue, do: Do) -> ops.Reply:
    """Call the queue, and translate its answer; one that the contract does not have is an AssertionError."""
    call = _API.get(type(do.operation)) if do.api else None
    return (call or _CONTRACT[type(do.operation)])(queue, do.operation)


def carry_out_bulk(queue: AbstractTaskQueue, bulk: Bulk) -> list[ops.Reply]:
    """The same for several; of claims those that were made, and None if that is none."""
    operations = bulk.operations
    match operations[0]:
        case ops.Submit():
            return list(map(_submitted, queue.submit_many([_submission(op) for op in operations])))
        case ops.Pop():
            wanted = [
                (op.id, _inner(op.incarnation)) for op in operations if isinstance(op, ops.Pop)
            ]
            return list(map(_popped, queue.pop_many(wanted)))
        case ops.Claim():
            return _claims(queue.claim_many(len(operations), 0))
        case _:
            endings = [_finishing(op) for op in operations if isinstance(op, ops.Finish)]
            wished = len(operations) - len(endings)
            finished, claims = queue.finish_many(endings, wished)
            return [*map(_finished, finished), *(_claims(claims) if wished else ())]


def _claims(claims: list[Claim]) -> list[ops.Reply]:
    return [_claimed(claim) for claim in claims] or [None]


def project(do: Do, reply: ops.Reply) -> ops.Reply:
    """What of the model's answer the API reference's operation shows."""
    if not do.api or type(do.operation) not in _API:
        return reply
    match reply:
        case ops.Submitted():
            return reply.status == "accepted" if not _has_arguments(do.operation) else reply
        case ops.Claimed():
            return (reply.id, reply.message)
        case ops.Finished() if _is_result(do.operation):
            return reply.dependent_id
        case values.Outcome():
            return reply.message
        case _:
            return None if isinstance(do.operation, ops.Discard | ops.Purge) else reply


def _has_arguments(op: Any) -> bool:
    return bool(op.args) or op.outcome is not None


def _is_result(op: Any) -> bool:
    return bool(op.outcome.kind == "result")


def _request(op: ops.Submit | ops.Defer) -> Request:
    options = op.options
    return Request(
        op.id,
        Token(_bytes(op.incarnation), 0),
        options.ignore_result,
        "pass" if options.passes_errors else "fail",
        (options.lease_ms - 5000) / 2000,
        _seconds(options.retention_ms),
        options.attempts,
    )


def _submission(op: Any) -> Submission:
    args = {key: _inner(incarnation) for key, incarnation in op.args}
    outcome = op.outcome and Outcome(
        op.outcome.kind, _message(op.outcome.message), op.outcome.source_id
    )
    return Submission(_request(op), _bytes(op.message), args, outcome)


def _submit(queue: AbstractTaskQueue, op: ops.Submit) -> ops.Reply:
    result, message, args, outcome = _submission(op)
    return _submitted(queue.submit(result, message, args, outcome=outcome))


def _submitted(answer: object) -> ops.Reply:
    assert type(answer) is Submitted, answer
    ended = answer.outcome and values.Outcome(*answer.outcome)
    return ops.Submitted(answer.status, answer.argument_id, ended)


def _claim(queue: AbstractTaskQueue, op: ops.Claim) -> ops.Reply:
    answer = queue.claim(0)
    return None if answer is None else _claimed(answer)


def _claimed(answer: object) -> ops.Reply:
    assert type(answer) is Claim, answer
    arguments = tuple(
        (key, values.Outcome(*outcome)) for key, outcome in sorted(answer.arguments.items())
    )
    return ops.Claimed(answer.id, values.Token(*answer.token), answer.message, arguments)


def _finishing(op: ops.Finish) -> Finishing:
    failed = op.outcome.kind == "failure"
    message, retention = _bytes(op.outcome.message), _seconds(op.retention_ms)
    return Finishing(op.id, message, retention, _token(op.token), failed)


def _finish(queue: AbstractTaskQueue, op: ops.Finish) -> ops.Reply:
    task_id, message, retention, token, failed = _finishing(op)
    return _finished(queue.finish(task_id, message, retention, token=token, failed=failed))


def _finished(answer: object) -> ops.Reply:
    assert type(answer) is Finished, answer
    return ops.Finished(*answer)


def _pop(queue: AbstractTaskQueue, op: ops.Pop) -> ops.Reply:
    return _popped(queue.pop(op.id, 0, token=_inner(op.incarnation)))


def _popped(answer: Any) -> ops.Reply:
    return values.Outcome(*answer) if isinstance(answer, Outcome) else _sentinel(answer)


def _undefer(queue: AbstractTaskQueue, op: ops.Undefer) -> ops.Reply:
    try:
        queue.undefer_task(op.id, token=_inner(op.incarnation))
    except ValueError:
        return values.REFUSED
    return None


def _get_arguments(queue: AbstractTaskQueue, op: ops.GetArguments) -> ops.Reply:
    answer = queue.get_arguments(op.id, token=_token(op.token))
    return tuple((key, _sentinel(message)) for key, message in sorted(answer.items()))


def _defer(queue: AbstractTaskQueue, op: ops.Defer) -> ops.Reply:
    return queue.defer_task(_request(op), _bytes(op.message), op.args)


def _set_result(queue: AbstractTaskQueue, op: ops.Finish) -> ops.Reply:
    if not _is_result(op):
        return _finish(queue, op)
    retention = _seconds(op.retention_ms)
    return queue.set_result(op.id, _bytes(op.outcome.message), retention, token=_token(op.token))


def _enqueue(queue: AbstractTaskQueue, op: ops.Submit) -> ops.Reply:
    if _has_arguments(op):
        return _submit(queue, op)
    return queue.enqueue_task(_request(op), _bytes(op.message))


def _pop_result(queue: AbstractTaskQueue, op: ops.Pop) -> ops.Reply:
    return _sentinel(queue.pop_result(op.id, 0, token=_inner(op.incarnation)))


_Call = Callable[[AbstractTaskQueue, Any], ops.Reply]

_CONTRACT: dict[type[ops.Operation], _Call] = {
    ops.Submit: _submit,
    ops.Claim: _claim,
    ops.Finish: _finish,
    ops.Heartbeat: lambda q, op: q.heartbeat(op.id, op.lease_ms / 1000, token=_token(op.token)),
    ops.Release: lambda q, op: q.release(op.id, token=_token(op.token), begun=op.begun),
    ops.Pop: _pop,
    ops.Discard: lambda q, op: q.discard(op.id, token=_inner(op.incarnation)),
    ops.Purge: lambda q, op: q.purge(),
    ops.Size: lambda q, op: q.size(),
    ops.Status: lambda q, op: q.status(op.id, token=_inner(op.incarnation)),
    ops.Defer: _defer,
    ops.Undefer: _undefer,
    ops.ReserveArgument: lambda q, op: q.reserve_argument(
        op.argument_id,
        op.deferred_id,
        token=_inner(op.incarnation),
        deferred_token=_inner(op.deferred_incarnation),
    ),
    ops.SetArgument: lambda q, op: q.set_argument(
        op.id, op.argument_id, _bytes(op.message), token=_inner(op.incarnation)
    ),
    ops.GetArguments: _get_arguments,
}

_API: dict[type[ops.Operation], _Call] = {
    ops.Submit: _enqueue,
    ops.Claim: lambda q, op: q.get(0),
    ops.Finish: _set_result,
    ops.Heartbeat: lambda q, op: q.set_task_timeout(
        op.id, op.lease_ms / 1000, token=_token(op.token)
    ),
    ops.Pop: _pop_result,
    ops.Discard: lambda q, op: q.discard_result(op.id, b"expired", token=_inner(op.incarnation)),
    ops.Purge: lambda q, op: q.discard_pending(),
    ops.Status: lambda q, op: q.get_status(op.id, token=_inner(op.incarnation)),
}


def _sentinel(answer: Hashable) -> Hashable:
    """The model has no worq in it, so its sentinels are its own."""
    if answer is RESERVED:
        return values.RESERVED
    return values.TASK_EXPIRED if answer is TASK_EXPIRED else answer


def _inner(incarnation: Any) -> Token | None:
    return None if incarnation is None else Token(_bytes(incarnation), 0)


def _token(token: values.Token | None) -> Token | None:
    return None if token is None else Token(_bytes(token.incarnation), token.start)


def _seconds(ms: int | None) -> float:
    return FOREVER if ms is None else ms / 1000


def _bytes(value: Any) -> bytes:
    assert isinstance(value, bytes), value
    return value


def _message(value: Any) -> bytes | None:
    return None if value is None else _bytes(value)
