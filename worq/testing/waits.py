"""Waiting: what ends it, who is told, and what closing does. SPEC.md, section 7.

With a manual clock or without; what needs one says so in `stages`. Nothing here measures how long something takes, but
whether who waits was told, or looked again by itself.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial, wraps
from typing import Any, Final, TypeAlias

from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.const import RESERVED, TASK_EXPIRED
from worq.errors import QueueClosed
from worq.testing import calls
from worq.testing.calls import Call, WatchedCall
from worq.testing.capabilities import MANUAL_CLOCK
from worq.testing.kit import Broken, Subject
from worq.values import Claim, Outcome, Request

LONG_S = 1000.0
SHORT_S = 0.05
RESULT = Outcome("result", b"r")
LEASE_MS = 65_000  # at the default heartrate
WATCHED_S = 0.6
MOMENT_S = 0.1
MOMENTS_MAX = 2  # somebody may look again once, and be interrupted in it by others
CLAIMS = 4
LATE_S: Final = 3.0
"""A wait looks again by itself after 5 s at most [ENV-WAIT-3]: whoever ends so late was not told."""
TRIES = 3
"""What other programs on the machine may bring about once is no mistake."""


Examine: TypeAlias = Callable[[Subject], Iterator[str]]


class Late(Broken):
    """A wait ended as it ought to, but so late that nobody can have told it."""


def _on_time(examine: Examine) -> Callable[[Subject], tuple[str, ...]]:
    """The same, and what is late once may be so because the machine is busy."""

    @wraps(examine)
    def again(subject: Subject) -> tuple[str, ...]:
        for _ in range(TRIES - 1):
            try:
                return tuple(examine(subject))
            except Late:
                continue
        return tuple(examine(subject))

    return again


class Place:
    """Two queue objects of one queue, and calls that wait on them."""

    def __init__(self, subject: Subject, stack: ExitStack) -> None:
        self.clock: ManualClock = ManualClock()
        clock = self.clock if MANUAL_CLOCK in subject.claimed else None
        self._again = partial(subject.make_queue, subject.name(), clock)
        self.queue: AbstractTaskQueue = self._again()
        self.other: AbstractTaskQueue = self._again()
        self._calls: list[Call[Any]] = []
        stack.callback(self._end)

    def submit(self, task_id: str, *args: str, attempts: int = 1) -> None:
        self.queue.submit(Request(task_id, attempts=attempts), b"m", dict.fromkeys(args))

    def claim(self) -> Claim:
        claim = self.queue.claim(0)
        if claim is None:
            raise Broken("a task is ready, and claim(0) answers None", "CLM-1")
        return claim

    def call(self, act: Callable[[], Any], clause: str, kind: type[Call[Any]] = Call) -> Call[Any]:
        """A call that must sleep."""
        self._calls.append(call := kind(act))
        try:
            is_waiting = call.sleeps()
        except AssertionError as error:
            raise Broken(f"a call ought to wait: {error}", "ENV-WAIT-3") from None
        if not is_waiting:
            said = call.error() or call.answer()
            raise Broken(f"a call ought to wait, and ends at once: {said!r}", clause)
        return call

    def _end(self) -> None:
        for queue in (self.other, self.queue):
            for task_id in "abcd":
                _ignoring(partial(queue.discard, task_id))
            queue.close()
        until_s = time.monotonic() + calls.PATIENCE_S
        waiting = [c for c in self._calls if not c.ended(max(0.0, until_s - time.monotonic()))]
        if waiting:
            self._free(waiting)

    def _free(self, waiting: Sequence[Call[Any]]) -> None:
        """End the claims that the queue does not end by being closed."""
        with closing(self._again()) as queue:
            for number, call in enumerate(waiting):
                queue.submit(Request(f"end {number}", ignore_result=True), b"")
                call.ended(calls.PATIENCE_S)
            queue.purge()


def _ignoring(act: Callable[[], object]) -> None:
    try:
        act()
    except Exception:  # noqa: BLE001 (it is thrown away, and may be closed)
        return


@contextmanager
def _place(subject: Subject) -> Generator[Place]:
    with ExitStack() as stack:
        yield Place(subject, stack)


def _answers(call: Call[Any], expected: object, what: str, clause: str) -> None:
    """The call ends soon, with this answer."""
    began = time.monotonic()
    try:
        got = call.answer()
    except TimeoutError:
        raise Broken(f"{what}: it still waits after {calls.PATIENCE_S} s", clause) from None
    if got != expected:
        raise Broken(f"{what}: expected {expected!r}, got {got!r}", clause)
    _not_late(time.monotonic() - began, what, clause)


def _not_late(lasted_s: float, what: str, clause: str) -> None:
    if lasted_s > LATE_S:
        raise Late(f"{what}: it ends after {lasted_s:.1f} s, as if nobody had told it", clause)


def zero_looks_once(subject: Subject) -> Iterator[str]:
    """A timeout of 0 does not block."""
    with _place(subject) as place:
        place.submit("a")
        place.claim()
        _answers(
            Call(lambda: place.queue.claim(0)), None, "claim(0) of an empty queue", "ENV-WAIT-1"
        )
        _answers(Call(lambda: place.queue.pop("a", 0)), None, "pop(id, 0) too early", "ENV-WAIT-1")  # fmt: skip
    yield "ENV-WAIT-1"


def no_wait_ends_early(subject: Subject) -> Iterator[str]:
    """On the backend's own clock a wait lasts at least as long as its timeout."""
    with _place(subject._replace(claimed=frozenset())) as place:
        place.submit("a")
        place.claim()
        waits: dict[str, Callable[[], object]] = {
            "claim": lambda: place.queue.claim(SHORT_S),
            "pop": lambda: place.queue.pop("a", SHORT_S),
        }
        for operation, wait in waits.items():
            began = time.monotonic()
            answer = wait()
            lasted_s = time.monotonic() - began
            if answer is not None or lasted_s < SHORT_S:
                raise Broken(
                    f"{operation} with a timeout of {SHORT_S} s answers {answer!r} after {lasted_s:.3f} s",
                    "ENV-WAIT-2",
                )
    yield "ENV-WAIT-2"


