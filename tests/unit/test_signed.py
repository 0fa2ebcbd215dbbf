"""Signed messages: who may write them, and where they may be found."""

import copy
import hashlib
import hmac
import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import worq
from tests.unit.hostile import EXECUTED, bomb
from worq import MessageRefused
from worq.pool.feed import Feed
from worq.serializer import (
    NAMES,
    SECRET,
    Json,
    MsgPack,
    Pickle,
    Place,
    Serializer,
    Signed,
    StandIn,
    name_of,
    named,
)
from worq.values import Request

NEW, OLD, OTHER = "new " * 4, b"old " * 4, "other " * 3
HERE = Place("task", "q", "a", b"1" * 16)
INNER: dict[str, Callable[[], Serializer]] = {"pickle": Pickle, "json": Json, "msgpack": MsgPack}


def refusal(signed: Signed, message: bytes, place: Place = HERE) -> str:
    with pytest.raises(MessageRefused) as caught:
        signed.unseal(message, place)
    return str(caught.value)


@pytest.mark.spec("ENV-SER-5")
@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("message", [b"", b"x", b"\x00" * 1000])
def test_what_was_signed_comes_back(inner: str, message: bytes) -> None:
    signed = Signed(INNER[inner](), NEW)
    assert signed.unseal(signed.seal(message, HERE), HERE) == message


@pytest.mark.spec("ENV-SER-5")
def test_it_is_hmac_sha256_over_all_that_is_said() -> None:
    """Written from the clause, with nothing of the module's own."""
    message = Signed(Json(), NEW).seal(b"[1]", HERE)
    magic, kind, key_id, incarnation, signature = (
        message[:8], message[8:9], message[9:17], message[17:33], message[33:65],
    )  # fmt: skip
    assert (magic, kind, incarnation, message[65:]) == (b"worqsig\x01", b"T", b"1" * 16, b"[1]")
    assert key_id == hmac.new(NEW.encode(), b"worqsig\x01key id", hashlib.sha256).digest()[:8]
    names = b"".join(len(name).to_bytes(4, "big") + name for name in (b"Json", b"q", b"a"))
    signed = magic + kind + key_id + incarnation + names + b"[1]"
    assert signature == hmac.new(NEW.encode(), signed, hashlib.sha256).digest()


@pytest.mark.spec("ENV-SER-6")
def test_what_is_not_signed_is_refused() -> None:
    signed = Signed(keys=NEW)
    for message in (b"", b"worqsig\x01", b"x" * 100, bomb(), Json().dumps([1], lambda _: None)):
        assert refusal(signed, message) == "it is not signed"
    other_version = signed.seal(b"x", HERE).replace(b"worqsig\x01", b"worqsig\x02")
    assert refusal(signed, other_version) == "it is not signed"


