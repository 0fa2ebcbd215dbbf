"""Signals and those who watch for them."""

import os
import signal
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from worq.pool.signals import Signals

NUMBER = signal.SIGUSR1
PATIENCE_S = 20


@pytest.fixture
def arrived() -> Iterator[SimpleQueue[str]]:
    """What the handler notes that was there before."""
    arrived: SimpleQueue[str] = SimpleQueue()
    before = signal.signal(NUMBER, lambda *_: arrived.put("before"))
    yield arrived
    signal.signal(NUMBER, before)


def test_who_watches_is_told_and_then_all_is_as_before(arrived: SimpleQueue[str]) -> None:
    signals = Signals()
    with signals.watching(NUMBER, lambda: arrived.put("told")):
        signal.raise_signal(NUMBER)
        assert arrived.get(timeout=PATIENCE_S) == "told"
    signal.raise_signal(NUMBER)
    assert arrived.get(timeout=PATIENCE_S) == "before"
    assert [each.name for each in threading.enumerate()].count("worq signals") == 0


def test_who_watches_twice_is_told_once(arrived: SimpleQueue[str]) -> None:
    signals = Signals()

    def told() -> None:
        arrived.put("told")

    with signals.watching(NUMBER, told):
        with signals.watching(NUMBER, told), signals.watching(NUMBER, lambda: arrived.put("other")):
            signal.raise_signal(NUMBER)
            assert [arrived.get(timeout=PATIENCE_S) for _ in "ab"] == ["told", "other"]
        signal.raise_signal(NUMBER)
        assert arrived.get(timeout=PATIENCE_S) == "told"
    assert arrived.empty()


def test_when_the_last_leaves_in_another_thread_the_next_signal_is_as_before(
    arrived: SimpleQueue[str],
) -> None:
    signals = Signals()

    def told() -> None:
        arrived.put("told")

    signals.watch(NUMBER, told)
    leaving = threading.Thread(target=signals.unwatch, args=(NUMBER, told))
    leaving.start()
    leaving.join()
    signal.raise_signal(NUMBER)
    assert arrived.get(timeout=PATIENCE_S) == "before"


def test_handler_that_was_set_meanwhile_stays(arrived: SimpleQueue[str]) -> None:
    signals = Signals()
    with signals.watching(NUMBER, lambda: arrived.put("told")):
        signal.signal(NUMBER, lambda *_: arrived.put("mine"))
    signal.raise_signal(NUMBER)
    assert arrived.get(timeout=PATIENCE_S) == "mine"


def test_outside_the_main_thread_nothing_is_watched(arrived: SimpleQueue[str]) -> None:
    signals = Signals()

    def watch() -> None:
        with signals.watching(NUMBER, lambda: arrived.put("told")):
            os.kill(os.getpid(), NUMBER)
            assert arrived.get(timeout=PATIENCE_S) == "before"
            arrived.put("done")

    watching = threading.Thread(target=watch)
    watching.start()
    watching.join()
    assert arrived.get(timeout=PATIENCE_S) == "done"


def test_in_a_fork_all_is_as_before(arrived: SimpleQueue[str]) -> None:
    signals = Signals()
    with signals.watching(NUMBER, lambda: arrived.put("told")):
        dispatcher = signals._dispatcher  # noqa: SLF001 (a fork has no thread to end)
        signals.forget()
        signal.raise_signal(NUMBER)
        assert arrived.get(timeout=PATIENCE_S) == "before"
    assert dispatcher is not None
    dispatcher.end()
