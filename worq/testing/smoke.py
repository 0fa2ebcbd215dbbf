"""One short program for each operation, in an order in which each needs only those before it.

So the first that fails names the smallest thing that is broken; whatever uses that operation need not be tried.
"""

from collections.abc import Iterator
from typing import Final

from worq.testing.blame import operation_name
from worq.testing.driver import Bulk, BulkProgram, Do, Program, Tick
from worq.testing.exhaustive import (
    CLAIM,
    IGNORE,
    KEEP,
    PASS,
    PURGE,
    SIZE,
    TWICE,
    defer,
    discard,
    finish,
    get_arguments,
    pop,
    reserve,
    set_argument,
    submit,
    token,
)
from worq.testing.programs import inc
from worq_model import operations as ops
from worq_model.values import EXPIRED, Outcome

FOR_LONG: Final = 60_000
MISSING: Final = inc(255)
_LONG: Final = KEEP._replace(retention_ms=FOR_LONG)
_CLAIMED_A: Final = (submit("a", 1), CLAIM)


def _status(task_id: str, n: int | None = None) -> Do:
    return Do(ops.Status(task_id, None if n is None else inc(n)))


def _heartbeat(task_id: str, n: int | None = None, start: int = 1) -> Do:
    return Do(ops.Heartbeat(task_id, FOR_LONG, None if n is None else token(n, start)))


def _release(task_id: str, n: int | None = None, start: int = 1) -> Do:
    return Do(ops.Release(task_id, None if n is None else token(n, start)))


def _give_back(task_id: str, n: int, start: int = 1) -> Do:
    return Do(ops.Release(task_id, token(n, start), begun=False))


def _finish(task_id: str, n: int | None = None, start: int = 1, *, failed: bool = False) -> Do:
    done = finish(task_id, n, start, failed=failed)
    assert isinstance(done.operation, ops.Finish)
    return Do(done.operation._replace(retention_ms=FOR_LONG))


