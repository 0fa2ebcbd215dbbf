"""The inquest of a soak finds what it is for: mistakes planted in the scripts, and in the client."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.faults.evidence import Findings, Inquest
from tests.faults.witness import Here, Log, Logs, WitnessQueue
from worq.queue.redis import scripts
from worq.queue.redis.channel import Channel
from worq.queue.redis.keys import prefix
from worq.queue.redis.scripts import Script
from worq.testing.proxy import FaultProxy
from worq.values import Claim, Request, Token

NAME = "soaked"


@pytest.fixture
def raw(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.flushdb()


@pytest.fixture
def witness(redis_url: str, tmp_path: Path) -> Iterator[WitnessQueue]:
    Here.log = Log(tmp_path, "client", 0)
    with closing(WitnessQueue(redis_url, NAME)) as queue:
        yield queue
    Here.log.close()


@pytest.fixture
def inquire(redis_url: str, tmp_path: Path, raw: Any) -> Callable[[], Findings]:
    def inquire() -> Findings:
        Here.log.close()
        Here.log = Log(tmp_path, "observer", 1_000_000)
        with closing(WitnessQueue(redis_url, NAME)) as second:
            inquest = Inquest(raw, second, Logs(tmp_path))
            found = inquest.hold()
            return found + Findings(Counter(), 0, inquest.replayed())

    return inquire


def submit(queue: WitnessQueue, task_id: str, *args: tuple[str, Token], **options: Any) -> Token:
    token = Token(task_id.encode().ljust(16))
    request = Request(task_id, token, heartrate=0.001, result_timeout=60, **options)
    queue.submit(request, b"of " + task_id.encode(), dict(args))
    return token


def claim(queue: WitnessQueue) -> Claim:
    claimed = queue.claim(0)
    assert claimed is not None
    return claimed


def live(queue: WitnessQueue) -> None:
    """Some life cycles of all kinds: delivered, taken by a dependent, fire and forget, discarded, left over."""
    a, c = submit(queue, "a"), submit(queue, "c")
    b = submit(queue, "b", ("a", a))
    submit(queue, "f", ignore_result=True)
    submit(queue, "g", attempts=2)
    for _ in "acfgb":
        got = claim(queue)
        queue.finish(got.id, b"outcome of " + got.id.encode(), 60, token=got.token)
    queue.pop("b", 0, token=b)
    queue.discard("c", token=c)
    submit(queue, "left", attempts=2)
    submit(queue, "left too")
    claim(queue)


def test_what_is_right_is_found_right(
    witness: WitnessQueue, inquire: Callable[[], Findings]
) -> None:
    live(witness)
    found = inquire()
    assert found.violations == []
    assert found.ends == {"delivered": 5, "fire and forget": 1, "expired": 1}


PLANTED: dict[str, tuple[str, str, str, str]] = {
    "a task is claimed and stays": ("CLAIM", "moved[claims] = id\n", "moved[claims] = ''\n  call('LPUSH', keys.ready, entry)\n",
        "two live claims"),
    "a start too many": ("CLAIM", "start = start + 1", "start = start + 2", "start 2 after 0, of"),
    "an outcome is lost": ("FINISH", "complete(id, record, kind, '', message, retention)", "call('HDEL', keys.claimed, id)",
        "but the model"),
    "a dependent is stranded": ("FINISH", "ending.run()", "", "stranded: 1 tasks wait"),
    "an outcome is delivered twice": ("POP", "    consume(id)\n    tell(id)\n", "    tell(id)\n", "it has ended delivered and delivered"),
    "a lease that passes is not seen": ("HEARTBEAT", "keys.leases, queue.now + lease", "keys.leases, queue.now + lease + 9000",
        "under a claim that is over"),
}  # fmt: skip
"""What is planted: script, text, what takes its place, and what is said of it."""


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_found(
    name: str,
    witness: WitnessQueue,
    inquire: Callable[[], Findings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    which, text, instead, said = PLANTED[name]
    script: Script = scripts.load(
        which.lower(), lanes=False
    )  # the mistakes are in the general text
    assert script.text.count(text.encode()) == 1
    planted = script.text.replace(text.encode(), instead.encode())
    digest = sha1(planted, usedforsecurity=False).hexdigest().encode()
    monkeypatch.setattr(scripts, which, Script(planted, digest, script.changes))
    a = submit(witness, "a")
    submit(witness, "b", ("a", a))
    c = submit(witness, "c", attempts=2)
    first, second = claim(witness), claim(witness)
    witness.heartbeat(first.id, 0 if which == "HEARTBEAT" else 9, token=first.token)
    witness.heartbeat(second.id, 9, token=second.token)
    witness.finish(first.id, b"outcome", 60, token=first.token)
    witness.finish(second.id, b"outcome too", 60, token=second.token)
    witness.pop("c", 0, token=c)
    witness.pop("c", 0, token=c)
    violations = inquire().violations
    assert [violation for violation in violations if said in violation], violations


def test_a_retry_under_another_number_is_found(
    redis_url: str,
    raw: Any,
    witness: WitnessQueue,
    inquire: Callable[[], Findings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submit(witness, "a")
    submit(witness, "b")
    exchange = Channel.exchange

    def forgetful(self: Channel, *commands: Any) -> Any:
        """Each command has another number, so no receipt is found."""
        name, digest, count, key, session, text, now, _, *rest = commands[-1]
        again = (name, digest, count, key, session, text, now, self.next_number(), *rest)
        return exchange(self, *commands[:-1], again)

    with FaultProxy(redis_url) as proxy, closing(WitnessQueue(proxy.url, NAME)) as through:
        through.size()
        raw.script_flush()
        monkeypatch.setattr(Channel, "exchange", forgetful)
        proxy.fail_at(1, "reply lost")  # the first one finds that the script is not there
        claim(through)
        monkeypatch.undo()
    violations = inquire().violations
    assert [violation for violation in violations if "done twice" in violation], violations


def test_a_key_that_is_left_is_found(
    raw: Any, witness: WitnessQueue, inquire: Callable[[], Findings]
) -> None:
    live(witness)
    raw.set(f"{prefix(NAME)}:waiting-for-nothing", "")
    assert any("a key is left" in violation for violation in inquire().violations)
