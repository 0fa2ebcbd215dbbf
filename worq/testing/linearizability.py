"""Is a concurrent history one that a single queue could have given, one operation after another?

`check` says so for the histories of several clients (Wing and Gong's search, with Lowe's memory of where
it has been), with the model as the specification. Time is part of a history: a `Tick` advances the
model's clock somewhere between its call and its return. An operation of which nobody knows whether it
happened may have happened at any later time, or not at all.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, Literal, NamedTuple, TypeAlias, cast

from worq.testing.account import account
from worq.testing.driver import Bulk, Do, Tick, project
from worq.testing.histories import (
    CLOSED,
    NOT_SENT,
    Call,
    Close,
    History,
    Wait,
    calls_of,
    queue_of,
)
from worq.testing.programs import as_code
from worq_model import operations as ops
from worq_model.queue import pass_time, step
from worq_model.values import EMPTY, RESERVED, TASK_EXPIRED, State

DEADLINE_S: Final = 10.0
STEPS_BETWEEN_LOOKS: Final = 256  # at the time
NEVER_MS: Final = 1 << 53  # what waits for ever gives up

Answer: TypeAlias = Literal["holds", "violated", "unknown"]


class Verdict(NamedTuple):
    """What the check found; `unknown`: nothing, until its deadline.

    `linearizations`: queue → the ids of its operations, in an order that the model allows. Where there is
    none, `longest` is the longest beginning of one, and `objections` says why it can't go on.
    """

    answer: Answer
    linearizations: dict[int, tuple[int, ...]]
    longest: tuple[int, ...] = ()
    objections: tuple[str, ...] = ()


def check(history: History, *, deadline_s: float = DEADLINE_S) -> Verdict:
    """Check each queue by itself: first the account, then whether there is an order."""
    until = time.monotonic() + deadline_s
    linearizations: dict[int, tuple[int, ...]] = {}
    answer: Answer = "holds"
    for queue, calls in _by_queue(calls_of(history)).items():
        if objections := tuple(account(calls)):
            return Verdict("violated", linearizations, (), objections)
        search = _Search(calls, until)
        found = search.run()
        if found == "violated":
            return Verdict(found, linearizations, search.longest, search.objections())
        if found == "unknown":
            answer = found
        else:
            linearizations[queue] = search.longest
    return Verdict(answer, linearizations)


def _by_queue(calls: Sequence[Call]) -> dict[int, list[Call]]:
    """The operations of each queue, and with them the time, which passes for all."""
    queues = sorted({queue for call in calls if (queue := queue_of(call.act)) is not None})
    return {queue: [c for c in calls if queue_of(c.act) in (None, queue)] for queue in queues}


class _World(NamedTuple):
    """One queue, and the clients that have closed it."""

    state: State = EMPTY
    closed: frozenset[int] = frozenset()


class _Node(NamedTuple):
    """Where the search is: what has happened (a bit for each call), what came of it, and what may come next."""

    done: int
    world: _World
    now_ms: int
    choices: Iterator[tuple[int, _World, int]]


class _Search:
    """The search for an order of the calls of one queue, depth first.

    An answer that means that nothing has changed, like None to a claim, takes its place as soon as it can:
    whatever order has it later is as good with it there.
    """

    def __init__(self, calls: Sequence[Call], until: float) -> None:
        self._calls = calls
        self._until = until
        self._returned = [math.inf if c.returned is None else c.returned for c in calls]
        self._needed = sum(1 << n for n, c in enumerate(calls) if c.returned is not None)
        self._limits = _limits(calls)
        self._is_look = [c.returned is not None and _is_look(c.act, c.reply) for c in calls]
        self._path: list[int] = []
        self._end = self._node(0, _World(), 0)
        self._longest: list[int] = []

    @property
    def longest(self) -> tuple[int, ...]:
        """The ids of the operations of the longest beginning of an order; all of them, if it holds."""
        return tuple(self._calls[n].op_id for n in self._longest)

    def run(self) -> Answer:
        seen: set[tuple[int, _World]] = set()
        stack = [self._end]
        for steps in range(1 << 62):
            node = stack[-1]
            if node.done & self._needed == self._needed:
                self._longest = self._path
                return "holds"
            if steps % STEPS_BETWEEN_LOOKS == 0 and time.monotonic() > self._until:
                return "unknown"
            for n, world, now_ms in node.choices:
                done = node.done | 1 << n
                if (done, world) not in seen:
                    seen.add((done, world))
                    self._path.append(n)
                    stack.append(self._node(done, world, now_ms))
                    break
            else:
                if not self._go_back(stack):
                    break
        return "violated"

    def objections(self) -> tuple[str, ...]:
        """Why none of the operations that could come next after the longest beginning can."""
        end = self._end
        return tuple(
            f"{as_code(call.act)} answered {as_code(call.reply)}, but after that "
            f"{_expected(call, end.world, end.now_ms, self._limits.get(n, 0))}"
            for n in self._open(end.done)
            if (call := self._calls[n]).returned is not None
        )

    def _go_back(self, stack: list[_Node]) -> bool:
        """Leave a dead end; False if it is the beginning."""
        node = stack.pop()
        if len(self._path) >= len(self._longest):
            self._longest, self._end = list(self._path), node
        if self._path:
            self._path.pop()
        return bool(stack)

    def _node(self, done: int, world: _World, now_ms: int) -> _Node:
        return _Node(done, world, now_ms, self._choices(done, world, now_ms))

    def _choices(self, done: int, world: _World, now_ms: int) -> Iterator[tuple[int, _World, int]]:
        """What can come next by its time and by its answer, and what comes of it."""
        opened = self._open(done)
        for n in opened:
            if self._is_look[n] and self._next(n, world, now_ms) is not None:
                yield n, world, now_ms
                return
        for n in opened:
            if not self._is_look[n]:
                after = self._next(n, world, now_ms)
                # An operation that nobody knows of can as well not have happened, if nothing came of it.
                if after is not None and (self._needed >> n & 1 or after != (world, now_ms)):
                    yield n, *after

    def _open(self, done: int) -> list[int]:
        """What can come next by its time: what was called before any other that has not happened returned."""
        opened: list[int] = []
        ahead: set[str] = (
            set()
        )  # who has one that happened, and comes first: in a bulk they come in order
        horizon = math.inf
        for n in range((~done & done + 1).bit_length() - 1, len(self._calls)):
            if self._calls[n].called > horizon:
                break
            if not done >> n & 1 and (process := self._calls[n].process) not in ahead:
                opened.append(n)
                horizon = min(horizon, self._returned[n])
                if self._needed >> n & 1:
                    ahead.add(process)
        return sorted(opened, key=self._returned.__getitem__)

    def _next(self, n: int, world: _World, now_ms: int) -> tuple[_World, int] | None:
        """What there is after a call happened; None if it can't have happened now, with that answer."""
        call = self._calls[n]
        match call.act:
            case Tick(ms):
                later_ms = now_ms + ms
                return world._replace(state=pass_time(world.state, later_ms)[0]), later_ms
            case Close(_, client):
                return world._replace(closed=world.closed | {client}), now_ms
            case Bulk():
                raise AssertionError("a history has its operations one by one")
            case Do() | Wait():
                state = _state_after(call, world, now_ms, self._limits.get(n, 0))
                return None if state is None else (world._replace(state=state), now_ms)