MAKES_READY: dict[str, Callable[[AbstractTaskQueue], object]] = {
    "submit": lambda queue: queue.submit(Request("c"), b"m"),
    "finish": lambda queue: queue.finish("a", b"r", LONG_S),
    "release": lambda queue: queue.release("b"),
}


@_on_time
def claims_end(subject: Subject) -> Iterator[str]:
    """A claim that waits for ever ends as soon as a task is ready, whoever made it so."""
    for operation, act in MAKES_READY.items():
        with _place(subject) as place:
            place.submit("a")
            place.submit("b", attempts=2)
            place.claim()
            place.claim()
            place.submit("d", "a")
            call = place.call(lambda place=place: bool(place.other.claim(None)), "ENV-WAIT-1")  # type: ignore[misc]
            act(place.queue)
            _answers(call, True, f"a claim waits, then comes {operation}", "ENV-WAIT-2")
    yield from ("ENV-WAIT-1", "ENV-WAIT-2")


TELLS: dict[str, tuple[Callable[[AbstractTaskQueue], object], object]] = {
    "finish": (lambda queue: queue.finish("a", b"r", LONG_S), RESULT),
    "discard": (lambda queue: queue.discard("a"), TASK_EXPIRED),
    "release": (lambda queue: queue.release("a"), TASK_EXPIRED),
    "submit of a dependent": (lambda queue: queue.submit(Request("b"), b"m", {"a": None}), RESERVED),
}  # fmt: skip


@_on_time
def pops_end(subject: Subject) -> Iterator[str]:
    """Who waits for a task is told what became of it, and of several who wait one gets the outcome."""
    for operation, (act, expected) in TELLS.items():
        with _place(subject) as place:
            place.submit("a")
            place.claim()
            call = place.call(partial(place.other.pop, "a", None), "ENV-WAIT-1")
            act(place.queue)
            _answers(call, expected, f"a pop waits, then comes {operation}", "ENV-WAIT-5")
    with _place(subject) as place:
        place.submit("a")
        call = place.call(partial(place.other.pop, "a", None), "ENV-WAIT-1")
        place.queue.purge()
        _answers(call, TASK_EXPIRED, "a pop waits, then comes purge", "ENV-WAIT-5")
    _one_of_two_gets_it(subject)
    yield from ("ENV-WAIT-2", "ENV-WAIT-5")


def _one_of_two_gets_it(subject: Subject) -> None:
    with _place(subject) as place:
        place.submit("a")
        place.claim()
        pops = [place.call(partial(place.other.pop, "a", None), "ENV-WAIT-1") for _ in range(2)]
        place.queue.finish("a", b"r", LONG_S)
        began, what = time.monotonic(), "two pops wait, then comes finish"
        for call in pops:
            if not call.ended(calls.PATIENCE_S):
                raise Broken(f"{what}: one still waits", "ENV-WAIT-5")
        got = sorted(repr(call.answer()) for call in pops)
        if got != sorted([repr(RESULT), repr(TASK_EXPIRED)]):
            raise Broken(f"{what}: they are told {got}", "ENV-WAIT-5")
        _not_late(time.monotonic() - began, what, "ENV-WAIT-5")


