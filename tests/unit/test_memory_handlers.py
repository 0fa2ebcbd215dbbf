"""What a signal's handler may do to the memory queue: at every instruction of an operation, and while that waits."""

import operator
import signal
import sys
import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import chain, repeat, starmap
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from tests.backends.calls import PATIENCE_S, Call, falls_asleep
from worq.clock import ManualClock
from worq.errors import QueueClosed
from worq.queue import memory
from worq.queue.memory import TaskQueue, waiting
from worq.queue.memory.guard import Guard
from worq.values import Claim, Request

PACKAGE = str(Path(memory.__file__).parent)
INSTRUCTIONS_MAX = 5_000
SLEEP_MS = 50
URL = "memory://"


@pytest.mark.spec("ENV-WAIT-9")
def test_a_handler_that_comes_in_the_midst_is_refused_and_one_that_comes_later_is_not() -> None:
    guard = Guard()

    def interrupted() -> None:
        with pytest.raises(RuntimeError, match="signal"):
            guard.run(list)

    guard.run(interrupted)
    assert guard.run(lambda: 1) == 1


@pytest.mark.spec("ENV-WAIT-9")
def test_a_handler_that_comes_during_a_wait_is_let_in() -> None:
    guard = Guard()
    gate = guard.gate()
    told: list[int] = []

    def handle(*_: object) -> None:
        told.append(guard.run(lambda: 1))
        guard.run(gate.open)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        over = threading.Event()
        main = threading.main_thread()
        call = Call(lambda: falls_asleep(main, over.is_set) and main.ident)
        sent = Call(lambda: signal.pthread_kill(call.answer() or 0, signal.SIGUSR1))
        guard.run(guard.wait, gate, PATIENCE_S)
        over.set()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (told, sent.answer()) == ([1], None)


class Interrupted(Exception):
    """What a handler raises."""


def interrupt(*_: object) -> None:
    raise Interrupted


class LockOf:
    """A lock that is taken back in another way than it was taken first."""

    def __init__(self, lock: threading.Lock, take_back: Callable[[bool], Any]) -> None:
        self.acquire, self.release, self.locked = take_back, lock.release, lock.locked
        self._lock = lock

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def ends_after_an_interruption(guard: Guard, other: Callable[[], object]) -> None:
    """A wait, and what is under way when it is over: it has the lock alone, until its end."""

    def wait() -> None:
        try:
            guard.wait(guard.gate(), 0)
        finally:
            other()

    with pytest.raises(Interrupted):
        guard.run(wait)
    assert not guard.lock.locked()
    assert guard.run(lambda: 1) == 1


@pytest.mark.spec("ENV-WAIT-9")
def test_who_is_interrupted_while_it_takes_its_lock_back_takes_it_first() -> None:
    """As by Ctrl-C while another thread has it: that one must not lose it."""
    guard = Guard()
    lock, tries, was_inside = threading.Lock(), list[bool](), list[bool]()
    others = threading.Lock()

    def take_back(blocking: bool) -> bool:  # noqa: FBT001 (as in `threading`)
        tries.append(blocking)
        if len(tries) < 4:
            was_inside.append(others.locked())
            raise Interrupted
        others.release()  # the other thread has done its operation
        return lock.acquire(blocking)

    others.acquire()
    guard.lock = LockOf(lock, take_back)  # type: ignore[assignment]
    ends_after_an_interruption(guard, lambda: was_inside.append(others.locked()))
    assert was_inside == [True, True, True, False]
    assert tries == [True] * 4


@pytest.mark.spec("ENV-WAIT-9")
def test_who_is_interrupted_when_it_has_its_lock_back_takes_it_once() -> None:
    """The signal comes with the lock: before any instruction follows, the handler raises."""
    guard, lock, tries = Guard(), threading.Lock(), list[bool]()
    # Without any code of Python, which the handler would interrupt instead of the guard's.
    given = chain([True], repeat(False))
    noted = map(tries.append, repeat(True))
    took = map(operator.is_not, noted, map(lock.acquire, given))
    sent = chain(starmap(interrupt_main, [(signal.SIGUSR1,)]), repeat(None))
    guard.lock = LockOf(lock, partial(next, map(operator.is_not, took, sent)))  # type: ignore[assignment]
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        ends_after_an_interruption(guard, lambda: tries.append(lock.locked()))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert tries == [True, True]


