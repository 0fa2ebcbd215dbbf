"""Waiting for several queues at once: a thread for each, which claims nothing. [ENV-POOL-25]"""

import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

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

    A queue whose server does not answer is put aside: no worker looks at it until another thread has had an answer.
    """

    def __init__(self, brokers: Sequence[Broker], closed: threading.Event) -> None:
        """It ends when `closed` is set and the brokers are closed; `wake` says that it is."""
        self._brokers = brokers
        self._closed = closed
        self._idle = 0
        self._told: deque[int] = deque()
        self._unseen: set[int] = set()  # told, and nobody has looked yet
        self._threads: list[threading.Thread] = []
        self.aside: set[int] = set()
        self._asking: dict[int, threading.Thread] = {}
        self._pauses = [Backoff(closed) for _ in brokers]
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
        with self._changed:
            threads = [*self._threads, *self._asking.values()]
        for thread in threads:
            thread.join(JOIN_S)

    def answered(self, queue: int) -> None:
        """A worker has looked at it."""
        self._pauses[queue].reset()

    def put_aside(self, queue: int) -> None:
        """Have nobody look at it until its server answers; then a worker is told of it."""
        with self._changed:
            if queue in self.aside or self._closed.is_set():
                return
            self.aside.add(queue)
            name = f"worq lookout {self._brokers[queue].name}"
            thread = threading.Thread(target=self._ask, args=(queue,), name=name, daemon=True)
            thread.start()
            self._asking[queue] = thread

    # What the threads do.

    def _ask(self, queue: int) -> None:
        """Bring it back when its server answers."""
        leave_to_the_main_thread()
        while not self._closed.is_set():
            self._pauses[queue].pause()  # longer each time, until a worker has looked
            with suppress(Exception):  # whoever put it aside has said so
                len(self._brokers[queue])
                break
        with self._changed:
            self.aside.discard(queue)
            self._tell(queue)

    def _watch(self, queue: int) -> None:
        leave_to_the_main_thread()
        backoff = Backoff(self._closed)
        while self._is_wanted(queue):
            try:
                is_ready = self._brokers[queue].await_ready(None)
            except NotImplementedError:
                if queue > 0:
                    return  # who is told looks at all of them
                if not self._closed.wait(SLICE_S):
                    self._tell(queue)
                continue
            except Exception:  # noqa: BLE001 - whoever looks meets the same, and says so
                if queue not in self.aside:
                    self._tell(queue)
                backoff.pause()
                continue
            backoff.reset()
            if is_ready and not self._was_aside(queue):
                self._tell(queue)

    def _was_aside(self, queue: int) -> bool:
        """Whether it is put aside; then wait until it is back, of which a worker is told."""
        with self._changed:
            was_aside = queue in self.aside
            self._changed.wait_for(lambda: self._closed.is_set() or queue not in self.aside)
            return was_aside

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
