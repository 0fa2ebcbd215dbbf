"""Hypothesis draws parallel programs. Draws are symbolic, and are resolved against nothing but the program itself."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Final, Literal, NamedTuple

from hypothesis import strategies as st

from worq.testing.driver import Do, Tick
from worq.testing.histories import Act, Wait, can_wait
from worq.testing.parallel import CLIENTS, Parallel
from worq.testing.programs import inc
from worq_model import operations as ops
from worq_model.values import EXPIRED, Options, Outcome, Token

IDS: Final = ("a", "b", "c")
OFTEN: Final = ("a", "a", "b", "a", "b", "c")
OPERATIONS_MAX: Final = 12
LANES_MAX: Final = 4
PREFIX_MAX: Final = 3  # after one of `beginnings`
NOBODY: Final = inc(255)
LEASE_MS: Final = 5002

Which = Literal["any", "current", "stale"]

KINDS: Final = (
    "submit", "submit", "submit", "feed", "feed", "claim", "claim", "claim", "finish", "finish", "finish", "fail",
    "beat", "release", "give back", "pop", "pop", "discard", "purge", "size", "status", "ended", "defer", "reserve",
    "reserve", "set", "undefer", "arguments", "tick",
)  # fmt: skip
SUBMISSIONS: Final = ("submit", "feed", "ended", "defer")


class Symbol(NamedTuple):
    """An act whose incarnations and messages have no names yet."""

    kind: str
    one: str
    other: str
    which: Which
    start: int
    options: Options
    ms: int
    waits: bool
    api: bool
    queue: int


symbols: st.SearchStrategy[Symbol] = st.builds(
    Symbol,
    st.sampled_from(KINDS),
    st.sampled_from(OFTEN),
    st.sampled_from(OFTEN),
    st.sampled_from(("any", "any", "current", "stale")),
    st.sampled_from((1, 1, 1, 2)),
    st.builds(
        Options,
        st.sampled_from((False, False, False, True)),
        st.booleans(),
        st.just(LEASE_MS),
        st.sampled_from((3, None)),
        st.sampled_from((1, 1, 2)),
    ),
    st.sampled_from((0, 1, 3, 4)),
    st.sampled_from((False, False, True)),
    st.sampled_from((False, False, True)),
    st.sampled_from((0,) * 7 + (1,)),
)

PLAIN: Final = Symbol("claim", "a", "b", "any", 1, Options(lease_ms=LEASE_MS), 0, False, False, 0)


def _plain(kind: str, one: str = "a", other: str = "b") -> Symbol:
    return PLAIN._replace(kind=kind, one=one, other=other)


_SUBMIT, _CLAIM, _FINISH = _plain("submit"), _plain("claim"), _plain("finish")
beginnings: st.SearchStrategy[tuple[Symbol, ...]] = st.sampled_from(
    (
        (),
        (_SUBMIT,),
        (_SUBMIT, _CLAIM),
        (_SUBMIT, _CLAIM, _FINISH),
        (_SUBMIT, _plain("feed", "b", "a"), _CLAIM),
        (_SUBMIT, _plain("defer", "b", "a"), _CLAIM),
        (_SUBMIT, _plain("submit", "b"), _CLAIM, _CLAIM),
    )
)


def programs(
    lanes_max: int = LANES_MAX,
    operations_max: int = OPERATIONS_MAX,
    *,
    queues: int = 2,
    forever: bool = False,
) -> st.SearchStrategy[Parallel]:
    """Programs of 2 lanes at least. `forever`: with waits that nothing but an answer or a close ends."""
    lane = st.lists(symbols, min_size=1, max_size=operations_max)
    return st.builds(
        partial(resolve, queues=queues, forever=forever),
        st.builds(_joined, beginnings, st.lists(symbols, max_size=PREFIX_MAX)),
        st.lists(lane, min_size=2, max_size=lanes_max),
    )


def _joined(beginning: Sequence[Symbol], rest: Sequence[Symbol]) -> list[Symbol]:
    return [*beginning, *rest]


def resolve(
    prefix: list[Symbol], lanes: list[list[Symbol]], *, queues: int, forever: bool
) -> Parallel:
    """The program; each submission is an incarnation of its own, and each message is used once."""
    if queues == 1:
        prefix, *lanes = ([s._replace(queue=0) for s in lane] for lane in (prefix, *lanes))
    names = _Names([prefix, *lanes], forever=forever)
    first = tuple(names.lane(0, prefix))
    return Parallel(first, tuple(tuple(names.lane(n, lane)) for n, lane in enumerate(lanes, 1)))


class _Names:
    """What incarnations there are in a program: (queue, id) → their numbers, in reading order."""

    def __init__(self, lanes: Iterable[Iterable[Symbol]], *, forever: bool) -> None:
        self._forever = forever
        self._messages = count(1)
        self._numbers = count(1)
        self._next: dict[tuple[int, str], Iterator[bytes]] = {}
        self._all: dict[tuple[int, str], list[bytes]] = {}
        for lane in lanes:
            for symbol in lane:
                if symbol.kind in SUBMISSIONS:
                    made = self._all.setdefault((symbol.queue, symbol.one), [])
                    made.append(inc(next(self._numbers)))
        self._next = {key: iter(made) for key, made in self._all.items()}
        self._current: dict[tuple[int, str], bytes] = {}
        self._in_lane: dict[tuple[int, str], bytes] = {}

    def lane(self, number: int, symbols: Iterable[Symbol]) -> Iterator[Act]:
        """Number 0 is the prefix, which comes first."""
        self._in_lane = self._current if number == 0 else dict(self._current)
        for symbol in symbols:
            if symbol.kind == "tick":
                yield Tick(symbol.ms or LEASE_MS)
                continue
            do = Do(self._operation(symbol), symbol.queue, number % CLIENTS, symbol.api)
            if symbol.waits and number and can_wait(do):
                yield Wait(do, None if self._forever and symbol.ms == 0 else symbol.ms)
            else:
                yield do

    def _fresh(self, symbol: Symbol) -> bytes:
        key = symbol.queue, symbol.one
        made = self._in_lane[key] = next(self._next[key])
        return made

    def _incarnation(self, symbol: Symbol, task_id: str) -> bytes | None:
        """Current: the last that this lane, or else the prefix, has submitted; else the first there is."""
        if symbol.which == "any":
            return None
        key = symbol.queue, task_id
        made = self._all.get(key, [NOBODY])
        current = self._in_lane.get(key, made[0])
        if symbol.which == "current":
            return current
        return next((other for other in made if other != current), NOBODY)

    def _token(self, symbol: Symbol) -> Token | None:
        incarnation = self._incarnation(symbol, symbol.one)
        return None if incarnation is None else Token(incarnation, symbol.start)

    def _message(self) -> bytes:
        return b"%d" % next(self._messages)

    def _operation(self, symbol: Symbol) -> ops.Operation:
        kind, one, other = symbol.kind, symbol.one, symbol.other
        match kind:
            case "submit" | "feed" | "ended":
                return self._submit(symbol)
            case "defer":
                args = tuple(sorted({other, IDS[-1]}))
                return ops.Defer(one, self._fresh(symbol), self._message(), args, symbol.options)
            case "claim":
                return ops.Claim()
            case "finish" | "fail":
                outcome = Outcome("result" if kind == "finish" else "failure", self._message())
                return ops.Finish(one, outcome, symbol.options.retention_ms, self._token(symbol))
            case "beat":
                return ops.Heartbeat(one, symbol.ms, self._token(symbol))
            case "release":
                return ops.Release(one, self._token(symbol))
            case "give back":
                return ops.Release(one, self._token(symbol), begun=False)
            case "purge":
                return ops.Purge()
            case "size":
                return ops.Size()
            case _:
                return self._rest(symbol)

    def _submit(self, symbol: Symbol) -> ops.Submit:
        args: tuple[tuple[str, bytes | None], ...] = ()
        outcome = None
        if symbol.kind == "feed":
            args = ((symbol.other, self._incarnation(symbol, symbol.other)),)
        elif symbol.kind == "ended":
            outcome = Outcome("failure", self._message(), "x") if symbol.start == 1 else EXPIRED
        message = self._message()
        return ops.Submit(symbol.one, self._fresh(symbol), message, args, outcome, symbol.options)

    def _rest(self, symbol: Symbol) -> ops.Operation:
        kind, one, other = symbol.kind, symbol.one, symbol.other
        incarnation = self._incarnation(symbol, one)
        match kind:
            case "pop":
                return ops.Pop(one, incarnation)
            case "discard":
                return ops.Discard(one, incarnation)
            case "status":
                return ops.Status(one, incarnation)
            case "undefer":
                return ops.Undefer(one, incarnation)
            case "reserve":
                return ops.ReserveArgument(
                    other, one, self._incarnation(symbol, other), incarnation
                )
            case "set":
                return ops.SetArgument(one, other, self._message(), incarnation)
            case _:
                return ops.GetArguments(one, self._token(symbol))
