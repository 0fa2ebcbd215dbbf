"""The lanes of scripts do what the general text does: the same replies, and the same on the server, step by step.

The general text alone is what the mutants of it are tried on; the model holds what clients get, which are both.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.stateful.profile import by_profile
from worq.backend import Ending, Entry, Ticket
from worq.queue.redis import records, scripts
from worq.queue.redis.keys import prefix
from worq.values import Claim, Outcome, OutcomeKind, Token

STEPS = by_profile(1_500, 10_000, 200_000)
ANEW_EVERY = 100
COMPARED_EVERY = 4
IDS: Final = "abcdef"
SESSIONS: Final = ("s1", "s2", "s3")
WITH_LANES: Final = ("submit", "claim", "finish", "finish_many", "pop")
THROUGH: Final = b"if through then\n  call('SET'"
DEADLINE_MARGIN_MS: Final = 60_000

Step = tuple[str, tuple[bytes | str, ...]]


class Side:
    """One queue, and the scripts that it is served by; with lanes they count in `lanes` what a lane does."""

    def __init__(self, raw: Any, name: str, *, lanes: bool) -> None:
        self._raw = raw
        self.key = prefix(name)
        self._shas: dict[str, str] = {}
        self._lanes = lanes

    def do(self, step: Step, now_ms: int, session: str, number: int) -> bytes:
        name, arguments = step
        sha = self._shas.get(name) or self._load(name)
        keys = (self.key, f"{self.key}:session:{session}")
        reply = self._raw.evalsha(sha, 2, *keys, now_ms, b"%016d" % number, 60_000, *arguments)
        return bytes(reply)

    def _load(self, name: str) -> str:
        text = scripts.load(name, lanes=self._lanes).text
        if self._lanes and name in WITH_LANES:
            assert text.count(THROUGH) == 1
            text = text.replace(
                THROUGH,
                b"if through then call('HINCRBY', 'lanes', '%s', 1)\n  call('SET'" % name.encode(),
            )
        sha = self._shas[name] = str(self._raw.script_load(text))
        return sha

    def state(self) -> dict[str, object]:
        """All that there is, but for the moments of waits and of physical expiry."""
        return {key: self._content(key) for key in sorted(self._keys())}

    def _keys(self) -> list[str]:
        return [key.decode().removeprefix(self.key) for key in self._raw.keys(f"{self.key}*")]

    def _content(self, suffix: str) -> object:
        key = self.key + suffix
        match self._raw.type(key):
            case b"hash":
                return {k: v for k, v in self._raw.hgetall(key).items() if k != b"ttl"}
            case b"list":
                return self._raw.lrange(key, 0, -1)
            case b"set":
                return self._raw.smembers(key)
            case b"zset" if ":session:" in suffix:  # in the order of moments, in whole seconds
                return set(self._raw.zrange(key, 0, -1))
            case b"zset":
                return self._raw.zrange(key, 0, -1, withscores=True)
            case _:
                return self._raw.get(key)

    def check_expiry(self, now_ms: int) -> None:
        """[ENV-REDIS-5]"""
        suffixes = {s for s in self._keys() if ":session:" not in s}
        ttls = {suffix: self._raw.pttl(self.key + suffix) for suffix in suffixes}
        stays = int(self._raw.hget(self.key, "kept") or 0) > 0
        waits = ":waiting" in suffixes
        if not waits and ":claimed" not in suffixes:
            assert suffixes == set()
        if waits:
            assert {
                ttls[s] for s in suffixes & {"", ":waiting", ":ready", ":args", ":reserved"}
            } == {-1}
        if stays or (waits and suffixes & {":args", ":reserved"}):
            assert set(ttls.values()) <= {-1}
        deadlines = [
            score - now_ms
            for suffix in (":leases", ":retained")
            for _, score in self._raw.zrange(self.key + suffix, -1, -1, withscores=True)
        ]
        timed = [ttl for ttl in ttls.values() if ttl != -1]
        if self._raw.hexists(self.key, "ttl"):
            assert -1 not in [ttls[s] for s in suffixes & {":claimed", ":leases", ":retained"}]
        assert all(ttl > max(deadlines) + DEADLINE_MARGIN_MS for ttl in timed)
        if not waits and not stays:
            assert len(timed) == len(ttls)


class Chance:
    """Steps by chance, of a few tasks, the ordinary ones more often; it knows nothing of what there is."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._tokens: dict[str, Token] = {}
        self._oddity = 1.0

    def calm(self, oddity: float) -> None:
        """How much of what is not ordinary is to come, up to 1."""
        self._oddity = oddity

    def __call__(self) -> Step:
        kinds: dict[Callable[[], Step], float] = {
            self._submit: 12,
            self._claim: 10,
            self._finish: 8,
            self._finish_many: 8,
            self._pop: 10,
            self._odd: 3 * self._oddity,
        }
        return self._random.choices(list(kinds), list(kinds.values()))[0]()

    def session(self) -> str:
        return self._random.choice(SESSIONS)

    def rarely(self, share: float = 0.1) -> bool:
        return self._random.random() < share * self._oddity

    def passing_ms(self) -> int:
        return self._random.choice([0, 0, 1, 1, 20, 700] if self.rarely(0.3) else [0])

    def learn(self, step: Step, reply: bytes) -> None:
        """Of claims, whose tokens are needed for what comes later."""
        name = step[0]
        if name == "claim" and reply[1:2] == b"T":
            parts = records.parts(reply, 2)
        elif name == "finish_many" and len(reply) > 6:
            parts = records.parts(reply, 6)[int.from_bytes(reply[2:6], "big") :]
        else:
            return
        for part in parts:
            claim = records.claim(part)
            self._tokens[claim.id] = claim.token

    def _id(self) -> str:
        return self._random.choice(IDS)

    def _token(self, task_id: str) -> bytes:
        token = self._tokens.get(task_id)
        if token is None or self.rarely():
            return self._random.choice([b"", b"x" * 19, b"y" * 16])
        if self.rarely():
            return records.token(token._replace(start=token.start + 1))
        return records.token(token)

    def _ticket(self) -> Ticket:
        return Ticket(
            self._id(),
            self._random.randbytes(16),
            ignore_result=self.rarely(),
            passes_errors=self.rarely(),
            lease_ms=self._random.choice([1, 500, 8_000_000]) if self.rarely(0.3) else 9_000,
            retention_ms=self._random.choice([None, 0, 600, 7_200_000])
            if self.rarely(0.3)
            else 9_000,
            attempts=self._random.choice([1, 1, 1, 2, 3]),
        )

    def _submit(self) -> Step:
        ticket = self._ticket()
        args: dict[str, bytes | None] = {}
        if self.rarely(0.15):
            args = dict.fromkeys(self._random.sample(IDS, self._random.choice([1, 2])), None)
        outcome = None
        if self.rarely(0.05):
            outcome = Outcome("failure", b"f", "a")
        entry = Entry(ticket, b"of " + ticket.id.encode(), args, outcome)
        packed = records.submitting(entry)
        return "submit", packed if args or outcome else packed[:2]

    def _claim(self) -> Step:
        wait = self._random.choice([b"0", b"100", b"-1"])
        slept = b"1" if self.rarely(0.4) else b"0"
        limit = self._random.choice([b"1", b"1", b"1", b"3"])
        return "claim", (wait, slept, limit)

    def _ending(self) -> tuple[bytes | str, ...]:
        task_id = self._id()
        kind: OutcomeKind = "failure" if self.rarely(0.3) else "result"
        retention = self._random.choice([None, 0, 300, 7_200_000]) if self.rarely(0.3) else 9_000
        _, _, *rest = records.finishing(Ending(task_id, Outcome(kind, b"done"), retention, None))
        return (task_id, self._token(task_id), *rest)

    def _finish(self) -> Step:
        return "finish", self._ending()

    def _finish_many(self) -> Step:
        claims = self._random.choice([b"0", b"1", b"1", b"1", b"2"])
        endings = [self._ending() for _ in range(self._random.choice([0, 1, 1, 1, 1, 2]))]
        return "finish_many", (claims, *(field for ending in endings for field in ending))

    def _pop(self) -> Step:
        task_id = self._id()
        incarnation = self._token(task_id)[:16] if self.rarely(0.5) else b""
        wait = self._random.choice([b"0", b"100", b"-1"])
        return "pop", (task_id, incarnation, wait, b"1" if self.rarely(0.4) else b"0")

    def _odd(self) -> Step:
        """What has no lane, and leaves things as lanes would not."""
        task_id = self._id()
        ids = records.packed_ids(self._random.sample(IDS, 2))
        return self._random.choice(
            [
                ("discard", (task_id, b"")),
                ("discard", (task_id, b"")),
                ("release", (task_id, b"")),
                ("release", (task_id, b"", b"1")),
                ("release", (task_id, b"", b"1")),
                ("heartbeat", (task_id, b"", b"5000")),
                ("purge", ()),
                ("defer", (task_id, records.record("P", self._ticket(), b"", ids), ids)),
                ("reserve_argument", (task_id, b"", self._id(), b"")),
                ("set_argument", (task_id, b"", self._id(), b"set")),
                ("pop_many", (b"0", b"0", b"0", *(part for each in IDS for part in (each, b"")))),
                ("await", (b"-1", b"0")),
            ]
        )