@pytest.mark.spec("ENV-SER-6")
def test_each_bit_counts() -> None:
    signed = Signed(keys=NEW)
    message = signed.seal(b"five!", HERE)
    for place in range(8 * len(message)):
        altered = bytearray(message)
        altered[place // 8] ^= 1 << place % 8
        refusal(signed, bytes(altered))
    for size in range(len(message)):
        refusal(signed, message[:size])
    assert (
        refusal(signed, message + b"\x00") == "it was altered, or belongs to another task or queue"
    )


ELSEWHERE = {
    "queue": (HERE._replace(queue="r"), "it was altered, or belongs to another task or queue"),
    "id": (HERE._replace(task_id="b"), "it was altered, or belongs to another task or queue"),
    "both": (HERE._replace(queue="qa", task_id=""), "it was altered, or belongs to another task"),
    "kind": (HERE._replace(kind="result"), "it is of the kind task, not result"),
    "outcome": (HERE._replace(kind="outcome"), "it is of the kind task, not outcome"),
    "value": (HERE._replace(kind="value"), "it is of the kind task, not value"),
    "incarnation": (HERE._replace(incarnation=b"2" * 16), "it belongs to another task that had"),
}


@pytest.mark.spec("ENV-SER-6")
@pytest.mark.parametrize("what", ELSEWHERE)
def test_a_message_that_was_moved_is_refused(what: str) -> None:
    place, reason = ELSEWHERE[what]
    signed = Signed(keys=NEW)
    assert refusal(signed, signed.seal(b"x", HERE), place).startswith(reason)


@pytest.mark.spec("ENV-SER-6")
@pytest.mark.parametrize("kind", ["task", "result", "failure", "value"])
@pytest.mark.parametrize("needed", ["task", "result", "failure", "value", "outcome"])
def test_each_kind_is_good_for_itself(kind: Any, needed: Any) -> None:
    signed = Signed(keys=NEW)
    message = signed.seal(b"x", HERE._replace(kind=kind))
    if kind == needed or (needed == "outcome" and kind in ("result", "failure")):
        assert signed.unseal(message, HERE._replace(kind=needed)) == b"x"
    else:
        reason = f"it is of the kind {kind}, not {needed}"
        assert refusal(signed, message, HERE._replace(kind=needed)) == reason


@pytest.mark.spec("ENV-SER-6")
def test_who_does_not_know_the_incarnation_takes_any() -> None:
    signed = Signed(keys=NEW)
    assert signed.unseal(signed.seal(b"x", HERE), HERE._replace(incarnation=None)) == b"x"
    message = signed.seal(b"x", HERE._replace(incarnation=None))
    assert "another task that had this id" in refusal(signed, message)


@pytest.mark.spec("ENV-SER-5", "ENV-SER-6")
def test_what_was_signed_for_one_serializer_is_not_read_by_another() -> None:
    message = Signed(Json(), NEW).seal(bomb(), HERE)
    assert "altered" in refusal(Signed(Pickle(), NEW), message)


# Keys.


@pytest.mark.spec("ENV-SER-5")
def test_the_first_key_signs_and_all_verify() -> None:
    before, meanwhile, after = Signed(keys=OLD), Signed(keys=[NEW, OLD]), Signed(keys=[NEW])
    old, new = before.seal(b"x", HERE), meanwhile.seal(b"x", HERE)
    assert meanwhile.unseal(old, HERE) == b"x"
    assert meanwhile.unseal(new, HERE) == b"x"
    assert after.unseal(new, HERE) == b"x"
    assert new == after.seal(b"x", HERE)


@pytest.mark.spec("ENV-SER-6")
def test_a_key_that_was_taken_away_is_unknown() -> None:
    old = Signed(keys=OLD).seal(b"x", HERE)
    after = Signed(keys=[NEW, OTHER])
    assert refusal(after, old) == "it is signed by an unknown key"
    assert refusal(Signed(keys=OLD), after.seal(b"x", HERE)) == "it is signed by an unknown key"


@pytest.mark.spec("ENV-SER-5")
def test_the_variable_has_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, f"{'n' * 16}\n  {'o' * 16} ")
    old = Signed(keys="o" * 16).seal(b"x", HERE)
    assert Signed().unseal(old, HERE) == b"x"
    assert Signed().seal(b"x", HERE) == Signed(keys=b"n" * 16).seal(b"x", HERE)
    assert Signed(keys=NEW).seal(b"x", HERE) == Signed(keys=[NEW]).seal(b"x", HERE)


BAD_KEYS: dict[str, tuple[Any, type[Exception], str]] = {
    "empty list": ([], ValueError, r"^keys: at least one is needed, not \[\]$"),
    "empty": ("", ValueError, r"^keys\[0\]: a key has 16 bytes or more.*, not 0$"),
    "empty second": ([NEW, b""], ValueError, r"^keys\[1\]: a key has 16 bytes .*, not 0$"),
    "short": (b"sesame sesame!!", ValueError, r"^keys\[0\]: a key has 16 bytes .*, not 15$"),
    "number": (123456789, TypeError, "^keys: one or more are needed, not a int$"),
    "numbers": ([123456789], TypeError, r"^keys\[0\]: a string or bytes are needed, not a int$"),
    "none": ([None], TypeError, r"^keys\[0\]: a string or bytes are needed, not a NoneType$"),
}


@pytest.mark.spec("ENV-SER-5", "ENV-BAD-5")
@pytest.mark.parametrize("what", BAD_KEYS)
def test_keys_that_are_none_are_refused_and_never_shown(what: str) -> None:
    keys, error, reason = BAD_KEYS[what]
    with pytest.raises(error, match=reason) as caught:
        Signed(keys=keys)
    assert "sesame" not in str(caught.value)
    assert "123456789" not in str(caught.value)


