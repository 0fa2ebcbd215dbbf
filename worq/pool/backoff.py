"""How long to wait before trying again: longer each time, up to a bound. [ENV-POOL-5]"""

from typing import Protocol

FIRST_S = 0.1
# With the pauses of a queue object, which is told so when its server is back: two seconds at most.
LAST_S = 1.5


class Until(Protocol):
    """What ends a wait before its timeout, as a `threading.Event` does."""

    def wait(self, timeout: float) -> object: ...


class Backoff:
    """The pauses of one worker while something goes wrong. Not thread-safe."""

    def __init__(self, until: Until) -> None:
        """`until`: what ends a pause early."""
        self._until = until
        self._delay_s = FIRST_S

    def pause(self) -> None:
        """Wait, and wait twice as long the next time."""
        self._until.wait(self._delay_s)
        self._delay_s = min(2 * self._delay_s, LAST_S)

    def reset(self) -> None:
        """Something went well."""
        self._delay_s = FIRST_S

    @property
    def delay_s(self) -> float:
        """How long the next pause is."""
        return self._delay_s
