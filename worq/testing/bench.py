"""Queues to test with: made once, used again by the next example, and made anew after one that failed."""

import secrets
from collections.abc import Callable, Sequence
from itertools import count

from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.testing.lifecycle import LifecycleLockstep
from worq.testing.lockstep import Lockstep

MakeQueue = Callable[[str, ManualClock], AbstractTaskQueue]
"""Makes a queue object: queue name and clock. Two with one name reach the same queue."""


def _nothing(queue: AbstractTaskQueue) -> Sequence[str]:
    del queue
    return ()


class Bench:
    """`queues` queues of `clients` queue objects each, under one manual clock. Close it at the end.

    `left_behind` says what is left of a queue that has been worked off, as text: an empty answer is right.
    """

    def __init__(
        self,
        make_queue: MakeQueue,
        left_behind: Callable[[AbstractTaskQueue], Sequence[str]] = _nothing,
        *,
        queues: int = 2,
        clients: int = 2,
    ) -> None:
        self._make_queue = make_queue
        self._left_behind = left_behind
        self._shape = (queues, clients)
        self._name = f"bench {secrets.token_hex(6)}"  # of no other bench on the same server
        self._numbers = count(1)
        self._queues: list[list[AbstractTaskQueue]] = []
        self._made: list[AbstractTaskQueue] = []
        self._clock = ManualClock()

    def lockstep(self) -> Lockstep:
        """Empty queues beside empty models. Hand it back with `done`; one that is not handed back is not used again."""
        return Lockstep(self._take(), self._clock)

    def done(self, lockstep: Lockstep) -> None:
        """Wind up: end all tasks, and check that nothing is left."""
        lockstep.wind_up()
        self._take_back(lockstep.queues, lockstep.history())

    def lifecycle(self) -> LifecycleLockstep:
        """The same with a broker on each queue. Hand it back with `lifecycle_done`."""
        queues = self._take()
        return LifecycleLockstep([clients[0] for clients in queues], self._clock)

    def lifecycle_done(self, lockstep: LifecycleLockstep) -> None:
        """Wind up, as `done` does."""
        lockstep.wind_up()
        self._take_back([[queue] for queue in lockstep.queues], lockstep.history())

    def _take(self) -> list[list[AbstractTaskQueue]]:
        queues = self._queues or self._make()
        self._queues = []
        return queues

    def _take_back(self, queues: Sequence[Sequence[AbstractTaskQueue]], history: str) -> None:
        for clients in queues:
            left = self._left_behind(clients[0])
            assert not left, f"left behind: {left}, after\n{history}"
        self._queues = [list(clients) for clients in queues]

    def close(self) -> None:
        for queue in self._made:
            queue.close()

    def _make(self) -> list[list[AbstractTaskQueue]]:
        queues, clients = self._shape
        names = [f"{self._name} {next(self._numbers)} \N{SNOWMAN}:{{x}}" for _ in range(queues)]
        made = [[self._make_queue(name, self._clock) for _ in range(clients)] for name in names]
        self._made += [queue for of_one_name in made for queue in of_one_name]
        return made