class Pair:
    """The same steps on both sides; the clock stands still unless it is advanced."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.sides = (Side(raw, "with", lanes=True), Side(raw, "without", lanes=False))
        self.now_ms = 1_000_000
        self.done: Counter[str] = Counter()
        self._number = 0

    def do(self, step: Step, session: str = "s1", *, again: bool = False) -> bytes:
        self._number += 1
        replies = [side.do(step, self.now_ms, session, self._number) for side in self.sides]
        assert replies[0] == replies[1], step
        if again:
            for side, reply in zip(self.sides, replies, strict=True):
                assert side.do(step, self.now_ms + 1, session, self._number) == reply, step
        self.done[step[0]] += 1
        return replies[0]

    def sweep(self) -> None:
        """What lanes leave to others: outcomes whose retentions have passed."""
        self.do(("size", ()), "s0")

    def forget_waits(self) -> None:
        """Before the server does, which may be between two looks."""
        for side in self.sides:
            for key in self.raw.keys(f"{side.key}:session:wait:*"):
                self.raw.delete(key)

    def compare(self) -> None:
        for side in self.sides:
            side.check_expiry(self.now_ms)
        assert self.sides[0].state() == self.sides[1].state()

    def by_lane(self) -> dict[str, int]:
        return {name.decode(): int(count) for name, count in self.raw.hgetall("lanes").items()}

    # Steps

    def submit(self, task_id: str, *args: str, lease_ms: int = 9_000, **options: Any) -> None:
        ticket = Ticket(task_id, task_id.encode() * 16, False, False, lease_ms, 9_000, 1)
        entry = Entry(
            ticket._replace(**options), b"of " + task_id.encode(), dict.fromkeys(args), None
        )
        packed = records.submitting(entry)
        assert self.do(("submit", packed if args else packed[:2])) == b".A"

    def claim(self) -> Claim:
        reply = self.do(("claim", (b"0", b"0")))
        assert reply[:2] == b".T"
        return records.claim(records.parts(reply, 2)[0])

    def finish(
        self, task_id: str, retention_ms: int = 9_000, *, claims: int | None = None
    ) -> bytes:
        token = Token(task_id.encode() * 16, 1)
        ending = records.finishing(Ending(task_id, Outcome("result", b"done"), retention_ms, token))
        if claims is None:
            return self.do(("finish", ending))
        return self.do(("finish_many", (b"%d" % claims, *ending)))

    def pop(self, task_id: str, wait: bytes = b"0") -> bytes:
        return self.do(("pop", (task_id, b"", wait, b"0")))

    def discard(self, task_id: str) -> None:
        assert self.do(("discard", (task_id, b""))) == b".T"


def discarded_while_others_wait(pair: Pair) -> None:
    for task_id in "abcdef":
        pair.submit(task_id)
    pair.discard("b")
    assert [pair.claim().id for _ in range(5)] == [*"acdef"]


def at_the_very_millisecond_of_a_lease(pair: Pair) -> None:
    pair.submit("a")
    pair.claim()
    pair.now_ms += 9_000
    assert pair.finish("a") == b".N"


def at_the_very_millisecond_of_a_retention(pair: Pair) -> None:
    pair.submit("a")
    pair.claim()
    pair.finish("a")
    pair.now_ms += 9_000
    assert pair.pop("a") == b".X"


def a_claim_waits_when_the_last_has_gone(pair: Pair) -> None:
    pair.submit("a")
    pair.claim()
    pair.finish("a")
    pair.now_ms += 9_000
    assert pair.do(("claim", (b"-1", b"0")))[:2] == b".W"
    assert not [key for key in pair.sides[0].state() if ":session:" not in key]


def outcomes_that_nobody_fetches(pair: Pair) -> None:
    for task_id in "abc":
        pair.now_ms += 9_000
        pair.submit(task_id)
        pair.claim()
        pair.finish(task_id)
    assert pair.raw.hlen(f"{pair.sides[0].key}:claimed") == 1


def fire_and_forget_before_another(pair: Pair) -> None:
    pair.submit("a", ignore_result=True)
    pair.submit("b")
    assert [pair.claim().id, pair.claim().id] == ["a", "b"]


def a_lease_beyond_the_physical_expiry(pair: Pair) -> None:
    pair.submit("a")
    pair.claim()
    pair.submit("b", lease_ms=8_000_000)
    pair.claim()


def all_that_was_claimed_is_gone_but_not_what_waits(pair: Pair) -> None:
    pair.submit("a")
    pair.claim()
    pair.finish("a")
    pair.submit("b")
    pair.submit("c")
    assert pair.pop("a")[:2] == b".O"
    pair.compare()
    pair.claim()


def a_reservation_that_came_to_nothing(pair: Pair) -> None:
    pair.submit("a")
    pair.submit("b", "a")
    pair.discard("b")
    pair.claim()


def the_last_claim_ends_before_another(pair: Pair) -> None:
    pair.submit("a", lease_ms=8_000_000)
    pair.submit("b")
    pair.claim()
    pair.claim()


def an_outcome_beyond_the_physical_expiry_and_a_claim(pair: Pair) -> None:
    pair.submit("a")
    pair.claim()
    pair.submit("b")
    pair.submit("c")
    assert pair.finish("a", 20_000_000, claims=1)[:2] == b".1"


def a_pop_of_what_is_reserved(pair: Pair) -> None:
    pair.submit("a")
    pair.claim()
    pair.submit("b", "a")
    assert pair.pop("a", b"-1") == b".R"


def the_alarm_of_one_that_slept(pair: Pair) -> None:
    pair.submit("a")
    for side in pair.sides:
        pair.raw.set(f"{side.key}:session:wait:alarm", "2000000:s2", px=60_000)
    assert pair.do(("claim", (b"-1", b"1")), "s2")[:2] == b".T"
    assert pair.raw.exists(f"{pair.sides[0].key}:session:wait:alarm") == 0


def what_was_claimed_is_given_back_unbegun(pair: Pair) -> None:
    for task_id in "abc":
        pair.submit(task_id, attempts=2)
    assert [pair.claim().id, pair.claim().id] == ["a", "b"]
    for task_id in "ba":
        assert pair.do(("release", (task_id, b"", b"1"))) == b".T"
    assert [pair.claim().id for _ in range(3)] == [*"abc"]


def what_was_claimed_is_given_back_unbegun_before_stale_entries(pair: Pair) -> None:
    for task_id in "abcd":
        pair.submit(task_id, attempts=2)
    assert pair.claim().id == "a"
    pair.discard("c")
    assert pair.do(("release", ("a", b"", b"1"))) == b".T"
    assert [pair.claim().id for _ in range(3)] == [*"abd"]


def what_was_claimed_went_by_itself_and_the_queue_stays(pair: Pair) -> None:
    """The server drops keys when their time has come, but a task that waits keeps the queue's own."""
    pair.submit("a")
    pair.claim()
    for task_id in "bc":
        pair.submit(task_id)
    passed = str(int(time.time()) * 1000 - 1_000)
    # The lane has left that time as it was; the general text has taken it back.
    assert pair.raw.hset(pair.sides[0].key, "ttl", passed) == 0
    for side in pair.sides:
        assert pair.raw.pttl(side.key) == -1
        for suffix in ("claimed", "leases", "retained"):
            pair.raw.delete(f"{side.key}:{suffix}")
    pair.now_ms += 20_000_000
    assert pair.claim().id == "b"
    pair.compare()
    assert pair.finish("b", claims=1)[:2] == b".1"
    pair.compare()
    assert pair.pop("b")[:2] == b".O"


