"""What worq is to reach, and whether it does."""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from benchmarks.measures import drain, end_to_end, enqueue, herd, imports, latency, memory, pauses
from benchmarks.measures.pools import POOLS
from benchmarks.peers import Peer
from benchmarks.samples import Samples

FLOOR, BATCHES = "floor", "floor, batches of 64"
WORQ, ATTEMPTS = "worq", "worq, attempts=2"
THREADS, PROCESSES = "worq, threads", "worq, processes"
IN_THREADS: Final = ("dramatiq, StubBroker", "huey, MemoryHuey")
IN_PROCESSES: Final = ("multiprocessing.Pool", "loky")
NOTHING: Final = "–"

Verdict = Literal["reached", "**not reached**", "not measured"]


class Check(NamedTuple):
    """`value` is to be `sign` `bound`; None if it was not measured."""

    value: float | None
    sign: Literal["≥", "≤", "="]
    bound: float
    what: str = ""

    @property
    def holds(self) -> bool | None:
        return None if self.value is None else _SIGNS[self.sign](self.value, self.bound)

    def __str__(self) -> str:
        value = NOTHING if self.value is None else number(self.value)
        return f"{self.sign} {number(self.bound)}{self.what and f' {self.what}'}: {value}"


class Row(NamedTuple):
    """A line of the table."""

    measure: str
    best: str
    floor: str
    worq: str
    checks: Sequence[Check]
    why: str = ""

    @property
    def verdict(self) -> Verdict:
        held = [check.holds for check in self.checks]
        if False in held:
            return "**not reached**"
        return "not measured" if None in held else "reached"


_SIGNS: Final[dict[str, Callable[[float, float], bool]]] = {
    "≥": operator.ge,
    "≤": operator.le,
    "=": operator.eq,
}


def rows(samples: Samples, peers: Iterable[Peer]) -> list[Row]:
    """The table, from what was measured."""
    return _Table(samples, [peer.name for peer in peers if peer.is_rival]).rows()


