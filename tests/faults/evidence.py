"""What a round has shown: by the journal of the server, the files of the clients, and a second client that looks.

Twice independently. The *account* knows the guarantee (SPEC.md, section 1) and what was asked and answered, and nothing
of how a queue works. The *replay* (`worq.testing.journal`) has the model do what the server did, and compares answers.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import redis

from tests.faults.witness import UNASKED, Logs, Said, WitnessQueue, operation, reply_of
from worq.const import TASK_EXPIRED
from worq.queue.redis.keys import keys_of
from worq.queue.redis.records import parts
from worq.testing.driver import Do
from worq.testing.histories import Event, Wait
from worq.testing.journal import Commit, replay, take_journal
from worq.values import Outcome, Token

SHOWN_MAX: Final = 20
DELIVERED, EXPIRED, FORGOTTEN = "delivered", "expired", "fire and forget"


class Life:
    """What is known of one incarnation."""

    __slots__ = (
        "attempts",
        "ends",
        "given_back",
        "id",
        "ignores",
        "is_claimed",
        "is_kept",
        "lease_ms",
        "lease_until_ms",
        "starts",
    )

    def __init__(self, task_id: str, options: tuple[Any, ...]) -> None:
        self.id = task_id
        self.ignores, _, self.lease_ms, _, attempts = options
        self.attempts = int(attempts)
        self.starts = 0
        self.given_back = 0
        self.is_claimed = False
        self.is_kept = False
        self.lease_until_ms = 0
        self.ends: list[str] = []

    @property
    def starts_left(self) -> int:
        return self.attempts + self.given_back - self.starts


class Account:
    """Of one queue, in O(1) for each operation: what was started, claimed and delivered how often."""

    def __init__(self) -> None:
        self.lives: dict[bytes, Life] = {}
        self.violations: list[str] = []
        self._done: set[tuple[str, bytes]] = set()
        self._given: set[str] = set()

    def follow(self, commits: Iterable[Commit], said: dict[str, Said]) -> None:
        """In the order in which the server did them; those that changed nothing have no say."""
        for commit in commits:
            is_again = commit.number.strip(b"0") and (commit.label, commit.number) in self._done
            if commit.reply[:1] in b".+" and not is_again:
                self._done.add((commit.label, commit.number))
                for label, reply in _answers(commit):
                    one = said[label]
                    self._note(one, reply, commit.now_ms)
                    self._is_told(one, commit, reply)

    def open(self) -> Iterator[tuple[bytes, Life]]:
        """The incarnations of which no end is known."""
        return ((inc, life) for inc, life in self.lives.items() if not life.ends)

    def _object(self, what: str, life: Life | None, one: Said) -> None:
        self.violations.append(f"{what}: {one.label} {one.act[:2]}, task {life and life.id!r}")

    def _note(self, one: Said, reply: bytes, now_ms: int) -> None:
        match one.act:
            case ("submit", task_id, incarnation, _, args, options) if reply[:1] == b"A":
                self.lives.setdefault(incarnation, Life(task_id, options))
                for _, argument in args:
                    if self.lives[argument].is_kept:
                        self._ended(self.lives[argument], DELIVERED, one)
            case ("claim", *_) if reply[:1] == b"T":
                self._claimed(one, reply, now_ms)
            case ("heartbeat", _, lease_ms, token) if reply == b"T":
                self._live(one, token, now_ms).lease_until_ms = now_ms + lease_ms
            case ("give back", _, token) if reply == b"T" and self.lives[token[0]].starts_left:
                life = self._live(one, token, now_ms)
                life.is_claimed = False
                life.given_back += 1
            case ("release" | "give back", _, token) if reply == b"T":
                life = self._live(one, token, now_ms)
                life.is_claimed = False
                if not life.starts_left:
                    self._ended(life, EXPIRED, one)
            case ("finish", *_, token) if reply[:1] == b"A":
                life = self._live(one, token, now_ms)
                life.is_claimed = False
                if len(reply) > 1:
                    self._ended(life, DELIVERED, one)
                elif life.ignores:
                    self._ended(life, FORGOTTEN, one)
                life.is_kept = not life.ends
            case ("pop", _, _, incarnation) if reply[:1] == b"O":
                self._ended(self.lives[incarnation], DELIVERED, one)
            case ("pop", _, _, incarnation) if reply[:1] == b"X":
                if incarnation in self.lives and not self.lives[incarnation].ends:
                    self._ended(self.lives[incarnation], EXPIRED, one)
            case ("discard", _, incarnation) if reply == b"T":
                self._ended(self.lives[incarnation], EXPIRED, one)
            case _:
                pass

    def _claimed(self, one: Said, reply: bytes, now_ms: int) -> None:
        # One claim: its length, the length of its id, the id, the token.
        size = int.from_bytes(reply[5:9], "big")
        token = reply[9 + size : 28 + size]
        start = int.from_bytes(token[16:], "big")
        life = self.lives.get(token[:16])
        if life is None:
            self._object("claimed, and nobody had submitted it", life, one)
            return
        if life.ends:
            self._object("claimed after its end", life, one)
        if life.is_claimed and now_ms < life.lease_until_ms:
            self._object("two live claims", life, one)
        if start != life.starts + 1 or not life.starts_left:
            self._object(f"start {start} after {life.starts}, of {life.attempts}", life, one)
        life.starts = start
        life.is_claimed = True
        life.lease_until_ms = now_ms + life.lease_ms
        if life.ignores and not life.starts_left:
            self._ended(life, FORGOTTEN, one)

    def _live(self, one: Said, token: tuple[bytes, int], now_ms: int) -> Life:
        life = self.lives[token[0]]
        if not life.is_claimed or life.starts != token[1] or now_ms >= life.lease_until_ms:
            self._object("done under a claim that is over", life, one)
        return life

    def _ended(self, life: Life, how: str, one: Said) -> None:
        life.ends.append(how)
        if len(life.ends) > 1:
            self._object(f"it has ended {' and '.join(life.ends)}", life, one)

    def _is_told(self, one: Said, commit: Commit, reply: bytes) -> None:
        """An operation changes something once; one whose client was told that it changed nothing does not."""
        waits = one.act[0] in ("claim", "pop")
        if not commit.number.strip(b"0") or (waits and reply[:1] not in (b"T", b"O")):
            return
        if one.ended in ("not_sent", "closed"):
            self._object(f"done, but its client was told {one.ended}", None, one)
        if one.label in self._given:
            self._object("done twice", None, one)
        self._given.add(one.label)


def _answers(commit: Commit) -> Iterator[tuple[str, bytes]]:
    """Of each operation that a script did its label and its answer, as it would have had alone."""
    first, _, _ = commit.label.partition("+")
    body = commit.reply[1:]
    is_bulk = commit.script == "FINISH_MANY" or (body[:1] == b"T" and commit.script == "CLAIM")
    if not is_bulk:
        yield first, body
        return
    process, _, number = first.rpartition("/")
    ended, at = (int.from_bytes(body[1:5], "big"), 5) if commit.script == "FINISH_MANY" else (0, 1)
    for n, part in enumerate(parts(body, at)):
        is_claim = n >= ended
        yield (
            f"{process}/{int(number) + n}",
            b"T" + len(part).to_bytes(4, "big") + part if is_claim else part,
        )


class Findings(NamedTuple):
    """Of a round, or of several: ends of life cycles by kind, and what is wrong."""

    ends: Counter[str]
    operations: int
    violations: list[str]

    @classmethod
    def none(cls) -> "Findings":
        return cls(Counter(), 0, [])

    def __add__(self, other: object) -> "Findings":
        assert isinstance(other, Findings)
        return Findings(
            self.ends + other.ends,
            self.operations + other.operations,
            self.violations + other.violations,
        )

    @property
    def cycles(self) -> int:
        return self.ends.total()


class Inquest:
    """Of one queue in one round, once its clients have ended. `queue`: a second client's, straight to the server."""

    def __init__(self, admin: redis.Redis, queue: WitnessQueue, logs: Logs) -> None:
        self._admin = admin
        self._queue = queue
        self._logs = logs
        self._commits: list[Commit] = []
        self._account = Account()

    def hold(self) -> Findings:
        """By the account and the observer; `replayed` has the rest. Nothing of the queue is left."""
        self._follow()
        violations = self._work_off()
        self._follow()
        violations += self._account.violations
        kept, transient = keys_of(self._admin, self._queue.name)
        violations += [f"a key is left: {key!r}" for key in sorted(kept)]
        for key in transient:
            if self._admin.pttl(key) == -1:
                violations.append(f"a key without a TTL is left: {key!r}")
        if transient:
            self._admin.delete(*transient)
        ends = Counter(life.ends[0] for life in self._account.lives.values() if life.ends)
        violations += [f"no end: {life.id!r}" for _, life in self._account.open()]
        return Findings(ends, len(self._commits), violations[:SHOWN_MAX])

    def replayed(self) -> list[str]:
        """What the model objects to, once all is known."""
        said = self._logs.said[self._queue.name]
        verdict = replay(_history(said.values()), {0: self._commits})
        is_silent = verdict.answer != "holds" and not verdict.objections
        return (
            [f"the replay is {verdict.answer}"] if is_silent else [*verdict.objections][:SHOWN_MAX]
        )

    def _follow(self) -> None:
        """The account, as far as it has come; the journal's new part is taken."""
        self._logs.look()
        new = [commit for commit in take_journal(self._admin, self._queue.name) if commit.label]
        self._commits += new
        self._account.follow(new, self._logs.said[self._queue.name])

    def _work_off(self) -> list[str]:
        """End all that is left, as anybody could: nothing may be stranded."""
        queue, violations = self._queue, list[str]()
        for incarnation, life in list(self._account.open()):
            if life.is_claimed:
                queue.release(life.id, token=Token(incarnation, life.starts))
        for _ in range(sum(life.attempts for life in self._account.lives.values()) + 1):
            claim = queue.claim(0)
            if claim is None:
                break
            queue.finish(claim.id, b"by the observer " + claim.id.encode(), 600, token=claim.token)
        if waiting := queue.size():
            violations.append(f"stranded: {waiting} tasks wait, and nothing is ready or runs")
        for incarnation, life in list(self._account.open()):
            answer = queue.pop(life.id, 0, token=Token(incarnation))
            if answer is not TASK_EXPIRED and not isinstance(answer, Outcome):
                violations.append(f"neither delivered nor expired, but {answer!r}: {life.id!r}")
                queue.discard(life.id, token=Token(incarnation))
        queue.size()
        return violations


def _history(said: Iterable[Said]) -> list[Event]:
    events: list[Event] = []
    for one in said:
        if one.ended == UNASKED:
            continue
        asked, timeout_ms = operation(one.act)
        act = Do(asked)
        waits = one.act[0] in ("claim", "pop") and timeout_ms != 0
        events.append(
            Event(
                one.called_ns,
                one.process,
                one.number,
                "call",
                Wait(act, timeout_ms) if waits else act,
            )
        )
        if one.ended == "answered":
            reply = reply_of(one.act, one.reply)
            events.append(Event(one.returned_ns, one.process, one.number, "return", reply))
        else:
            events.append(Event(one.returned_ns, one.process, one.number, "unknown"))
    return events