SCENES: Final = (
    what_was_claimed_is_given_back_unbegun,
    what_was_claimed_is_given_back_unbegun_before_stale_entries,
    what_was_claimed_went_by_itself_and_the_queue_stays,
    discarded_while_others_wait,
    at_the_very_millisecond_of_a_lease,
    at_the_very_millisecond_of_a_retention,
    a_claim_waits_when_the_last_has_gone,
    outcomes_that_nobody_fetches,
    fire_and_forget_before_another,
    a_lease_beyond_the_physical_expiry,
    all_that_was_claimed_is_gone_but_not_what_waits,
    a_reservation_that_came_to_nothing,
    the_last_claim_ends_before_another,
    an_outcome_beyond_the_physical_expiry_and_a_claim,
    a_pop_of_what_is_reserved,
    the_alarm_of_one_that_slept,
)


@pytest.fixture
def pair(raw: Any) -> Iterator[Pair]:
    yield Pair(raw)
    for key in (*raw.keys("worq:{with}*"), *raw.keys("worq:{without}*"), b"lanes"):
        raw.delete(key)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.spec("ENV-REDIS-1", "ENV-REDIS-5")
def test_lanes_leave_what_is_not_ordinary(pair: Pair, scene: Callable[[Pair], None]) -> None:
    scene(pair)
    pair.compare()


