"""Parallel programs on Redis, in threads or in processes of their own; the server's journal says what was right."""

import multiprocessing
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Final, NamedTuple, Self, cast

import redis

from worq.queue.redis.keys import keys_of
from worq.testing.driver import Bulk
from worq.testing.histories import Act, Event, History, Lane, Unknown
from worq.testing.journal import Commit, JournalQueue, label, replay, take_journal
from worq.testing.linearizability import Verdict
from worq.testing.parallel import (
    CLIENTS,
    Parallel,
    Recorder,
    Tried,
    look_after,
    opened,
    run_lanes,
)
from worq_model.operations import Reply

NAME: Final = "parallel"
QUEUES: Final = 2
IDS_OF_A_LANE: Final = 1_000
PAUSE_MS_MAX: Final = 5  # more of the server's time does not pass in a program
HEAD_START_NS: Final = 1_000_000  # for all processes to be there


class RealTime:
    """Time that passes by itself."""

    def advance(self, ms: int) -> None:
        if ms <= PAUSE_MS_MAX:
            time.sleep(ms / 1000)


class LabellingRecorder(Recorder):
    """Labels what it does, for the journal."""

    def perform(self, process: str, op_id: int, act: Act) -> Reply:
        label.text = f"{process}/{op_id}"
        if isinstance(act, Bulk):
            label.text += f"+{len(act.operations)}"
        return super().perform(process, op_id, act)


class RedisRun:
    """Runs parallel programs on queues of a server: in threads, or in the processes of a crew. A context manager.

    The same queues serve again and again; of each program nothing may be left but what goes by itself.
    """

    def __init__(self, url: str, crew: "Crew | None" = None) -> None:
        self._crew = crew
        self._journals: dict[int, list[Commit]] = {}
        self._stack = ExitStack()
        self._client = self._stack.enter_context(redis.Redis.from_url(url))
        self._stack.enter_context(often(self._client))
        self._clients = self._stack.enter_context(opened(partial(JournalQueue, url), NAME, QUEUES))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, program: Parallel) -> Tried:
        recorder = LabellingRecorder(self._clients, RealTime())
        for act in program.prefix:
            recorder.do("prefix", act)
        if self._crew is None:
            run_lanes(recorder, program.lanes, pump=False)
        else:
            recorder.history += self._crew.run(program.lanes)
        look_after(recorder, program)
        self._journals = {n: take_journal(self._client, f"{NAME}-{n}") for n in range(QUEUES)}
        verdict = self.judge(recorder.history)
        left = [key for n in range(QUEUES) for key in self._clear(f"{NAME}-{n}")]
        if left:
            verdict = Verdict("violated", {}, (), (f"left behind: {left}",))
        return Tried(recorder.history, verdict)

    def judge(self, history: History) -> Verdict:
        """What is to be said of a history, by the journals of the last program."""
        return replay(history, self._journals)

    def _clear(self, name: str) -> list[bytes]:
        """Remove what there is of a queue; what of it should not have been there."""
        kept, transient = keys_of(self._client, name)
        if kept or transient:
            self._client.delete(*kept, *transient)
        return sorted(kept)


@contextmanager
def often(client: redis.Redis) -> Generator[None]:
    """Have the server end blocks that time out within 2 ms, not within 100."""
    before = cast("dict[str, str]", client.config_get("hz"))
    client.config_set("hz", 500)
    try:
        yield
    finally:
        client.config_set("hz", before["hz"])


class _Job(NamedTuple):
    """A lane for a process."""

    number: int
    lane: Lane


class Crew:
    """Processes that each run one lane at a time. A context manager."""

    def __init__(self, url: str, processes: int) -> None:
        self._url = url
        self._count = processes
        self._pipes: list[Connection] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        for _ in range(self._count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(self._url, theirs), daemon=True)
            process.start()
            theirs.close()
            self._stack.callback(process.close)
            self._stack.callback(process.join)
            self._stack.callback(ours.close)
            self._stack.callback(ours.send, None)
            self._pipes.append(ours)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, lanes: Sequence[Lane]) -> list[Event]:
        """What the lanes did, all at the same time."""
        pipes = self._pipes[: len(lanes)]
        assert len(pipes) == len(lanes), "as many processes as lanes are needed"
        for number, (pipe, lane) in enumerate(zip(pipes, lanes, strict=True)):
            pipe.send(_Job(number, lane))
        for pipe in pipes:
            assert pipe.recv() == "ready"
        begin_ns = time.monotonic_ns() + HEAD_START_NS
        for pipe in pipes:
            pipe.send(begin_ns)
        return [event for pipe in pipes for event in pipe.recv()]


def _serve(url: str, pipe: Connection) -> None:
    """In a process of the crew."""
    with opened(partial(JournalQueue, url), NAME, QUEUES, CLIENTS) as clients:
        while (job := pipe.recv()) is not None:
            recorder = LabellingRecorder(
                clients, RealTime(), first_id=IDS_OF_A_LANE * (job.number + 1)
            )
            pipe.send("ready")
            begin_ns = pipe.recv()
            while time.monotonic_ns() < begin_ns:
                pass
            _run_lane(recorder, job)
            pipe.send(recorder.history)


def _run_lane(recorder: Recorder, job: _Job) -> None:
    try:
        for act in job.lane:
            recorder.do(f"lane {job.number}", act)
    except Unknown:
        pass