SMOKE: Final[dict[str, Program]] = {
    "size of an empty queue": (SIZE,),
    "status of no task": (_status("a"), _status("a", 1)),
    "submit": (submit("a", 1), submit("b", 2), _status("a"), _status("a", 1), _status("a", 2)),
    "submit again": (submit("a", 1), submit("a", 1), submit("a", 2)),
    "claim nothing": (CLAIM,),
    "claim": (submit("b", 1), submit("a", 2), CLAIM, CLAIM, CLAIM),
    "finish": (*_CLAIMED_A, _finish("a", 1), _finish("a", 1), _finish("nobody")),
    "finish with a stale token": (*_CLAIMED_A, _finish("a", 2), _finish("a", 1, 0), _finish("a", 1, 2)),
    "pop nothing": (pop("a"), pop("a", 1)),
    "pop": (*_CLAIMED_A, pop("a"), _finish("a"), pop("a", 2), pop("a", 1), pop("a")),
    "pop a failure": (*_CLAIMED_A, _finish("a", failed=True), pop("a")),
    "an id comes back": (*_CLAIMED_A, _finish("a"), pop("a"), submit("a", 2), _finish("a", 1), CLAIM, _finish("a", 1)),
    "ignore_result": (submit("a", 1, options=IGNORE), pop("a"), CLAIM, _finish("a"), pop("a")),
    "heartbeat": (submit("a", 1), _heartbeat("a"), CLAIM, _heartbeat("a", 2), _heartbeat("a", 1), _finish("a"), _heartbeat("a")),
    "a lease passes": (submit("a", 1), CLAIM, Do(ops.Heartbeat("a", 5)), Tick(4), _status("a"), Tick(1), _status("a")),
    "a lease passes with starts left": (submit("a", 1, options=TWICE), CLAIM, Do(ops.Heartbeat("a", 5)), Tick(5), CLAIM),
    "a retention passes": (*_CLAIMED_A, finish("a"), Tick(2), _status("a"), Tick(1), pop("a")),
    "release": (_release("a"), *_CLAIMED_A, _release("a", 2), _release("a", 1), pop("a")),
    "release with starts left": (submit("a", 1, options=TWICE), CLAIM, _release("a", 1), CLAIM, _release("a", 1), _release("a", 1, 2)),
    "give back": (
        submit("a", 1, options=TWICE), submit("b", 2, options=TWICE), CLAIM, CLAIM, _give_back("b", 2), _give_back("a", 1), CLAIM,
        _finish("a", 1), _give_back("a", 1, 2), CLAIM, _release("a", 1, 3), CLAIM, CLAIM, _give_back("a", 1, 4), _status("a")),
    "discard": (discard("a"), submit("a", 1), discard("a", 2), discard("a", 1), CLAIM, submit("a", 3), discard("a")),
    "purge": (submit("a", 1), CLAIM, submit("b", 2), submit("c", 3), PURGE, CLAIM, PURGE),
    "submit with an argument": (submit("a", 1), submit("b", 2, "a"), submit("c", 3, "a"), submit("d", 4, "nobody"), pop("a")),
    "a result arrives": (submit("a", 1), submit("b", 2, "a"), CLAIM, _finish("a"), CLAIM),
    "a result is there": (*_CLAIMED_A, _finish("a"), submit("b", 2, "a"), pop("a"), CLAIM),
    "a failure arrives": (submit("a", 1), submit("b", 2, "a", options=_LONG), CLAIM, _finish("a", failed=True), pop("b")),
    "a failure is there": (*_CLAIMED_A, _finish("a", failed=True), submit("b", 2, "a", options=_LONG), pop("b")),
    "a failure is passed": (submit("a", 1), submit("b", 2, "a", options=PASS), CLAIM, _finish("a", failed=True), CLAIM),
    "an expiry arrives": (submit("a", 1), submit("b", 2, "a"), discard("a"), pop("b")),
    "an expiry is passed": (submit("a", 1), submit("b", 2, "a", options=PASS), discard("a"), CLAIM),
    "a reservation ends": (submit("a", 1), submit("b", 2, "a"), discard("b"), CLAIM, _finish("a"), pop("a")),
    "submit with an outcome": (
        submit("b", 2, outcome=Outcome("failure", b"f", "x"), options=_LONG), pop("b"), submit("c", 3, outcome=EXPIRED), pop("c")),
    "defer_task": (defer("d", 1, "x"), defer("d", 1, "x"), defer("d", 2, "x"), CLAIM),
    "set_argument": (set_argument("d", "x"), defer("d", 1, "x", "y"), set_argument("d", "z"), set_argument("d", "x"), set_argument("d", "y"), CLAIM),
    "get_arguments": (get_arguments("d"), defer("d", 1, "x"), get_arguments("d"), set_argument("d", "x"), get_arguments("d"), get_arguments("d", token(2, 0))),
    "reserve_argument": (submit("x", 1), defer("d", 2, "x"), reserve("x", "d"), reserve("x", "d"), reserve("x", "nobody"), CLAIM, _finish("x"), CLAIM),
    "reserve_argument of what is there": (submit("x", 1), CLAIM, _finish("x"), defer("d", 2, "x"), reserve("x", "d"), CLAIM),
    "undefer_task": (defer("d", 1, "x"), Do(ops.Undefer("d")), set_argument("d", "x"), Do(ops.Undefer("d"))),
}  # fmt: skip
"""What they look at after each operation are states and sizes; arguments only where they are about them."""


def operations_of(program: BulkProgram) -> frozenset[str]:
    """The names of the operations of a program; the word for time if it passes."""
    return frozenset(_names(program))


def _names(program: BulkProgram) -> Iterator[str]:
    for entry in program:
        match entry:
            case Tick():
                yield "time"
            case Bulk(operations):
                yield from map(operation_name, operations)
            case Do(operation):
                yield operation_name(operation)