def number(value: float) -> str:
    """Three significant digits, and no exponent."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


class _Table:
    def __init__(self, samples: Samples, rivals: Sequence[str]) -> None:
        self._get = samples.get
        self._why = samples.why
        self._rivals = rivals

    def rows(self) -> list[Row]:
        return [*self._rates(), *self._costs(), *self._elsewhere()]

    def _rates(self) -> list[Row]:
        single, many = f"{enqueue.SINGLE}, x", f"{enqueue.MANY}, x"
        drained, ended = f"{drain.DRAIN}, x", f"{end_to_end.SINGLE}, x"
        together = f"{end_to_end.TOGETHER}, x"
        floor_drain, floor_end = self._get(drained, FLOOR), self._get(ended, FLOOR)
        best_drain = self._best(drained)[1]
        return [
            self._row(
                "enqueue, single calls, x", single, WORQ, FLOOR,
                Check(self._get(single, WORQ), "≥", 0.80, "x"),
                Check(self._over(single, WORQ, FLOOR), "≥", 0.85, "× the floor"),
            ),
            self._row("enqueue, many, x", many, WORQ, FLOOR, Check(self._get(many, WORQ), "≥", 3, "x")),
            self._row(
                "drain, started at most once, x", drained, WORQ, FLOOR,
                Check(_ratio(self._get(drained, WORQ), floor_drain), "≥", 1.5, "× the floor"),
                Check(_ratio(self._get(drained, WORQ), best_drain), "≥", 2.5, "× the best peer"),
            ),
            self._row(
                "drain, tasks that may be started again, x", drained, ATTEMPTS, BATCHES,
                Check(self._get(drained, ATTEMPTS), "≥", 1, "x"),
            )._replace(best=NOTHING),
            self._row(
                "end to end, single calls, x", ended, WORQ, FLOOR,
                Check(_ratio(self._get(ended, WORQ), floor_end), "≥", 1.5, "× the floor"),
            ),
            self._row(
                "end to end, results fetched together, x", together, WORQ, BATCHES,
                Check(_ratio(self._get(together, WORQ), floor_end), "≥", 2.5, "× the floor, single"),
            ),
        ]  # fmt: skip

    def _costs(self) -> list[Row]:
        cpu, cpu_together = f"{end_to_end.SINGLE}, CPU", f"{end_to_end.TOGETHER}, CPU"
        trips, trips_together = (
            f"{end_to_end.SINGLE}, round trips",
            f"{end_to_end.TOGETHER}, round trips",
        )
        floor_cpu = self._get(cpu, FLOOR)
        return [
            self._row(
                "latency, median, ms", latency.LATENCY, WORQ, FLOOR,
                Check(self._over(latency.LATENCY, WORQ, FLOOR), "≤", 1.2, "× the floor's"),
                least=True,
            ),
            self._row(
                "latency after 2 s idle, ms", latency.IDLE, WORQ, FLOOR,
                Check(self._over(latency.IDLE, WORQ, FLOOR), "≤", 1.1, "× the floor's"),
                least=True,
            ),
            self._row(
                "CPU per task, client + worker + server, µs", cpu, WORQ, FLOOR,
                Check(self._over(cpu, WORQ, FLOOR), "≤", 1, "× the floor's"), least=True,
            ),
            self._row(
                "the same, batched both ways, µs", cpu_together, WORQ, BATCHES,
                Check(_ratio(self._get(cpu_together, WORQ), floor_cpu), "≤", 0.5, "× the floor's, single"),
                least=True,
            ),
            self._row(
                "round trips per task under load", trips, WORQ, FLOOR,
                Check(self._get(trips, WORQ), "≤", 3), least=True,
            ),
            self._row(
                "the same, batched both ways (`attempts` > 1)", trips_together, ATTEMPTS, BATCHES,
                Check(self._get(trips_together, ATTEMPTS), "≤", 0.2), least=True,
            )._replace(best=NOTHING),
            Row(
                "round trips of one task with 1 and with 32 idle workers", NOTHING, NOTHING,
                f"{self._text(herd.ONE, WORQ)}; {self._text(herd.MANY, WORQ)}",
                [Check(self._over(herd.MANY, WORQ, WORQ, herd.ONE), "=", 1, "× with 1")],
            ),
            self._row(
                "bytes per queued task", memory.QUEUED, WORQ, FLOOR,
                Check(self._get(memory.QUEUED, WORQ), "≤", 300), least=True,
            ),
            self._row(
                "bytes left over per task", memory.LEFT, WORQ, FLOOR,
                Check(_whole(self._get(memory.LEFT, WORQ)), "=", 0), least=True,
            ),
        ]  # fmt: skip

    def _elsewhere(self) -> list[Row]:
        return [
            self._pool("memory queue and threads, submit → result", THREADS, 0.4, *IN_THREADS),
            self._pool("process pool, submit → result", PROCESSES, 1.5, *IN_PROCESSES),
            self._row(
                "import without Redis, over a bare interpreter, ms", imports.IMPORT, WORQ, FLOOR,
                Check(self._get(imports.IMPORT, WORQ), "≤", 40), least=True,
            ),
            self._pause("purge of many: longest pause of others, ms", pauses.PURGE, 10),
            self._pause("many leases at once: longest pause of others, ms", pauses.LEASES, 20),
        ]  # fmt: skip

    def _pool(self, title: str, worq: str, bound: float, *others: str) -> Row:
        measure = f"{POOLS}, x"
        best = self._best(measure, others)
        value = self._get(measure, worq)
        check = Check(value, "≥", bound, "× Python's")
        return Row(
            title,
            best[0],
            "1 (Python's executor)",
            self._text(measure, worq),
            [check],
            self._why(POOLS, worq),
        )

    def _pause(self, title: str, measure: str, bound: float) -> Row:
        longest = self._text(measure + pauses.COMMAND, WORQ)
        text = f"{self._text(measure, WORQ)} (longest command {longest})"
        quiet = f"{self._text(pauses.NOTHING, WORQ)} (nothing happens)"
        check = Check(self._get(measure, WORQ), "≤", bound, "ms")
        return Row(title, NOTHING, quiet, text, [check], self._why(measure, WORQ))

    def _row(
        self, title: str, measure: str, worq: str, floor: str, *checks: Check, least: bool = False
    ) -> Row:
        name = measure.removesuffix(", x").partition(", ")[0]
        return Row(
            title, self._best(measure, least=least)[0], self._text(measure, floor),
            self._text(measure, worq), checks, self._why(name, worq),
        )  # fmt: skip

    def _best(
        self, measure: str, names: Sequence[str] = (), *, least: bool = False
    ) -> tuple[str, float | None]:
        found = [
            (value, name)
            for name in names or self._rivals
            if (value := self._get(measure, name)) is not None
        ]
        if not found:
            return NOTHING, None
        value, name = (min if least else max)(found)
        return f"{name} {number(value)}", value

    def _over(self, measure: str, peer: str, base: str, base_measure: str = "") -> float | None:
        return _ratio(self._get(measure, peer), self._get(base_measure or measure, base))

    def _text(self, measure: str, peer: str) -> str:
        value = self._get(measure, peer)
        return NOTHING if value is None else number(value)


def _ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or not base else value / base


def _whole(value: float | None) -> float | None:
    """The allocator's own moves are less than a byte a task."""
    return None if value is None else float(round(value))
