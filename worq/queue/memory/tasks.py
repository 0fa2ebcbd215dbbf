"""The tasks of one queue and the rules they live by. Source: SPEC.md, sections 3 to 6."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Literal, NamedTuple

from worq.const import (
    COMPLETED,
    ENQUEUED,
    PENDING,
    PROCESSING,
    RESERVED,
    TASK_EXPIRED,
    Sentinel,
    State,
)
from worq.queue.memory.deadlines import Deadlines
from worq.values import EXPIRED, Claim, Finished, Outcome, Submitted, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from worq.backend import Ticket

ACCEPTED = Submitted("accepted")
DUPLICATE = Submitted("duplicate")
LOST = Finished(accepted=False)
NOT_RESERVED = (False, None)


class Reservation(NamedTuple):
    """Which argument a dependent has reserved, and the message that it was told. [RSV-1]"""

    incarnation: bytes
    message: bytes | None


class Record:
    """One incarnation of a task. Its state is None once it is absent, and before it is placed.

    `number` is its place in the order of acceptance [TOK-4]; `missing` holds the ids of arguments
    that have not arrived, `arguments` those that have. Only a COMPLETED task has an outcome.
    """

    # No dataclass: one is made for each task, and its factories take longer than all else of that.
    __slots__ = (
        "arguments",
        "dependent",
        "id",
        "message",
        "missing",
        "number",
        "outcome",
        "reservations",
        "start",
        "state",
        "ticket",
    )

    def __init__(self, ticket: Ticket, message: bytes, number: int) -> None:
        self.id: str = ticket.id
        self.ticket: Ticket = ticket
        self.message: bytes = message
        self.number: int = number
        self.state: State | None = None
        self.start: int = 0
        self.missing: set[str] = set()
        self.arguments: dict[str, Outcome] = {}
        self.reservations: dict[str, Reservation] = {}
        self.dependent: Record | None = None
        self.outcome: Outcome | None = None

    @property
    def token(self) -> Token:
        """The present token."""
        return Token(self.ticket.incarnation, self.start)


class Tasks:
    """All tasks of one queue. Operations have the names and the answers of SPEC.md.

    The caller holds a lock and calls `begin` before each. `tell` is called with each record that
    is delivered, kept, reserved or gone, for those who wait for it.
    """

    def __init__(self, tell: Callable[[Record], None]) -> None:
        self.now_ms: int = 0
        self._tell = tell
        self._records: dict[str, Record] = {}
        self._pending: dict[str, Record] = {}
        self._ready: OrderedDict[str, Record] = OrderedDict()
        self._deadlines: Deadlines[str] = Deadlines()
        self._last_starts = LastStarts()
        self._accepted = 0

    def __bool__(self) -> bool:
        return bool(self._records)

    @property
    def ready(self) -> int:
        """How many can be claimed."""
        return len(self._ready)

    def next_deadline_ms(self) -> int | None:
        """When there will be something to do, if nobody calls."""
        return self._deadlines.next_ms()

    def begin(self, now_ms: int) -> None:
        """Set the time of the next operation, and apply all deadlines that have passed. [TIM-6]"""
        self.now_ms = now_ms
        while (task_id := self._deadlines.pop_passed(now_ms)) is not None:
            self._lapse(self._records[task_id])
        self._last_starts.sweep(now_ms)

    def find(self, task_id: str, incarnation: bytes | None) -> Record | None:
        """Look up a task; absent too if it is another incarnation than this. [TOK-1] [TOK-2]"""
        record = self._records.get(task_id)
        if record is None or incarnation in (None, record.ticket.incarnation):
            return record
        return None

    # The contract: SPEC.md, section 5.

    def submit(
        self,
        ticket: Ticket,
        message: bytes,
        args: Mapping[str, bytes | None],
        outcome: Outcome | None,
    ) -> Submitted:
        """`args`: argument id → incarnation, or None. [SUB-1] to [SUB-8]"""
        present = self._records.get(ticket.id)
        if present is not None:
            return ACCEPTED if present.ticket.incarnation == ticket.incarnation else DUPLICATE
        arguments: list[Record] = []
        for argument_id in sorted(args):
            argument = self.find(argument_id, args[argument_id])
            if argument is None or not _is_free(argument):
                return Submitted("unavailable", argument_id)
            arguments.append(argument)
        record = self._accept(ticket, message)
        failed = _first_failed(record, arguments) if arguments and outcome is None else None
        if failed is not None:  # [SUB-5]
            outcome = _seen_from_dependent(*failed)
            self._remove(failed[0])
        if outcome is not None:  # [SUB-4] too
            self._end(record, outcome, ticket.retention_ms)
            return Submitted("accepted", outcome=outcome) if ticket.ignore_result else ACCEPTED
        self._place(record, args)
        for argument in arguments:
            self._reserve(record, argument)
        return ACCEPTED

    def is_ready(self) -> Literal[True] | None:
        """Would a claim get one? [ENV-WAIT-10]"""
        return True if self._ready else None

    def claim(self) -> Claim | None:
        """[CLM-1] to [CLM-4]"""
        if not self._ready:
            return None
        task_id, record = self._ready.popitem(last=False)
        record.state = PROCESSING
        record.start += 1
        lease_ms = self.now_ms + record.ticket.lease_ms
        if record.ticket.ignore_result and record.start == record.ticket.attempts:
            self._last_starts.add(record, lease_ms)
            self._remove(record)
        else:
            self._deadlines.set(task_id, lease_ms)
        return Claim(task_id, record.token, record.message, dict(record.arguments))

    def claim_many(self, limit: int) -> list[Claim]:
        """The first one, and further ones in advance, which never take a last start. [ENV-BULK-3]"""
        claims: list[Claim] = []
        while len(claims) < limit and self._ready:
            first = next(iter(self._ready.values()))
            if claims and first.start + 1 >= first.ticket.attempts:
                break
            claims.extend(filter(None, [self.claim()]))
        return claims

    def finish(
        self, task_id: str, outcome: Outcome, retention_ms: int | None, token: Token | None
    ) -> Finished:
        """[FIN-1] to [FIN-4]"""
        record = self._claimed(task_id, token)
        if record is None:
            return LOST
        dependent = record.dependent
        self._end(record, outcome, retention_ms)
        return Finished(accepted=True, dependent_id=None if dependent is None else dependent.id)

    def heartbeat(self, task_id: str, lease_ms: int, token: Token | None) -> bool:
        """[HRT-1] [HRT-2]"""
        record = self._claimed(task_id, token)
        if record is not None:
            self._deadlines.set(task_id, self.now_ms + lease_ms)
        return record is not None

    def release(self, task_id: str, token: Token | None) -> bool:
        """[REL-1] [REL-2]"""
        record = self._claimed(task_id, token)
        if record is not None:
            self._lapse(record)
        return record is not None

    def pop(self, record: Record) -> Outcome | Sentinel | None:
        """Look once; None: not yet. [POP-1] to [POP-5]"""
        if record.state is None or record.ticket.ignore_result:
            return TASK_EXPIRED
        if record.dependent is not None:
            return RESERVED
        if record.outcome is not None:
            self._remove(record)
        return record.outcome

    def discard(self, task_id: str, incarnation: bytes | None) -> bool:
        """[DSC-1] [DSC-2]"""
        record = self.find(task_id, incarnation)
        if record is not None:
            self._end(record, EXPIRED, None)
        return record is not None

    def purge(self) -> int:
        """[PRG-1] [PRG-2]"""
        purged = [*self._pending.values(), *self._ready.values()]
        for record in purged:  # whose dependents are among them: nobody else's is resolved
            self._remove(record)
        return len(purged)

    def size(self) -> int:
        """[SIZ-1]"""
        return len(self._pending) + len(self._ready)

    def status(self, task_id: str, incarnation: bytes | None) -> State | None:
        """[STA-1] [STA-2]"""
        record = self.find(task_id, incarnation)
        return None if record is None else record.state

    # The operations of the API reference: SPEC.md, section 6.

    def defer(self, ticket: Ticket, message: bytes, args: frozenset[str]) -> bool:
        """[DFR-1] [DFR-2]"""
        present = self._records.get(ticket.id)
        if present is not None:
            return present.ticket.incarnation == ticket.incarnation
        self._place(self._accept(ticket, message), args)
        return True

    def reserve_argument(
        self,
        argument_id: str,
        deferred_id: str,
        incarnation: bytes | None,
        deferred_incarnation: bytes | None,
    ) -> tuple[bool, bytes | None]:
        """[RSV-1] to [RSV-4]"""
        record = self.find(deferred_id, deferred_incarnation)
        if record is None:
            return NOT_RESERVED
        earlier = record.reservations.get(argument_id)
        if earlier is not None and incarnation in (None, earlier.incarnation):
            return True, earlier.message
        argument = self.find(argument_id, incarnation)
        if argument is None or argument_id not in record.missing:
            return NOT_RESERVED
        if not _is_free(argument) or argument.number >= record.number:
            return NOT_RESERVED
        return True, self._reserve(record, argument)

    def set_argument(
        self, task_id: str, argument_id: str, message: bytes, incarnation: bytes | None
    ) -> bool:
        """[ARG-1] to [ARG-4]"""
        record = self.find(task_id, incarnation)
        if record is None:
            return False
        if argument_id in record.missing:
            self._free(record, argument_id)
            self._supply(record, argument_id, Outcome("result", message))
        return argument_id in record.arguments and not record.missing

    def get_arguments(
        self, task_id: str, token: Token | None
    ) -> dict[str, bytes | Literal[Sentinel.TASK_EXPIRED]]:
        """[GAR-1] to [GAR-3]"""
        record = self._records.get(task_id)
        if record is not None and token in (None, record.token):
            arguments: Mapping[str, Outcome] = record.arguments
        else:
            arguments = self._last_starts.arguments(task_id, token)
        return {
            argument_id: TASK_EXPIRED if outcome.message is None else outcome.message
            for argument_id, outcome in arguments.items()
        }

    # How tasks move. After each step `_pending`, `_ready` and `_deadlines` are as the states say.

    def _claimed(self, task_id: str, token: Token | None) -> Record | None:
        record = self._records.get(task_id)
        if record is None or record.state != PROCESSING or token not in (None, record.token):
            return None
        return record

    def _accept(self, ticket: Ticket, message: bytes) -> Record:
        self._accepted += 1
        record = self._records[ticket.id] = Record(ticket, message, self._accepted)
        return record

    def _place(self, record: Record, args: Iterable[str]) -> None:
        record.missing.update(args)
        if record.missing:
            record.state = PENDING
            self._pending[record.id] = record
        else:
            self._enqueue(record)

    def _enqueue(self, record: Record) -> None:
        self._leave(record)
        record.state = ENQUEUED
        self._ready[record.id] = record

    def _reserve(self, record: Record, argument: Record) -> bytes | None:
        """Promise an outcome to a dependent. One that is there arrives at once; its message."""
        outcome = argument.outcome
        message = None if outcome is None else outcome.message
        record.reservations[argument.id] = Reservation(argument.ticket.incarnation, message)
        argument.dependent = record
        if outcome is None:
            self._tell(argument)
        else:
            self._end(argument, outcome, None)
        return message

    def _free(self, record: Record, argument_id: str) -> None:
        """End the reservation of an argument that has not arrived, if there is one."""
        argument = self._records.get(argument_id)
        if argument is not None and argument.dependent is record:
            argument.dependent = None

    def _supply(self, record: Record, argument_id: str, outcome: Outcome) -> None:
        record.missing.discard(argument_id)
        record.arguments[argument_id] = outcome
        if not record.missing:
            self._enqueue(record)

    def _lapse(self, record: Record) -> None:
        """Let the deadline of a task pass. [TIM-3] [TIM-4] [TIM-5]"""
        if record.state == PROCESSING and record.start < record.ticket.attempts:
            self._enqueue(record)
        else:
            self._end(record, EXPIRED, None)

    def _end(self, record: Record, outcome: Outcome, retention_ms: int | None) -> None:
        """End a task with an outcome, then whoever ends by that in turn. [OUT-1] to [OUT-6]"""
        while (dependent := record.dependent) is not None:
            self._remove(record)
            if outcome.kind == "result" or dependent.ticket.passes_errors:
                self._supply(dependent, record.id, outcome)
                return
            outcome = _seen_from_dependent(record, outcome)
            record, retention_ms = dependent, dependent.ticket.retention_ms
        if outcome.kind == "expired" or record.ticket.ignore_result:
            self._remove(record)
        else:
            self._keep(record, outcome, retention_ms)

    def _keep(self, record: Record, outcome: Outcome, retention_ms: int | None) -> None:
        self._leave(record)
        record.state = COMPLETED
        record.outcome = outcome
        record.missing.clear()
        record.arguments.clear()
        record.reservations.clear()
        if retention_ms is not None:
            self._deadlines.set(record.id, self.now_ms + retention_ms)
        self._tell(record)

    def _remove(self, record: Record) -> None:
        self._leave(record)
        del self._records[record.id]
        record.state = None
        record.dependent = None
        self._tell(record)

    def _leave(self, record: Record) -> None:
        if record.state == PENDING:
            del self._pending[record.id]
            for argument_id in record.missing:  # none, if it is about to be enqueued [OUT-7]
                self._free(record, argument_id)
        elif record.state == ENQUEUED:
            del self._ready[record.id]
        else:
            self._deadlines.drop(record.id)


class LastStarts:
    """The arguments of `ignore_result` tasks at their last start, until that lease. [GAR-3]"""

    def __init__(self) -> None:
        self._records: dict[tuple[str, bytes], Record] = {}
        self._latest: dict[str, Record] = {}
        self._deadlines: Deadlines[tuple[str, bytes]] = Deadlines()

    def add(self, record: Record, lease_ms: int) -> None:
        """Keep what a task takes with it; also one that takes nothing is the latest of its id."""
        if not record.arguments:
            self._latest.pop(record.id, None)
            return
        key = record.id, record.ticket.incarnation
        self._records[key] = self._latest[record.id] = record
        self._deadlines.set(key, lease_ms)

    def arguments(self, task_id: str, token: Token | None) -> Mapping[str, Outcome]:
        """Look up the arguments of this claim; None: the latest of that id."""
        key = token and (task_id, token.incarnation)
        record = self._records.get(key) if key else self._latest.get(task_id)
        return record.arguments if record is not None and token in (None, record.token) else {}

    def sweep(self, now_ms: int) -> None:
        """Forget the claims whose lease would have passed."""
        while (key := self._deadlines.pop_passed(now_ms)) is not None:
            record = self._records.pop(key)
            if self._latest.get(record.id) is record:
                del self._latest[record.id]


def _is_free(argument: Record) -> bool:
    """Whether its outcome can be promised to a dependent."""
    return not argument.ticket.ignore_result and argument.dependent is None


def _first_failed(record: Record, arguments: list[Record]) -> tuple[Record, Outcome] | None:
    """The argument, if any, whose failure is that of the task too, and that failure."""
    if record.ticket.passes_errors:
        return None
    outcomes = ((argument, argument.outcome) for argument in arguments)
    return next(((a, o) for a, o in outcomes if o is not None and o.kind == "failure"), None)


def _seen_from_dependent(argument: Record, outcome: Outcome) -> Outcome:
    """The same outcome; a failure says which task it first happened to. [OUT-3]"""
    if outcome.kind != "failure" or outcome.source_id is not None:
        return outcome
    return outcome._replace(source_id=argument.id)