@pytest.mark.spec("ENV-SER-5")
@pytest.mark.parametrize("value", [None, "", " \n"])
def test_without_a_secret_nothing_is_opened(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv(SECRET, raising=False)
    else:
        monkeypatch.setenv(SECRET, value)
    with pytest.raises(ValueError, match=r"^keys: to sign needs some, and WORQ_SECRET has none$"):
        worq.get_broker("memory://unit", serializer="signed+json")


@pytest.mark.spec("ENV-SER-5")
def test_a_short_word_of_the_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, f"{'n' * 16} sesame")
    with pytest.raises(ValueError, match=r"^WORQ_SECRET: a key has 16 bytes or more.*, not 6$"):
        Signed()


@pytest.mark.spec("ENV-SER-5")
def test_nothing_shows_a_key() -> None:
    signed = Signed(Json(), ["sesame" * 3, "tahini" * 3])
    assert repr(signed) == "Signed(Json(), 2 keys)"
    assert repr(Signed(keys=NEW)) == "Signed(Pickle(protocol=5), 1 key)"
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="has keys and can't be pickled") as caught:
            act(signed)
        assert "sesame" not in "".join(traceback.format_exception(caught.value))
    with worq.get_broker("memory://unit", serializer=signed) as broker:
        shown = f"{broker!r} {broker.url} {broker.home} {pickle.dumps(broker.deferred('a'))!r}"
    assert "sesame" not in shown


@pytest.mark.spec("ENV-BAD-5")
@pytest.mark.parametrize("inner", ["json", Signed(keys=NEW), 5, None])
def test_only_a_serializer_can_be_signed(inner: Any) -> None:
    if inner is None:
        assert type(Signed(inner, NEW).serializer) is Pickle
        return
    with pytest.raises(
        TypeError, match=r"serializer: one (that does not sign|with dumps and loads)"
    ):
        Signed(inner, NEW)


# Counting.


@pytest.mark.spec("ENV-SER-6")
def test_a_feed_counts_each_refusal_once() -> None:
    signed = Signed(keys=NEW)
    brokers = [worq.get_broker("memory://unit", name, serializer=signed) for name in ("one", "two")]
    with Feed(brokers) as feed, feed.clone() as pools:
        for broker in brokers:
            broker._queue.submit(Request("a"), b"")  # noqa: SLF001 - to attack it
            claim = pools.claim(0)
            assert claim is not None
            assert pools.read(claim) is None
            broker.task_failed(broker.deferred("a"))
        assert [each.refused for each in (*brokers, feed, pools)] == [1, 1, 2, 2]


# Names.


@pytest.mark.spec("ENV-SER-7")
@pytest.mark.parametrize("name", NAMES)
def test_each_name_means_its_serializer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "k" * 16)
    serializer = named(name)
    inner = serializer.serializer if isinstance(serializer, Signed) else serializer
    assert type(inner) is INNER[name.removeprefix("signed+")]
    assert isinstance(serializer, Signed) == name.startswith("signed+")
    assert name_of(serializer) == name


def test_what_worq_does_not_know_has_no_name() -> None:
    class Mine(Json):
        """An application's own."""

    assert name_of(Mine()) is None
    assert name_of(Signed(Mine(), NEW)) is None


