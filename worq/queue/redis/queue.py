"""A queue on Redis or Valkey: what each operation sends, and what its reply means. SPEC.md, sections 5, 6 and 10."""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from worq import checks
from worq.asynchronous import AsyncQueue
from worq.backend import AbstractTaskQueue, Ending, Entry, Ticket
from worq.clock import Clock
from worq.const import (
    COMPLETED,
    DEFAULT,
    ENQUEUED,
    MESSAGE_BYTES_MAX,
    PENDING,
    PROCESSING,
    TASK_EXPIRED,
    Sentinel,
    State,
)
from worq.introspection import Counts, Introspective, Seen, Sign
from worq.queue.redis import many, records, scripts, signs
from worq.queue.redis.channel import Channel
from worq.queue.redis.link import Link
from worq.queue.redis.scripts import Script
from worq.queue.redis.url import target
from worq.queue.redis.waiting import Perform, wait
from worq.values import Claim, Finished, Outcome, Submitted, Token

RETRY_DEADLINE_S: Final = 30.0
STATES: Final[Mapping[bytes, State | None]] = {
    b"P": PENDING,
    b"E": ENQUEUED,
    b"W": PROCESSING,
    b"C": COMPLETED,
    b"-": None,
}


class TaskQueue(AbstractTaskQueue, Introspective):
    """One queue on one server. It owns its connections, and `close` closes them.

    Making one connects to nothing; the first call does, and finds out whether the server is new enough.
    """

    def __init__(
        self,
        url: str,
        name: str = DEFAULT,
        *,
        clock: Clock | None = None,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        retry_deadline_s: float = RETRY_DEADLINE_S,
    ) -> None:
        """`retry_deadline_s`: how long a call is tried again when the server can't be reached. [ENV-RETRY-2]

        `url`: as for `redis.from_url`; `max_connections` bounds the connections of calls that don't
        wait. `clock`: for tests; None for the server's.
        """
        super().__init__(url, name, clock=clock, message_bytes_max=message_bytes_max)
        self._target = target(url)
        self._link = Link(
            self._target,
            name,
            clock=clock,
            retry_deadline_s=checks.seconds("retry_deadline_s", retry_deadline_s),
        )
        self._unsubscribe = _subscribe(clock, self._link)

    def close(self) -> None:
        self._unsubscribe()
        self._link.close()

    def asynchronous(self) -> AsyncQueue:
        """The same queue for one event loop. [ENV-AIO-4]"""
        from worq.queue.redis.aio import RedisQueue  # noqa: PLC0415 - asyncio is slow to import

        return RedisQueue(
            self.url, self.name, clock=self.clock, retry_deadline_s=self._link.retry_deadline_s
        )

    def _submit(
        self,
        task: Ticket,
        message: bytes,
        args: Mapping[str, bytes | None],
        outcome: Outcome | None,
    ) -> Submitted:
        if not args and outcome is None:
            record = records.record("E", task, message, b"")
            return records.submitted(self._link.call(scripts.SUBMIT, task.id, record), None)
        packed = records.submitting(Entry(task, message, args, outcome))
        return records.submitted(self._link.call(scripts.SUBMIT, *packed), outcome)

    def _submit_many(self, entries: Sequence[Entry]) -> list[Submitted]:
        return many.submit(self._link, entries)

    def _defer(self, task: Ticket, message: bytes, args: frozenset[str]) -> bool:
        ids = records.packed_ids(args)
        record = records.record("P", task, message, ids)
        return self._link.call(scripts.DEFER, task.id, record, ids) == b"A"

    def _claim(self, timeout_ms: int | None) -> Claim | None:
        claims = self._claim_many(1, timeout_ms)
        return claims[0] if claims else None

    def _claim_many(self, limit: int, timeout_ms: int | None) -> list[Claim]:
        most = b"%d" % min(limit, many.OPERATIONS_MAX)
        reply = wait(self._link, _NextTask(self._link.prefix, scripts.CLAIM, most), timeout_ms)
        return [records.claim(part) for part in records.parts(reply, 1)]

    def _await_ready(self, timeout_ms: int | None) -> bool:
        return wait(self._link, _NextTask(self._link.prefix, scripts.AWAIT), timeout_ms) == b"T"

    def _finish(
        self, task_id: str, outcome: Outcome, retention_ms: int | None, token: Token | None
    ) -> Finished:
        packed = records.finishing(Ending(task_id, outcome, retention_ms, token))
        return records.finished(self._link.call(scripts.FINISH, *packed))

    def _finish_many(
        self, endings: Sequence[Ending], claims: int
    ) -> tuple[list[Finished], list[Claim]]:
        return many.finish(self._link, endings, claims) if endings or claims else ([], [])

    def _heartbeat(self, task_id: str, lease_ms: int, token: Token | None) -> bool:
        lease = b"%d" % lease_ms
        return self._link.call(scripts.HEARTBEAT, task_id, records.token(token), lease) == b"T"

    def _release(self, task_id: str, token: Token | None) -> bool:
        return self._link.call(scripts.RELEASE, task_id, records.token(token)) == b"T"

    def _pop(
        self, task_id: str, timeout_ms: int | None, incarnation: bytes | None
    ) -> Outcome | Sentinel | None:
        reply = wait(self._link, _OutcomeOf(task_id, incarnation or b""), timeout_ms)
        return records.popped(reply)

    def _pop_many(
        self, tasks: Sequence[tuple[str, bytes | None]], timeout_ms: int | None
    ) -> list[Outcome | Sentinel | None]:
        outcomes = many.Outcomes(tasks)
        if tasks:
            wait(self._link, outcomes, timeout_ms)
        return outcomes.answers

    def _discard(self, task_id: str, incarnation: bytes | None) -> bool:
        return self._link.call(scripts.DISCARD, task_id, incarnation or b"") == b"T"

    def _purge(self) -> int:
        return int(self._link.call(scripts.PURGE))

    def _size(self) -> int:
        return int(self._link.call(scripts.SIZE))

    def _status(self, task_id: str, incarnation: bytes | None) -> State | None:
        return STATES[self._link.call(scripts.STATUS, task_id, incarnation or b"")]

    def _reserve_argument(
        self,
        argument_id: str,
        deferred_id: str,
        incarnation: bytes | None,
        deferred_incarnation: bytes | None,
    ) -> tuple[bool, bytes | None]:
        reply = self._link.call(
            scripts.RESERVE_ARGUMENT,
            argument_id,
            incarnation or b"",
            deferred_id,
            deferred_incarnation or b"",
        )
        return reply[:1] != b"N", reply[1:] if reply[:1] == b"M" else None

    def _set_argument(
        self, task_id: str, argument_id: str, message: bytes, incarnation: bytes | None
    ) -> bool:
        reply = self._link.call(
            scripts.SET_ARGUMENT, task_id, incarnation or b"", argument_id, message
        )
        return reply == b"T"

    def _get_arguments(
        self, task_id: str, token: Token | None
    ) -> dict[str, bytes | Literal[Sentinel.TASK_EXPIRED]]:
        blob = self._link.call(scripts.GET_ARGUMENTS, task_id, records.token(token))
        return {
            argument_id: TASK_EXPIRED if outcome.message is None else outcome.message
            for argument_id, outcome in records.arguments(blob)
        }

    # For people.

    def queues(self) -> list[str]:
        return signs.queue_names(self._target)

    def counts(self) -> Counts:
        return signs.counts(self._link.call(scripts.COUNTS))

    def workers(self) -> list[Seen]:
        return list(signs.seen(self._link.call(scripts.SIGNS)))

    def sign(self, sign: Sign, ttl_ms: int) -> None:
        self._link.call_once(scripts.SIGN, sign.id, signs.packed(sign), b"%d" % ttl_ms)

    def sign_off(self, sign_id: str) -> None:
        self._link.call_once(scripts.SIGN, sign_id, b"", b"0")


