"""Walks through a graph that together take every step of it. A walk says of each state the how-manieth step to take."""

from collections.abc import Sequence

Steps = Sequence[Sequence[int]]
"""For each state the targets of its steps; every walk begins at state 0."""

Walk = list[int]


def cover(steps: Steps, *, steps_max: int) -> list[Walk]:
    """Walks of about `steps_max` steps at most, each taking as many new steps as it can."""
    cover = _Cover(steps)
    walks: list[Walk] = []
    while walk := cover.walk(steps_max):
        walks.append(walk)
    return walks


def pairs(steps: Steps) -> list[list[int]]:
    """The graph whose states are the steps of another, and whose steps are two of those, one after the other.

    What covers it covers each pair; the places in its walks are those of the other graph.
    """
    first: list[int] = []
    count = 1  # 0 is the start, before any step
    for targets in steps:
        first.append(count)
        count += len(targets)

    def after(state: int) -> list[int]:
        return list(range(first[state], first[state] + len(steps[state])))

    return [after(0), *(after(target) for targets in steps for target in targets)]


class _Cover:
    """What has not been taken yet: for each state the places, the next one last."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._left = [list(range(len(targets)))[::-1] for targets in steps]

    def walk(self, steps_max: int) -> Walk:
        """One walk from the start, with one new step at least; empty when nothing is left."""
        here, walk = 0, Walk()
        while not walk or len(walk) < steps_max:
            way = self._way(here)
            if way is None or (walk and len(walk) + len(way) >= steps_max):
                break
            for place in way:
                here = self._steps[here][place]
            place = self._left[here].pop()
            here = self._steps[here][place]
            walk += [*way, place]
        return walk

    def _way(self, start: int) -> Walk | None:
        """The shortest way to a state from which something is left to take; None if there is none."""
        came: dict[int, tuple[int, int]] = {}
        waiting = [start]
        for here in waiting:  # grows
            if self._left[here]:
                return _back(came, start, here)
            for place, target in enumerate(self._steps[here]):
                if target not in came and target != start:
                    came[target] = (here, place)
                    waiting.append(target)
        return None


def _back(came: dict[int, tuple[int, int]], start: int, end: int) -> Walk:
    way = Walk()
    while end != start:
        end, place = came[end]
        way.append(place)
    return way[::-1]
