"""The ten operations of the contract on the tables of one queue, in a transaction that is open. SPEC.md, section 5.

What a transaction has changed for others is collected in `Changes`: who waits for it is told when it
has been committed. One changes `RECORDS_MAX` records; what is left then goes on in the next. [ENV-SQLITE-9]
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from worq.backend import Ticket
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
from worq.values import EXPIRED, Claim, Finished, Outcome, OutcomeKind, Submitted, Token

PROMISED: Final = "promised"
GIVEN: Final = "given"
RECORDS_MAX: Final = 1_000
"""How many tasks and arguments one transaction changes: then that of one task comes on top at most."""


class Record(NamedTuple):
    """A row of `task`, without what only SQL reads."""

    key: int
    id: str
    incarnation: bytes
    state: State
    start: int
    attempts: int
    ignore_result: int
    passes_errors: int
    lease_ms: int
    retention_ms: int | None
    dependent: int | None
    kind: OutcomeKind | None
    source: str | None


_RECORD: Final = f"SELECT {', '.join(Record._fields)} FROM task"  # noqa: S608 (names of ours)


class Changes:
    """What those who wait for this queue have to hear of."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        """Tasks that are delivered, reserved or gone."""
        self.ready = False
        """A task has become ENQUEUED."""


class Tasks:
    """The tasks of one queue at one moment, with the deadlines that have passed until `on_time` applies them."""

    def __init__(self, connection: sqlite3.Connection, queue: str, now_ms: int) -> None:
        self.connection = connection
        self.execute: Callable[..., sqlite3.Cursor] = connection.execute
        self.queue = queue
        self.now_ms: int = now_ms
        self.changes: Changes = Changes()
        self.is_behind: bool = False
        """There is a rest, which whoever comes next has to do first."""
        self._left = RECORDS_MAX

    # The contract

    def submit(
        self,
        ticket: Ticket,
        message: bytes,
        args: Mapping[str, bytes | None],
        outcome: Outcome | None,
    ) -> Submitted:
        there = self.find(ticket.id)
        if there is not None:
            same = there.incarnation == ticket.incarnation
            return Submitted("accepted" if same else "duplicate")
        # Python compares strings by code point, and so does SQLite, whose text is UTF-8. [SUB-3]
        arguments: list[Record] = []
        for argument_id in sorted(args):
            argument = self.find(argument_id, args[argument_id])
            if argument is None or argument.ignore_result or argument.dependent is not None:
                return Submitted("unavailable", argument_id)
            arguments.append(argument)
        if outcome is None and not ticket.passes_errors:
            outcome = self._consume_first_failure(arguments)
        if outcome is not None:
            return self._submit_ended(ticket, outcome)
        self._submit_with(ticket, message, arguments)
        return Submitted("accepted")

    def is_ready(self) -> Literal[True] | None:
        """Would a claim get one? [ENV-WAIT-10]"""
        found = self.execute(
            "SELECT 1 FROM task WHERE queue = ? AND position IS NOT NULL LIMIT 1", (self.queue,)
        ).fetchone()
        return None if found is None else True

    def claim(self) -> Claim | None:
        record = self._first_ready()
        return None if record is None else self._start(record)

    def claim_many(self, limit: int) -> list[Claim]:
        """As many as are ready; what takes a last start only as the first. [ENV-BULK-3]"""
        claims: list[Claim] = []
        while len(claims) < limit and self.goes_on():
            record = self._first_ready()
            if record is None or (claims and record.start + 1 >= record.attempts):
                break
            claims.append(self._start(record))
            self.count()
        return claims

    def _first_ready(self) -> Record | None:
        return self._record(
            "WHERE queue = ? AND position IS NOT NULL ORDER BY position LIMIT 1", self.queue
        )

    def _start(self, record: Record) -> Claim:
        start = record.start + 1
        claim = Claim(
            record.id, Token(record.incarnation, start), self._body(record), self.held(record.key)
        )
        lease_ms = self.now_ms + record.lease_ms
        if record.ignore_result and start == record.attempts:
            self._forget(claim, record.key, lease_ms)
        else:
            self.execute(
                "UPDATE task SET state = ?, start = ?, position = NULL, deadline_ms = ? WHERE key = ?",
                (PROCESSING, start, lease_ms, record.key),
            )
        return claim

    def finish(
        self, task_id: str, outcome: Outcome, retention_ms: int | None, token: Token | None
    ) -> Finished:
        record = self.find_claim(task_id, token)
        if record is None or record.state != PROCESSING:
            return Finished(accepted=False)
        if record.dependent is not None:
            dependent = self._with_key(record.dependent)
            self._remove(record)
            self.arrive(dependent.key, record.id, outcome)
            return Finished(accepted=True, dependent_id=dependent.id)
        if record.ignore_result:
            self._remove(record)
        else:
            self._complete(record, outcome, retention_ms)
        return Finished(accepted=True)

    def heartbeat(self, task_id: str, lease_ms: int, token: Token | None) -> bool:
        record = self.find_claim(task_id, token)
        if record is None or record.state != PROCESSING:
            return False
        deadline_ms = self.now_ms + lease_ms
        self.execute("UPDATE task SET deadline_ms = ? WHERE key = ?", (deadline_ms, record.key))
        return True

    def release(self, task_id: str, token: Token | None, *, begun: bool) -> bool:
        record = self.find_claim(task_id, token)
        if record is None or record.state != PROCESSING:
            return False
        if begun or record.start >= record.attempts:
            self._end_lease(record)
        else:
            self._unclaim(record)
        return True

    def _unclaim(self, record: Record) -> None:
        """Ready again, ahead of all. The start that it has not cost is added: no token comes twice. [REL-3] [TOK-3]"""
        self.execute(
            "UPDATE task SET state = ?, attempts = attempts + 1, deadline_ms = NULL, position = ifnull("
            "(SELECT min(position) FROM task WHERE queue = ? AND position IS NOT NULL), 1) - 1"
            " WHERE key = ?",
            (ENQUEUED, self.queue, record.key),
        )
        self.changes.ready = True

    def pop(self, task_id: str, incarnation: bytes | None) -> Outcome | Sentinel | bytes:
        """The answer; the incarnation that is there if there is none yet."""
        record = self.find(task_id, incarnation)
        if record is None:
            return TASK_EXPIRED
        if record.state == COMPLETED:
            outcome = self._outcome(record)
            self._remove(record)
            return outcome
        if record.ignore_result:
            return TASK_EXPIRED
        return record.incarnation if record.dependent is None else RESERVED

    def discard(self, task_id: str, incarnation: bytes | None) -> bool:
        record = self.find(task_id, incarnation)
        if record is None:
            return False
        self._expire(record)
        return True

    def purge(self) -> int:
        count = self.size()
        self._purge_some()
        return count

    def _purge_some(self) -> None:
        """The rest of them stays to be purged: until then nobody sees this queue. [PRG-1]"""
        waiting = self.execute(
            "SELECT key, id FROM task WHERE queue = ?1 AND state = 'pending'"
            " UNION ALL"
            " SELECT key, id FROM task WHERE queue = ?1 AND position IS NOT NULL LIMIT ?2",
            (self.queue, max(0, self._left)),
        ).fetchall()
        for key, task_id in waiting:
            if self._left <= 0:
                break
            self._left -= 1
            self._free_arguments(key)
            self._drop_arguments(key)
            self.execute("DELETE FROM task WHERE key = ?", (key,))
            self.changes.ids.add(task_id)
        if self._left <= 0:
            self._leave_rest(None, None, None)

    def counts(self) -> dict[str, int]:
        """State → how many tasks, of those that there are. [ENV-INFO-2]"""
        rows = self.execute("SELECT state, count FROM tally WHERE queue = ?", (self.queue,))
        return dict(rows.fetchall())

    def size(self) -> int:
        counts = self.counts()
        return counts.get(PENDING, 0) + counts.get(ENQUEUED, 0)

    def status(self, task_id: str, incarnation: bytes | None) -> State | None:
        record = self.find(task_id, incarnation)
        return None if record is None else record.state

    # Bounds

    def goes_on(self) -> bool:
        """Whether one more operation may come into this transaction. [ENV-SQLITE-9]"""
        return self._left > 0 and not self.is_behind

    def count(self) -> None:
        """One of several operations in it changes something."""
        self._left -= 1

    # Time

    def on_time(self) -> bool:
        """Do the rest of the last operation, and apply each deadline that has passed. [TIM-1] [TIM-2] [TIM-6]

        In the order (deadline, id). False if there may be more than one transaction does.
        """
        past = (self.queue, self.now_ms)
        has_rest, is_shown = self.execute(
            "SELECT EXISTS (SELECT 1 FROM rest WHERE queue = ?1),"
            " EXISTS (SELECT 1 FROM last_start WHERE queue = ?1 AND deadline_ms <= ?2)",
            past,
        ).fetchone()
        if has_rest:
            self._do_rest()
        if is_shown:
            self._forget_last_starts(past)
        due = self.execute(
            "SELECT key, id, state FROM task WHERE queue = ? AND deadline_ms <= ?"
            " ORDER BY deadline_ms, id LIMIT ?",
            (*past, max(0, self._left)),
        ).fetchall()
        for key, task_id, state in due:
            if self._left <= 0:
                break
            self._left -= 1
            if state == PROCESSING:
                self._end_lease(self._with_key(key))
            else:  # it has no dependent
                self.execute("DELETE FROM task WHERE key = ?", (key,))
                self.changes.ids.add(task_id)
        return self._left > 0

    def _forget_last_starts(self, past: tuple[str, int]) -> None:
        """Their arguments have been shown for long enough. [GAR-3]"""
        keys = self.execute(
            "SELECT key FROM last_start WHERE queue = ? AND deadline_ms <= ? LIMIT ?",
            (*past, max(0, self._left)),
        ).fetchall()
        for (key,) in keys:
            if self._left <= 0:
                break
            self._left -= 1
            self._drop_arguments(key)
            self.execute("DELETE FROM last_start WHERE key = ?", (key,))

    def _leave_rest(
        self, dependent: int | None, argument_id: str | None, outcome: Outcome | None
    ) -> None:
        """An outcome that is on its way to that dependent; without one, a purge."""
        self.execute(
            "INSERT INTO rest VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.queue, self.now_ms, dependent, argument_id, *(outcome or (None, None, None))),
        )
        self.is_behind = True

    def _do_rest(self) -> None:
        """As much of it as one transaction does, at the time of the operation that has left it. [TIM-6]"""
        now_ms = self.now_ms
        self.now_ms, dependent, argument_id, *outcome = self.execute(
            "SELECT now_ms, task, argument, kind, message, source FROM rest WHERE queue = ?",
            (self.queue,),
        ).fetchone()
        self.execute("DELETE FROM rest WHERE queue = ?", (self.queue,))
        if argument_id is None:
            self._purge_some()
        else:
            self.arrive(dependent, argument_id, Outcome(*outcome))
        self.now_ms = now_ms

    def _end_lease(self, record: Record) -> None:
        if record.start < record.attempts:
            self.enqueue(record.key)  # [TIM-3]
        else:
            self._expire(record)  # [TIM-4]

    # Outcomes on their way

    def _expire(self, record: Record) -> None:
        """Make a task absent; its dependent, if it has one, hears of it. [OUT-6]"""
        self._free_arguments(record.key)
        self._remove(record)
        self.arrive(record.dependent, record.id, EXPIRED)

    def arrive(self, dependent: int | None, argument_id: str, outcome: Outcome) -> None:
        """Bring an outcome to the dependent that reserved it, and on along the path. [OUT-1] to [OUT-6]"""
        while dependent is not None:
            if self._left <= 0:
                self._leave_rest(dependent, argument_id, outcome)
                return
            self._left -= 1
            record = self._with_key(dependent)
            self.hold(record.key, argument_id, outcome)
            if outcome.kind == "result" or record.passes_errors:
                if not self.misses_any(record.key):
                    self.enqueue(record.key)
                return
            outcome = seen_from_dependent(outcome, argument_id)
            self._free_arguments(record.key)  # [OUT-7]
            ends_here = record.dependent is None and not record.ignore_result
            if outcome.kind == "failure" and ends_here:
                self._complete(record, outcome, record.retention_ms)  # [OUT-5]
            else:
                self._remove(record)
            dependent, argument_id = record.dependent, record.id

    def _consume_first_failure(self, arguments: list[Record]) -> Outcome | None:
        """The failure of an argument that has failed already, seen from its dependent. [SUB-5]"""
        for argument in arguments:
            if argument.kind == "failure":
                outcome = self._outcome(argument)
                self._remove(argument)
                return seen_from_dependent(outcome, argument.id)
        return None

    def _submit_ended(self, ticket: Ticket, outcome: Outcome) -> Submitted:
        """The task ends with that, untouched by a worker. [SUB-4] [SUB-8]"""
        if ticket.ignore_result:
            return Submitted("accepted", outcome=outcome)
        if outcome.kind == "failure":
            key = self.add(ticket, b"")
            self._complete(self._with_key(key), outcome, ticket.retention_ms)
        return Submitted("accepted")

    def _submit_with(self, ticket: Ticket, message: bytes, arguments: list[Record]) -> None:
        """Take what is there, reserve what is not. [SUB-6] [SUB-7]"""
        key = self.add(ticket, message)
        for argument in arguments:
            self.take(argument, key, add=True)
        if not self.misses_any(key):
            self.enqueue(key)

    def take(self, argument: Record, key: int, *, add: bool = False) -> Outcome | None:
        """Consume an argument that is COMPLETED, whose outcome is the answer; reserve one that is not.

        `add`: the dependent does not miss it yet.
        """
        answer = GIVEN if argument.state == COMPLETED else PROMISED
        if add:
            sql = "INSERT INTO argument (answer, incarnation, task, id) VALUES (?, ?, ?, ?)"
        else:
            sql = "UPDATE argument SET answer = ?, incarnation = ? WHERE task = ? AND id = ?"
        self.execute(sql, (answer, argument.incarnation, key, argument.id))
        if answer == PROMISED:
            self.execute("UPDATE task SET dependent = ? WHERE key = ?", (key, argument.key))
            self.changes.ids.add(argument.id)
            return None
        outcome = self._outcome(argument)
        self._remove(argument)
        self.hold(key, argument.id, outcome)
        return outcome

    # Records

    def find(self, task_id: str, incarnation: bytes | None = None) -> Record | None:
        """The task that is there, if its incarnation is that one. [TOK-1] [TOK-2]"""
        record = self._record("WHERE queue = ? AND id = ?", self.queue, task_id)
        if record is None or incarnation in (None, record.incarnation):
            return record
        return None

    def find_claim(self, task_id: str, token: Token | None) -> Record | None:
        """The same for operations that compare the start too."""
        if token is None:
            return self.find(task_id)
        record = self.find(task_id, token.incarnation)
        return record if record is not None and record.start == token.start else None

    def _with_key(self, key: int) -> Record:
        record = self._record("WHERE key = ?", key)
        assert record is not None, key
        return record

    def _record(self, where: str, *values: object) -> Record | None:
        row = self.execute(f"{_RECORD} {where}", values).fetchone()
        return None if row is None else Record._make(row)

    def add(self, ticket: Ticket, message: bytes) -> int:
        """A task that is PENDING, and its key."""
        (key,) = self.execute(
            "SELECT 1 + max(ifnull((SELECT max(key) FROM task), 0),"
            " ifnull((SELECT max(key) FROM last_start), 0))"
        ).fetchone()
        self.execute(
            "INSERT INTO task (key, queue, id, incarnation, state, attempts, ignore_result,"
            " passes_errors, lease_ms, retention_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                self.queue,
                ticket.id,
                ticket.incarnation,
                PENDING,
                ticket.attempts,
                ticket.ignore_result,
                ticket.passes_errors,
                ticket.lease_ms,
                ticket.retention_ms,
            ),
        )
        self.execute("INSERT INTO body VALUES (?, ?)", (key, message))
        return int(key)

    def enqueue(self, key: int) -> None:
        """Ready, at the tail."""
        self.execute(
            "UPDATE task SET state = ?, deadline_ms = NULL, position = 1 + ifnull("
            "(SELECT max(position) FROM task WHERE queue = ? AND position IS NOT NULL), 0)"
            " WHERE key = ?",
            (ENQUEUED, self.queue, key),
        )
        self.changes.ready = True

    def _complete(self, record: Record, outcome: Outcome, retention_ms: int | None) -> None:
        """Keep the outcome; what the task no longer needs is gone. [FIN-4]"""
        deadline_ms = None if retention_ms is None else self.now_ms + retention_ms
        self.execute(
            "UPDATE task SET state = ?, kind = ?, source = ?, deadline_ms = ? WHERE key = ?",
            (COMPLETED, outcome.kind, outcome.source_id, deadline_ms, record.key),
        )
        self.execute("UPDATE body SET message = ? WHERE key = ?", (outcome.message, record.key))
        self._drop_arguments(record.key)
        self.changes.ids.add(record.id)

    def _remove(self, record: Record) -> None:
        self.execute("DELETE FROM task WHERE key = ?", (record.key,))
        self._drop_arguments(record.key)
        self.changes.ids.add(record.id)

    def _forget(self, claim: Claim, key: int, lease_ms: int) -> None:
        """Of a task that is started for the last time only the arguments are left. [CLM-3] [GAR-3]"""
        self.execute("DELETE FROM task WHERE key = ?", (key,))
        self.changes.ids.add(claim.id)
        self.execute(
            "UPDATE last_start SET latest = 0 WHERE queue = ? AND id = ?", (self.queue, claim.id)
        )
        if claim.arguments:
            self.execute(
                "INSERT INTO last_start VALUES (?, ?, ?, ?, ?, ?, 1)",
                (key, self.queue, claim.id, *claim.token, lease_ms),
            )

    def _body(self, record: Record) -> bytes:
        (message,) = self.execute(
            "SELECT message FROM body WHERE key = ?", (record.key,)
        ).fetchone()
        return bytes(message)

    def _outcome(self, record: Record) -> Outcome:
        assert record.kind is not None
        return Outcome(record.kind, self._body(record), record.source)

    # Arguments

    def hold(self, key: int, argument_id: str, outcome: Outcome) -> None:
        self.execute(
            "UPDATE argument SET kind = ?, message = ?, source = ? WHERE task = ? AND id = ?",
            (*outcome, key, argument_id),
        )

    def held(self, key: int) -> dict[str, Outcome]:
        """The arguments that have arrived, in the order of ids. [CLM-4]"""
        rows = self.execute(
            "SELECT id, kind, message, source FROM argument"
            " WHERE task = ? AND kind IS NOT NULL ORDER BY id",
            (key,),
        )
        return {argument_id: Outcome(*outcome) for argument_id, *outcome in rows}

    def misses_any(self, key: int) -> bool:
        (misses,) = self.execute(
            "SELECT EXISTS (SELECT 1 FROM argument WHERE task = ? AND kind IS NULL)", (key,)
        ).fetchone()
        return bool(misses)

    def _free_arguments(self, key: int) -> None:
        """What a task had reserved and has not arrived is free for other consumers. [OUT-7]"""
        freed = self.execute("UPDATE task SET dependent = NULL WHERE dependent = ?", (key,))
        self._left -= freed.rowcount

    def _drop_arguments(self, key: int) -> None:
        self._left -= self.execute("DELETE FROM argument WHERE task = ?", (key,)).rowcount


def next_deadline_ms(connection: sqlite3.Connection, queue: str) -> int | None:
    """When something will happen by itself that somebody may wait for: at once, if there is a rest."""
    deadline_ms: int | None
    (deadline_ms,) = connection.execute(
        "SELECT ifnull((SELECT now_ms FROM rest WHERE queue = ?1), (SELECT min(deadline_ms)"
        " FROM task WHERE queue = ?1 AND deadline_ms IS NOT NULL))",
        (queue,),
    ).fetchone()
    return deadline_ms


def seen_from_dependent(outcome: Outcome, argument_id: str) -> Outcome:
    """A failure keeps the id of the task that it first happened to. [OUT-3]"""
    if outcome.kind == "expired" or outcome.source_id is not None:
        return outcome
    return outcome._replace(source_id=argument_id)
