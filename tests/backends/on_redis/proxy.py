"""A proxy before a Redis server that counts scripts, and makes them fail one after the other."""

from collections import deque
from typing import TYPE_CHECKING

from worq.testing.proxy import Command, Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable


class Proxy(FaultProxy):
    """`faults`: what becomes of the next scripts, None for nothing; `faults_then` is for all after these.

    `before_script` is called before that is decided. What is `late` is delivered when `deliver` is called.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.plan = self._next_fault
        self.late_s = None
        self.scripts = 0
        self.faults: deque[Fault | None] = deque()
        self.faults_then: Fault | None = None
        self.before_script: Callable[[], object] = lambda: None

    def _next_fault(self, command: Command) -> Fault | None:
        if not command.name.startswith(b"EVAL"):
            return None
        self.before_script()
        fault = self.faults.popleft() if self.faults else self.faults_then
        self.scripts += 1  # who waits for it is told when the plan has been heard
        return fault
