"""The life-cycle machine: producers, workers and waiters on real brokers, in lockstep with the model."""

from collections.abc import Hashable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from worq.testing.bench import Bench
from worq.testing.lifecycle import LifecycleLockstep
from worq.testing.machine import FROM_DEADLINE_MS, Moment
from worq_model import lifecycle as model
from worq_model.values import Options, find

IDS = ("a", "b", "c")
NAMES = ("echo", "echo", "echo", "give", "give", "boom", "exit", "interrupt", "opaque", "nobody")
WORKERS = 2

ids: st.SearchStrategy[str] = st.sampled_from(IDS)
queues: st.SearchStrategy[int] = st.sampled_from((0, 0, 0, 0, 1))
workers: st.SearchStrategy[int] = st.integers(0, WORKERS - 1)
picks: st.SearchStrategy[int] = st.sampled_from(
    (0, 0, 1, 1, 2, 3, 5, 7)
)  # counted from the latest Deferred backwards
options: st.SearchStrategy[Options] = st.builds(
    Options,
    st.sampled_from((False, False, False, True)),
    st.booleans(),
    st.sampled_from((5002, 5010)),
    st.sampled_from((3, 60_000, None)),
    st.sampled_from((1, 1, 2)),
)
leaves: st.SearchStrategy[model.Use | int | None] = st.one_of(
    picks.map(model.Use), picks.map(model.Use), st.integers(0, 9), st.none()
)
arguments: st.SearchStrategy[tuple[Any, ...]] = st.lists(
    st.one_of(leaves, st.lists(leaves, max_size=2).map(tuple)), max_size=3
).map(tuple)


class LifecycleMachine(RuleBasedStateMachine):
    """`make_lifecycle_machine` binds it to its bench."""

    bench: ClassVar[Bench]
    lockstep: LifecycleLockstep

    def __init__(self) -> None:
        super().__init__()
        self.lockstep = self.bench.lifecycle()
        self._incarnations = 0
        self._failed = False

    def teardown(self) -> None:
        if not self._failed:
            self.bench.lifecycle_done(self.lockstep)

    def act(self, action: model.Action, *, observe: bool = True) -> None:
        self._failed = True
        self.lockstep.act(action)
        if observe:
            self.lockstep.observe()
        self._failed = False

    def pick(self, back: int) -> int | None:
        """The number of a Deferred, the latest first; None if there is none."""
        there = len(self.lockstep.world.handles)
        return there - 1 - back % there if there else None

    @rule(queue=queues, task_id=ids, name=st.sampled_from(NAMES), args=arguments, options=options)
    def call(
        self, queue: int, task_id: str, name: str, args: tuple[Hashable, ...], options: Options
    ) -> None:
        self._incarnations += 1
        self.act(model.Call(queue, task_id, self._incarnations, name, self._resolve(args), options))

    def _resolve(self, args: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
        there: list[Hashable] = []
        for arg in args:
            if isinstance(arg, model.Use):
                handle = self.pick(arg.handle)
                there.append(arg.handle if handle is None else model.Use(handle))
            else:
                there.append(self._resolve(arg) if type(arg) is tuple else arg)
        return tuple(there)

    @rule(queue=queues, task_id=ids)
    def submit_garbage(self, queue: int, task_id: str) -> None:
        if find(self.lockstep.world.queues[queue], task_id) is None:
            self._incarnations += 1
            self.act(model.SubmitGarbage(queue, task_id, self._incarnations))

    @rule(back=picks, with_token=st.booleans())
    def adopt(self, back: int, with_token: bool) -> None:
        handle = self.pick(back)
        if handle is not None:
            self.act(model.Adopt(handle, with_token))

    @rule(worker=workers, queue=queues)
    def take(self, worker: int, queue: int) -> None:
        self.act(model.Take(worker, queue))

    @rule(worker=workers, queue=queues)
    def take_and_run(self, worker: int, queue: int) -> None:
        self.act(model.Take(worker, queue), observe=False)
        self.act(model.Run(worker))

    @rule(
        worker=workers,
        what=st.sampled_from((model.Run, model.Run, model.Beat, model.Die, model.FinishGarbage)),
    )
    def work(self, worker: int, what: Any) -> None:
        self.act(what(worker))

    @rule(
        back=picks,
        what=st.sampled_from(
            (model.Wait, model.Wait, model.Value, model.Status, model.PopResult, model.TaskFailed)
        ),
    )
    def look(self, back: int, what: Any) -> None:
        handle = self.pick(back)
        if handle is not None:
            self.act(what(handle))

    @rule(queue=queues, really=st.sampled_from((False,) * 5 + (True,)))
    def discard_pending(self, queue: int, really: bool) -> None:
        """Rarely, or no task would grow old."""
        self.act(model.DiscardPending(queue) if really else model.Length(queue))

    @rule(to=st.sampled_from(("little", "before", "at", "after", "far")), little=st.integers(0, 4))
    def time_passes(self, to: Moment, little: int) -> None:
        left_ms = self.lockstep.next_deadline_ms()
        if to == "little" or left_ms is None:
            self.lockstep.tick(little)
        else:
            self.lockstep.tick(max(0, left_ms + FROM_DEADLINE_MS[to]))


def make_lifecycle_machine(bench: Bench) -> type[LifecycleMachine]:
    """The machine, bound to the queues of a bench, which has at least two."""
    return type("LifecycleMachine", (LifecycleMachine,), {"bench": bench})
