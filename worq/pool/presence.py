"""The signs of life that a pool leaves where its backend keeps them. [ENV-INFO-3] [ENV-INFO-4]"""

import logging
import os
import secrets
import socket
from collections.abc import Collection, Sequence

from worq.bounds import calls_within
from worq.clock import Clock
from worq.core import Broker
from worq.introspection import Sign
from worq.task import FunctionTask
from worq.values import Token

SIGN_MS = 10_000
# Of tasks that have begun or ended meanwhile another one tells, but no more often than this.
CHANGE_MS = 1_000
# Heartbeats wait meanwhile.
CALL_S = 1.0
# One that is late, or lost, does no harm.
KEPT_MS = 3 * SIGN_MS + 5_000
TASKS_SHOWN_MAX = 100

_log = logging.getLogger(__name__)


class Presence:
    """One pool's. Belongs to the thread that keeps its claims.

    Signs are for people: one that can't be left is not tried again before the next is due, and
    nothing else depends on them.
    """

    def __init__(self, broker: Broker, clock: Clock, name: str, workers: int) -> None:
        self._broker = broker
        self._began_ms = clock.now_ms()
        self._sign = Sign(
            secrets.token_hex(8), name, socket.gethostname(), os.getpid(), workers, 0, ()
        )
        self._shown: frozenset[Token] = frozenset()
        self._soon_ms = self._began_ms
        self.due_ms: int | None = self._began_ms if broker.introspection is not None else None

    def is_due(self, now_ms: int, running: Collection[Token]) -> bool:
        """`running`: whose claims the pool keeps now."""
        if self.due_ms is None:
            return False
        is_soon = self._soon_ms <= now_ms and self._shown != frozenset(running)
        return is_soon or self.due_ms <= now_ms

    def look_ms(self, now_ms: int, running: Collection[Token]) -> int | None:
        """When to look whether one is due, if none is now. Of what ends until then nobody need tell."""
        if self.due_ms is None or not (running or self._shown):
            return self.due_ms
        soon_ms = self._soon_ms if self._soon_ms > now_ms else now_ms + CHANGE_MS
        return min(soon_ms, self.due_ms)

    def sign(self, now_ms: int, tasks: Sequence[FunctionTask]) -> None:
        """Leave one, and say when the next is due."""
        self._soon_ms = self.due_ms = now_ms + SIGN_MS
        sign = self._sign._replace(running_ms=now_ms - self._began_ms)
        try:
            with calls_within(CALL_S):
                self._broker.sign(sign, tasks[:TASKS_SHOWN_MAX], KEPT_MS)
        except Exception as error:  # noqa: BLE001 - whatever it is, heartbeats matter more
            _log.debug("no sign of life: %r", error)
        else:
            self._soon_ms = now_ms + CHANGE_MS
            self._shown = frozenset(task.token for task in tasks)

    def leave(self) -> None:
        """Take it away, if that can be done; else it goes by itself."""
        if self.due_ms is None:
            return
        try:
            with calls_within(CALL_S):
                self._broker.sign_off(self._sign.id)
        except Exception as error:  # noqa: BLE001 - as above
            _log.debug("the sign of life is left: %r", error)
