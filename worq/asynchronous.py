"""What `worq.aio` needs of a backend, for calls that don't block an event loop. SPEC.md, section 9a."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from worq.backend import Entry
from worq.const import Sentinel, State
from worq.values import Outcome, Submitted


class Poke(Protocol):
    """Ends one wait early, however often it is used."""

    def __call__(self) -> object: ...


class Wait(Protocol):
    """Where a call that waits leaves what ends it early; it is used in the same event loop."""

    poke: Poke | None


class AsyncQueue(Protocol):
    """The operations of a producer, on a queue of one event loop; what they are given has been checked.

    They do what those of `AbstractTaskQueue` do. A call may be cancelled, but for `pop_many`: that is called by
    somebody whom nobody cancels, since what it has got would be lost.
    """

    async def submit_many(self, entries: Sequence[Entry]) -> list[Submitted]: ...

    async def pop_many(
        self, tasks: list[tuple[str, bytes | None]], wait: Wait | None
    ) -> list[Outcome | Sentinel | None]:
        """Look once; with `wait` until there is an answer, or it is poked: then it may answer with none.

        In `tasks` it leaves the incarnation of each that it has seen. [ENV-WAIT-5]
        """
        ...

    async def discard(self, task_id: str, incarnation: bytes | None) -> bool: ...

    async def purge(self) -> int: ...

    async def size(self) -> int: ...

    async def status(self, task_id: str, incarnation: bytes | None) -> State | None: ...

    async def aclose(self) -> None:
        """End whoever waits, with QueueClosed. Idempotent."""
        ...

    def abandon(self) -> None:
        """Close it without its event loop, which is closed: nobody waits any more. Idempotent."""
        ...


@runtime_checkable
class Asynchronous(Protocol):
    """A queue object that can open one for asyncio, of the same queue."""

    def asynchronous(self) -> AsyncQueue: ...
