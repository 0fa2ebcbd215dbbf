"""Model and queues in lockstep: each operation goes to both, and the answers must be the same.

After each operation the whole state that can be seen from outside is compared as well. A difference
is a `Disagreement`, which prints the history as a program to paste into a test.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.testing.blame import TIME, broken_part, for_a_look, for_an_answer, of_time
from worq.testing.capabilities import (
    IN_LOCKSTEP,
    MANUAL_CLOCK,
    REFERENCE,
    Capabilities,
    suited,
)
from worq.testing.driver import (
    Bulk,
    BulkProgram,
    Do,
    Program,
    Tick,
    carry_out,
    carry_out_bulk,
    project,
)
from worq.testing.programs import as_code
from worq_model import operations as ops
from worq_model.invariants import broken
from worq_model.queue import Step, next_deadline_ms, step
from worq_model.table import Row
from worq_model.values import EMPTY, State, find


class Disagreement(AssertionError):
    """The queue did not answer as the model does.

    `clauses` are those that this breaks, the likeliest first, and `broken` is the operation that does, or "time".
    """

    def __init__(self, text: str, clauses: Sequence[str] = (), broken: str = "") -> None:
        super().__init__(text)
        self.clauses: tuple[str, ...] = tuple(clauses)
        self.broken = broken


class Lockstep:
    """Some queues of one backend, each beside its model, under one manual clock.

    Each queue is a sequence of clients: queue objects that reach the same queue. They are empty at
    first, and belong to the caller; `wind_up` leaves them empty. What a backend does not claim is not asked of it:
    without a manual clock the queues have a time of their own, in which no deadline passes that the model sees.
    """

    def __init__(
        self,
        queues: Sequence[Sequence[AbstractTaskQueue]],
        clock: ManualClock,
        claimed: Capabilities = IN_LOCKSTEP,
    ) -> None:
        self.clock = clock
        self._claimed = claimed
        self.looks_at_arguments: bool = REFERENCE in claimed
        self.queues = queues
        self.states: list[State] = [EMPTY for _ in self.queues]
        self.rows: Counter[Row] = Counter()
        self._ids: list[dict[str, None]] = [{} for _ in self.queues]
        self._log: list[tuple[Do | Bulk | Tick, str]] = []
        self._last: dict[int, tuple[Do, Step]] = {}

    def run(self, program: Iterable[Do | Bulk | Tick], *, observe: bool = True) -> None:
        for entry in program:
            match entry:
                case Tick(ms):
                    self.tick(ms)
                case Bulk():
                    self.do_in_bulk(entry, observe=observe)
                case Do():
                    self.do(entry, observe=observe)

    def tick(self, ms: int) -> None:
        """Let time pass; what is due happens with the next operation, or to those who wait."""
        if MANUAL_CLOCK not in self._claimed:
            return
        self._log.append((Tick(ms), ""))
        try:
            self.clock.advance(ms)
        except Exception as error:
            text = f"the queue fails when time passes [TIM-1]\n{self.history()}\n# got      {_shown(error)}"
            raise Disagreement(text, ("TIM-1",), TIME) from error

    def do(self, do: Do, *, observe: bool = True) -> ops.Reply:
        """Carry out one operation on both sides; the model's answer. `observe`: look at all there is afterwards."""
        do = do._replace(operation=suited(do.operation, self._claimed))
        reply = self._compare(do)
        if observe:
            self._observe(do.queue)
        return reply

    def do_in_bulk(self, bulk: Bulk, *, observe: bool = True) -> None:
        """Carry out several in one call; for the model they are single operations, one after another. [ENV-BULK-1]"""
        suitable = tuple(suited(operation, self._claimed) for operation in bulk.operations)
        bulk = bulk._replace(operations=suitable)
        first = Do(suitable[0], bulk.queue, bulk.client)
        self._log.append((bulk, ""))
        for operation in suitable:
            self._ids[bulk.queue].update(dict.fromkeys(_submitted(operation)))
        try:
            answers = carry_out_bulk(self.queues[bulk.queue][bulk.client], bulk)
        except Exception as error:
            raise self._broken_bulk(first, error) from error
        self._check_number(first, suitable, answers)
        notes: list[str] = []
        for n, got in enumerate(answers):
            do = first._replace(operation=suitable[n])
            if isinstance(do.operation, ops.Claim) and n and suitable[n - 1] == do.operation:
                self._check_in_advance(do, got)
            done = step(self.states[do.queue], do.operation, now_ms=self.clock.now_ms())
            notes.append(as_code(done.reply))
            self._log[-1] = (bulk, ", ".join(notes))
            self._last[do.queue] = do, done
            self._judge(do, done, done.reply, got, log=True, bulk="ENV-BULK-1")
        if observe:
            self._observe(bulk.queue)

    def _check_number(
        self, first: Do, asked: Sequence[ops.Operation], answers: Sequence[ops.Reply]
    ) -> None:
        """There is an answer to each but claims, of which there may be fewer."""
        missing = [op for op in asked[len(answers) :] if not isinstance(op, ops.Claim)]
        if missing or len(answers) > len(asked):
            raise self._broken_bulk(first, answers)

    def _check_in_advance(self, do: Do, got: ops.Reply) -> None:
        """It leaves the task at least one start. [ENV-BULK-3]"""
        task = find(self.states[do.queue], got.id) if isinstance(got, ops.Claimed) else None
        if task is None or task.start + 1 >= task.options.attempts:
            raise self._broken_bulk(do, got, "ENV-BULK-3")

    def _broken_bulk(self, do: Do, got: object, clause: str = "ENV-BULK-1") -> Disagreement:
        done = step(self.states[do.queue], do.operation, now_ms=self.clock.now_ms())
        return self._disagreement(do, done, done.reply, got, log=True, bulk=clause)

    def _observe(self, queue: int) -> None:
        for look in self._looks(queue):
            self._compare(look, log=False)

    def next_deadline_ms(self) -> int | None:
        """How long until something happens by itself; None if nothing will."""
        deadlines = [next_deadline_ms(state) for state in self.states]
        return min((at - self.clock.now_ms() for at in deadlines if at is not None), default=None)

    def wind_up(self) -> None:
        """End every task as a client would, so that nothing may be left of any queue."""
        for queue in range(len(self.states)):
            while self._compare(Do(ops.Claim(), queue)) is not None:
                pass  # all that wait, in their order
            for look in self._looks(queue):
                self._compare(look, log=False)
            state = self.states[queue]
            for start in state.last_starts:
                self.tick(max(0, start.deadline_ms - self.clock.now_ms()))
                if self.looks_at_arguments:  # or the next program would see them
                    self._compare(Do(ops.GetArguments(start.id), queue))
            for task in state.tasks:
                self._compare(Do(ops.Discard(task.id), queue))
                self._compare(Do(ops.Status(task.id), queue), log=False)
            self._compare(Do(ops.Size(), queue))

    def abandon(self) -> None:
        """End every task that there may be, whatever the queues answer: one of them does not do as the model does."""
        for clients, ids in zip(self.queues, self._ids, strict=True):
            for task_id in ids:
                with suppress(Exception):
                    clients[0].discard(task_id)
            with suppress(Exception):
                clients[0].purge()

    @property
    def program(self) -> BulkProgram:
        """What was done."""
        return tuple(entry for entry, _ in self._log)

    def history(self) -> str:
        """What was done, as a program to paste, with the model's answers."""
        lines = [
            f"    {as_code(entry)},{'  # ' + note if note else ''}" for entry, note in self._log
        ]
        return "\n".join(["PROGRAM = (", *lines, ")"])

    def _compare(self, do: Do, *, log: bool = True) -> ops.Reply:
        before = self.states[do.queue]
        done = step(before, do.operation, now_ms=self.clock.now_ms())
        expected = project(do, done.reply)
        note = f"{as_code(expected)}  [{' '.join(sorted(done.clauses))}]"
        if log:
            self._log.append((do, note))
        if log:
            self._last[do.queue] = do, done
            self._ids[do.queue].update(dict.fromkeys(_submitted(do.operation)))
        try:
            got: object = carry_out(self.queues[do.queue][do.client], do)
        except Exception as error:
            raise self._disagreement(do, done, expected, error, log=log) from error
        self._judge(do, done, expected, got, log=log)
        return done.reply

    def _judge(
        self, do: Do, done: Step, expected: object, got: object, *, log: bool, bulk: str = ""
    ) -> None:
        if got != expected or type(got) is not type(expected):
            raise self._disagreement(do, done, expected, got, log=log, bulk=bulk)
        self._note(do, done.state, done.rows)

    def _note(self, do: Do, state: State, rows: tuple[Row, ...]) -> None:
        violated = broken(state)
        assert not violated, f"the model itself breaks {violated}:\n{self.history()}"
        self.states[do.queue] = state
        self.rows.update(rows)

    def _looks(self, queue: int) -> Iterable[Do]:
        yield from (Do(ops.Status(task_id), queue) for task_id in self._ids[queue])
        yield Do(ops.Size(), queue)
        if self.looks_at_arguments:
            yield from (Do(ops.GetArguments(task_id), queue) for task_id in self._ids[queue])

    def _only_time_has_passed(self, its: Step) -> bool:
        """Whether an operation that changes nothing comes after a tick."""
        before = self._log[-2][0] if len(self._log) > 1 else None
        return isinstance(before, Tick) and all(row.state == row.becomes for row in its.rows)

    def _disagreement(
        self, do: Do, done: Step, expected: object, got: object, *, log: bool, bulk: str = ""
    ) -> Disagreement:
        """`bulk`: the clause that is broken if this is not right only where it is one of several."""
        clauses = for_an_answer(done, do.operation, expected, got, self.rows)
        culprit, its = do, done
        if not log and do.queue in self._last:
            culprit, its = self._last[do.queue]
            seen = for_a_look(its, culprit.operation, do.operation, expected, got)
            clauses = (*seen, *clauses)
        if self._only_time_has_passed(its) and not of_time(its):
            clauses = ("TIM-1", *clauses)
        if bulk:
            clauses = (bulk, *clauses)
        where = "the last operation" if log else f"after it {as_code(do)}"
        text = "\n".join(
            [
                f"the queue does not do what the model does [{' '.join(dict.fromkeys(clauses))}]",
                self.history(),
                f"# {where} answered:",
                f"# expected {as_code(expected)}",
                f"# got      {_shown(got)}",
            ]
        )
        return Disagreement(text, clauses, broken_part(clauses, culprit.operation))


def _shown(got: object) -> str:
    return f"{type(got).__name__}: {got}" if isinstance(got, Exception) else as_code(got)


def _submitted(operation: ops.Operation) -> Iterable[str]:
    """The ids that may be there after it and were not before."""
    return (operation.id,) if isinstance(operation, ops.Submit | ops.Defer) else ()


def replay(
    queues: Sequence[Sequence[AbstractTaskQueue]], clock: ManualClock, program: Program
) -> Counter[Row]:
    """Run a program on empty queues to its end and wind up; the rows of the table that it took."""
    lockstep = Lockstep(queues, clock)
    lockstep.run(program)
    lockstep.wind_up()
    return lockstep.rows