WORK: Final = b"\x92\xa5sweep\xa71000000"  # a step as cmsgpack has it
AT_WORK: Final[dict[str, Callable[[Pair], object]]] = {
    "submit": lambda pair: pair.submit("c"),
    "claim": lambda pair: pair.claim(),
    "finish": lambda pair: pair.finish("a"),
    "finish and claim": lambda pair: pair.finish("a", claims=1),
    "pop": lambda pair: pair.pop("a"),
}


@pytest.mark.parametrize("act", AT_WORK.values(), ids=AT_WORK.keys())
@pytest.mark.spec("ENV-REDIS-4")
def test_what_was_left_over_is_done_before_a_lane(
    pair: Pair, act: Callable[[Pair], object]
) -> None:
    pair.submit("a")
    pair.submit("b")
    pair.claim()
    for side in pair.sides:
        pair.raw.hset(side.key, "work", "1")
        pair.raw.rpush(f"{side.key}:work", WORK)
    act(pair)
    assert not pair.raw.hexists(pair.sides[0].key, "work")
    pair.compare()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.spec("ENV-REDIS-1", "ENV-REDIS-5", "ENV-RETRY-1")
def test_lanes_do_what_the_general_text_does(pair: Pair, seed: int) -> None:
    chance = Chance(seed)
    for n in range(STEPS):
        if n % ANEW_EVERY == 0:
            chance.calm([1.0, 0.1, 0.3][n // ANEW_EVERY % 3])
            pair.now_ms += 10_000_000
            pair.forget_waits()
            for step in [("purge", ()), *(("discard", (task_id, b"")) for task_id in IDS)]:
                pair.do(step, "s0")
        step = chance()
        pair.now_ms += chance.passing_ms()
        chance.learn(step, pair.do(step, chance.session(), again=chance.rarely(0.05)))
        if n % COMPARED_EVERY == 0:
            pair.sweep()
            pair.compare()
    by_lane = pair.by_lane()
    for name in WITH_LANES:
        assert by_lane[name] > STEPS / 200, by_lane
        assert pair.done[name] - by_lane[name] > STEPS / 200, (by_lane, pair.done)
