"""The journal of a Redis queue: what its scripts did, in the order in which the server did it, and when.

A `JournalQueue` is the Redis queue with a wrapper around each script, which appends to a list on the server, in the
same step: the label of the operation, the script, the number in its session, the server's milliseconds, the
reply. So a concurrent history need not be searched for an order: `replay` follows the one that it had.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import redis

from worq.queue.redis import scripts
from worq.queue.redis.channel import Channel
from worq.queue.redis.keys import prefix
from worq.queue.redis.link import Link
from worq.queue.redis.queue import TaskQueue
from worq.queue.redis.records import parts
from worq.queue.redis.scripts import Script
from worq.queue.redis.url import target
from worq.testing.account import account
from worq.testing.driver import Do, project
from worq.testing.histories import Call, History, Wait, calls_of, operation_of, queue_of
from worq.testing.linearizability import Verdict
from worq.testing.programs import as_code
from worq_model import operations as ops
from worq_model.queue import step
from worq_model.values import EMPTY

if TYPE_CHECKING:
    from worq_model.operations import Reply

KEPT_MS: Final = 60_000
WRAPPER: Final = b"""
local function operation(redis)
%s
end
local time = redis.call('TIME')
local function call(name, ...)
  if name == 'TIME' then return time end
  return redis.call(name, ...)
