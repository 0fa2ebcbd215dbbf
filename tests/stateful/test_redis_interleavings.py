"""One client of a Redis queue is held before or after each of its commands while another runs to the end."""

from collections.abc import Iterator
from hashlib import sha1
from itertools import product

import pytest

from tests.stateful.profile import by_profile
from worq.queue.redis import scripts
from worq.queue.redis.scripts import Script
from worq.testing.driver import Do, Tick
from worq.testing.duels import Arena, Duel, waker
from worq.testing.exhaustive import CLAIM, PURGE, discard, pop, submit
from worq.testing.histories import Act, Lane, Wait
from worq.testing.small_programs import ACTS, BULKS, SITUATIONS, waits
from worq_model import operations as ops

POINTS_MAX = 20
EVERY = by_profile(400, 10, 1)
EVERY_WAIT = by_profile(60, 3, 1)
CHAIN = 920  # more records than a script may change
HELD = [act for act in ACTS if not isinstance(act, Tick)]
OTHERS = [act for act in HELD if not isinstance(act, Wait)]


@pytest.fixture
def arena(redis_url: str) -> Iterator[Arena]:
    with Arena(redis_url) as arena:
        yield arena


def fight(arena: Arena, duel: Duel) -> int:
    """At each point that there is; how many there are."""
    for point in range(POINTS_MAX):
        result = arena.run(duel, point)
        assert not result.trouble, result.trouble
        if not result.was_held:
            return point
    raise AssertionError


def duels(*, waits: bool) -> list[Duel]:
    return [
        Duel(prefix, held, other, waker(held))
        for prefix in SITUATIONS.values()
        for held in HELD
        for other in OTHERS
        if isinstance(held, Wait) == waits
    ]


@pytest.mark.timeout(0)
def test_an_operation_that_is_held_is_atomic_to_every_other(arena: Arena) -> None:
    assert {fight(arena, duel) for duel in duels(waits=False)[::EVERY]} <= {2, 4, 6}


@pytest.mark.timeout(0)
@pytest.mark.spec("ENV-BULK-1")
def test_a_bulk_that_is_held_is_atomic_to_every_other(arena: Arena) -> None:
    both = [
        Duel(prefix, held, other, waker(held))
        for prefix in SITUATIONS.values()
        for held, other in (*product(BULKS, OTHERS), *product(HELD, BULKS))
    ]
    for duel in both[::EVERY]:
        fight(arena, duel)


@pytest.mark.timeout(0)
def test_who_waits_and_is_held_is_told_all_the_same(arena: Arena) -> None:
    points = [fight(arena, duel) for duel in duels(waits=True)[::EVERY_WAIT]]
    assert max(points) >= 6  # look, block, look again: before and after


A_CHAIN: Lane = tuple(submit(f"t{n}", n + 1, *([f"t{n - 1}"] if n else [])) for n in range(CHAIN))
LAST = f"t{CHAIN - 1}"
LOOKS: Lane = tuple(map(pop, ("t0", "t500", LAST, "e")))
BESIDE_A_CASCADE: dict[str, Act] = {
    "size": Do(ops.Size()),
    "status": Do(ops.Status(LAST)),
    "pop": pop(LAST),
    "claim": CLAIM,
    "submit": submit(LAST, 2_000),
    "submit a dependent": submit("e", 2_001, LAST),
    "discard": discard("t500"),
    "purge": PURGE,
}


@pytest.mark.parametrize("other", list(BESIDE_A_CASCADE)[:: by_profile(8, 4, 1)])
def test_nobody_sees_a_cascade_half_done(arena: Arena, other: str) -> None:
    duel = Duel(A_CHAIN, discard("t0"), BESIDE_A_CASCADE[other], None, LOOKS)
    assert fight(arena, duel) >= 4  # the script, and the one that does the rest


SHORTLY_MS = 2_500  # longer than what counts as prompt
LOST_WAKE_UPS: dict[str, tuple[str, Act, str, Act]] = {
    "a task that is ready wakes nobody": (
        "call('RPUSH', META .. ':wake', '1')", waits(CLAIM, SHORTLY_MS), "SUBMIT", submit("b", 2)),
    "a task that ends tells nobody": (
        "for _, session in ipairs(sessions) do nudge(session) end", waits(pop("a"), SHORTLY_MS),
        "DISCARD", discard("a")),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST_WAKE_UPS)
def test_a_wake_up_that_is_lost_is_found(
    name: str, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    lua, held, operation, other = LOST_WAKE_UPS[name]
    script: Script = getattr(scripts, operation)
    assert lua.encode() in script.text
    planted = script.text.replace(lua.encode(), b"")
    digest = sha1(planted, usedforsecurity=False).hexdigest().encode()
    monkeypatch.setattr(scripts, operation, Script(planted, digest, script.changes))
    trouble = arena.run(Duel(SITUATIONS["processing"], held, other), 1).trouble
    assert "sleeps although what it waits for is there" in trouble
