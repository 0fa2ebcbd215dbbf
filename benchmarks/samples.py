"""What was measured: of each measure and peer some samples, and their median."""

from collections import defaultdict
from statistics import median
from typing import Any


class Samples:
    """`x`: the ratio to LPUSH, or to another peer, taken around the same slice."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._said: dict[tuple[str, str], str] = {}

    def add(self, measure: str, peer: str, value: float) -> None:
        self._values[measure, peer].append(value)

    def say(self, measure: str, peer: str, why: str) -> None:
        """Why there is no figure, or what is wrong with it."""
        self._said[measure, peer] = why

    def rate(self, measure: str, peer: str, per_s: float, base_per_s: float) -> None:
        self.add(measure, peer, per_s)
        self.add(f"{measure}, x", peer, per_s / base_per_s)

    def get(self, measure: str, peer: str) -> float | None:
        """The median; None if there is no sample."""
        values = self._values.get((measure, peer))
        return median(values) if values else None

    def why(self, measure: str, peer: str) -> str:
        """What was said of it; what was said of all measures of a peer counts too."""
        return self._said.get((measure, peer)) or self._said.get(("*", peer), "")

    def peers(self, measure: str) -> list[str]:
        return [peer for name, peer in self._values if name == measure]

    def said(self) -> list[tuple[str, str, str]]:
        return [(peer, measure, why) for (measure, peer), why in self._said.items()]

    def as_json(self) -> list[dict[str, Any]]:
        figures = [
            {"measure": measure, "peer": peer, "median": median(values), "samples": values}
            for (measure, peer), values in self._values.items()
        ]
        notes = [{"measure": m, "peer": peer, "why": why} for peer, m, why in self.said()]
        return [*figures, *notes]
