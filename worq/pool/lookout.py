"""Waiting for several queues at once: a thread for each, which claims nothing. [ENV-POOL-25]"""

import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from worq.core import Broker
from worq.pool.backoff import Backoff
from worq.pool.signals import leave_to_the_main_thread

# How often queues are looked at whose backend can't wait without claiming.
SLICE_S = 0.25
# Threads end as soon as their queues are closed, unless a server does not answer.
JOIN_S = 0.1


class Lookout:
    """Tells idle workers which of several queues may have a task. Thread-safe.

    A task may only be claimed when a worker is free for it; so whoever waits for more queues than
    there are free workers must not claim. One thread waits for each queue, as long as a worker is
    idle, and tells one worker; it waits again when that one has looked.
    """

    def __init__(self, brokers: Sequence[Broker], closed: threading.Event) -> None:
        """It ends when `closed` is set and the brokers are closed; `wake` says that it is."""
        self._brokers = brokers
        self._closed = closed
        self._idle = 0
        self._told: deque[int] = deque()
        self._unseen: set[int] = set()  # told, and nobody has looked yet
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()

    @contextmanager
    def told(self, timeout: float | None) -> Generator[int | None]:
        """A queue that may have a task, to be looked at within the block; None if it is time to stop waiting."""
        queue = self._wait(timeout)
        try:
            yield queue
        finally:
            if queue is not None:
                with self._changed:
                    self._unseen.discard(queue)
                    self._changed.notify_all()

    def _wait(self, timeout: float | None) -> int | None:
        with self._changed:
            self._begin()
            self._idle += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._closed.is_set() or self._told, timeout)
                return self._told.popleft() if self._told else None
            finally:
                self._idle -= 1

    def _begin(self) -> None:
        for queue in range(len(self._threads), len(self._brokers)):
            if self._closed.is_set():
                return
            name = f"worq lookout {self._brokers[queue].name}"
            thread = threading.Thread(target=self._watch, args=(queue,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def wake(self) -> None:
        """`closed` has been set."""
        with self._changed:
            self._changed.notify_all()

    def join(self) -> None:
        """Wait, for a moment, until the threads have ended."""
        for thread in self._threads:
            thread.join(JOIN_S)

    # What the threads do.

    def _watch(self, queue: int) -> None:
        leave_to_the_main_thread()
        backoff = Backoff(self._closed)
        while self._is_wanted(queue):
            try:
                is_ready = self._brokers[queue].await_ready(None)
            except NotImplementedError:
                if queue > 0:
                    return  # who is told looks at all of them
                is_ready = not self._closed.wait(SLICE_S)
            except Exception:  # noqa: BLE001 - whoever looks meets the same, and says so
                self._tell(queue)
                backoff.pause()
                continue
            backoff.reset()
            if is_ready:
                self._tell(queue)

    def _is_wanted(self, queue: int) -> bool:
        """Wait until a worker is idle and the queue was looked at; False if it is over."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed.is_set() or (self._idle and queue not in self._unseen)
            )
            return not self._closed.is_set()

    def _tell(self, queue: int) -> None:
        with self._changed:
            self._unseen.add(queue)
            self._told.append(queue)
            self._changed.notify_all()
