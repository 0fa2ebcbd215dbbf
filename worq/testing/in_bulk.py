"""Histories with operations in bulk: every short list of each kind, where it tells something. SPEC.md, section 5."""

from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

from worq.testing.driver import Bulk, BulkProgram, Do, Program, Tick
from worq.testing.exhaustive import (
    CLAIM,
    IGNORE,
    KEEP,
    LEASE_MS,
    TWICE,
    discard,
    finish,
    pop,
    submit,
)
from worq_model import operations as ops
from worq_model.values import EXPIRED, Outcome

FAILURE: Final = Outcome("failure", b"why", "x")
LONG: Final = KEEP._replace(retention_ms=60_000)
IGNORE_TWICE: Final = IGNORE._replace(attempts=2)
LEASE_PASSES: Final = Tick(LEASE_MS)


class Lists(NamedTuple):
    """Every list of up to so many of these operations, in one call, after each prefix."""

    name: str
    prefixes: tuple[Program, ...]
    alphabet: tuple[Do, ...]
    claims: tuple[int, ...] = (0,)
    """How many claims come behind them."""


def _a_b_claimed(*more: Do) -> Program:
    return (submit("a", 1, options=LONG), submit("b", 2, options=LONG), CLAIM, CLAIM, *more)


LISTS: Final = (
    Lists(
        "submits",
        ((), (submit("x", 9), CLAIM, finish("x", failed=True)), (submit("x", 9),)),
        (
            submit("a", 1),
            submit("a", 2),
            submit("b", 3, "a"),
            submit("b", 4, "x", options=IGNORE),
            submit("c", 5, options=IGNORE, outcome=FAILURE),
            submit("c", 6, outcome=EXPIRED),
            submit("x", 7),
        ),
    ),
    Lists(
        "finishes, and then claims",
        (
            _a_b_claimed(submit("c", 3, "a"), submit("d", 4, "b", options=TWICE)),
            _a_b_claimed(submit("c", 3, options=TWICE), submit("d", 4, options=TWICE)),
        ),
        (
            finish("a", 1),
            finish("a", 1, failed=True),
            finish("b", 2),
            finish("b", 7),
            Do(ops.Finish("a", Outcome("result", b"r"), 0)),
        ),
        claims=(0, 1, 3),
    ),
    Lists(
        "pops",
        (
            (
                *_a_b_claimed(finish("a"), finish("b", failed=True)),
                *(submit("c", 3), submit("d", 4, "c"), submit("x", 5, options=IGNORE)),
            ),
        ),
        (pop("a", 1), pop("a"), pop("b", 2), pop("b", 7), pop("c"), pop("d", 4), pop("x")),
    ),
)
CLAIMED_MAX: Final = 4
STARTS: Final = (KEEP, TWICE, IGNORE, IGNORE_TWICE)


def programs(length: int) -> Iterator[BulkProgram]:
    """All of them, of lists of that length; shorter lists are the beginnings of these."""
    for lists in LISTS:
        for prefix, letters, claims in product(
            lists.prefixes, product(lists.alphabet, repeat=length), lists.claims
        ):
            operations = tuple(letter.operation for letter in letters)
            yield (*prefix, Bulk((*operations, *(ops.Claim(),) * claims)))
    yield from _claims(length)


def _claims(length: int) -> Iterator[BulkProgram]:
    """Tasks of each kind in each order, one of which is gone perhaps, or was started before."""
    for kinds in product(STARTS, repeat=length):
        tasks = tuple(submit("abcd"[n], n + 1, options=kind) for n, kind in enumerate(kinds))
        for before in ((), (discard("a"),), (discard("b"),), (CLAIM, LEASE_PASSES)):
            wished = Bulk((ops.Claim(),) * CLAIMED_MAX)
            yield (*tasks, *before, wished, wished)
