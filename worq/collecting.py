"""Many Deferreds, of whatever queues: wait for them, or have each as soon as it is there. SPEC.md, section 8."""

import threading
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Final, Literal, NamedTuple

from worq import checks
from worq.clock import Clock
from worq.deferred import Deferred, DeferredBroker, Home, fetch_together

FIRST_COMPLETED: Final = "FIRST_COMPLETED"
FIRST_EXCEPTION: Final = "FIRST_EXCEPTION"
ALL_COMPLETED: Final = "ALL_COMPLETED"

ReturnWhen = Literal["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"]

# Who waits for all waits for one of so many, and then fetches them together.
TOGETHER = 256
# After so long it looks at the others all the same, for an outcome is kept for a time only.
LOOK_S = 1.0


class Waited(NamedTuple):
    """Of the Deferreds that were waited for, those that hold their outcome now, and the others."""

    done: set[Deferred]
    not_done: set[Deferred]


def wait(
    deferreds: Iterable[Deferred],
    timeout: float | None = None,
    return_when: ReturnWhen = ALL_COMPLETED,
) -> Waited:
    """Wait for outcomes, at most `timeout` seconds (None: for ever). [ENV-MANY-4]

    `return_when`: as in `concurrent.futures`: ALL_COMPLETED, FIRST_COMPLETED, or FIRST_EXCEPTION,
    which is a failure or an expiry. A result that is for another task is not waited for.
    """
    given = listed(deferreds)
    timeout_s = checks.seconds_or_forever("timeout", timeout)
    check_return_when(return_when)
    pending = _Pending(given)
    until = _Until(pending.clock, timeout_s)
    arrived: Collection[Deferred] = pending.held
    while pending and not is_enough(arrived, return_when):
        left_s = until.left_s()
        arrived = pending.fetch(left_s, for_all=return_when == ALL_COMPLETED)
        if left_s == 0:
            break
    done = {deferred for deferred in given if deferred.held is not None}
    return Waited(done, set(given) - done)


def as_completed(deferreds: Iterable[Deferred], timeout: float | None = None) -> Iterator[Deferred]:
    """Each Deferred as soon as it holds its outcome. [ENV-MANY-5]

    TimeoutError when one is still missing `timeout` seconds after this call (None: wait for ever).
    One whose result is for another task does not come.
    """
    given = listed(deferreds)
    timeout_s = checks.seconds_or_forever("timeout", timeout)
    pending = _Pending(given)
    return _as_they_come(pending, _Until(pending.clock, timeout_s), len(given))


def _as_they_come(pending: "_Pending", until: "_Until", count: int) -> Iterator[Deferred]:
    yield from pending.held
    while pending:
        left_s = until.left_s()
        yield from pending.fetch(left_s, for_all=False)
        if left_s == 0 and pending:
            raise TimeoutError(f"{len(pending)} (of {count}) outcomes are not there")


def listed(deferreds: Iterable[Deferred]) -> list[Deferred]:
    """Each once, in their order."""
    listed = list(dict.fromkeys(checks.iterable("deferreds", deferreds)))
    for number, deferred in enumerate(listed):
        checks.instance(f"deferreds[{number}]", deferred, Deferred)
    return listed


def check_return_when(return_when: object) -> None:
    if return_when not in (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED):
        raise ValueError(f"return_when: a constant of worq is needed, not {return_when!r}")


def is_enough(arrived: Iterable[Deferred], return_when: ReturnWhen) -> bool:
    if return_when == ALL_COMPLETED:
        return False
    held = [deferred.held for deferred in arrived]
    if return_when == FIRST_COMPLETED:
        return bool(held)
    return any(each is not None and each.failure is not None for each in held)


class _Until:
    """When a timeout passes, by the clock of a queue."""

    def __init__(self, clock: Clock | None, timeout_s: float | None) -> None:
        self._clock = clock
        self._end_ms: int | None = None
        if clock is not None and timeout_s is not None:
            self._end_ms = clock.now_ms() + checks.milliseconds(timeout_s)

    def left_s(self) -> float | None:
        if self._clock is None or self._end_ms is None:
            return None
        return max(0, self._end_ms - self._clock.now_ms()) / 1000


