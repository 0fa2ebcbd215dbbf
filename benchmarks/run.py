"""A run: its steps, in their order. A step that fails says so of its peer, and the others go on."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

from benchmarks.environments import EnvironmentUnavailable, python_of
from benchmarks.measures import (
    EVERY_SECOND,
    EVERY_SECOND_SUFFIX,
    VISITS,
    growth,
    imports,
    machines,
    pauses,
)
from benchmarks.measures.pools import Pools
from benchmarks.peers import GROUPS, Peer
from benchmarks.plan import SLOW, Plan
from benchmarks.processes import Client, PeerFailed
from benchmarks.samples import Samples
from benchmarks.server import Server, a_server
from benchmarks.visit import Visit


class Step(NamedTuple):
    """`peer`, `measure`: of what it is said if it fails."""

    label: str
    peer: str
    measure: str
    do: Callable[[], object]


Tell = Callable[[str, int, int], None]
"""Told what is done now, after how many steps of how many."""


class Run:
    """`peers`: who takes part; `measures`: of `measures.NAMES`."""

    def __init__(
        self,
        plan: Plan,
        peers: Sequence[Peer],
        environments: dict[str, list[str]],
        measures: Sequence[str],
    ) -> None:
        self.plan = plan
        self.samples = Samples()
        self.server_version = ""
        self._peers = peers
        self._environments = environments
        self._measures = measures
        self._pythons: dict[str, str] = {}
        self._opened = ExitStack()

    def __call__(self, tell: Tell) -> None:
        """Do all of it."""
        with self._opened:
            self._make_environments(tell)
            server = self._opened.enter_context(a_server())
            self.server_version = server.version
            steps = list(self._steps(server))
            for number, step in enumerate(steps):
                for what in self._taken(step):
                    tell(what, number, len(steps))
            tell("done", len(steps), len(steps))

    def versions(self) -> list[str]:
        """What is installed for those who take part, by peers.toml."""
        names = dict.fromkeys(peer.environment for peer in self._peers if peer.environment)
        return [self._environments[name][0].replace("==", " ") for name in names]

    def _make_environments(self, tell: Tell) -> None:
        names = list(dict.fromkeys(peer.environment for peer in self._peers))
        for number, name in enumerate(names):
            tell(f"environment {name or 'worq'}", number, len(names))
            try:
                self._pythons[name] = python_of(name, self._environments.get(name, ()))
            except EnvironmentUnavailable as error:
                for peer in self._peers:
                    if peer.environment == name:
                        self.samples.say("*", peer.name, f"can't be installed: {error}")

    def _taken(self, step: Step) -> Iterator[str]:
        """Take it; yields what it is doing."""
        yield step.label
        try:
            doing = step.do()
            if isinstance(doing, Iterator):
                yield from doing
        except PeerFailed as error:
            self.samples.say(step.measure, step.peer, f"failed: {error}")
        except Exception as error:  # noqa: BLE001 - minutes of measuring are not lost for it, and it is reported
            self.samples.say(step.measure, step.peer, f"failed: {error!r}")

    # The steps.

    def _steps(self, server: Server) -> Iterator[Step]:
        visits = [name for name in VISITS if name in self._measures]
        if visits:
            yield from self._visits(server, visits, self._peers, self.plan.rounds)
        if "everysec" in self._measures:
            durable = self._opened.enter_context(a_server(every_second=True))
            peers = [peer for peer in self._peers if self._is_durable(peer)]
            rounds = self.plan.durable_rounds
            yield from self._visits(durable, EVERY_SECOND, peers, rounds, EVERY_SECOND_SUFFIX)
        if "pools" in self._measures:
            yield from self._pools()
        if "imports" in self._measures:
            yield from self._imports()
        if "pauses" in self._measures:
            for measure in (pauses.measure_purge, pauses.measure_leases):
                yield self._own("pauses", partial(measure, server, self.samples, self.plan))
            yield self._own("empty the server", server.flush)
        if "growth" in self._measures:
            yield from self._growth(server)
        if "machines" in self._measures:
            yield from self._machines(server)

    def _own(self, label: str, do: Callable[[], object]) -> Step:
        return Step(label, "worq", label, do)

    def _visits(
        self,
        server: Server,
        names: Sequence[str],
        peers: Sequence[Peer],
        rounds: int,
        suffix: str = "",
    ) -> Iterator[Step]:
        visits = [
            Visit(client, server, self.samples, self.plan, suffix=suffix)
            for client in self._clients("redis", server.url, peers)
        ]
        for number in range(1, rounds + 1):
            for visit in visits:
                label = f"{visit.peer.name}{suffix}, round {number} of {rounds}"
                yield Step(label, visit.peer.name, "*", partial(self._visit, visit, names))

    def _visit(self, visit: Visit, names: Sequence[str]) -> Iterator[str]:
        if visit.has_failed:
            return  # it would cost its time-outs in each round
        visit.has_failed = True
        visit.server.flush()
        if visit.first:
            visit.client.open()
        visit.empty()
        try:
            for name in names:
                yield f"{visit.peer.name}: {name}"
                VISITS[name](visit)
            visit.has_failed = False
        finally:
            visit.end()

    def _is_durable(self, peer: Peer) -> bool:
        """Does it take part on the server with everysec?"""
        return not peer.is_rival or (self.plan.durable_rivals and peer.name not in SLOW)

    def _clients(self, group: str, url: str, peers: Sequence[Peer]) -> list[Client]:
        return [
            self._opened.enter_context(_client(peer, self._pythons[peer.environment], url))
            for peer in peers
            if peer.group == group and peer.environment in self._pythons
        ]

    def _pools(self) -> Iterator[Step]:
        for group in GROUPS[1:]:
            if not (clients := self._clients(group, "", self._peers)):
                continue
            pools = Pools(clients, self.samples, self.plan)
            for number in range(1, self.plan.rounds + 1):
                for client in clients:
                    label = f"{client.peer.name}, round {number} of {self.plan.rounds}"
                    yield Step(label, client.peer.name, "in memory", partial(pools.measure, client))

    def _imports(self) -> Iterator[Step]:
        timed = [peer for peer in self._peers if peer.module and peer.environment in self._pythons]
        for number in range(1, self.plan.imports + 1):
            for peer in timed:
                python = self._pythons[peer.environment]
                yield Step(
                    f"import {peer.module}, {number} of {self.plan.imports}",
                    peer.name,
                    imports.IMPORT,
                    partial(imports.measure, peer.name, python, peer.module, self.samples),
                )

    def _growth(self, server: Server) -> Iterator[Step]:
        urls = self._opened.enter_context(growth.urls(server))
        for backend, url in urls.items():
            for tasks in self.plan.growth:
                if backend == "sqlite" and tasks > self.plan.sqlite_growth_max:
                    continue
                yield self._own(
                    f"growth: {backend}, {tasks:,} tasks",
                    partial(growth.with_tasks, backend, url, tasks, self.samples, self.plan),
                )
            for queues in self.plan.queues:
                yield self._own(
                    f"growth: {backend}, {queues} queues",
                    partial(growth.with_queues, backend, url, queues, self.samples, self.plan),
                )
        yield self._own("empty the server", server.flush)

    def _machines(self, server: Server) -> Iterator[Step]:
        urls = self._opened.enter_context(growth.urls(server))
        for backend, url in urls.items():
            yield self._own(
                f"machine on {backend}",
                partial(machines.measure_machine, backend, url, self.samples, self.plan),
            )
        yield self._own(
            "the model's explorer", partial(machines.measure_explorer, self.samples, self.plan)
        )


@contextmanager
def _client(peer: Peer, python: str, url: str) -> Generator[Client]:
    client = Client(peer, python, url)
    try:
        yield client
    finally:
        client.close()
