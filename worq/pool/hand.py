"""What one worker has in hand: claims that it has not begun, outcomes that it has not stored. [ENV-POOL-28]"""

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from worq.backend import LEASE_MARGIN_S
from worq.clock import Clock
from worq.core import Ended
from worq.values import Claim

# So much work it takes in hand, as far as the tasks before tell how long one takes.
WORK_S = 0.01
CLAIMS_MAX = 64
# After so long it is taken out of its hand: what it does now takes longer than it looked.
DUE_MS = 50
# No lease is shorter: a claim that lay here so long may be another worker's by now.
STALE_MS = 1000 * LEASE_MARGIN_S


class Hand:
    """Claims come in and outcomes go out together, so that fast tasks share their round trips. Thread-safe.

    Only tasks that may be started again are claimed in advance [ENV-BULK-3]. They have no heartbeats:
    what lies here longer than `DUE_MS` is stored and given back by the keeper.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._claims: deque[Claim] = deque()
        self._ended: list[Ended] = []
        self._came_ms = self._due_ms = 0
        self._task_s: float | None = None
        self._wanted = 1
        self._lock = threading.Lock()

    # What its worker does.

    @property
    def wanted(self) -> int:
        """How many claims are to come in next."""
        return self._wanted

    def begin(self, claims: Iterable[Claim]) -> Claim | None:
        """The claim to begin with; the others come after it."""
        with self._lock:
            self._claims.extend(claims)
            self._came_ms = self._clock.now_ms()
            self._due_ms = self._came_ms + DUE_MS
        return self.next()

    def next(self) -> Claim | None:
        """The next claim to begin."""
        if not self._claims:  # as it is for all but fast tasks
            return None
        with self._lock:
            if self._claims and self._clock.now_ms() < self._came_ms + STALE_MS:
                return self._claims.popleft()
            self._claims.clear()
            return None

    def took(self, task_s: float) -> None:
        """A task has ended: how long it took."""
        before_s = task_s if self._task_s is None else self._task_s
        # What is slow counts at once, what is fast little by little.
        self._task_s = max(task_s, (3 * before_s + task_s) / 4)
        fitting = WORK_S / max(self._task_s, WORK_S / CLAIMS_MAX)
        self._wanted = max(1, min(2 * self._wanted, int(fitting)))

    def put(self, ended: Ended) -> None:
        """An outcome, to be stored with others."""
        with self._lock:
            self._ended.append(ended)

    def outcomes(self) -> list[Ended]:
        """Those to be stored, which whoever asks has to do."""
        with self._lock:
            ended, self._ended = self._ended, []
            return ended

    # What the keeper does.

    @property
    def due_ms(self) -> int | None:
        """When it is to be emptied."""
        with self._lock:
            return self._due_ms if self._claims or self._ended else None

    def empty(self) -> tuple[list[Ended], list[Claim]]:
        """Take all that is in it."""
        with self._lock:
            ended, claims = self._ended, list(self._claims)
            self._ended = []
            self._claims.clear()
            return ended, claims

    def put_back(self, ended: Sequence[Ended]) -> None:
        """These outcomes could not be stored."""
        with self._lock:
            self._ended[:0] = ended

    def put_off(self, delay_ms: int) -> None:
        """Have it be due so much later than now."""
        with self._lock:
            self._due_ms = self._clock.now_ms() + delay_ms
