"""Duels on Redis: one client is held before or after one of its commands while another does something to the end.

Then it goes on, and both answers must be what the model says, in the order in which the server did it. Who waits must
be told at once when what it waits for is there, wherever it was held.
"""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final, NamedTuple, Self

import redis

from worq.queue.redis.keys import keys_of
from worq.testing.driver import Bulk, Do
from worq.testing.exhaustive import RETENTION_MS
from worq.testing.gate import Gate
from worq.testing.histories import Act, Lane, Wait, as_lanes, by_client, operation_of, singles
from worq.testing.journal import JournalQueue, label, replay, take_journal
from worq.testing.parallel import CLIENTS, Parallel, look_after, reasons
from worq.testing.programs import as_code, inc
from worq.testing.redis_runs import LabellingRecorder, RealTime
from worq_model import operations as ops
from worq_model.queue import step
from worq_model.values import EMPTY, State, find

NAME: Final = "duel"
PROMPT_S: Final = 2.0  # less than those 5 s after which a wait looks again by itself
HELD, OTHER = range(CLIENTS)


class Duel(NamedTuple):
    """`held` is stopped at a point while `other` runs.

    `wakes`: what ends its wait before that, if it comes so far. `looks`: where to look afterwards; all there is,
    if it is empty.
    """

    prefix: Lane
    held: Act
    other: Act
    wakes: Act | None = None
    looks: Lane = ()


class Result(NamedTuple):
    """Was there such a point, and what is wrong."""

    was_held: bool
    trouble: str = ""


class Arena:
    """Runs duels on a queue of a server. A context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._client = self._stack.enter_context(redis.Redis.from_url(self._url))
        self._gate = self._stack.enter_context(Gate(self._url))
        urls = (self._gate.url, self._url, self._url)
        self._queues = [JournalQueue(url, NAME) for url in urls]
        for queue in self._queues:
            self._stack.callback(queue.close)
            label.text = ""
            queue.size()  # connects, and looks at the server: that is no part of a duel
        self._client.delete(*keys_of(self._client, NAME).transient)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, duel: Duel, point: int) -> Result:
        """One duel, with `held` stopped at that point."""
        recorder = LabellingRecorder([self._queues], RealTime())
        for act in duel.prefix:
            recorder.do("prefix", by_client(act, OTHER))
        self._gate.hold_at(point)
        fight = _Fight(recorder, self._gate, duel)
        was_held = fight.run()
        acts = duel.looks or (*duel.prefix, duel.held, duel.other)
        look_after(recorder, Parallel(acts, (tuple(fight.done),)))
        verdict = replay(recorder.history, {0: take_journal(self._client, NAME)})
        left = self._clear()
        wrong = [*fight.late, *(f"# left behind: {key!r}" for key in left)]
        if verdict.answer == "holds" and not wrong:
            return Result(was_held)
        story = [f"held at point {point}:", as_code(duel), as_lanes(recorder.history)]
        return Result(was_held, "\n".join([*story, *wrong, *reasons(recorder.history, verdict)]))

    def _clear(self) -> list[bytes]:
        """Remove what there is of the queue; what of it should not have been there."""
        kept, transient = keys_of(self._client, NAME)
        if kept or transient:
            self._client.delete(*kept, *transient)
        return sorted(kept)


class _Fight:
    """One duel under way. `done`: what else was done, besides `held` and `other`."""

    def __init__(self, recorder: LabellingRecorder, gate: Gate, duel: Duel) -> None:
        self.done: list[Act] = []
        self.late: list[str] = []
        self._recorder = recorder
        self._gate = gate
        self._duel = duel
        self._is_over = threading.Event()

    def run(self) -> bool:
        """Was there such a point?"""
        thread = threading.Thread(target=self._be_held)
        thread.start()
        self._gate.wait_for_rest(self._is_over.is_set)
        if self._gate.is_blocked and self._duel.wakes is not None:
            self._do(self._duel.wakes)
            if not self._gate.wait_until_held(self._is_over.is_set, PROMPT_S):
                self.late.append("# who waited was not woken")
        was_held = self._gate.is_held
        self._recorder.do("other", by_client(self._duel.other, OTHER))
        self._gate.release()
        if not self._is_answered():
            self._do(self._ends())
        if not self._is_over.wait(PROMPT_S):
            self.late.append("# who waits sleeps although what it waits for is there")
        thread.join()
        return was_held

    def _be_held(self) -> None:
        self._recorder.do("held", by_client(self._duel.held, HELD))
        self._is_over.set()
        self._gate.told()

    def _do(self, act: Act) -> None:
        self._recorder.do("then", by_client(act, OTHER))
        self.done.append(act)

    def _is_answered(self) -> bool:
        """Is what `held` waits for there for certain, if it has not got it already?"""
        if not isinstance(self._duel.held, Wait):
            return True
        operation = operation_of(self._duel.held)
        before = _state_after(EMPTY, self._duel.prefix)
        if isinstance(operation, ops.Pop) and operation.incarnation is None:
            task = find(before, operation.id)
            operation = operation._replace(incarnation=task and task.incarnation)
        assert operation is not None
        acts = (*self.done, self._duel.other)
        # The server's clock goes on: a retention may pass anywhere in between.
        states = [_state_after(before, acts, pause_at=n) for n in range(len(_singles(acts)) + 1)]
        return all(
            step(state, operation, now_ms=RETENTION_MS).reply is not None for state in states
        )

    def _ends(self) -> Act:
        """What ends the wait of `held`."""
        operation = operation_of(self._duel.held)
        if isinstance(operation, ops.Pop):
            return Do(ops.Discard(operation.id))
        return Do(ops.Submit("y", inc(98), b"y"))


def _singles(acts: Sequence[Act]) -> list[ops.Operation]:
    each = [act for lot in acts for act in (singles(lot) if isinstance(lot, Bulk) else [lot])]
    return [operation for act in each if (operation := operation_of(act)) is not None]


def _state_after(state: State, acts: Sequence[Act], *, pause_at: int | None = None) -> State:
    """What the model has after them, if a retention passes before the operation of that number."""
    now_ms = 0
    for number, operation in enumerate(_singles(acts)):
        if number == pause_at:
            now_ms = RETENTION_MS
        state = step(state, operation, now_ms=now_ms).state
    return state


def waker(held: Act) -> Act | None:
    """What ends a wait, as the first thing that happens to it."""
    match operation_of(held):
        case ops.Claim():
            return Do(ops.Submit("z", inc(99), b"z"))
        case ops.Pop(task_id):
            return Do(ops.Discard(task_id))
        case _:
            return None
