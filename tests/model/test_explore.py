"""The model checker on toy systems whose answers are known."""

from collections.abc import Iterator

import pytest

from worq_model.explore import PROGRESS_EVERY, Progress, Verdict, explore
from worq_model.graph import System, grow

Locks = tuple[tuple[str, ...], tuple[str, ...]]
Walkers = tuple[int, ...]
FREE: Locks = ((), ())
TWO: Walkers = (0, 0)


def count_up(state: int, to: int) -> Iterator[tuple[str, int]]:
    if state < to:
        yield "add one", state + 1
        yield "add two", state + 2


def counter(to: int, **claims: object) -> System[int, str]:
    return System(0, lambda state: count_up(state, to))._replace(**claims)  # type: ignore[arg-type]


# always


def test_a_claim_that_holds_everywhere_holds() -> None:
    report = explore(counter(10, always={"small": lambda state: state < 12}))
    assert report == (Verdict.HOLDS, "", 12, 20, 6, (), None, {})


def test_a_broken_claim_is_found_by_the_shortest_history() -> None:
    report = explore(counter(10, always={"even": bool, "below seven": lambda state: state < 7}))
    assert report[:2] == (Verdict.VIOLATED, "even")
    assert report.trace == ()
    report = explore(counter(10, always={"below seven": lambda state: state < 7}))
    assert report[:2] == (Verdict.VIOLATED, "below seven")
    assert [label for label, _ in report.trace] == ["add one", "add two", "add two", "add two"]
    assert [state for _, state in report.trace] == [1, 3, 5, 7]


# sometimes


def test_what_ought_to_be_reached_is_reported_with_its_depth() -> None:
    report = explore(counter(10, sometimes={"ten": lambda s: s == 10, "zero": lambda s: s == 0}))
    assert report.verdict is Verdict.HOLDS
    assert report.reached == {"ten": 5, "zero": 0}


def test_what_is_never_reached_breaks_the_claim_without_a_history() -> None:
    report = explore(counter(10, sometimes={"far": lambda state: state > 99}))
    assert report[:2] == (Verdict.VIOLATED, "far")
    assert report.trace == ()


# eventually


def lock(state: Locks) -> Iterator[tuple[str, Locks]]:
    """Two processes take the locks a and b in opposite order, and let go of both."""
    held = {name for names in state for name in names}
    for number, order in enumerate(("ab", "ba")):
        mine = state[number]
        if mine == ("done",):
            continue
        now = ("done",) if len(mine) == 2 else (*mine, order[len(mine)])
        if now == ("done",) or now[-1] not in held:
            yield f"{number} {now[-1]}", (now, state[1]) if number == 0 else (state[0], now)


def is_done(state: Locks) -> bool:
    return state == (("done",), ("done",))


def test_a_deadlock_is_found_where_it_is() -> None:
    report = explore(System(FREE, lock, eventually={"both are done": is_done}))
    assert report[:2] == (Verdict.VIOLATED, "both are done")
    assert [label for label, _ in report.trace] == ["0 a", "1 b"]
    assert report.loop is None


def turn(state: int) -> Iterator[tuple[str, int]]:
    """A way in, a ring of three, and a way out of it."""
    ring = {0: (1,), 1: (2,), 2: (3, 9), 3: (1,), 9: ()}
    return ((f"to {target}", target) for target in ring[state])


def test_a_history_that_goes_on_for_ever_is_found_with_its_loop() -> None:
    report = explore(System(0, turn, eventually={"out": lambda state: state == 9}))
    assert report[:2] == (Verdict.VIOLATED, "out")
    assert [state for _, state in report.trace] == [1, 2, 3, 1]
    assert report.loop == 1


def test_a_loop_behind_what_comes_is_no_loop_before_it() -> None:
    assert explore(System(0, turn, eventually={"in": lambda s: s == 1})).verdict is Verdict.HOLDS
    assert explore(System(0, turn, eventually={"start": lambda s: s == 0})).verdict is Verdict.HOLDS


