"""Where the claims of a pool meet those of its workers that are free."""

import os
import threading
from collections import deque
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from worq.task import FunctionTask
from worq.values import Claim

_RINGS_MAX = 64


@dataclass(slots=True, eq=False)
class Job:
    """A claim on its way: to a worker, and back as an outcome. `deaths`: of workers that had not begun it."""

    claim: Claim
    task: FunctionTask
    deaths: int = 0


class Post:
    """The place of one worker: what it has to do, and a bell that its minder hears in a `poll`."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self._bell, self._rope = Pipe(duplex=False)

    @property
    def bell(self) -> Connection:
        return self._bell

    def ring(self) -> None:
        if not self._rope.closed:
            os.write(self._rope.fileno(), b"!")

    def still(self) -> None:
        """Silence the bell, which has been rung."""
        os.read(self._bell.fileno(), _RINGS_MAX)

    def close(self) -> None:
        self._rope.close()
        self._bell.close()


class Desk:
    """Matches claims with posts whose workers are free. Thread-safe.

    It opens when all workers are ready, closes when no more claims come, and is over at the drain
    deadline, or when the pool gives up.
    """

    def __init__(self, workers: int, claimers: int = 1) -> None:
        """`claimers`: how many threads place jobs."""
        self.posts: list[Post] = [Post() for _ in range(workers)]
        self._free: list[Post] = []
        self._waiting: deque[Job] = deque()  # only while no post is free
        self._reserved = 0  # free posts for which a claim is under way
        self._claimers = claimers
        self._is_open = False
        self._is_closed = False
        self._is_over = False
        self._lock = threading.RLock()
        # One for each thing that is waited for: each task comes by here, and wakes those alone whom it concerns.
        self._freed = threading.Condition(self._lock)
        self._idled = threading.Condition(self._lock)
        self._done = threading.Condition(self._lock)

    # What the pool and its claiming threads do.

    def open(self) -> None:
        """Let claims come."""
        with self._lock:
            self._is_open = True
            self._freed.notify_all()

    def wait_for_free(self, stopping: threading.Event) -> bool:
        """Wait until a post is free for another claim, and reserve it; False if it is time to stop."""
        with self._lock:
            while not stopping.is_set():
                if self._is_open and len(self._free) > self._reserved:
                    self._reserved += 1
                    return True
                self._freed.wait()
            return False

    def fill(self, job: Job) -> None:
        """Give the job to the post that was reserved for it, or to another if that is not free any more."""
        with self._lock:
            self._reserved -= 1
            self.place(job)

    def wake(self) -> None:
        """Have `wait_for_free` look again."""
        with self._lock:
            self._freed.notify_all()

    def place(self, job: Job) -> None:
        """Give the job to a post that is free, now or as soon as there is one."""
        with self._lock:
            if self._free:
                self._assign(self._free.pop(), job)
            else:
                self._waiting.append(job)

    def close(self) -> None:
        """One of the claiming threads has ended.

        After the last no more claims come; what waits for a post is still to be done.
        """
        with self._lock:
            self._claimers -= 1
            if self._claimers == 0:
                self._is_closed = True
                self._tell_all()

    def end(self) -> None:
        """Nothing more is to be done."""
        with self._lock:
            self._is_closed = self._is_over = True
            self._tell_all()

    def waiting(self) -> list[Job]:
        """What no post has been given."""
        with self._lock:
            return list(self._waiting)

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait until no post has a job."""
        with self._lock:
            return self._idled.wait_for(
                lambda: all(post.job is None for post in self.posts), timeout_s
            )

    # What minders do.

    @property
    def has_waiting(self) -> bool:
        """Is there a job that no post has been given?"""
        return len(self._waiting) > 0

    def offer(self, post: Post) -> None:
        """The post is free. When it has a job its bell is rung."""
        with self._lock:
            if self._waiting:
                self._assign(post, self._waiting.popleft())
                self._done.notify_all()
            else:
                self._free.append(post)
                self._freed.notify()

    def take(self, post: Post) -> Job | None:
        """The post is not free any more. The job that it was given, which it has until it is done."""
        with self._lock:
            if post in self._free:
                self._free.remove(post)
            return post.job

    def keep(self, post: Post, job: Job) -> None:
        """The post, which was not free, has this job."""
        with self._lock:
            post.job = job

    def give_back(self, post: Post) -> None:
        """The post is not free, and the job that it was given, if any, is one for others."""
        with self._lock:
            job = self.take(post)
            self.done(post)
            if job is not None:
                self.place(job)

    def done(self, post: Post) -> None:
        """Nothing of the post's job runs any more."""
        with self._lock:
            post.job = None
            self._idled.notify_all()

    def is_done(self) -> bool:
        """Is nothing left to be done?"""
        return self._is_over or (self._is_closed and not self._waiting)

    def is_over(self) -> bool:
        return self._is_over

    def wait(self, timeout: float) -> object:
        """Wait until nothing is left to be done."""
        with self._lock:
            return self._done.wait_for(self.is_done, timeout)

    def leave(self, post: Post) -> None:
        """The post is given up."""
        with self._lock:
            post.close()

    def _assign(self, post: Post, job: Job) -> None:
        post.job = job
        post.ring()

    def _tell_all(self) -> None:
        for post in self.posts:
            post.ring()
        self._done.notify_all()
