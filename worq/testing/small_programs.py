# ruff: noqa: E501 (a program reads best in one piece)
"""Small parallel programs, to try all interleavings of: every pair of operations, and some stories of waiting."""

from collections.abc import Iterator
from itertools import combinations_with_replacement, product
from typing import Final

from worq.testing.driver import Bulk, Do, Tick
from worq.testing.exhaustive import (
    CLAIM,
    GET,
    IGNORE,
    LEASE_MS,
    PURGE,
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
from worq.testing.histories import Act, Close, Lane, Wait
from worq.testing.parallel import Parallel
from worq_model import operations as ops

BEAT: Final = Do(ops.Heartbeat("a", 1))
RELEASE: Final = Do(ops.Release("a"))
GIVE_BACK: Final = Do(ops.Release("a", begun=False))
FAIL: Final = finish("a", failed=True)
A: Final = submit("a", 1)
A_TWICE: Final = submit("a", 1, options=TWICE)
B_TAKES_A: Final = submit("b", 2, "a")
D_TAKES_A: Final = defer("d", 3, "a")


def waits(do: Do, timeout_ms: int | None = None) -> Wait:
    return Wait(do, timeout_ms)


SITUATIONS: Final[dict[str, Lane]] = {
    "absent": (),
    "enqueued": (A,),
    "processing": (A, CLAIM),
    "processing, another start left": (A_TWICE, CLAIM),
    "completed": (A, CLAIM, finish("a")),
    "reserved": (A, B_TAKES_A),
    "reserved, processing": (A, B_TAKES_A, CLAIM),
    "wanted, processing": (A, CLAIM, D_TAKES_A),
    "wanted, failed": (A, CLAIM, FAIL, D_TAKES_A),
}

ACTS: Final[tuple[Act, ...]] = (
    submit("a", 11), submit("a", 12), submit("c", 13, "a"), defer("d", 14, "a"), CLAIM, GET, finish("a"), FAIL, BEAT,
    RELEASE, GIVE_BACK, pop("a"), discard("a"), PURGE, Do(ops.Size()), Do(ops.Status("a")), Do(ops.Undefer("d")), reserve("a", "d"),
    set_argument("d", "a"), get_arguments("d"), Tick(LEASE_MS), waits(CLAIM), waits(pop("a")), waits(pop("b")),
)  # fmt: skip


_A_B_AGAIN: Final = (
    submit("a", 11),
    submit("b", 15, "a"),
    submit("a", 12),
    submit("c", 13, options=TWICE),
)
BULKS: Final[tuple[Bulk, ...]] = (
    Bulk(tuple(each.operation for each in _A_B_AGAIN)),
    Bulk((ops.Claim(),) * 3),
    Bulk((finish("a").operation, finish("b").operation, ops.Claim(), ops.Claim())),
    Bulk((FAIL.operation, finish("a").operation)),
    Bulk(tuple(pop(task_id).operation for task_id in ("a", "b", "a", "d"))),
)
"""Operations in bulk."""


def pairs_with_bulks() -> Iterator[tuple[str, Parallel]]:
    """Each bulk at the same time as each other act, in each situation."""
    for name, prefix in SITUATIONS.items():
        for one, other in product(BULKS, (*ACTS, *BULKS)):
            yield name, Parallel(prefix, ((one,), (other,)))


def pairs() -> Iterator[tuple[str, Parallel]]:
    """Each two acts at the same time, in each situation."""
    for name, prefix in SITUATIONS.items():
        for one, other in combinations_with_replacement(ACTS, 2):
            yield name, Parallel(prefix, ((one,), (other,)))


C, P = waits(CLAIM), waits(pop("a"))
C_ELSEWHERE: Final = waits(Do(ops.Claim(), client=1))  # on another queue object

WAITS: Final[dict[str, Parallel]] = {
    "a claim that is woken is robbed": Parallel((), ((C,), (A, CLAIM, submit("b", 2)))),
    "two claims, two tasks": Parallel((), ((C,), (C,), (A, submit("b", 2)))),
    "a claim is woken and leaves": Parallel((), ((C,), (C_ELSEWHERE,), (A, Close(0, 0)))),
    "a task comes as a timeout passes": Parallel((), ((waits(CLAIM, 1),), (C,), (Tick(1), A))),
    "two pops, one outcome": Parallel((A, CLAIM), ((P,), (P,), (finish("a"),))),
    "two pops, no outcome": Parallel((A, CLAIM), ((P,), (P,), (discard("a"),))),
    "two pops, a dependent": Parallel((A, CLAIM, D_TAKES_A), ((P,), (P,), (reserve("a", "d"),))),
    "an id comes back": Parallel((A, CLAIM), ((P,), (discard("a"), submit("a", 5), CLAIM), (finish("a"),))),
    "a lease passes": Parallel((A_TWICE, CLAIM), ((C,), (P,), (BEAT, Tick(1)))),
    "a lease gets longer": Parallel((A_TWICE, CLAIM), ((C,), (Do(ops.Heartbeat("a", 9)), Tick(LEASE_MS)), (finish("a"),))),
    "an outcome is reserved": Parallel((A, CLAIM, D_TAKES_A), ((P,), (reserve("a", "d"),), (finish("a"), C))),
    "a dependent is discarded": Parallel((A, B_TAKES_A, CLAIM), ((P,), (discard("b"), P), (finish("a"),))),
    "whoever watches leaves": Parallel((A, CLAIM), ((waits(CLAIM, 2),), (P,), (BEAT, submit("b", 2)))),
    "a purge": Parallel((A, B_TAKES_A), ((waits(pop("b")),), (PURGE, A), (C,))),
    "a claim is released and claimed again": Parallel((A_TWICE,), ((CLAIM,), (RELEASE, CLAIM))),
    "a heartbeat comes late": Parallel((A_TWICE, CLAIM), ((Do(ops.Heartbeat("a", 1, token(1))), Tick(2), Do(ops.Status("a"))), (RELEASE, CLAIM))),
    "a release": Parallel((A_TWICE, CLAIM), ((C,), (P,), (RELEASE, discard("a")))),
    "a failure goes on": Parallel((A, B_TAKES_A, CLAIM), ((waits(pop("b")),), (FAIL,), (discard("b"), C))),
    "an argument by hand": Parallel((A, CLAIM, D_TAKES_A), ((C,), (reserve("a", "d"), P), (set_argument("d", "a"),))),
    "fire and forget": Parallel((submit("a", 1, options=IGNORE),), ((C,), (P,), (CLAIM, submit("b", 2)))),
}  # fmt: skip