def test_what_comes_on_every_way_comes() -> None:
    report = explore(counter(10, eventually={"eight or nine": lambda state: state in (8, 9)}))
    assert report.verdict is Verdict.HOLDS


def test_the_first_state_may_be_the_end() -> None:
    report = explore(counter(0, eventually={"one": lambda state: state == 1}))
    assert report[:2] == (Verdict.VIOLATED, "one")
    assert (report.trace, report.loop) == ((), None)


# possible


def test_a_trap_is_found_by_the_shortest_way_into_it() -> None:
    report = explore(System(0, turn, possible={"in the ring": lambda state: state == 3}))
    assert report[:2] == (Verdict.VIOLATED, "in the ring")
    assert [state for _, state in report.trace] == [1, 2, 9]


def test_what_can_always_be_reached_is_possible() -> None:
    report = explore(System(0, turn, possible={"out": lambda state: state == 9}))
    assert report.verdict is Verdict.HOLDS


def test_only_ordinary_steps_make_something_possible() -> None:
    system = System(
        0,
        turn,
        possible={"out": lambda state: state == 9},
        is_ordinary=lambda label: label != "to 9",
    )
    report = explore(system)
    assert report[:2] == (Verdict.VIOLATED, "out")
    assert report.trace == ()


# Limits


def test_a_search_that_meets_a_limit_is_unknown() -> None:
    report = explore(counter(100, sometimes={"far": lambda s: s > 99}), states_max=10)
    assert report[:3] == (Verdict.UNKNOWN, "more than 10 states", 11)


def test_a_search_without_time_is_unknown() -> None:
    report = explore(counter(100), is_over=lambda: True)
    assert report[:2] == (Verdict.UNKNOWN, "out of time")


def test_progress_is_told_now_and_then() -> None:
    told: list[Progress] = []
    explore(counter(2 * PROGRESS_EVERY), progress=told.append)
    assert [progress.waiting for progress in told] == [1, 2, 2]
    assert told[1] == Progress(PROGRESS_EVERY + 2, 2 * PROGRESS_EVERY, PROGRESS_EVERY // 2, 2)


# Symmetry


def move(state: Walkers) -> Iterator[tuple[int, Walkers]]:
    """Each of some alike walks round a ring of three places."""
    for number, place in enumerate(state):
        yield number, (*state[:number], (place + 1) % 3, *state[number + 1 :])


@pytest.mark.parametrize(("walkers", "states", "reduced"), [(2, 9, 6), (3, 27, 10), (5, 243, 21)])
def test_symmetry_makes_fewer_states_of_the_same(walkers: int, states: int, reduced: int) -> None:
    system = System((0,) * walkers, move)
    assert explore(system).states == states
    assert explore(system._replace(canon=lambda s: tuple(sorted(s)))).states == reduced


def test_a_history_under_symmetry_is_one_that_can_happen() -> None:
    system = System(TWO, move, canon=lambda state: tuple(sorted(state)))
    report = explore(system._replace(eventually={"both are one further": lambda s: s == (1, 1)}))
    assert report.loop == 0
    state = TWO
    for label, after in report.trace:
        assert (label, after) in set(move(state))
        state = after
    assert sorted(state) == [0, 0]


def test_what_a_canon_forgets_is_looked_at_before() -> None:
    system = System(TWO, move, canon=lambda state: tuple(sorted(state)))
    report = explore(system._replace(always={"the second waits": lambda s: s != (0, 2)}))
    assert report.verdict is Verdict.VIOLATED
    assert report.trace[-1][1] == (0, 2)


def test_a_small_system_can_be_had_whole() -> None:
    graph = grow(counter(3))
    assert graph.states == [0, 1, 2, 3, 4]
    assert graph.steps == [(1, 2), (2, 3), (3, 4), (), ()]
    assert graph.is_closed
