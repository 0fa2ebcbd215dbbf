"""A system of states and steps, and the graph of what can be reached in it. Knows nothing of queues."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)
L = TypeVar("L")

NOTHING_CLAIMED: Mapping[str, Any] = MappingProxyType({})


def itself(state: Hashable) -> Hashable:
    return state


def every_step(label: object) -> bool:
    del label
    return True


class System(NamedTuple, Generic[S, L]):
    """A start, the labelled steps from each state, and what is claimed of it, by name.

    Two states of one `canon` are taken for one: their successors must be the same but for names,
    and in the same order. `always` holds in every state, `sometimes` in one at least, `eventually` in
    some state of every history that goes on for as long as it can, and `possible` in some state
    that can still be reached, by ordinary steps, from every state.
    """

    initial: S
    successors: Callable[[S], Iterable[tuple[L, S]]]
    canon: Callable[[S], Hashable] = itself
    always: Mapping[str, Callable[[S], bool]] = NOTHING_CLAIMED
    sometimes: Mapping[str, Callable[[S], bool]] = NOTHING_CLAIMED
    eventually: Mapping[str, Callable[[S], bool]] = NOTHING_CLAIMED
    possible: Mapping[str, Callable[[S], bool]] = NOTHING_CLAIMED
    is_ordinary: Callable[[L], bool] = every_step


class Graph(Generic[S, L]):
    """States numbered in the order in which they were met, breadth first; of one canon only the first.

    `steps[n]` are the targets of the successors of state n, in their order, once n is expanded;
    `ordinary[n]` are those of ordinary steps.
    """

    def __init__(self, system: System[S, L]) -> None:
        self.system = system
        self.states: list[S] = []
        self.depths: list[int] = []
        self.steps: list[tuple[int, ...]] = []
        self.ordinary: list[tuple[int, ...]] = []
        self.edges = 0
        self._parents: list[int] = []
        self._met: dict[S, int] = {}
        self._numbers: dict[Hashable, int] = {}
        self._met[system.initial] = self._number(system.initial, parent=-1)

    @property
    def is_closed(self) -> bool:
        return len(self.steps) == len(self.states)

    def expand(self) -> list[tuple[L, S]]:
        """Take all steps from the next state; those that lead to what was not met before in this very form."""
        number = len(self.steps)
        new: list[tuple[L, S]] = []
        targets: list[int] = []
        ordinary: list[int] = []
        met, is_ordinary = self._met, self.system.is_ordinary
        for label, after in self.system.successors(self.states[number]):
            target = met.get(after)
            if target is None:
                target = met[after] = self._number(after, number)
                new.append((label, after))
            targets.append(target)
            if is_ordinary(label):
                ordinary.append(target)
        self.steps.append(tuple(targets))
        self.ordinary.append(tuple(ordinary))
        self.edges += len(targets)
        return new

    def path_to(self, number: int) -> list[int]:
        """The numbers of the states on the shortest way, the first one's included."""
        path = [number]
        while (number := self._parents[number]) >= 0:
            path.append(number)
        return path[::-1]

    def walk(self, path: Sequence[int]) -> list[tuple[L, S]]:
        """The steps along a path that begins with state 0, each from the very state that the one before led to."""
        here, steps = self.system.initial, list[tuple[L, S]]()
        for number, target in pairwise(path):
            place = self.steps[number].index(target)
            label, here = list(self.system.successors(here))[place]
            steps.append((label, here))
        return steps

    def _number(self, state: S, parent: int) -> int:
        number = self._numbers.setdefault(self.system.canon(state), len(self.states))
        if number == len(self.states):
            self.states.append(state)
            self._parents.append(parent)
            self.depths.append(0 if parent < 0 else self.depths[parent] + 1)
        return number


def grow(system: System[S, L]) -> Graph[S, L]:
    """The whole graph of a system that is known to be small."""
    graph = Graph(system)
    while not graph.is_closed:
        graph.expand()
    return graph