@_on_time
def bulks_end(subject: Subject) -> Iterator[str]:
    """Many pops end as soon as one of their tasks has an answer; many claims wait for their first."""
    for operation, (act, expected) in TELLS.items():
        for place_of_it in range(2):
            with _place(subject) as place:
                place.submit("a")
                place.submit("c")
                tokens = {claim.id: claim.token for claim in (place.claim(), place.claim())}
                tasks = [("c", tokens["c"]), ("c", tokens["c"])]
                tasks[place_of_it] = ("a", tokens["a"])
                call = place.call(partial(place.other.pop_many, tasks, None), "ENV-BULK-5")
                act(place.queue)
                answers = [expected if task_id == "a" else None for task_id, _ in tasks]
                _answers(call, answers, f"pops wait, then comes {operation}", "ENV-BULK-5")
    with _place(subject) as place:
        call = place.call(lambda: [c.id for c in place.other.claim_many(3)], "ENV-BULK-4")
        place.submit("a")
        _answers(call, ["a"], "claims wait, then comes submit", "ENV-BULK-4")
        _answers(Call(lambda: place.queue.claim_many(3, 0)), [], "claim_many(3, 0)", "ENV-BULK-4")
        behind = Call(lambda: place.queue.finish_many([], 3)[1])
        _answers(behind, [], "finish_many([], 3)", "ENV-BULK-4")
        _answers(
            Call(lambda: place.queue.pop_many([("a", None)] * 2)), [None] * 2, "pop_many too early", "ENV-BULK-5"
        )  # fmt: skip
    yield from ("ENV-BULK-4", "ENV-BULK-5")


@_on_time
def a_pop_waits_for_one_incarnation(subject: Subject) -> Iterator[str]:
    """A pop without a token waits for the incarnation that it first saw."""
    with _place(subject) as place:
        place.submit("a")
        call = place.call(partial(place.other.pop, "a", None), "ENV-WAIT-1")
        place.queue.discard("a")
        place.submit("a")
        place.claim()
        place.queue.finish("a", b"r", LONG_S)
        _answers(call, TASK_EXPIRED, "a pop waits, and its id comes back", "ENV-WAIT-5")  # fmt: skip
    yield "ENV-WAIT-5"


def no_wait_polls(subject: Subject) -> Iterator[str]:
    """While nothing happens, the threads that wait do nothing."""
    busy = 0
    for _ in range(TRIES):
        with _place(subject) as place:
            place.submit("a")
            place.claim()
            waits = (partial(place.other.claim, None), partial(place.other.pop, "a", None))
            watched = [_watched(place, wait) for wait in waits]
            began_s = time.monotonic()
            time.sleep(WATCHED_S)
            busy = max(call.moments_since(began_s, MOMENT_S) for call in watched)
        if busy <= MOMENTS_MAX:
            break
    else:
        raise Broken(
            f"a claim and a pop wait, and nothing happens: in {busy} of {WATCHED_S / MOMENT_S:.0f}"
            f" stretches of {MOMENT_S} s one of their threads has done something",
            "ENV-WAIT-3",
        )
    yield "ENV-WAIT-3"


def one_task_wakes_one_claim(subject: Subject) -> Iterator[str]:
    """Of several claims that wait one wakes for one task."""
    awake = 0
    for _ in range(TRIES):
        with _place(subject) as place:
            objects = (place.queue, place.other)
            waits = [partial(objects[n % 2].claim, None) for n in range(CLAIMS)]
            watched = [_watched(place, wait) for wait in waits]
            began_s = time.monotonic()
            place.submit("a")
            if not _soon(lambda: any(call.ended(0) for call in watched)):  # noqa: B023 (it is asked here)
                raise Broken("claims wait, then comes submit: all still wait", "ENV-WAIT-2")
            time.sleep(MOMENT_S)  # for those that are woken in vain
            if (got := sum(call.ended(0) for call in watched)) > 1:
                raise Broken(f"claims wait, then comes submit: {got} of them get the task", "CLM-1")
            awake = sum(call.moments_since(began_s, 1) > 0 for call in watched)
        if awake == 1:
            break
    else:
        raise Broken(f"{CLAIMS} claims wait, then comes submit: {awake} of them wake", "ENV-WAIT-6")
    yield "ENV-WAIT-6"


