"""What one worker has in hand: claims that it has not begun, outcomes that it has not stored. [ENV-POOL-29]"""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence

from worq.clock import Clock
from worq.core import Broker, Ended
from worq.errors import BackendUnavailable, QueueClosed
from worq.task import FunctionTask
from worq.values import Claim

# So much work it takes in hand, as far as the tasks before tell how long one takes.
WORK_S = 0.02
CLAIMS_MAX = 64
# After so long it is taken out of its hand: what it does now takes longer than it looked.
DUE_MS = 50

_log = logging.getLogger(__name__)


class Hand:
    """Claims come in and outcomes go out together, so that fast tasks share their round trips. Thread-safe.

    Only tasks that may be started again are claimed in advance, never their last start [ENV-BULK-3]. What
    lies here for longer than `DUE_MS` the keeper takes out: it stores the outcomes, and gives back the claims.
    """

    def __init__(self, clock: Clock) -> None:
        self.storing: threading.Lock = threading.Lock()
        """Held by whoever takes things out, until he has done with them what is to be done, or has put them back."""
        self._clock = clock
        self._claims: deque[tuple[Claim, FunctionTask]] = deque()
        self._returning: FunctionTask | None = None
        self._ended: list[Ended] = []
        self.asked_ms: int = 0
        """When its claims were asked for."""
        self._due_ms = 0
        self._task_s: float | None = None
        self._wanted = 1
        self._lock = threading.Lock()

    # What its worker does.

    @property
    def wanted(self) -> int:
        """How many claims are to come in next."""
        return self._wanted

    def took(self, task_s: float) -> None:
        """A task has ended: how long it took."""
        before_s = task_s if self._task_s is None else self._task_s
        # What is slow counts at once, what is fast little by little.
        self._task_s = max(task_s, (3 * before_s + task_s) / 4)
        fitting = WORK_S / max(self._task_s, WORK_S / CLAIMS_MAX)
        self._wanted = max(1, min(2 * self._wanted, int(fitting)))

    def fill(self, claims: Iterable[tuple[Claim, FunctionTask]], asked_ms: int) -> None:
        """Take claims in hand, which are to be begun soon."""
        with self._lock:
            self._claims.extend(claims)
            self.asked_ms = asked_ms
            self._due_ms = self._clock.now_ms() + DUE_MS

    def next(self) -> Claim | None:
        """The next claim to begin."""
        if not self._claims:  # as it is for all but fast tasks
            return None
        with self._lock:
            return self._claims.popleft()[0] if self._claims else None

    def put(self, ended: Ended) -> None:
        """An outcome, to be stored with others."""
        with self._lock:
            if not (self._claims or self._ended):
                self._due_ms = self._clock.now_ms() + DUE_MS
            self._ended.append(ended)

    # What whoever is `storing` does.

    def outcomes(self) -> list[Ended]:
        """Those to be stored, which whoever asks has to do."""
        with self._lock:
            ended, self._ended = self._ended, []
            return ended

    def last(self) -> FunctionTask | None:
        """The last of the claims, which whoever asks has to give back: so all keep their order. [REL-3]

        Nobody begins it any more. The same one is the answer until it `was_given_back`.
        """
        with self._lock:
            if self._returning is None and self._claims:
                self._returning = self._claims.pop()[1]
            return self._returning

    def was_given_back(self) -> None:
        with self._lock:
            self._returning = None

    def put_back(self, ended: Sequence[Ended]) -> None:
        """These outcomes could not be stored."""
        with self._lock:
            self._ended[:0] = ended

    # What the keeper asks.

    @property
    def due_ms(self) -> int | None:
        """When it is to be emptied."""
        with self._lock:
            is_empty = self._returning is None and not (self._claims or self._ended)
            return None if is_empty else self._due_ms

    def put_off(self, delay_ms: int) -> None:
        """Have it be due so much later than now."""
        with self._lock:
            self._due_ms = self._clock.now_ms() + delay_ms


def store(broker: Broker, ended: Sequence[Ended], claims: int = 0) -> list[Claim]:
    """Store outcomes, and claim. One that the backend trips over takes none of the others with it, and is logged."""
    try:
        return broker.finish_many(ended, claims)
    except (BackendUnavailable, QueueClosed):
        raise
    except Exception:
        if len(ended) == 1:
            raise
    for each in ended:
        try:
            broker.finish_many([each._replace(again=True)])
        except (BackendUnavailable, QueueClosed):
            raise
        except Exception:  # noqa: BLE001 - it is logged; its lease passes, and who waits is told
            _log.exception("given up: %s [%s]", each.task.name, each.task.id)
    return []