@pytest.mark.spec("ENV-SER-7", "ENV-BAD-5")
@pytest.mark.parametrize("name", ["yaml", "", "signed", "signed+", "signed+signed+json", "JSON"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^serializer: one of pickle, json, .* is needed, not "):
        worq.get_broker("memory://unit", serializer=name)
    with pytest.raises(ValueError, match=r"^url: serializer: one of pickle, json, ") as caught:
        worq.get_broker(f"redis://:sesame@host?serializer={name}")
    assert repr(name) in str(caught.value)
    assert f"'redis://:***@host?serializer={name}'" in str(caught.value)


@pytest.mark.spec("ENV-SER-7")
@pytest.mark.parametrize(
    "url",
    [
        "memory://unit?serializer=signed+json",
        "memory://unit?serializer=signed%2Bjson",
        "memory://unit?serializer=signed json",
        "memory://unit?serializer=signed%20json",
    ],
)
def test_the_url_names_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "k" * 16)
    with worq.get_broker(url) as broker, worq.get_broker("memory://unit") as plain:
        assert broker.serializer_name == "signed+json"
        assert broker.url == "memory://unit?serializer=signed+json"
        assert broker.home == plain.home
        assert plain.url == "memory://unit"
        broker.queue(ignore_result=True).f()
        assert len(plain) == 1
        del broker.queue()[:]


@pytest.mark.spec("ENV-SER-7")
def test_the_argument_and_the_url_have_to_agree() -> None:
    url = "memory://unit?serializer=signed+json"
    with worq.get_broker(url, serializer=Signed(Json(), NEW)) as broker:
        assert broker.url == url
    for other in ("json", Json(), Signed(Pickle(), NEW)):
        with pytest.raises(ValueError, match=r"^serializer: the URL says 'signed\+json', not "):
            worq.get_broker(url, serializer=other)
    with pytest.raises(ValueError, match="serializer: it is there more than once"):
        worq.get_broker("memory://unit?serializer=json&serializer=json")


@pytest.mark.spec("ENV-SER-7")
def test_other_options_of_the_url_stay_as_they_are(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/q.db?{{}}synchronous=normal{{}}"
    for before, after in (("serializer=json&", ""), ("", "&serializer=json")):
        with worq.get_broker(url.format(before, after)) as broker:
            assert broker.url == url.format("", "&serializer=json")
            assert broker.home.url == url.format("", "")


@pytest.mark.spec("ENV-SER-7")
def test_clones_keep_theirs_unless_the_url_says_another() -> None:
    signed = Signed(Json(), NEW)
    with worq.get_broker("memory://unit", serializer=signed) as broker:
        clones = [
            broker.clone(),
            broker.clone(name="other"),
            broker.clone(url="memory://other"),
            broker.clone(url=broker.url),
            broker.clone(url="memory://other?serializer=json"),
        ]
    for clone in clones:
        clone.close()
    names = [clone.serializer_name for clone in clones]
    assert names == [*["signed+json"] * 4, "json"]
    message = broker.serialize(1)
    assert [clone.deserialize(message) for clone in (clones[0], clones[3])] == [1, 1]


class Mine:
    """An application's own serializer, without a name."""

    def dumps(self, value: object, encode: Callable[[object], StandIn | None]) -> bytes:
        return Json().dumps(value, encode)

    def loads(self, message: bytes, decode: Callable[[StandIn], object]) -> object:
        return Json().loads(message, decode)


@pytest.mark.spec("ENV-SER-7", "ENV-API-6")
@pytest.mark.parametrize("name", NAMES)
def test_a_pickled_deferred_knows_the_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "k" * 16)
    with worq.get_broker("memory://unit", name, serializer=name) as broker:
        broker.tasks["f"] = lambda: ["it"]
        deferred = broker.queue().f()
        task = broker.next_task(0)
        assert task is not None
        broker.invoke(task)
        again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(deferred))))  # noqa: S301 - our own
        assert again.value == ["it"]


@pytest.mark.spec("ENV-SER-7", "ENV-API-6")
def test_a_deferred_whose_serializer_has_no_name_has_to_be_bound() -> None:
    with worq.get_broker("memory://unit", serializer=Mine()) as broker:
        assert broker.url == "memory://unit"
        again = pickle.loads(pickle.dumps(broker.deferred("a", "f")))  # noqa: S301 - our own
        with pytest.raises(ValueError, match=r"^serializer: .*bind one first: <Deferred f \[def"):
            again.wait(0)
        again.bind(broker)
        assert again.wait(0)


@pytest.mark.spec("ENV-SER-3")
def test_only_pickle_executes_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "k" * 16)
    for name in NAMES:
        with worq.get_broker("memory://unit", serializer=name) as broker:
            if name == "pickle":
                broker.deserialize(bomb(name))
            else:
                with pytest.raises(MessageRefused):
                    broker.deserialize(bomb(name))
    assert EXECUTED == ["pickle"]
    EXECUTED.clear()
    assert os.environ[SECRET] == "k" * 16