@contextmanager
def interrupted(number: int, act: Callable[[], object]) -> Iterator[list[str]]:
    """Act once, in the midst of what this thread does in the memory queue: before its nth instruction.

    If that is refused, try again before the next. The answer: what became of each try, and of each sleep.
    """
    left, log = [number], list[str]()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes = True
        if event != "opcode" or not frame.f_code.co_filename.startswith(PACKAGE) or "done" in log:
            return trace
        left[0] -= 1
        if left[0] < 0:
            try:
                act()
                log.append("done")
            except RuntimeError:
                log.append("refused")
        return trace

    class Lock:
        """Of a gate: it tells how a sleep ends before any instruction can follow."""

        def __init__(self) -> None:
            self._lock = threading.Lock()
            self.locked, self.release = self._lock.locked, self._lock.release

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 (as in `threading`)
            is_taken = self._lock.acquire(blocking, timeout)
            if timeout >= 0:
                log.append("woken" if is_taken else "slept on")
            return is_taken

    before = sys.gettrace()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "worq.queue.memory.guard.threading",
            SimpleNamespace(Lock=Lock, get_ident=threading.get_ident),
        )
        patch.setattr(waiting, "WAIT_MS_MAX", SLEEP_MS)
        sys.settrace(trace)
        try:
            yield log
        finally:
            sys.settrace(before)


def claim(queue: TaskQueue) -> Claim | None:
    return queue.claim(None)


def submit(queue: TaskQueue) -> None:
    queue.submit(Request("b"), b"")


def finish(queue: TaskQueue) -> None:
    queue.finish("a", b"x", 60)


ACTS: dict[str, tuple[Callable[[TaskQueue], Any], Callable[[TaskQueue], object]]] = {
    "a claim, and a task becomes ready": (claim, submit),
    "a claim, and its queue is closed": (claim, TaskQueue.close),
    "a pop, and its task ends": (lambda queue: queue.pop("a", None), finish),
    "a pop, and its task is discarded": (
        lambda queue: queue.pop("a", None),
        lambda queue: queue.discard("a"),
    ),
}


@pytest.mark.spec("ENV-WAIT-9", "ENV-WAIT-2", "ENV-WAIT-7")
@pytest.mark.parametrize("name", ACTS)
def test_a_wait_sees_what_a_handler_does_before_any_instruction(name: str) -> None:
    """Whatever it does is done before the wait begins to sleep, or wakes it."""
    wait, act = ACTS[name]
    logs = list[list[str]]()
    for number in range(INSTRUCTIONS_MAX):
        with opened() as (queue, observer):
            observer.submit(Request("a"), b"")
            observer.claim(0)
            with interrupted(number, partial(act, queue)) as log, suppress(QueueClosed):
                wait(queue)
            for task_id in ("a", "b"):
                observer.discard(task_id)
        logs.append(log)
        if log[0] == "slept on":  # it slept before it was interrupted: no instruction is left
            break
        assert "slept on" not in log, f"before instruction {number}: {log}"
    assert logs[-1][0] == "slept on"
    assert ["done"] in logs
    assert sum("refused" in log for log in logs) > len(logs) // 2
    assert sum("woken" in log for log in logs) > len(logs) // 2


@contextmanager
def opened() -> Iterator[tuple[TaskQueue, TaskQueue]]:
    """Two objects of one queue."""
    clock, name = ManualClock(), uuid4().hex
    with (
        closing(TaskQueue(URL, name, clock=clock)) as queue,
        closing(TaskQueue(URL, name, clock=clock)) as observer,
    ):
        yield queue, observer
