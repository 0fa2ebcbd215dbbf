"""Says once when contact with the server is lost, and once when it is back. [ENV-RETRY-4]"""

import logging
import threading
import time

_log = logging.getLogger("worq.queue.redis")


class Contact:
    """That of one queue object. Thread-safe."""

    def __init__(self, where: str) -> None:
        """`where`: the server and the queue, for people."""
        self._where = where
        self.lost_at_s: float | None = None
        self._lock = threading.Lock()

    def lost(self, error: Exception) -> None:
        """A call failed, and is tried again."""
        now_s = time.monotonic()
        # Within the lock nothing is called: a signal's handler that came there would wait for itself.
        with self._lock:
            is_news = self.lost_at_s is None
            if is_news:
                self.lost_at_s = now_s
        if is_news:
            _log.warning("%s: contact lost, trying again: %s", self._where, error)

    def made(self) -> None:
        """A call was answered."""
        if self.lost_at_s is not None:  # which it hardly ever is
            self._say_so()

    def _say_so(self) -> None:
        with self._lock:
            lost_at_s, self.lost_at_s = self.lost_at_s, None
        if lost_at_s is not None:
            _log.info("%s: contact again after %.1f s", self._where, time.monotonic() - lost_at_s)
