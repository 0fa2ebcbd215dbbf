"""The model's explorer with a clock: what it found, by the name of what was explored."""

import time
from collections.abc import Callable
from typing import NamedTuple

from worq_model.catalogue import BY_HAND, SPACES, SYSTEMS
from worq_model.explore import STATES_MAX, Progress, Verdict, explore
from worq_model.history import as_program

__all__ = ["NAMES", "STATES_MAX", "USUAL", "Found", "Progress", "explored"]

NAMES = tuple(SYSTEMS)
USUAL = tuple(name for name in NAMES if name not in SPACES or name in ("contract", "reference"))
"""All but the spaces that are smaller, or take minutes."""


class Found(NamedTuple):
    """What came of it. `expected`: the claim that it is there to break, '' if none ought to be.

    `history`: the shortest that breaks the claim in `about`, as Python; '' if there is none. `loop`: how many of
    its steps come before those that are repeated for ever; None if it ends.
    """

    name: str
    verdict: str
    about: str
    expected: str
    states: int
    edges: int
    depth: int
    seconds: float
    history: str
    loop: int | None

    @property
    def is_as_expected(self) -> bool:
        verdict = Verdict.VIOLATED if self.expected else Verdict.HOLDS
        return self.verdict == verdict.value and self.about == self.expected


def explored(
    name: str,
    *,
    states_max: int = STATES_MAX,
    seconds_max: float = float("inf"),
    progress: Callable[[Progress], None],
) -> Found:
    """Explore it to its end, or to one of the limits. What `progress` raises ends it too."""
    entry = SYSTEMS[name]
    start = time.monotonic()
    report = explore(
        entry.system,
        states_max=states_max,
        is_over=lambda: time.monotonic() - start > seconds_max,
        progress=progress,
    )
    seconds = time.monotonic() - start
    labels = [label for label, _ in report.trace]
    history = as_program(labels, api=name in BY_HAND) if labels else ""
    counts = (report.states, report.edges, report.depth, seconds)
    return Found(
        name, report.verdict.value, report.about, entry.breaks, *counts, history, report.loop
    )
