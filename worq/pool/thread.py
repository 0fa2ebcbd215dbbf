"""A pool of workers that are threads of this process. Source: SPEC.md, section 9."""

import threading
from typing import Self

from worq import checks
from worq.core import Broker
from worq.pool.arguments import WORKERS_MAX, count
from worq.pool.shift import Shift


class WorkerPool:
    """Threads that run the tasks of a broker's queue. [ENV-POOL-1] to [ENV-POOL-7]

        with WorkerPool(broker, workers=4):
            ...

    It claims and finishes through queue objects of its own: it goes on if the broker is closed, and
    the broker does when it stops. Its threads keep no program alive: a pool that nobody stopped is
    stopped at the end of the program, as `stop()` does it. If the process is killed, the leases of
    its tasks pass.
    """

    def __init__(
        self,
        broker: Broker,
        workers: int = 1,
        *,
        name: str | None = None,
        drain_timeout: float = 25.0,
    ) -> None:
        """`workers`: how many tasks run at once.

        `name`: of its threads. `drain_timeout`: how many seconds `stop` leaves to what runs, by the
        queue's clock; infinity: until it ends.
        """
        self.broker: Broker = checks.instance("broker", broker, Broker)
        self.workers: int = count("workers", workers, WORKERS_MAX)
        self.name: str = f"worq {broker.name}" if name is None else name
        self.drain_timeout = drain_timeout
        self._drain_s = checks.seconds_or_forever("drain_timeout", drain_timeout)
        self._lock = threading.Lock()
        self._shift: Shift | None = None

    def start(self, timeout: float | None = 1) -> None:
        """Start the workers and return. RuntimeError if they run. [ENV-POOL-2]

        `timeout`: how many seconds a worker waits for a task before it looks whether it should stop
        (None: for ever). It need not be short: `stop` wakes all of them at once.
        """
        timeout_s = checks.limit("timeout", timeout)
        with self._lock:
            if self._shift is not None and self._shift.is_running():
                raise RuntimeError(f"{self!r} was started already")
            shift = Shift(self.broker, self.workers, self.name, drain_s=self._drain_s)
            # From now on it can be stopped, also by its first task.
            self._shift = shift
            try:
                shift.start(timeout_s)
            except BaseException:  # Ctrl-C too
                shift.call_off()
                raise

    def stop(self, join: bool = True) -> None:  # noqa: FBT001, FBT002 - the API's signature
        """Claim nothing more, and let what runs end within the drain timeout. Idempotent. [ENV-POOL-3]

        What has not ended by then is given back: it starts again elsewhere if it has attempts left,
        else it expires, and its outcome is dropped. `join`: wait for all that, unless it is a task
        of this pool that calls.
        """
        shift = self._shift
        if shift is None:
            return
        shift.stop()
        if join and not shift.has(threading.current_thread()):
            shift.join()

    def abort(self) -> None:
        """Stop, if it does not yet, and have the drain deadline pass now. Idempotent. [ENV-POOL-23]"""
        if self._shift is not None:
            self._shift.abort()

    def join(self) -> None:
        """Wait until the pool has been stopped and its workers have ended, or the drain deadline passed.

        RuntimeError for a task of this pool, which would wait for itself.
        """
        shift = self._shift
        if shift is None:
            return
        if shift.has(threading.current_thread()):
            raise RuntimeError(f"a task can't wait for its own pool to end: {self!r}")
        shift.join()

    def __enter__(self) -> Self:
        try:
            self.start()
            return self  # noqa: TRY300 - Ctrl-C may come just before
        except KeyboardInterrupt:
            self.stop()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<WorkerPool {self.name} ({self.workers})>"