class _NextTask:
    """What a claim waits for, and whoever waits for the moment to claim."""

    def __init__(self, prefix: str, script: Script, *more: bytes) -> None:
        self._script = script
        self._markers = f"{prefix}:wake".encode()
        self._more = more

    def ask(self, perform: Perform, wait_ms: int, *, slept: bool) -> bytes:
        return perform(self._script, (b"%d" % wait_ms, b"1" if slept else b"0", *self._more))

    def wait_keys(self, channel: Channel) -> Sequence[bytes]:
        return self._markers, channel.wait_key


class _OutcomeOf:
    """What a pop waits for: of the incarnation that it first saw. [ENV-WAIT-5]"""

    def __init__(self, task_id: str, incarnation: bytes) -> None:
        self._id = task_id
        self._incarnation = incarnation

    def ask(self, perform: Perform, wait_ms: int, *, slept: bool) -> bytes:
        asked = (self._id, self._incarnation, b"%d" % wait_ms, b"1" if slept else b"0")
        reply = perform(scripts.POP, asked)
        if reply[:1] == b"W":
            self._incarnation = reply[5:]
        return reply

    def wait_keys(self, channel: Channel) -> Sequence[bytes]:
        return (channel.wait_key,)


def _subscribe(clock: Clock | None, link: Link) -> Any:
    """Have the clock wake who waits, without keeping the queue alive."""
    if clock is None:
        return lambda: None
    wake = weakref.WeakMethod(link.wake)

    def wake_link() -> None:
        alive = wake()
        if alive is not None:
            alive()

    return clock.subscribe(wake_link)
