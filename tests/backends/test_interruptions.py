"""Calls that interrupt a call in its own thread, as those of a signal's handler do. SPEC.md, section 7."""

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.backends.calls import falls_asleep
from tests.backends.conftest import MakeQueue, Start
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.const import TASK_EXPIRED
from worq.values import Request, Submitted

MAIN = threading.main_thread()
ACCEPTED = Submitted("accepted")


class InterruptingClock(ManualClock):
    """A clock that does something once, in the midst of the operation that looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self.act: Callable[[], None] | None = None

    def now_ms(self) -> int:
        act, self.act = self.act, None
        if act is not None:
            act()
        return super().now_ms()


@pytest.fixture
def clock() -> InterruptingClock:
    return InterruptingClock()


@pytest.fixture
def handle() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Has SIGUSR1 handled by this, until the test ends."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda act: void(signal.signal(signal.SIGUSR1, lambda *_: void(act())))
    signal.signal(signal.SIGUSR1, before)


def void(_: object) -> None:
    pass


class TestInTheMidst:
    @pytest.mark.spec("ENV-WAIT-9")
    def test_another_operation_is_done_or_refused(
        self, queue: AbstractTaskQueue, clock: InterruptingClock
    ) -> None:
        answers: list[object] = []

        def submit() -> None:
            try:
                answers.append(queue.submit(Request("b"), b""))
            except RuntimeError as error:
                answers.append(error)

        clock.act = submit
        assert queue.submit(Request("a"), b"") == ACCEPTED
        (answer,) = answers
        assert answer == ACCEPTED or "signal" in str(answer)
        assert queue.status("b") == ("enqueued" if answer == ACCEPTED else None)
        assert queue.size() == answers.count(ACCEPTED) + 1

    @pytest.mark.spec("ENV-WAIT-9")
    def test_closing_is_done_or_refused(
        self, make_queue: MakeQueue, queue: AbstractTaskQueue, clock: InterruptingClock
    ) -> None:
        other = make_queue(queue.name, clock)
        refused: list[str] = []

        def close() -> None:
            try:
                other.close()
            except RuntimeError as error:
                refused.append(str(error))

        clock.act = close
        assert queue.submit(Request("a"), b"") == ACCEPTED
        assert all("signal" in text for text in refused)
        other.close()
        assert queue.size() == 1

    @pytest.mark.spec("ENV-WAIT-9")
    def test_an_exception_before_anything_has_changed_leaves_the_queue_as_it_was(
        self, queue: AbstractTaskQueue, clock: InterruptingClock
    ) -> None:
        def interrupt() -> None:
            raise KeyboardInterrupt

        clock.act = interrupt
        with pytest.raises(KeyboardInterrupt):
            queue.size()
        assert queue.submit(Request("a"), b"") == ACCEPTED
        assert queue.size() == 1


class TestWhileItWaits:
    @pytest.mark.spec("ENV-WAIT-9")
    def test_another_operation_is_done(
        self,
        queue: AbstractTaskQueue,
        start: Start,
        handle: Callable[[Callable[[], object]], None],
    ) -> None:
        queue.submit(Request("a"), b"")
        handle(lambda: queue.discard("a"))
        over = threading.Event()

        def interrupt() -> bool:
            is_asleep = falls_asleep(MAIN, over.is_set)
            signal.pthread_kill(MAIN.ident or 0, signal.SIGUSR1)
            return is_asleep

        interrupted = start(interrupt)
        assert queue.pop("a", 60) is TASK_EXPIRED
        over.set()
        assert interrupted.answer()

    @pytest.mark.spec("ENV-WAIT-9")
    def test_what_a_handler_raises_leaves_the_queue_as_it_was(
        self,
        queue: AbstractTaskQueue,
        start: Start,
        handle: Callable[[Callable[[], object]], None],
    ) -> None:
        def fail() -> None:
            raise KeyboardInterrupt

        handle(fail)
        over = threading.Event()

        def interrupt() -> bool:
            is_asleep = falls_asleep(MAIN, over.is_set)
            signal.pthread_kill(MAIN.ident or 0, signal.SIGUSR1)
            return is_asleep

        interrupted = start(interrupt)
        with pytest.raises(KeyboardInterrupt):
            queue.claim(60)
        over.set()
        assert interrupted.answer()
        queue.submit(Request("a"), b"")
        claim = queue.claim(0)
        assert claim is not None
        assert queue.release("a", token=claim.token)
