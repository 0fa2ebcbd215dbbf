"""Queues to test with: made once, used again by the next example, and made anew after one that failed."""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Final

from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.serializer import Serializer
from worq.testing.capabilities import IN_LOCKSTEP, MANUAL_CLOCK, Capabilities
from worq.testing.lifecycle import LifecycleLockstep
from worq.testing.lockstep import Lockstep

MakeQueue = Callable[[str, ManualClock | None], AbstractTaskQueue]
"""Makes a queue object: queue name and clock, None for the backend's own. Two with one name reach the same queue."""


def nothing(queue: AbstractTaskQueue) -> Sequence[str]:
    del queue
    return ()


CLOCK_MS_MAX: Final = 10**14
"""Three thousand years. Time goes by in centuries here, and no backend need count them for ever."""


def _left_behind(history: str, left: Sequence[str]) -> str:
    return "\n".join(
        [
            "something is left of a queue whose tasks have all ended",
            history,
            "# after that the store holds of it:",
            "# expected nothing",
            *(f"# got      {each}" for each in left),
        ]
    )


class Bench:
    """`queues` queues of `clients` queue objects each, under one manual clock. Close it at the end.

    `left_behind` says what is left of a queue that has been worked off, as text: an empty answer is right.
    A backend that claims no manual clock is not given one, and its queues are used once.
    """

    def __init__(
        self,
        make_queue: MakeQueue,
        left_behind: Callable[[AbstractTaskQueue], Sequence[str]] = nothing,
        *,
        queues: int = 2,
        clients: int = 2,
        claimed: Capabilities = IN_LOCKSTEP,
        serializer: Serializer | None = None,
    ) -> None:
        """`serializer`: of the brokers of a life cycle."""
        self._serializer = serializer
        self._make_queue = make_queue
        self._left_behind = left_behind
        self._shape = (queues, clients)
        self._name = f"bench {secrets.token_hex(6)}"  # of no other bench on the same server
        self._numbers = count(1)
        self._queues: list[list[AbstractTaskQueue]] = []
        self._made: list[AbstractTaskQueue] = []
        self._clock = ManualClock()
        self._claimed = claimed
        self._out: Lockstep | LifecycleLockstep | None = None
        self._left: set[str] = set()
        self.rows: Counter[Any] = Counter()
        """The rows of the model's tables that were taken by what was handed back."""

    def lockstep(self) -> Lockstep:
        """Empty queues beside empty models. Hand it back with `done`; one that is not handed back is not used again."""
        self._out = lockstep = Lockstep(self._take(), self._clock, self._claimed)
        return lockstep

    @property
    def out(self) -> Lockstep | LifecycleLockstep | None:
        """What was taken last, if it was not handed back: where something went wrong."""
        return self._out

    def done(self, lockstep: Lockstep) -> None:
        """Wind up: end all tasks, and check that nothing is left."""
        lockstep.wind_up()
        self._take_back(lockstep, lockstep.queues)

    def lifecycle(self) -> LifecycleLockstep:
        """The same with a broker on each queue. Hand it back with `lifecycle_done`."""
        queues = [clients[0] for clients in self._take()]
        self._out = lockstep = LifecycleLockstep(
            queues, self._clock, claimed=self._claimed, serializer=self._serializer
        )
        return lockstep

    def lifecycle_done(self, lockstep: LifecycleLockstep) -> None:
        """Wind up, as `done` does."""
        lockstep.wind_up()
        self._take_back(lockstep, [[queue] for queue in lockstep.queues])

    def _take(self) -> list[list[AbstractTaskQueue]]:
        self._abandon()
        if self._clock.now_ms() > CLOCK_MS_MAX:
            self.close()
            self._queues, self._clock = [], ManualClock()
        queues = self._queues or self._make()
        self._queues = []
        return queues

    def _take_back(
        self,
        lockstep: Lockstep | LifecycleLockstep,
        queues: Sequence[Sequence[AbstractTaskQueue]],
    ) -> None:
        self.rows.update(lockstep.rows)
        if MANUAL_CLOCK not in self._claimed:
            self.close()  # leases of last starts go on
            return
        for clients in queues:
            left = set(self._left_behind(clients[0])) - self._left
            if left:
                self._left |= left  # it stays there, and what comes next is not to blame for it
                raise AssertionError(_left_behind(lockstep.history(), sorted(left)))
        self._out = None
        self._queues = [list(clients) for clients in queues]

    def _abandon(self) -> None:
        """Empty the queues of a lockstep that was not handed back."""
        if self._out is not None:
            self._out.abandon()
            self._out = None

    def close(self) -> None:
        """Close all queue objects; what is left of an example that failed is thrown away."""
        self._abandon()
        made, self._made = self._made, []
        for queue in made:
            queue.close()

    def _make(self) -> list[list[AbstractTaskQueue]]:
        queues, clients = self._shape
        names = [f"{self._name} {next(self._numbers)} \N{SNOWMAN}:{{x}}" for _ in range(queues)]
        clock = self._clock if MANUAL_CLOCK in self._claimed else None
        made = [[self._make_queue(name, clock) for _ in range(clients)] for name in names]
        self._made += [queue for of_one_name in made for queue in of_one_name]
        with suppress(Exception):  # nothing was asked of it yet, so there may be nothing to look at
            self._left.update(self._left_behind(made[0][0]))  # by others, in the same store
        return made
