"""One peer on one server: its client, its worker while one runs, and the slices that it is measured in."""

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import Peer
from benchmarks.plan import Plan
from benchmarks.processes import Client, PeerFailed, Worker
from benchmarks.samples import Samples
from benchmarks.server import Server

TASKS_MIN = 20
FIRST_TASKS = 100
Slice = Callable[[], tuple[float, float]]
"""Does it, and tells how many tasks took how many seconds."""

LOOK_S = 0.002
MARK_S_MAX = 30.0


class Visit:
    """It is kept for a whole run: what it knows of a peer's speed decides how many tasks the next slice has.

    `suffix`: of the names of its measures, where the server is another than usual.
    """

    def __init__(
        self, client: Client, server: Server, samples: Samples, plan: Plan, *, suffix: str = ""
    ) -> None:
        self.client = client
        self.server = server
        self.plan = plan
        self.first = True
        self.has_failed = False
        self._samples = samples
        self._suffix = suffix
        self._per_s: dict[str, float] = {}
        self._worker: Worker | None = None

    @property
    def peer(self) -> Peer:
        return self.client.peer

    def add(self, measure: str, value: float) -> None:
        self._samples.add(measure + self._suffix, self.peer.name, value)

    def say(self, measure: str, why: str) -> None:
        self._samples.say(measure + self._suffix, self.peer.name, why)

    def offers(self, measure: str, *functions: str) -> bool:
        """Has the adapter these functions? If not, that is said of the measure."""
        for name in functions:
            if name not in self.client.has:
                self.say(measure, "not offered")
                return False
        return True

    def tasks(self, measure: str) -> int:
        """How many tasks fill a slice of this measure."""
        per_s = self._per_s.get(measure)
        if per_s is None:
            return min(FIRST_TASKS, self.plan.tasks_max)
        return max(TASKS_MIN, min(self.plan.tasks_max, int(per_s * self.plan.slice_s)))

    def rated(self, measure: str, function: Slice) -> None:
        """Measure a rate between two of LPUSH."""
        before = self.server.lpush_per_s(self.plan.lpush_s)
        count, seconds = function()
        after = self.server.lpush_per_s(self.plan.lpush_s)
        self._per_s[measure] = count / seconds
        name = measure + self._suffix
        self._samples.rate(name, self.peer.name, count / seconds, (before + after) / 2)

    def calibrate(self, measure: str, function: Slice) -> None:
        """Once a run: what is lazy starts now, and how many tasks fill a slice is known. It does not count."""
        if measure not in self._per_s:
            count, seconds = function()
            self._per_s[measure] = count / seconds

    def empty(self) -> None:
        """Empty the server; an adapter makes anew what it needs there."""
        self.server.flush()
        if "emptied" in self.client.has:
            self.client.ask("emptied")

    # The worker.

    def start_worker(self, *, threads: int = 1) -> Worker:
        """Start it, or give the one that runs."""
        if self._worker is None:
            command = self.client.ask("worker")
            if threads != 1 and "--threads" in command:
                command[command.index("--threads") + 1] = str(threads)
            self._worker = Worker(self.client, command, threads=threads)
        return self._worker

    def ready_worker(self, *, threads: int = 1) -> Worker:
        """The same, and it has done a task."""
        worker = self.start_worker(threads=threads)
        try:
            self.client.ask("turns", count=1)
        except PeerFailed:
            worker.check()
            raise
        return worker

    def stop_worker(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def forget_marks(self) -> None:
        for name in ("first", "last"):
            self._mark(name).unlink(missing_ok=True)

    def seconds_between_marks(self, worker: Worker) -> float:
        """Wait until the worker has left both."""
        end_s = time.monotonic() + MARK_S_MAX
        while not (self._mark("first").is_file() and self._mark("last").is_file()):
            worker.check()
            if time.monotonic() > end_s:
                raise PeerFailed(f"drain: not done after {MARK_S_MAX:g} s")
            time.sleep(LOOK_S)
        first, last = (float(self._mark(name).read_text()) for name in ("first", "last"))
        return last - first

    def _mark(self, name: str) -> Path:
        return self.client.marks / name

    def end(self) -> None:
        """Leave an empty server, and no worker."""
        self.stop_worker()
        self.server.flush()
        self.first = False
