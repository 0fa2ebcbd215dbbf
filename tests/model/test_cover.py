"""Walks take every step of a graph, and every two in a row, and begin at its beginning."""

from itertools import pairwise

import pytest

from worq_model.cover import Steps, Walk, cover, pairs

RING = [[1], [2], [0]]
TREE = [[1, 2], [3, 4], [5, 6], [], [], [], []]
KNOT = [[0, 1, 1], [2, 0], [0, 2]]
GRAPHS = {"ring": RING, "tree": TREE, "knot": KNOT}


def taken(steps: Steps, walks: list[Walk]) -> list[list[tuple[int, int]]]:
    """For each walk the steps, as state and place."""
    all_taken = []
    for walk in walks:
        here, mine = 0, []
        for place in walk:
            mine.append((here, place))
            here = steps[here][place]
        all_taken.append(mine)
    return all_taken


@pytest.mark.parametrize("steps_max", [1, 2, 3, 100])
@pytest.mark.parametrize("name", GRAPHS)
def test_every_step_is_taken(name: str, steps_max: int) -> None:
    steps = GRAPHS[name]
    every = {(state, place) for state, targets in enumerate(steps) for place in range(len(targets))}
    walks = cover(steps, steps_max=steps_max)
    assert {step for walk in taken(steps, walks) for step in walk} == every


@pytest.mark.parametrize("name", GRAPHS)
def test_every_two_steps_in_a_row_are_taken(name: str) -> None:
    steps = GRAPHS[name]
    every = {
        ((state, place), (target, after))
        for state, targets in enumerate(steps)
        for place, target in enumerate(targets)
        for after in range(len(steps[target]))
    }
    walks = taken(steps, cover(pairs(steps), steps_max=50))
    assert {pair for walk in walks for pair in pairwise(walk)} == every


def test_a_walk_ends_when_it_is_long_enough() -> None:
    assert cover(RING, steps_max=100) == [[0, 0, 0]]
    assert cover(KNOT, steps_max=3) == [[0, 1, 0], [2, 1], [1, 0, 0], [1, 0, 1]]


def test_what_is_far_away_makes_a_longer_walk() -> None:
    """The last step of a path that is longer than a walk may be is still taken, by a walk of its own."""
    path = [[1], [2], [3], []]
    assert cover(path, steps_max=1) == [[0], [0, 0], [0, 0, 0]]


def test_nothing_to_take_needs_no_walk() -> None:
    assert cover([[]], steps_max=5) == []
