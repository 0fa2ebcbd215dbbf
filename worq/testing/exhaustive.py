"""Every history up to a length over a small alphabet, after a prefix that leads to an interesting place.

Together the themes reach every row of the queue's table; a test says so. Random machines find what
nobody thought of; this is what nobody has to hope for.
"""

from collections import Counter
from itertools import product
from typing import NamedTuple

from worq.testing.bench import Bench
from worq.testing.driver import Do, Program, Tick
from worq.testing.lockstep import Lockstep
from worq.testing.programs import inc
from worq.testing.shortest import raise_shortest
from worq_model import operations as ops
from worq_model.queue import step
from worq_model.table import Row
from worq_model.values import EMPTY, EXPIRED, Options, Outcome, Token

LEASE_MS = 5002
RETENTION_MS = 3
KEEP = Options(lease_ms=LEASE_MS, retention_ms=RETENTION_MS)
TWICE = KEEP._replace(attempts=2)
IGNORE = KEEP._replace(ignore_result=True)
LONG = IGNORE._replace(lease_ms=LEASE_MS + 2)
IGNORE_TWICE = IGNORE._replace(attempts=2)
PASS = KEEP._replace(passes_errors=True)


class Theme(NamedTuple):
    """A prefix, and the alphabet of what may follow it."""

    name: str
    prefix: Program
    alphabet: tuple[Do | Tick, ...]


def model_rows(theme: Theme, length: int) -> set[Row]:
    """The rows that the histories of a theme take: the model alone is asked."""
    rows: set[Row] = set()
    for letters in product(theme.alphabet, repeat=length):
        state, now_ms = EMPTY, 0
        for do in theme.prefix + letters:
            if isinstance(do, Tick):
                now_ms += do.ms
            else:
                done = step(state, do.operation, now_ms=now_ms)
                state = done.state
                rows.update(done.rows)
    return rows


def run_theme(theme: Theme, length: int, bench: Bench) -> Counter[Row]:
    """Run every history of `length` letters after the prefix on empty queues, in lockstep with the model.

    Shorter histories are the beginnings of these. Each is looked at from outside once: by the one
    of its continuations that goes on with the first letter of the alphabet only. What goes wrong is raised by the
    shortest part of a history that makes it go wrong.
    """
    rows: Counter[Row] = Counter()
    for letters in product(theme.alphabet, repeat=length):
        lockstep = bench.lockstep()
        try:
            _run_history(lockstep, theme, letters)
            bench.done(lockstep)
        except AssertionError:
            raise_shortest(bench, lockstep)
            raise
        rows += lockstep.rows
    return rows


def _run_history(lockstep: Lockstep, theme: Theme, letters: Program) -> None:
    first = theme.alphabet[0]
    lockstep.run(theme.prefix, observe=False)
    for position, letter in enumerate(letters):
        observe = all(other == first for other in letters[position + 1 :])
        if not isinstance(letter, Tick):
            lockstep.do(letter, observe=observe)
            continue
        lockstep.tick(letter.ms)
        if observe:  # what has passed is only seen by the next operation
            lockstep.do(SIZE)


def submit(
    task_id: str, n: int, *args: str, options: Options = KEEP, outcome: Outcome | None = None
) -> Do:
    pairs = tuple((arg, None) for arg in args)
    return Do(ops.Submit(task_id, inc(n), b"message %d" % n, pairs, outcome, options))


def defer(task_id: str, n: int, *args: str, options: Options = KEEP) -> Do:
    return Do(ops.Defer(task_id, inc(n), b"message %d" % n, args, options))


def finish(task_id: str, n: int | None = None, start: int = 1, *, failed: bool = False) -> Do:
    token = None if n is None else Token(inc(n), start)
    outcome = Outcome("failure", b"failure") if failed else Outcome("result", b"result")
    return Do(ops.Finish(task_id, outcome, RETENTION_MS, token))


def token(n: int, start: int = 1) -> Token:
    return Token(inc(n), start)


CLAIM = Do(ops.Claim())
GET = Do(ops.Claim(), api=True)
PURGE = Do(ops.Purge())
SIZE = Do(ops.Size())
LEASE_PASSES = Tick(LEASE_MS)


def reserve(argument_id: str, deferred_id: str, n: int | None = None) -> Do:
    return Do(ops.ReserveArgument(argument_id, deferred_id, None if n is None else inc(n)))