def _watched(place: Place, wait: Callable[[], Any]) -> WatchedCall[Any]:
    call = place.call(wait, "ENV-WAIT-1", WatchedCall)
    assert isinstance(call, WatchedCall)
    return call


def _soon(is_so: Callable[[], bool]) -> bool:
    until_s = time.monotonic() + calls.PATIENCE_S
    while not is_so():
        if time.monotonic() > until_s:
            return False
        time.sleep(SHORT_S / 10)
    return True


@_on_time
def deadlines_wake(subject: Subject) -> Iterator[str]:
    """A deadline that passes while nobody calls is applied by those who wait."""
    with _place(subject) as place:
        place.submit("a", attempts=2)
        place.submit("b")
        place.claim()
        place.claim()
        claim = place.call(lambda: bool(place.other.claim(None)), "ENV-WAIT-1")
        pop = place.call(partial(place.other.pop, "b", None), "ENV-WAIT-1")
        place.clock.advance(LEASE_MS)
        _answers(claim, True, "a claim waits, and the lease of a task passes", "ENV-WAIT-4")  # fmt: skip
        _answers(pop, TASK_EXPIRED, "a pop waits, and the lease of its task passes", "ENV-WAIT-4")
    yield "ENV-WAIT-4"


def timeouts_follow_the_clock(subject: Subject) -> Iterator[str]:
    """With a clock given a wait ends at the very millisecond of that clock, and not before."""
    with _place(subject) as place:
        place.submit("a")
        place.claim()
        waits = (partial(place.other.claim, 1.25), partial(place.other.pop, "a", 1.25))
        calls = [place.call(wait, "ENV-WAIT-8") for wait in waits]
        place.clock.advance(1249)
        for call in calls:
            if not call.sleeps():
                raise Broken("a wait of 1.25 s ends after 1.249 s of its clock", "ENV-WAIT-8")
        place.clock.advance(1)
        for call in calls:
            _answers(call, None, "a wait of 1.25 s, and 1.25 s have passed", "ENV-WAIT-8")
    yield "ENV-WAIT-8"


def leases_are_real(subject: Subject) -> Iterator[str]:
    """On the backend's own clock leases and retentions pass: the same as on a manual one, in short real times."""
    with _place(subject._replace(claimed=frozenset())) as place:
        place.submit("a")
        place.submit("b", attempts=2)
        place.submit("c")
        for _ in "abc":
            place.claim()
        place.queue.heartbeat("a", SHORT_S)
        place.queue.heartbeat("b", SHORT_S)
        place.queue.finish("c", b"r", SHORT_S)
        time.sleep(2 * SHORT_S)  # what is tested is that they pass by themselves
        states = [place.queue.status(task_id) for task_id in "abc"]
        wrong = {
            "TIM-4": states[0] is not None,
            "TIM-3": states[1] != "enqueued",
            "TIM-5": states[2] is not None,
        }
        for clause, is_wrong in wrong.items():
            if is_wrong:
                raise Broken(
                    f"three deadlines of {SHORT_S} s, and {2 * SHORT_S} s later the states are {states}",
                    clause,
                )
    yield from ("TIM-3", "TIM-4", "TIM-5")


def close_unblocks(subject: Subject) -> Iterator[str]:
    """Closing ends the waits of that object alone, and loses nothing."""
    with _place(subject) as place:
        place.submit("a")
        place.claim()
        closed = [
            place.call(partial(place.other.claim, None), "ENV-WAIT-1"),
            place.call(partial(place.other.pop, "a", None), "ENV-WAIT-1"),
        ]
        stays = place.call(partial(place.queue.pop, "a", None), "ENV-WAIT-1")
        place.other.close()
        for call in closed:
            _raises_closed(call, "a wait on a queue object that is closed")
        _raises_closed(Call(place.other.size), "size() of a closed queue object")
        place.queue.finish("a", b"r", LONG_S)
        _answers(stays, RESULT, "another queue object was closed", "ENV-WAIT-7")
        place.other.close()  # again
    yield "ENV-WAIT-7"


def _raises_closed(call: Call[Any], what: str) -> None:
    try:
        error = call.error()
    except TimeoutError:
        raise Broken(f"{what}: it still waits after {calls.PATIENCE_S} s", "ENV-WAIT-7") from None
    if not isinstance(error, QueueClosed):
        said = repr(error) if error is not None else repr(call.answer())
        raise Broken(f"{what}: QueueClosed is needed, not {said}", "ENV-WAIT-7")
