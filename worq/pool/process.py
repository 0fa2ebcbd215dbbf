"""A pool of workers that are processes of their own. Source: SPEC.md, section 9."""

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Self

from worq import checks
from worq.core import Broker
from worq.pool.arguments import TASKS_MAX, WORKERS_MAX, count
from worq.pool.crew import Crew
from worq.pool.labour import Recipe
from worq.pool.minder import Terms
from worq.pool.signals import SIGNALS
from worq.pool.worker import WorkerInitError

__all__ = ["WorkerInitError", "WorkerPool", "start_pools"]


class WorkerPool:
    """Processes that run the tasks of a broker's queue. [ENV-POOL-1] to [ENV-POOL-20]

        def init(url):                              # in a module that workers can import
            broker = worq.get_broker(url)
            broker.expose(func)
            return broker

        if __name__ == "__main__":                  # workers import the main module too
            with WorkerPool(worq.get_broker(url), init) as pool:
                pool.join()                         # until INT or TERM

    This process claims tasks, hands them to workers that are free, and finishes them; workers only
    run them. So a worker that dies, hangs, or does not let any other thread run, loses nothing: this
    process tells those who wait. For the same reason it works with every queue, `memory://` too; but
    a task that uses its own broker then has a queue of its own.

    It claims and finishes through queue objects of its own, with the broker's serializer: it goes on
    if the broker is closed, and the broker does when it stops.
    """

    def __init__(  # noqa: PLR0913 - the API's signature
        self,
        broker: Broker,
        init_func: Callable[..., Broker],
        init_args: Sequence[Any] = (),
        init_kwargs: Mapping[str, Any] | None = None,
        workers: int | None = None,
        max_worker_tasks: int | None = None,
        name: str | None = None,
        *,
        time_limit: float | None = None,
        drain_timeout: float = 25.0,
    ) -> None:
        """`init_func(url, *init_args, **init_kwargs)` returns the broker of a worker, in that worker.

        It is called once a worker, with the broker's URL, and has to speak for the same queue with the
        same serializer; all three are pickled. `workers`: how many; None for the CPUs that this process may use.
        `max_worker_tasks`: after so many tasks a worker is replaced. `name`: of threads and
        processes. `time_limit`: how many seconds a task may run before it is ended and fails; None:
        for ever. `drain_timeout`: how many seconds `stop` leaves to what runs, by the queue's
        clock; infinity: until it ends.
        """
        if not callable(init_func):
            raise TypeError(f"init_func: a function is needed, not {init_func!r}")
        _check_arguments(init_args, init_kwargs)
        self.broker = broker
        self.workers: int = _cpus() if workers is None else count("workers", workers, WORKERS_MAX)
        self.name: str = f"worq {broker.name}" if name is None else name
        self.max_worker_tasks = max_worker_tasks
        self.time_limit = time_limit
        self.drain_timeout = drain_timeout
        self._drain_s = checks.seconds_or_forever("drain_timeout", drain_timeout)
        self._terms = Terms(
            Recipe(init_func, broker, init_args, init_kwargs or {}),
            f"{self.name} worker",
            None
            if max_worker_tasks is None
            else count("max_worker_tasks", max_worker_tasks, TASKS_MAX),
            checks.limit("time_limit", time_limit),
        )
        self._lock = threading.Lock()
        self._crew: Crew | None = None

    def start(self, timeout: float | None = 10, handle_sigterm: bool = True) -> None:  # noqa: FBT001, FBT002 - the API's signature
        """Start the workers, and return when all are ready. RuntimeError if they run. [ENV-POOL-2]

        Raises WorkerInitError with the traceback of `init_func`, or what pickling it raises; nothing is left then.
        [ENV-POOL-9] `timeout`: how many seconds it waits for a task before it looks whether it
        should stop (None: for ever); it need not be short, and is no limit on starting.
        `handle_sigterm`: while it runs, TERM stops it as `stop()` does, and a second one ends what
        runs [ENV-POOL-16]; this needs the main thread, in any other it does nothing.
        """
        timeout_s = checks.limit("timeout", timeout)
        with self._lock:
            if self._crew is not None and self._crew.is_running():
                raise RuntimeError(f"{self!r} was started already")
            crew = Crew(self.broker, self.workers, self.name, self._terms, drain_s=self._drain_s)
            self._crew = crew
        try:
            crew.start(timeout_s, handle_sigterm=handle_sigterm)
        except BaseException:  # Ctrl-C too
            crew.call_off()
            raise

    def stop(self, join: bool = True) -> None:  # noqa: FBT001, FBT002 - the API's signature
        """Claim nothing more, and let what runs end within the drain timeout. Idempotent. [ENV-POOL-3]

        What has not ended by then is ended, and its claim released: it starts again elsewhere if it has attempts left,
        else it expires. `join`: wait for all that.
        """
        if self._crew is not None:
            self._crew.stop()
        if join:
            self.join()

    def abort(self) -> None:
        """Stop, if it does not yet, and have the drain deadline pass now. Idempotent. [ENV-POOL-23]"""
        if self._crew is not None:
            self._crew.abort()

    def join(self) -> None:
        """Wait until the pool has been stopped and all its processes have ended.

        In the main thread INT stops it meanwhile, and a second one ends what runs. [ENV-POOL-16]
        """
        crew = self._crew
        if crew is not None:
            with SIGNALS.watching(signal.SIGINT, self.interrupt):
                crew.join()

    def interrupt(self) -> None:
        """What a signal does: stop; if it is stopping already, end what runs. Does not wait. [ENV-POOL-16]"""
        if self._crew is not None:
            self._crew.step()

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


def start_pools(*pools: WorkerPool, **start_kwargs: Any) -> None:
    """Start several pools, and return when all of them have ended. [ENV-POOL-20]

    If one can't be started, those that were are stopped. INT and TERM are for all of them.
    """
    with ExitStack() as started:
        for pool in pools:
            pool.start(**start_kwargs)
            started.callback(pool.stop)
        for pool in pools:
            started.enter_context(SIGNALS.watching(signal.SIGINT, pool.interrupt))
        for pool in pools:
            pool.join()


def _check_arguments(args: object, kwargs: object) -> None:
    """The letters of a string are no arguments."""
    if isinstance(args, (str, bytes)) or not isinstance(args, Sequence):
        shown = checks.SHOWN.repr(args)
        raise TypeError(f"init_args: a tuple or a list of arguments is needed, not {shown}")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise TypeError(f"init_kwargs: a dict is needed, not {checks.SHOWN.repr(kwargs)}")


def _cpus() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
