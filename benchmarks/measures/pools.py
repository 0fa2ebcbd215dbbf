"""Pools in one process: submit so many, and fetch all results. The base of a ratio is the first peer of a group."""

from benchmarks.plan import Plan
from benchmarks.processes import Client
from benchmarks.samples import Samples

POOLS = "in memory"


class Pools:
    """One group of peers, which are opened one at a time: some poll."""

    def __init__(self, clients: list[Client], samples: Samples, plan: Plan) -> None:
        self._base, *self._others = clients
        self._samples = samples
        self._plan = plan
        self._per_s: dict[str, float] = {}

    def measure(self, client: Client) -> None:
        """One peer, between two slices of the base."""
        before = self._slice(self._base)
        per_s = self._slice(client)
        after = self._slice(self._base)
        self._samples.rate(POOLS, client.peer.name, per_s, (before + after) / 2)

    @property
    def clients(self) -> list[Client]:
        return [self._base, *self._others]

    def _slice(self, client: Client) -> float:
        client.open()
        try:
            count = int(self._per_s.get(client.peer.name, 100) * self._plan.slice_s)
            count = max(20, min(10 * self._plan.tasks_max, count))
            client.ask("end_to_end", count=20)
            seconds = client.ask("end_to_end", count=count)["seconds"]
        finally:
            client.ask("close")
        if client.peer.name not in self._per_s:
            self._per_s[client.peer.name] = count / seconds
            return self._slice(client)
        self._per_s[client.peer.name] = count / seconds
        return count / float(seconds)
