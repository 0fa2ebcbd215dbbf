"""Deadlines of many keys: which have passed, and which is next. Source: SPEC.md, section 4."""

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

STALE_MIN = 64

# What sorts: the ids of tasks, or tuples that begin with one.
KeyT = TypeVar("KeyT", str, tuple[str, bytes])


class Deadlines(Generic[KeyT]):
    """At most one deadline for each key, in milliseconds. Each call is O(log n) amortised.

    The heap keeps entries whose key has another deadline by now, or none; it is made anew when it
    is more than twice as long as it need be, so heartbeats don't make it grow.
    """

    __slots__ = ("_at_ms", "_heap")

    def __init__(self) -> None:
        self._at_ms: dict[KeyT, int] = {}
        self._heap: list[tuple[int, KeyT]] = []

    @property
    def entries(self) -> int:
        """How long the heap is."""
        return len(self._heap)

    def set(self, key: KeyT, at_ms: int) -> None:
        """Give `key` this deadline, and no other."""
        self._at_ms[key] = at_ms
        heappush(self._heap, (at_ms, key))
        self._compact()

    def drop(self, key: KeyT) -> None:
        """Leave `key` without a deadline."""
        if self._at_ms.pop(key, None) is not None:
            self._compact()

    def next_ms(self) -> int | None:
        """The earliest deadline."""
        heap = self._heap
        while heap:
            at_ms, key = heap[0]
            if self._at_ms.get(key) == at_ms:
                return at_ms
            heappop(heap)
        return None

    def pop_passed(self, now_ms: int) -> KeyT | None:
        """Drop the first key, in the order (deadline, key), whose deadline has passed. [TIM-2]"""
        if not self._heap or self._heap[0][0] > now_ms:  # as nearly always
            return None
        next_ms = self.next_ms()
        if next_ms is None or next_ms > now_ms:  # it passes at the very millisecond [TIM-1]
            return None
        _, key = heappop(self._heap)
        del self._at_ms[key]
        return key

    def _compact(self) -> None:
        if len(self._heap) > 2 * len(self._at_ms) + STALE_MIN:
            self._heap = [(at_ms, key) for key, at_ms in self._at_ms.items()]
            heapify(self._heap)
