"""One operation through a proxy that makes one of its commands fail, and what a second client makes of it.

The operation is asked through the proxy, over a connection of its own; whatever was before and comes after, over
others that do not go through it. The journal of the server says what was done, and the model whether that, the answer,
and all that is there afterwards are right.
"""

import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.backends.calls import PATIENCE_S
from worq.queue.redis.keys import keys_of
from worq.testing.driver import Do
from worq.testing.histories import Act, Lane, Unknown, Wait, as_lanes, by_client, operation_of
from worq.testing.journal import Commit, JournalQueue, replay, take_journal
from worq.testing.parallel import CLIENTS, Parallel, look_after, reasons
from worq.testing.programs import as_code
from worq.testing.proxy import FaultProxy, Plan
from worq.testing.redis_runs import LabellingRecorder, RealTime
from worq_model import operations as ops

if TYPE_CHECKING:
    from collections.abc import Callable

NAME: Final = "trial"
ASKED, OTHER = range(CLIENTS)


class Trial(NamedTuple):
    """`act` is asked through the proxy. `wakes`: what ends its wait, if it waits. `looks`: where to look afterwards."""

    prefix: Lane
    act: Act
    wakes: Act | None = None
    looks: Lane = ()


class Result(NamedTuple):
    """How many commands it took, and what is wrong."""

    commands: int
    trouble: str = ""


class Court:
    """Holds trials on a queue of a server. A context manager.

    `retry_deadline_s`: of the client that meets the fault. `heal` is called when it has its answer.
    """

    def __init__(self, url: str, name: str = NAME, *, retry_deadline_s: float = PATIENCE_S) -> None:
        self._url = url
        self._name = name
        self._retry_deadline_s = retry_deadline_s
        self._stack = ExitStack()
        self.heal: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        # It connects anew as soon as the server is back, without the pauses of redis-py.
        self.admin = self._stack.enter_context(
            redis.Redis.from_url(self._url, retry=Retry(NoBackoff(), 3))
        )
        self.proxy = self._stack.enter_context(FaultProxy(self._url))
        self._second = self._stack.enter_context(closing(JournalQueue(self._url, self._name)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def hold(self, trial: Trial, plan: Plan | None) -> Result:
        """One trial. The server has forgotten all scripts, so the client has to send one whole."""
        with closing(
            JournalQueue(self.proxy.url, self._name, retry_deadline_s=self._retry_deadline_s)
        ) as asked:
            recorder = LabellingRecorder([[asked, self._second, self._second]], RealTime())
            for act in trial.prefix:
                recorder.do("prefix", by_client(act, OTHER))
            self.admin.script_flush()
            self.proxy.follow(plan)
            then = _ask(recorder, self.proxy, trial)
            self.proxy.plan = None
            self.heal()
            commands = self.proxy.commands
            look_after(
                recorder, Parallel(trial.looks or (*trial.prefix, trial.act), (tuple(then),))
            )
        journal = take_journal(self.admin, self._name)
        verdict = replay(recorder.history, {0: journal})
        wrong = [*_done_twice(journal), *(f"# left behind: {key!r}" for key in self._clear())]
        if verdict.answer == "holds" and not wrong:
            return Result(commands)
        story = [as_code(trial), as_lanes(recorder.history), *wrong]
        return Result(commands, "\n".join([*story, *reasons(recorder.history, verdict)]))

    def _clear(self) -> list[bytes]:
        """Remove what there is of the queue; what of it should not have been there."""
        kept, transient = keys_of(self.admin, self._name)
        if kept or transient:
            self.admin.delete(*kept, *transient)
        return sorted(kept)


def _ask(recorder: LabellingRecorder, proxy: FaultProxy, trial: Trial) -> list[Act]:
    """Have it done; what else was done, so that it ends."""
    is_over = threading.Event()

    def ask() -> None:
        try:
            recorder.do("asked", by_client(trial.act, ASKED))
        except Unknown:
            pass
        finally:
            is_over.set()
            proxy.told()

    thread = threading.Thread(target=ask)
    thread.start()
    then: list[Act] = []
    if isinstance(trial.act, Wait):
        proxy.wait_until(lambda: proxy.is_blocked or is_over.is_set())
        if not is_over.is_set() and trial.wakes is not None:
            recorder.do("then", by_client(trial.wakes, OTHER))
            then.append(trial.wakes)
    thread.join(2 * PATIENCE_S)
    assert not thread.is_alive(), f"no answer: {as_code(trial)}"
    return then


def _done_twice(journal: list[Commit]) -> list[str]:
    """An operation that does not wait is done under one number, however often it was sent. [ENV-RETRY-1]"""
    numbers: dict[str, set[bytes]] = {}
    for commit in journal:
        if commit.label.startswith("asked/") and commit.script not in ("CLAIM", "POP", "SETTLE"):
            numbers.setdefault(commit.label, set()).add(commit.number)
    return [
        f"# done twice: {label!r}, as {found}"
        for label, found in numbers.items()
        if len(found) != 1
    ]


def waker(act: Act) -> Act | None:
    """What ends a wait."""
    match operation_of(act):
        case ops.Claim():
            return Do(ops.Submit("z", b"incarnation of z", b"z"))
        case ops.Pop(task_id):
            return Do(ops.Discard(task_id))
        case _:
            return None