def _state_after(call: Call, world: _World, now_ms: int, limit_ms: int) -> State | None:
    do = _do(call)
    if call.reply in (CLOSED, NOT_SENT):
        fits = call.reply == NOT_SENT or do.client in world.closed
        return world.state if fits else None
    if do.client in world.closed:
        return None
    done = step(world.state, do.operation, now_ms=now_ms)
    if call.returned is None:
        return done.state
    expected = project(do, done.reply)
    if expected != call.reply or type(expected) is not type(call.reply):
        return None
    return None if call.reply is None and now_ms < limit_ms else done.state


def _expected(call: Call, world: _World, now_ms: int, limit_ms: int) -> str:
    if not isinstance(call.act, Do | Wait):
        return "nothing else had happened"
    do = _do(call)
    if do.client in world.closed:
        return "its queue is closed"
    done = step(world.state, do.operation, now_ms=now_ms)
    expected = project(do, done.reply)
    if expected == call.reply:
        return f"it is {limit_ms - now_ms} ms too early"
    return f"the model answers {as_code(expected)} [{' '.join(sorted(done.clauses))}]"


def _limits(calls: Sequence[Call]) -> dict[int, int]:
    """The earliest time at which a wait can have given up: its timeout after its call. [ENV-WAIT-1] [ENV-WAIT-2]"""
    ticks = sorted(
        (c.returned, c.act.ms) for c in calls if isinstance(c.act, Tick) and c.returned is not None
    )
    passed = [0, *accumulate(ms for _, ms in ticks)]
    return {
        n: NEVER_MS
        if call.act.timeout_ms is None
        else passed[bisect_left(ticks, (call.called, 0))] + call.act.timeout_ms
        for n, call in enumerate(calls)
        if isinstance(call.act, Wait)
    }


def _do(call: Call) -> Do:
    return call.act.do if isinstance(call.act, Wait) else cast("Do", call.act)


def _is_look(act: object, reply: ops.Reply) -> bool:
    """Does this answer mean that nothing has changed, whatever the state was?"""
    do = act.do if isinstance(act, Wait) else act
    if not isinstance(do, Do):
        return False
    if reply in (CLOSED, NOT_SENT):
        return True
    match do.operation:
        case ops.Status() | ops.Size() | ops.GetArguments() | ops.Undefer():
            return True
        case ops.Claim():
            return reply is None
        case ops.Pop():
            return reply in (None, RESERVED, TASK_EXPIRED)
        case ops.Submit():
            return reply is False or (
                isinstance(reply, ops.Submitted) and reply.status != "accepted"
            )
        case ops.Finish():
            return isinstance(reply, ops.Finished) and not reply.accepted
        case ops.ReserveArgument():
            return reply == (False, None)
        case ops.Heartbeat() | ops.Release() | ops.Discard() | ops.Defer():
            return reply is False
        case ops.Purge() | ops.SetArgument():
            return False