class _Pending:
    """The Deferreds that have no outcome yet, by queue; not those whose result is for another task.

    `held`: those that had theirs at the beginning.
    """

    def __init__(self, deferreds: Iterable[Deferred]) -> None:
        self.held: list[Deferred] = []
        self._queues: dict[Home, dict[Deferred, None]] = {}
        self._brokers: dict[Home, DeferredBroker] = {}
        for deferred in deferreds:
            if deferred.held is not None:
                self.held.append(deferred)
            else:
                self._brokers.setdefault(deferred.home, deferred.broker)
                self._queues.setdefault(deferred.home, {})[deferred] = None

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def clock(self) -> Clock | None:
        """That of the first queue."""
        return next((broker.clock for broker in self._brokers.values()), None)

    def fetch(self, timeout_s: float | None, *, for_all: bool) -> list[Deferred]:
        """Those that hold their outcome now; waits until there is one.

        `for_all`: who asks needs all of them, so it may come back with none.
        """
        if timeout_s == 0:
            return self._look()
        if for_all:
            return self._fetch_some(timeout_s)
        if len(self._queues) > 1:
            return self._look() or self._await_several(timeout_s)
        ((home, waiting),) = self._queues.items()
        return self._fetch(home, list(waiting), timeout_s)

    def _fetch_some(self, timeout_s: float | None) -> list[Deferred]:
        """Wait for the last of some, and then fetch them together: most will be there by then."""
        home, waiting = next(iter(self._queues.items()))
        *others, last = islice(waiting, TOGETHER)
        slice_s = LOOK_S if timeout_s is None else min(timeout_s, LOOK_S)
        if not (arrived := self._fetch(home, [last], slice_s)):
            return self._look()
        arrived += self._fetch(home, others, 0)
        # If it wasn't the last, nothing is known of those that come behind it either.
        return arrived if 2 * len(arrived) > len(others) else arrived + self._look()

    def _look(self) -> list[Deferred]:
        """Fetch all that is there."""
        arrived: list[Deferred] = []
        for home, waiting in list(self._queues.items()):
            arrived += self._fetch(home, list(waiting), 0)
        return arrived

    def _fetch(
        self, home: Home, deferreds: list[Deferred], timeout_s: float | None
    ) -> list[Deferred]:
        if deferreds:
            fetch_together(self._brokers[home], deferreds, timeout_s)
        return self._sort_out(home, deferreds)

    def _sort_out(self, home: Home, deferreds: list[Deferred]) -> list[Deferred]:
        """Wait no more for those that have an answer. The ones that hold their outcome."""
        arrived = [deferred for deferred in deferreds if deferred.held is not None]
        for deferred in deferreds:
            if deferred.has_value() or deferred.is_passed_on:
                self._queues[home].pop(deferred)
        if home in self._queues and not self._queues[home]:
            del self._queues[home]
        return arrived

    def _await_several(self, timeout_s: float | None) -> list[Deferred]:
        """Wait for one of several queues: in a thread for each, on a queue object that can be closed."""
        waiting = {home: list(deferreds) for home, deferreds in self._queues.items()}
        reports: SimpleQueue[BaseException | None] = SimpleQueue()
        clones: list[DeferredBroker] = []
        threads: list[threading.Thread] = []
        try:
            for home, deferreds in waiting.items():
                clones.append(self._brokers[home].clone())
                given = clones[-1], deferreds, timeout_s, reports
                thread = threading.Thread(target=_fetch_and_report, args=given, daemon=True)
                thread.start()
                threads.append(thread)
            error = self._first(reports)
        finally:
            for clone in clones:
                clone.close()
            for thread in threads:
                thread.join()
        if error is not None:
            raise error
        return [
            deferred
            for home, deferreds in waiting.items()
            for deferred in self._sort_out(home, deferreds)
        ]

    def _first(self, reports: "SimpleQueue[BaseException | None]") -> BaseException | None:
        while True:
            try:
                return reports.get(timeout=LOOK_S)
            except Empty:
                # Who closes one of these brokers means those who wait here too.
                for home, waiting in self._queues.items():
                    self._brokers[home].status(next(iter(waiting)))


def _fetch_and_report(
    broker: DeferredBroker,
    deferreds: list[Deferred],
    timeout_s: float | None,
    reports: "SimpleQueue[BaseException | None]",
) -> None:
    error: BaseException | None = None
    try:
        fetch_together(broker, deferreds, timeout_s)
    except BaseException as raised:  # noqa: BLE001 - it is raised where somebody waits
        error = raised
    finally:
        reports.put(error)
