"""RESULTS.md: what a run has measured, as tables."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from benchmarks import reach
from benchmarks.measures import (
    EVERY_SECOND_SUFFIX,
    drain,
    end_to_end,
    enqueue,
    graph,
    growth,
    imports,
    latency,
    machines,
    memory,
    pauses,
    payloads,
)
from benchmarks.measures.pools import POOLS
from benchmarks.peers import GROUPS, Peer
from benchmarks.plan import Plan
from benchmarks.reach import NOTHING, number
from benchmarks.samples import Samples

CHART: Final = "results.svg"

COLUMNS: Final = (
    ("enqueue/s (x)", enqueue.SINGLE, True),
    ("enqueue many/s (x)", enqueue.MANY, True),
    ("drain/s (x)", drain.DRAIN, True),
    ("end to end/s (x)", end_to_end.SINGLE, True),
    ("fetched together/s (x)", end_to_end.TOGETHER, True),
    ("latency ms", latency.LATENCY, False),
    ("after idling ms", latency.IDLE, False),
    ("CPU µs/task: client + worker + server", f"{end_to_end.SINGLE}, CPU", False),
    ("the same, fetched together", f"{end_to_end.TOGETHER}, CPU", False),
    ("round trips/task", f"{end_to_end.SINGLE}, round trips", False),
    ("the same, fetched together", f"{end_to_end.TOGETHER}, round trips", False),
    ("B/queued task", memory.QUEUED, False),
    ("B left", memory.LEFT, False),
    ("keys left", memory.KEYS_LEFT, False),
)
"""Head, measure, and whether there is a ratio to LPUSH."""


class Report:
    """`described`: of the machine, name → text."""

    def __init__(
        self,
        samples: Samples,
        peers: Sequence[Peer],
        plan: Plan,
        described: dict[str, str],
        command: str,
    ) -> None:
        self._samples = samples
        self._peers = peers
        self._plan = plan
        self._described = described
        self._command = command

    def __str__(self) -> str:
        sections: tuple[Callable[[], Iterator[str]], ...] = (
            self._head,
            self._reach,
            self._on_redis,
            self._parts,
            self._durable,
            self._larger,
            self._in_memory,
            self._imports,
            self._growth,
            self._pauses,
            self._machines,
            self._gaps,
        )
        return "\n".join(line for section in sections for line in section())

    def _head(self) -> Iterator[str]:
        yield "# Results of the benchmarks"
        yield ""
        yield f"Written by `{self._command}` (a {self._plan.name} run), which also drew the chart."
        yield "How each figure comes about is in [README.md](README.md). x = ratio to LPUSH round trips of"
        yield "redis-py, one at a time, measured before and after the same slice: trust ratios and CPU per"
        yield "task more than rates. Medians of the slices of all rounds."
        yield ""
        yield from _table(("", ""), list(self._described.items()))
        yield f"![worq and its peers, as ratios to LPUSH]({CHART})"
        yield ""

    def _reach(self) -> Iterator[str]:
        rows = [
            (
                row.measure,
                row.best,
                row.floor,
                row.worq,
                "; ".join(map(str, row.checks)),
                f"{row.verdict}{row.why and f' ({row.why})'}",
            )
            for row in reach.rows(self._samples, self._peers)
        ]
        yield "## What worq is to reach"
        yield ""
        yield from _table(("measure", "best peer", "floor", "worq", "wanted", ""), rows)

    def _on_redis(self) -> Iterator[str]:
        peers = self._of("redis")
        rows = [
            (peer, *(self._cell(measure, peer, has_x=has_x) for _, measure, has_x in COLUMNS))
            for peer in peers
        ]
        yield "## On Redis: one client, one worker process, a no-op with a small argument"
        yield ""
        yield from _table(("", *(head for head, _, _ in COLUMNS)), rows)

    def _parts(self) -> Iterator[str]:
        names = ("client", "worker", "server")
        measures = [
            f"{measure}, CPU of {name}"
            for measure in (end_to_end.SINGLE, end_to_end.TOGETHER)
            for name in names
        ]
        yield "## Whose CPU, µs a task"
        yield ""
        yield from self._by_peer(
            (*names, *(f"{name}, fetched together" for name in names)), measures
        )

    def _durable(self) -> Iterator[str]:
        measures = [
            f"{name}{EVERY_SECOND_SUFFIX}"
            for name in (
                enqueue.SINGLE,
                enqueue.MANY,
                drain.DRAIN,
                end_to_end.SINGLE,
                end_to_end.TOGETHER,
            )
        ]
        heads = [f"{measure.removesuffix(EVERY_SECOND_SUFFIX)}/s (x)" for measure in measures]
        yield "## On a server with `appendonly yes` and `appendfsync everysec`"
        yield ""
        yield "x: to LPUSH on the same server."
        yield ""
        yield from self._by_peer(heads, measures, has_x=True)

    def _larger(self) -> Iterator[str]:
        names = [payloads.name(payload) for payload in self._plan.payloads]
        heads = (
            f"{self._plan.graph_tasks:,} tasks that feed one, tasks/s",
            *(f"{name}, there and back, tasks/s" for name in names),
        )
        yield "## A graph, and larger payloads"
        yield ""
        yield from self._by_peer(heads, (graph.GRAPH, *names))

    def _in_memory(self) -> Iterator[str]:
        yield "## In memory: submit … result, one worker, as a ratio to Python's own executor"
        yield ""
        yield "The executor's ratio to itself would be 1 on a machine that does nothing else."
        yield ""
        rows = [
            (peer, self._cell(POOLS, peer, has_x=True))
            for group in GROUPS[1:]
            for peer in self._of(group)
        ]
        yield from _table(("", "tasks/s (ratio)"), rows)

    def _imports(self) -> Iterator[str]:
        yield "## Importing, ms over a bare interpreter"
        yield ""
        rows = [
            (peer.module, self._cell(imports.IMPORT, peer.name))
            for peer in self._peers
            if peer.module
        ]
        yield from _table(("", "ms"), rows)

    def _growth(self) -> Iterator[str]:
        columns = [growth.tasks_name(tasks) for tasks in self._plan.growth]
        columns += [growth.queues_name(queues) for queues in self._plan.queues]
        yield "## Growth: µs an operation of worq, by how many tasks are queued, and by how many queues share 1,000"
        yield ""
        yield "Client and server one after the other, in one thread; the median of 200. SQLite waits for the"
        yield "disk, and has up to 100,000 tasks only."
        yield ""
        for backend in growth.BACKENDS:
            rows = [
                (
                    operation,
                    *(self._cell(growth.name(backend, operation), column) for column in columns),
                )
                for operation in growth.OPERATIONS
            ]
            yield from _table((backend, *columns), rows)

    def _pauses(self) -> Iterator[str]:
        yield "## While one operation does much: how long another client's PING took at most, ms"
        yield ""
        rows = [
            (
                f"a purge of {self._plan.purge_tasks:,}",
                *self._pause(pauses.PURGE),
                self._cell("purge", "worq"),
            ),
            (
                f"{self._plan.leases:,} leases that pass at once",
                *self._pause(pauses.LEASES),
                self._cell("leases", "worq"),
            ),
            ("nothing, for a second", self._cell(pauses.NOTHING, "worq"), NOTHING, NOTHING),
        ]
        yield from _table(
            ("", "longest PING", "longest command, by the server's clock", "all of it"), rows
        )

    def _pause(self, measure: str) -> tuple[str, str]:
        return self._cell(measure, "worq"), self._cell(measure + pauses.COMMAND, "worq")

    def _machines(self) -> Iterator[str]:
        yield "## The checks themselves"
        yield ""
        rows = [
            (
                f"the queue machine on {backend}, operations/s in lockstep with the model",
                self._cell(machines.OPERATIONS, backend),
            )
            for backend in growth.BACKENDS
        ]
        rows += [
            (
                f"the explorer of the model on `{machines.SPACE}`, {measure}",
                self._cell(measure, machines.SPACE),
            )
            for measure in (machines.STATES, machines.STEPS)
        ]
        yield from _table(("", ""), rows)

    def _gaps(self) -> Iterator[str]:
        gaps = [said for said in self._samples.said() if said[2] != "not offered"]
        if gaps:
            yield "## What could not be measured"
            yield ""
            yield from _table(
                ("", "measure", "why"),
                [(peer, "all" if measure == "*" else measure, why) for peer, measure, why in gaps],
            )

    def _of(self, group: str) -> list[str]:
        return [peer.name for peer in self._peers if peer.group == group]

    def _by_peer(
        self, heads: Sequence[str], measures: Sequence[str], *, has_x: bool = False
    ) -> Iterator[str]:
        rows = [
            (peer, *(self._cell(measure, peer, has_x=has_x) for measure in measures))
            for peer in self._of("redis")
        ]
        return _table(
            ("", *heads), [row for row in rows if any(cell != NOTHING for cell in row[1:])]
        )

    def _cell(self, measure: str, peer: str, *, has_x: bool = False) -> str:
        value = self._samples.get(measure, peer)
        if value is None:
            why = self._samples.why(measure, peer)
            return why if why == "not offered" else NOTHING
        x = self._samples.get(f"{measure}, x", peer) if has_x else None
        return number(value) if x is None else f"{number(value)} ({number(x)})"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        yield "Not measured in this run."
    else:
        yield f"| {' | '.join(heads)} |"
        yield f"|{'---|' * len(heads)}"
        for row in rows:
            yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
    yield ""
