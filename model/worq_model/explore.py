"""The model checker: a breadth-first search for what breaks a claim, with the shortest history that does."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Generic, NamedTuple

from worq_model.graph import Graph, L, S, System

STATES_MAX = 1_000_000
PROGRESS_EVERY = 1_000


class Verdict(Enum):
    """What came of it. An unknown one is a failure too: the search met a limit."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


class Report(NamedTuple, Generic[S, L]):
    """The verdict; what it is about, if it is not `HOLDS`: the claim or the limit; and what was searched.

    `trace` is the shortest history that breaks the claim, as steps from the first state. If it goes
    on for ever, `loop` is how many of its steps come before those that are repeated.
    `reached`: for each `sometimes`, after how many steps at the earliest.
    """

    verdict: Verdict
    about: str
    states: int
    edges: int
    depth: int
    trace: tuple[tuple[L, S], ...]
    loop: int | None
    reached: Mapping[str, int]


class Progress(NamedTuple):
    """How far a search is: what was found, and how much of it still waits to be looked at."""

    states: int
    edges: int
    depth: int
    waiting: int


class _Broken(NamedTuple, Generic[S, L]):
    about: str
    trace: list[tuple[L, S]]
    loop: int | None = None
    verdict: Verdict = Verdict.VIOLATED


def never() -> bool:
    return False


def say_nothing(progress: Progress) -> None:
    del progress


def explore(
    system: System[S, L],
    *,
    states_max: int = STATES_MAX,
    is_over: Callable[[], bool] = never,
    progress: Callable[[Progress], None] = say_nothing,
) -> Report[S, L]:
    """Search all that can be reached, until a claim is broken or a limit is met.

    `is_over` is asked now and then, and ends the search; `progress` is told as often.
    """
    search = _Search(system, states_max, is_over, progress)
    return search.report(search.run() or search.judge())


class _Search(Generic[S, L]):
    """One search: the graph as far as it is known, and what was reached of what ought to be."""

    def __init__(
        self,
        system: System[S, L],
        states_max: int,
        is_over: Callable[[], bool],
        progress: Callable[[Progress], None],
    ) -> None:
        self.system = system
        self.graph = Graph(system)
        self.reached: dict[str, int] = {}
        self._states_max = states_max
        self._is_over = is_over
        self._progress = progress

    def run(self) -> _Broken[S, L] | None:
        """Search to the end. Each state is looked at as it is met, before its canon forgets anything."""
        graph = self.graph
        if about := self._look(self.system.initial, 0):
            return _Broken(about, [])
        while not graph.is_closed:
            if about := self._limit():
                return _Broken(about, [], verdict=Verdict.UNKNOWN)
            number = len(graph.steps)
            for step in graph.expand():
                if about := self._look(step[1], graph.depths[number] + 1):
                    return _Broken(about, [*graph.walk(graph.path_to(number)), step])
        return None

    def judge(self) -> _Broken[S, L] | None:
        """What can be said only of the whole graph."""
        return self._unreached() or self._stuck() or self._endless()

    def report(self, broken: _Broken[S, L] | None) -> Report[S, L]:
        about, trace, loop, verdict = broken or _Broken("", [], verdict=Verdict.HOLDS)
        graph = self.graph
        counts = (len(graph.states), graph.edges, graph.depths[-1])
        return Report(verdict, about, *counts, tuple(trace), loop, self.reached)

    def _look(self, state: S, depth: int) -> str:
        """The claim that a state breaks, '' if none."""
        for name, holds in self.system.always.items():
            if not holds(state):
                return name
        for name, holds in self.system.sometimes.items():
            if name not in self.reached and holds(state):
                self.reached[name] = depth
        return ""

    def _limit(self) -> str:
        graph, done = self.graph, len(self.graph.steps)
        if len(graph.states) > self._states_max:
            return f"more than {self._states_max} states"
        if done % PROGRESS_EVERY == 0:
            waiting = len(graph.states) - done
            self._progress(Progress(len(graph.states), graph.edges, graph.depths[done], waiting))
            if self._is_over():
                return "out of time"
        return ""

    def _unreached(self) -> _Broken[S, L] | None:
        names = [name for name in self.system.sometimes if name not in self.reached]
        return _Broken(names[0], []) if names else None

    def _stuck(self) -> _Broken[S, L] | None:
        """The first state from which something is no longer possible."""
        for name, holds in self.system.possible.items():
            can = _leads_to(self.graph, holds)
            if not all(can):
                return _Broken(name, self.graph.walk(self.graph.path_to(can.index(False))))
        return None

    def _endless(self) -> _Broken[S, L] | None:
        """The first history that ends, or repeats itself, before something came."""
        for name, holds in self.system.eventually.items():
            path, loop = _avoids(self.graph, holds)
            if path:
                return _Broken(name, self.graph.walk(path), loop)
        return None


def _leads_to(graph: Graph[S, L], holds: Callable[[S], bool]) -> list[bool]:
    """For each state, whether ordinary steps can lead from it to one where it holds."""
    before: list[list[int]] = [[] for _ in graph.states]
    for number, targets in enumerate(graph.ordinary):
        for target in targets:
            before[target].append(number)
    can = [holds(state) for state in graph.states]
    waiting = [number for number, holds_here in enumerate(can) if holds_here]
    while waiting:
        for number in before[waiting.pop()]:
            if not can[number]:
                can[number] = True
                waiting.append(number)
    return can


def _avoids(graph: Graph[S, L], holds: Callable[[S], bool]) -> tuple[list[int], int | None]:
    """The shortest path on which it never holds and that ends, or comes back to one of its own states.

    The path, empty if there is none, and in the second case how many steps lead to the loop.
    """
    if holds(graph.states[0]):
        return [], None
    came = _spread(graph, 0, lambda number: not holds(graph.states[number]))
    endless = _endless_states(graph, {0, *came})
    for number in dict.fromkeys((0, *came)):  # nearest first
        path = _way(came, 0, number) if number else [0]
        if not graph.steps[number]:
            return path, None
        if number in endless:
            back = _spread(graph, number, endless.__contains__)
            if number in back:
                return path + _way(back, number, number)[1:], len(path) - 1
    return [], None


def _spread(graph: Graph[S, L], start: int, enters: Callable[[int], bool]) -> dict[int, int]:
    """Where one gets to from `start`, nearest first, each with the state before it; `start` too if one gets back."""
    came: dict[int, int] = {}
    waiting = [start]
    for number in waiting:  # grows
        for target in graph.steps[number]:
            if target not in came and enters(target):
                came[target] = number
                waiting.append(target)
    return came


def _way(came: Mapping[int, int], start: int, end: int) -> list[int]:
    way = [end]
    while (end := came[end]) != start:
        way.append(end)
    return [start, *reversed(way)]


def _endless_states(graph: Graph[S, L], among: set[int]) -> set[int]:
    """Those from which one can go on for ever without leaving `among`: what is left when dead ends are taken away."""
    before: dict[int, list[int]] = {number: [] for number in among}
    ways = dict.fromkeys(among, 0)
    for number in among:
        for target in graph.steps[number]:
            if target in among:
                before[target].append(number)
                ways[number] += 1
    ends = [number for number in among if ways[number] == 0]
    while ends:
        for number in before[ends.pop()]:
            ways[number] -= 1
            if ways[number] == 0:
                ends.append(number)
    return {number for number in among if ways[number] > 0}