def set_argument(task_id: str, argument_id: str) -> Do:
    return Do(ops.SetArgument(task_id, argument_id, b"by hand"))


def get_arguments(task_id: str, token: Token | None = None) -> Do:
    return Do(ops.GetArguments(task_id, token))


def pop(task_id: str, n: int | None = None) -> Do:
    return Do(ops.Pop(task_id, None if n is None else inc(n)))


def discard(task_id: str, n: int | None = None) -> Do:
    return Do(ops.Discard(task_id, None if n is None else inc(n)))


_COMPLETED_A = (submit("a", 1), CLAIM, finish("a"))
_FAILED_A = (submit("a", 1), CLAIM, finish("a", failed=True))
_A_FEEDS_B = (submit("a", 1), submit("b", 2, "a"))

THEMES: tuple[Theme, ...] = (
    Theme("one task", (), (submit("a", 1), CLAIM, finish("a", 1), pop("a"), Tick(RETENTION_MS), discard("a"))),
    Theme("ids that come back", (submit("a", 1), CLAIM), (
        submit("a", 2), CLAIM, finish("a", 1), finish("a", 2), discard("a", 1), LEASE_PASSES)),
    Theme("ids that come back after their outcome was taken", (*_COMPLETED_A, submit("z", 9), pop("a"), submit("a", 2), CLAIM, CLAIM), (
        Tick(RETENTION_MS), finish("a", 2), finish("a", 1), pop("a"), submit("a", 3), LEASE_PASSES)),
    Theme("ids that come back after they were discarded", (submit("z", 9), submit("a", 1), submit("b", 2), discard("a"), submit("a", 3), discard("z")), (
        submit("z", 9), CLAIM, submit("a", 4), discard("a"), discard("b"), submit("b", 5))),
    Theme("stale tokens", (submit("a", 1), CLAIM, discard("a"), submit("a", 2)), (
        finish("a", 1), Do(ops.Heartbeat("a", 1, token(1))), Do(ops.Release("a", token(1))),
        pop("a", 1), Do(ops.Status("a", inc(1))), CLAIM)),
    Theme("stale tokens of the API reference", (submit("a", 1), CLAIM, discard("a"), defer("a", 2, "x")), (
        Do(ops.Undefer("a", inc(1))), Do(ops.SetArgument("a", "x", b"late", inc(1))),
        Do(ops.ReserveArgument("x", "a", None, inc(1))), get_arguments("a", token(1)),
        discard("a", 1), submit("x", 3))),
    Theme("leases", (submit("a", 1, options=TWICE),), (
        CLAIM, Do(ops.Heartbeat("a", 2)), Do(ops.Release("a")), LEASE_PASSES, Tick(2), finish("a", 1))),
    Theme("claims given back", (submit("a", 1, options=TWICE), submit("b", 2, options=TWICE)), (
        CLAIM, Do(ops.Release("a", begun=False)), Do(ops.Release("b", begun=False)), Do(ops.Release("a")), discard("a"), LEASE_PASSES)),
    Theme("leases, just before and just after", (submit("a", 1), submit("b", 2, options=TWICE)), (
        CLAIM, Tick(1), Tick(LEASE_MS - 1), Do(ops.Heartbeat("b", 1)), Do(ops.Release("b", token(2))), finish("b", 2))),
    Theme("deadlines that pass together", (
        submit("a", 1, options=TWICE), submit("b", 2, options=TWICE), submit("c", 3), submit("d", 4, "c"), CLAIM, CLAIM, CLAIM,
        Do(ops.Heartbeat("a", 4)), Do(ops.Heartbeat("b", 3))), (
        LEASE_PASSES, CLAIM, Do(ops.Heartbeat("a", 2)), Do(ops.Heartbeat("b", 5)), Do(ops.Heartbeat("c", 2)), pop("d"))),
    Theme("a result for a dependent", _A_FEEDS_B, (
        CLAIM, finish("a"), finish("a", failed=True), pop("a"), pop("b"), LEASE_PASSES)),
    Theme("a result for a dependent that passes errors", (submit("a", 1), submit("b", 2, "a", options=PASS)), (
        CLAIM, finish("a"), finish("a", failed=True), get_arguments("b"), discard("a"), PURGE)),
    Theme("two arguments", (submit("a", 1), submit("b", 2), submit("c", 3, "a", "b"), CLAIM), (
        CLAIM, finish("a"), finish("b"), finish("a", failed=True), discard("b"), pop("c"))),
    Theme("two arguments, errors passed", (submit("a", 1), submit("b", 2), submit("c", 3, "a", "b", options=PASS), CLAIM), (
        CLAIM, finish("a", failed=True), finish("b"), discard("a"), discard("b"), get_arguments("c"))),
    Theme("a chain", (*_A_FEEDS_B, submit("c", 3, "b"), CLAIM), (
        finish("a", failed=True), finish("a"), discard("b"), LEASE_PASSES, pop("c"), pop("b"))),
    Theme("fire and forget at the end of a chain", (submit("a", 1), submit("b", 2, "a", options=IGNORE), CLAIM), (
        finish("a", failed=True), finish("a"), CLAIM, get_arguments("b"), LEASE_PASSES, pop("b"))),
    Theme("fire and forget", (submit("a", 1, options=IGNORE_TWICE),), (
        CLAIM, finish("a"), pop("a"), Do(ops.Release("a")), submit("b", 2, "a"), LEASE_PASSES)),
    Theme("last starts", (submit("x", 9), submit("a", 1, "x", options=IGNORE), CLAIM, finish("x"), CLAIM), (
        get_arguments("a"), get_arguments("a", token(1)), get_arguments("a", token(2)), submit("a", 2),
        LEASE_PASSES, discard("a"))),
    Theme("last starts that hide one another", (submit("x", 9), submit("a", 1, "x", options=IGNORE), CLAIM, finish("x"), CLAIM), (
        submit("a", 2, options=IGNORE), CLAIM, get_arguments("a"), get_arguments("a", token(1)), Tick(1), Tick(LEASE_MS - 1))),
    Theme("last starts with leases that cross", (submit("x", 9), submit("a", 1, "x", options=LONG), submit("y", 8), CLAIM, finish("x"), CLAIM, finish("y")), (
        submit("a", 2, "y", options=IGNORE), CLAIM, get_arguments("a"), get_arguments("a", token(1)), LEASE_PASSES, Tick(1))),
    Theme("two last starts with arguments", (
        submit("x", 8), submit("a", 1, "x", options=IGNORE), CLAIM, finish("x"), CLAIM, Tick(1),
        submit("y", 9), submit("a", 2, "y", options=IGNORE), CLAIM, finish("y")), (
        CLAIM, get_arguments("a"), get_arguments("a", token(1)), get_arguments("a", token(2)), get_arguments("a", token(1, 2)), Tick(LEASE_MS - 1))),
    Theme("arguments that are there", _COMPLETED_A, (
        submit("b", 2, "a"), CLAIM, pop("a"), Tick(RETENTION_MS), submit("c", 3, "a"), get_arguments("b"))),
    Theme("arguments that have failed", _FAILED_A, (
        submit("b", 2, "a"), submit("b", 2, "a", options=PASS), submit("b", 2, "a", options=IGNORE), CLAIM, pop("b"), pop("a"))),
    Theme("two arguments that have failed", (submit("a", 1), submit("b", 2), CLAIM, CLAIM, finish("a", failed=True), finish("b", failed=True)), (
        submit("c", 3, "b", "a"), submit("c", 3, "b", "a", options=PASS), pop("c"), pop("a"), submit("d", 4, "b"), submit("d", 4, "b", "nobody", "c"))),
    Theme("arguments that are not available", (submit("a", 1), submit("i", 2, options=IGNORE)), (
        submit("b", 3, "a"), submit("c", 4, "a"), submit("d", 5, "i"), submit("e", 6, "nobody"),
        Do(ops.Submit("f", inc(7), b"m", (("a", inc(9)),), None, KEEP)), discard("b"))),
    Theme("fetched failures", (submit("a", 1),), (
        submit("b", 2, "a", outcome=Outcome("failure", b"f", "x")), submit("b", 2, "a", outcome=EXPIRED),
        submit("b", 2, options=IGNORE, outcome=Outcome("failure", b"f", "x")), submit("b", 2, options=IGNORE, outcome=EXPIRED), pop("b"),
        Tick(RETENTION_MS))),
    Theme("submit again, in each state", (submit("x", 9), submit("a", 1, "x")), (
        submit("a", 1, "x"), submit("a", 2), CLAIM, finish("x"), finish("a"), defer("a", 3, "x"))),
    Theme("defer again, in each state", (defer("a", 1, "x"),), (
        defer("a", 1, "x"), defer("a", 2, "x"), set_argument("a", "x"), CLAIM, finish("a"), Do(ops.Undefer("a")))),
    Theme("reserve", (submit("x", 1), submit("i", 2, options=IGNORE), defer("d", 3, "x", "y", "i"), submit("y", 4)), (
        reserve("x", "d"), reserve("y", "d"), reserve("i", "d"), reserve("nobody", "d"), CLAIM, finish("x"))),
    Theme("reserve what is there", (submit("x", 1), CLAIM, finish("x"), defer("d", 3, "x")), (
        reserve("x", "d"), reserve("x", "d", 1), reserve("x", "d", 7), CLAIM, finish("d"), get_arguments("d"))),
    Theme("reserve what has failed", (*_FAILED_A, defer("d", 3, "a"), submit("e", 4, "d")), (
        reserve("a", "d"), pop("d"), pop("e"), discard("d"), set_argument("d", "a"), CLAIM)),
    Theme("reserve what has failed, for nobody else", (*_FAILED_A, defer("d", 3, "a", "b")), (
        reserve("a", "d"), set_argument("d", "b"), reserve("b", "d"), get_arguments("d"), pop("d"), CLAIM)),
    Theme("reserve what passes", (*_FAILED_A, defer("d", 3, "a", "b", options=PASS)), (
        reserve("a", "d"), set_argument("d", "b"), set_argument("d", "a"), get_arguments("d"), CLAIM, finish("d"))),
    Theme("two want the same", (submit("x", 1), defer("d", 2, "x"), defer("e", 3, "x")), (
        reserve("x", "d"), reserve("x", "e"), discard("d"), CLAIM, set_argument("d", "x"), finish("x"))),
    Theme("promised, then", (submit("x", 1), defer("d", 2, "x", options=TWICE), reserve("x", "d"), CLAIM), (
        reserve("x", "d"), reserve("x", "d", 9), finish("x"), CLAIM, set_argument("d", "x"), LEASE_PASSES)),
    Theme("given, one still missing", (*_COMPLETED_A, defer("d", 2, "a", "b"), reserve("a", "d")), (
        reserve("a", "d"), set_argument("d", "a"), set_argument("d", "b"), set_argument("d", "nobody"), CLAIM, finish("d"))),
    Theme("promised, one still missing", (submit("x", 1), defer("d", 2, "x", "y"), reserve("x", "d"), CLAIM), (
        set_argument("d", "x"), set_argument("d", "y"), reserve("x", "d"), finish("x"), PURGE, pop("x"))),
    Theme("purge", (submit("a", 1), submit("b", 2), CLAIM, submit("c", 3, "a", "b"), submit("d", 4, "c")), (
        PURGE, finish("a"), pop("a"), pop("d"), CLAIM, Do(ops.Size()))),
    Theme("heartbeats in each state", (submit("x", 9), submit("a", 1, "x")), (
        Do(ops.Heartbeat("a", 5)), Do(ops.Release("a")), CLAIM, finish("x"), finish("a"), Tick(5))),
    Theme("absent", (), (
        Do(ops.Heartbeat("a", 5)), Do(ops.Release("a")), Do(ops.Undefer("a")), reserve("x", "a"), set_argument("a", "x"), PURGE)),
    Theme("status in each state", (submit("x", 9), submit("a", 1, "x"), CLAIM), (
        Do(ops.Status("a")), CLAIM, finish("x"), finish("a"), pop("a"), discard("a"))),
    Theme("discard in each state", (submit("x", 9), submit("a", 1, "x"), submit("z", 2, "a")), (
        discard("a"), discard("x"), CLAIM, finish("x"), finish("a"), pop("z"))),
    Theme("the rest of the API reference", (defer("d", 1, "x"),), (
        GET, Do(ops.Finish("d", Outcome("result", b"r"), None), api=True), Do(ops.Pop("d"), api=True),
        Do(ops.Discard("d"), api=True), Do(ops.Purge(), api=True), set_argument("d", "x"))),
)  # fmt: skip
