"""Concurrent histories: what several clients asked of some queues, what they were told, and when.

A history is a sequence of events. Times only say what came before what: they may be nanoseconds,
or numbers of steps.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, cast

from worq.backend import AbstractTaskQueue
from worq.errors import BackendUnavailable, QueueClosed
from worq.testing.driver import Bulk, Do, Tick, carry_out, carry_out_bulk
from worq.testing.programs import as_code
from worq.values import Token
from worq_model.operations import Claim, Operation, Pop, Reply


class Wait(NamedTuple):
    """A claim or a pop that waits; `timeout_ms` is None for ever."""

    do: Do
    timeout_ms: int | None


class Close(NamedTuple):
    """One client closes its queue object. [ENV-WAIT-7]"""

    queue: int = 0
    client: int = 0


Act: TypeAlias = Do | Wait | Bulk | Close | Tick
Lane: TypeAlias = tuple[Act, ...]
Clients: TypeAlias = Sequence[Sequence[AbstractTaskQueue]]
"""Queue objects: number of the queue → number of the client."""


class Raised(NamedTuple):
    """An operation raised this instead of answering."""

    error: str


CLOSED: Final = Raised("QueueClosed")
NOT_SENT: Final = Raised("BackendUnavailable: not sent")


class Unknown(Exception):
    """An operation ended, and nobody knows whether it happened."""


class Event(NamedTuple):
    """The beginning or the end of an operation of one process.

    `value` is the `Act` of a call, and the reply of a return. After `unknown` a process does no more: the
    operation may have happened, may happen at any later time, or never.
    """

    t: int
    process: str
    op_id: int
    kind: Literal["call", "return", "unknown"]
    value: Any = None


History: TypeAlias = Sequence[Event]


def singles(bulk: Bulk) -> list[Do]:
    """What a bulk is in a history: its operations, each of them for as long as the whole. [ENV-BULK-1]"""
    return [Do(operation, bulk.queue, bulk.client) for operation in bulk.operations]


class Call(NamedTuple):
    """One operation of a history; `returned` is None if nobody knows whether it happened."""

    op_id: int
    process: str
    act: Act
    reply: Reply
    called: int
    returned: int | None


def calls_of(history: History) -> list[Call]:
    """The operations of a history, in the order in which they were called.

    One that is called and neither returns nor is unknown counts as unknown.
    """
    ends = {event.op_id: event for event in history if event.kind != "call"}
    calls: list[Call] = []
    for event in history:
        if event.kind == "call":
            end = ends.get(event.op_id)
            known = end is not None and end.kind == "return"
            calls.append(
                Call(
                    event.op_id,
                    event.process,
                    event.value,
                    end.value if end is not None and known else None,
                    event.t,
                    end.t if end is not None and known else None,
                )
            )
    return sorted(calls, key=lambda call: call.called)


class Steered(Protocol):
    """A clock that is advanced by hand."""

    def advance(self, ms: int) -> None: ...


def perform(clients: Clients, clock: Steered, act: Act) -> Reply:
    """Carry out one act; whatever it raises is an answer too, but for `Unknown`."""
    match act:
        case Tick(ms):
            clock.advance(ms)
            return None
        case Close(queue, client):
            clients[queue][client].close()
            return None
        case Wait(do, timeout_ms):
            patient = _Patient(clients[do.queue][do.client], timeout_ms)
            return _ask(lambda: carry_out(cast("AbstractTaskQueue", patient), do))
        case Do():
            return _ask(lambda: carry_out(clients[act.queue][act.client], act))
        case Bulk(operations):
            replies: list[Reply] = []
            asked = clients[act.queue][act.client]
            failed = _ask(lambda: replies.extend(carry_out_bulk(asked, act)))
            return tuple(replies or [failed] * len(operations))


def _ask(carry_out: Callable[[], Reply]) -> Reply:
    try:
        return carry_out()
    except QueueClosed:
        return CLOSED
    except BackendUnavailable as error:
        if error.outcome == "unknown":
            raise Unknown from error
        return NOT_SENT
    except Exception as error:  # noqa: BLE001 (the history shows it, and the check objects)
        return Raised(f"{type(error).__name__}: {error}")


class _Patient:
    """Of a queue the operations that can wait. They do, for `timeout_ms`."""

    def __init__(self, queue: AbstractTaskQueue, timeout_ms: int | None) -> None:
        self._queue = queue
        self._timeout_s = None if timeout_ms is None else timeout_ms / 1000

    def claim(self, *_: object) -> object:
        return self._queue.claim(self._timeout_s)

    def get(self, *_: object) -> object:
        return self._queue.get(self._timeout_s)

    def pop(self, task_id: str, *_: object, token: Token | None) -> object:
        return self._queue.pop(task_id, self._timeout_s, token=token)

    def pop_result(self, task_id: str, *_: object, token: Token | None) -> object:
        return self._queue.pop_result(task_id, self._timeout_s, token=token)


def operation_of(act: Act) -> Operation | None:
    """The model's operation, of several the first; None for time, and for closing."""
    match act:
        case Do(operation):
            return operation
        case Wait(do):
            return do.operation
        case Bulk(operations):
            return operations[0]
        case _:
            return None


def can_wait(do: Do) -> bool:
    return isinstance(do.operation, Claim | Pop)


def by_client(act: Act, client: int) -> Act:
    """The same, done by another client."""
    match act:
        case Do() | Bulk() | Close():
            return act._replace(client=client)
        case Wait(do):
            return act._replace(do=do._replace(client=client))
        case Tick():
            return act


def queue_of(act: Act) -> int | None:
    """The number of the queue; None for time, which passes for all."""
    match act:
        case Do() | Bulk() | Close():
            return act.queue
        case Wait(do):
            return do.queue
        case Tick():
            return None


def as_lanes(history: History) -> str:
    """The operations of each process, with answers and with the ranks of call and return among all events."""
    calls = calls_of(history)
    rank = {t: number for number, t in enumerate(sorted({event.t for event in history}))}
    lanes: dict[str, list[str]] = {}
    for call in calls:
        returned = "?" if call.returned is None else str(rank[call.returned])
        answer = "unknown" if call.returned is None else as_code(call.reply)
        line = f"    {as_code(call.act)},  # {rank[call.called]}-{returned}: {answer}"
        lanes.setdefault(call.process, []).append(line)
    return "\n".join(line for name, lines in lanes.items() for line in (f"# {name}", *lines))


def lane_code(name: str, lane: Iterable[Act]) -> str:
    """A lane as Python to paste."""
    return "\n".join([f"{name} = (", *(f"    {as_code(act)}," for act in lane), ")"])