end
local reply = operation(setmetatable({ call = call }, { __index = redis }))
local key = KEYS[1] .. ':session:journal'
local now = string.format('%%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('RPUSH', key, string.sub(KEYS[3], #KEYS[1] + 2), '%s', ARGV[2], now, reply)
redis.call('PEXPIRE', key, %d)
return reply
"""
FIELDS: Final = 5
UNDONE: Final = (b"~", b"<", b"v")
"""How replies begin of what was not done: yet, since its queue object was closed, in that format."""

label: Final = threading.local()
"""Its `text` names the operation that this thread carries out."""


_target = cache(target)


class Commit(NamedTuple):
    """What a script did, or answered, at the server's `now_ms`. `number`: of the operation in its session."""

    label: str
    script: str
    number: bytes
    now_ms: int
    reply: bytes


@cache
def journaled(script: Script) -> Script:
    """The same script, which writes down what it did."""
    name = next(name for name, value in vars(scripts).items() if value is script)
    text = WRAPPER % (script.text, name.encode(), KEPT_MS)
    sha = sha1(text, usedforsecurity=False).hexdigest().encode()
    return Script(text, sha, script.changes)


class JournalLink(Link):
    """Sends the wrapped scripts."""

    def _command(
        self,
        channel: Channel,
        script: Script,
        number: bytes,
        arguments: Sequence[Any],
        *,
        whole: bool,
    ) -> tuple[Any, ...]:
        name, body, count, *rest = super()._command(
            channel, journaled(script), number, arguments, whole=whole
        )
        key, session, rest = rest[0], rest[1], rest[int(count) :]
        # In the slot of the others; there is no key of that name, so it is as good as the guard of a cluster.
        return (name, body, b"3", key, session, key + b" " + label.text.encode(), *rest)


class JournalQueue(TaskQueue):
    """A Redis queue that keeps a journal, on the server's own clock."""

    def __init__(self, url: str, name: str, *, retry_deadline_s: float = 30.0) -> None:
        super().__init__(url, name)
        self._link = JournalLink(_target(url), name, clock=None, retry_deadline_s=retry_deadline_s)


def take_journal(client: redis.Redis, name: str) -> list[Commit]:
    """The journal of a queue, which is removed."""
    key = f"{prefix(name)}:session:journal"
    fields = cast("list[bytes]", client.lrange(key, 0, -1))
    client.delete(key)
    return [
        Commit(
            fields[n].decode(),
            fields[n + 1].decode(),
            fields[n + 2],
            int(fields[n + 3]),
            fields[n + 4],
        )
        for n in range(0, len(fields), FIELDS)
    ]


def name_of(call: Call) -> str:
    """The label of an operation; behind that of the first of several stands a + and how many."""
    return f"{call.process}/{call.op_id}"


def replay(history: History, journals: dict[int, list[Commit]]) -> Verdict:
    """Follow the order in which the server did the operations of each queue, in O(n).

    It must agree with real time, and each answer must be the model's at that moment.
    """
    calls = calls_of(history)
    order: dict[int, tuple[int, ...]] = {}
    for queue, commits in journals.items():
        own = [call for call in calls if queue_of(call.act) == queue]
        follower = _Follower(own)
        objections = [*account(own), *follower.follow(commits)]
        if objections:
            return Verdict("violated", order, tuple(follower.done), tuple(objections))
        order[queue] = tuple(follower.done)
    return Verdict("holds", order)


class _Follower:
    """The model, which does what the journal of one queue says was done."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.done: list[int] = []
        self._calls = {name_of(call): call for call in calls}
        self._state = EMPTY
        self._receipts: dict[tuple[str, bytes], bytes] = {}
        self._pinned: dict[str, bytes] = {}
        self._replies: dict[str, Reply] = {}
        self._bulks: Counter[str] = Counter()
        """How many operations of a bulk were done before."""

    def follow(self, commits: Sequence[Commit]) -> Iterator[str]:
        """What is wrong."""
        latest = now_ms = 0
        for commit in commits:
            if commit.now_ms < now_ms:
                yield f"the server's clock ran back, from {now_ms} to {commit.now_ms}"
            now_ms = commit.now_ms
            if commit.script == "SETTLE" or commit.reply[:1] in UNDONE:
                continue
            call = self._calls[commit.label.partition("+")[0]]
            operation = (commit.label, commit.number)
            if (
                commit.number.strip(b"0") and operation in self._receipts
            ):  # that may come at any time
                if self._receipts[operation] != commit.reply:
                    yield f"{as_code(call.act)} got another answer when it was sent again"
                continue
            self._receipts[operation] = commit.reply
            if call.returned is not None and call.returned < latest:
                yield f"{as_code(call.act)} was done after one that was called when it had returned"
            latest = max(latest, call.called)
            for each in self._done_by(call, commit):
                yield from self._commit(each, commit)
        for call in self._calls.values():
            if call.returned is not None:
                yield from self._answer(call, call.returned)

    def _done_by(self, call: Call, commit: Commit) -> Iterator[Call]:
        """The operations that a script did: one, or as many of a bulk as it answers. [ENV-BULK-1]"""
        if "+" not in commit.label:
            yield call
            return
        for _ in range(self._answered(commit)):
            yield self._calls[name_of(call._replace(op_id=call.op_id + self._bulks[commit.label]))]
            self._bulks[commit.label] += 1

    def _answered(self, commit: Commit) -> int:
        """How many operations of a bulk a reply answers; that there is nothing to claim is an answer too."""
        body, before = commit.reply[1:], self._bulks[commit.label]
        match commit.script:
            case "SUBMIT_MANY":
                return len(parts(body))
            case "FINISH_MANY":
                ended, found = int.from_bytes(body[1:5], "big"), len(parts(body, 5))
                length = int(commit.label.partition("+")[2])
                asked = body[:1] == b"1" and before + ended < length
                return found + 1 if asked and found == ended else found
            case _:
                return max(1, len(parts(body, 1)))

    def _commit(self, call: Call, commit: Commit) -> Iterator[str]:
        done = step(self._state, self._operation(call, commit), now_ms=commit.now_ms)
        body = commit.reply[1:]
        if (
            commit.script in ("CLAIM", "POP")
            and body[:1] in (b"W", b"N")
            and done.reply is not None
        ):
            yield f"{as_code(call.act)} found nothing, but the model answers {as_code(done.reply)}"
        if commit.script == "POP" and body[:1] == b"W":
            self._pinned[commit.label] = body[5:]
        self._state = done.state
        self._replies[name_of(call)] = done.reply
        self.done.append(call.op_id)

    def _operation(self, call: Call, commit: Commit) -> ops.Operation:
        """A pop that waits goes on to wait for the incarnation that it first saw. [ENV-WAIT-5]"""
        operation = operation_of(call.act)
        assert operation is not None
        if isinstance(operation, ops.Pop) and commit.label in self._pinned:
            return operation._replace(incarnation=self._pinned[commit.label])
        return operation

    def _answer(self, call: Call, returned: int) -> Iterator[str]:
        if not isinstance(call.act, Do | Wait):
            return
        do = call.act.do if isinstance(call.act, Wait) else call.act
        if name_of(call) not in self._replies:
            yield f"{as_code(call.act)} answered {as_code(call.reply)}, but was never done"
            return
        expected = project(do, self._replies[name_of(call)])
        if expected != call.reply or type(expected) is not type(call.reply):
            yield f"{as_code(call.act)} answered {as_code(call.reply)}, but the model {as_code(expected)}"
        if isinstance(call.act, Wait) and call.reply is None:
            waited_ms = (returned - call.called) / 1e6
            if call.act.timeout_ms is None or waited_ms < call.act.timeout_ms:
                yield f"{as_code(call.act)} gave up after {waited_ms} ms"
