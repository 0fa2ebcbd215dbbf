"""A user of the server that has the rights which docs/redis.md names, and no other."""

import asyncio
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import redis

from tests.backends.brokers import broker_of, call, work
from tests.backends.calls import PATIENCE_S
from tests.backends.on_redis.cases import submit
from tests.backends.on_redis.users import PASSWORD, documented
from worq import aio
from worq.errors import BackendUnavailable
from worq.queue.redis import TaskQueue
from worq.queue.redis.rights import COMMANDS, OF_CONNECTIONS, OF_SCRIPTS, rules
from worq.queue.redis.seeds import Address
from worq.queue.redis.url import Target
from worq.testing.servers import RedisServer


class Lent:
    """A server with users."""

    def __init__(self, url: str, tcp_url: str) -> None:
        self._admin = cast("Any", redis.Redis.from_url(url))
        self._admin.ping()
        self._tcp_url = tcp_url

    def url(self, user: str, password: str = PASSWORD) -> str:
        return self._tcp_url.replace("//", f"//{user}:{password}@")

    def make(self, user: str, *rules: str) -> str:
        """The URL of a user that has these rights alone."""
        self.change(user, "reset", "on", f">{PASSWORD}", *rules)
        return self.url(user)

    def change(self, user: str, *rules: str) -> None:
        self._admin.execute_command("ACL", "SETUSER", user, *rules)

    def all_keys(self) -> list[bytes]:
        return cast("list[bytes]", self._admin.keys())

    def lasting_keys(self) -> list[bytes]:
        """Those that will not go by themselves."""
        return [key for key in self.all_keys() if self._admin.pttl(key) == -1]

    def cut_all(self) -> None:
        """The connections of all others."""
        self._admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def clear(self) -> None:
        self._admin.flushall()

    def close(self) -> None:
        self._admin.close()


@pytest.fixture(scope="module")
def _server() -> Iterator[Lent]:
    with RedisServer(tcp=True) as server, closing(Lent(server.url, server.tcp_url)) as lent:
        yield lent


@pytest.fixture
def server(_server: Lent) -> Iterator[Lent]:
    yield _server
    _server.clear()


@pytest.fixture
def least(server: Lent) -> str:
    """The URL of the user of the document."""
    return server.make("worq", *documented("worq"))


@contextmanager
def refusal(url: str, name: str = "default") -> Generator[Callable[[], str]]:
    """A queue on whose first call something is said at once, although it may try for long."""
    with closing(TaskQueue(url, name, retry_deadline_s=1_000)) as queue:

        def said() -> str:
            with pytest.raises(BackendUnavailable) as caught:
                queue.size()
            assert caught.value.outcome == "not_sent"
            assert PASSWORD not in str(caught.value) + repr(caught.value.__cause__)
            return str(caught.value)

        yield said


@pytest.mark.spec("ENV-REDIS-13")
class TestLeastRights:
    def test_the_document_has_the_line(self) -> None:
        assert documented("worq") == ["on", f">{PASSWORD}", *rules().split()]

    def test_all_that_scripts_call_is_in_it_and_nothing_else(self) -> None:
        folder = files("worq.queue.redis") / "lua"
        texts = [path.read_text(encoding="utf-8") for path in folder.iterdir()]
        called = {name for text in texts for name in re.findall(r"\bcall\('([A-Z]+)'", text)}
        assert called == set(OF_SCRIPTS)
        others = {
            name
            for text in texts
            for name in re.findall(r"\bcall\(([^)]*)", text)
            if name[0] != "'"
        }
        assert others == set()

    def test_the_whole_way_of_a_task(self, least: str) -> None:
        with closing(TaskQueue(least)) as queue:
            broker = broker_of(queue)
            first = call(broker.queue().give, "a", 1)
            second = call(broker.queue().give, "b", first)
            assert work(broker) == 2
            assert second.wait(PATIENCE_S)
            assert second.value == 1
            assert queue.claim(0.01) is None

    def test_looking_for_rights_leaves_nothing(self, least: str, server: Lent) -> None:
        with closing(TaskQueue(least)) as queue:
            assert queue.size() == 0
            assert server.all_keys() == []

    @pytest.mark.parametrize("kept", [(), *((each,) for each in OF_SCRIPTS)])
    def test_looking_leaves_nothing_that_does_not_go(
        self, kept: tuple[str, ...], least: str, server: Lent
    ) -> None:
        """Whoever may make a key, and may not take it away."""
        lost = [name for name in ("SET", "UNLINK", "DEL", "LPOP", "SREM") if name not in kept]
        server.change("worq", *(f"-{name.lower()}" for name in lost))
        with refusal(least) as said:
            named = re.findall(r"\+(\w+)", said())
        assert sorted(named) == sorted(name.lower() for name in lost)
        assert server.lasting_keys() == []

    def test_what_can_not_be_looked_for_is_named_when_it_can(
        self, least: str, server: Lent
    ) -> None:
        missing = ("set", "unlink", "del", "lpush", "rpush", "sadd")
        server.change("worq", *(f"-{name}" for name in missing))
        with refusal(least) as said:
            assert " lacks +unlink +del +set; " in said()
            for remover in ("set", "unlink", "del"):
                server.change("worq", f"+{remover}")
                assert " +lpush +rpush +sadd; " in said()
                server.change("worq", f"-{remover}")
        assert server.lasting_keys() == []

    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_right_is_needed_and_named(self, command: str, least: str, server: Lent) -> None:
        server.change("worq", f"-{command.lower()}")
        with refusal(least) as said:
            text = said()
            assert (
                f"[default]: the user of the URL lacks +{command.lower()}; docs/redis.md, " in text
            )
            server.change("worq", f"+{command.lower()}")
        with closing(TaskQueue(least)) as queue:
            assert queue.size() == 0
        assert [key for key in server.all_keys() if b":rights:" not in key] == []

    def test_all_that_is_missing_is_named_at_once(self, server: Lent) -> None:
        url = server.make("worq", *rules().split(), "-hset", "-zadd", "-blpop", "-info")
        with refusal(url) as said:
            assert " lacks +info +blpop +hset +zadd; " in said()

    def test_a_user_without_rights_is_told_at_once(self, server: Lent) -> None:
        with refusal(server.make("worq", "-@all")) as said:
            assert " lacks +info +blpop +evalsha +eval; " in said()

    def test_other_keys_are_refused_and_named(self, server: Lent) -> None:
        with refusal(server.make("worq", *rules("other:*").split())) as said:
            assert " lacks ~worq:{default}*; " in said()

    def test_one_queue_is_enough(self, server: Lent) -> None:
        """A user of the document for one queue has that, and no other."""
        url = server.make("mail", *documented("mail"))
        with closing(TaskQueue(url, "mail")) as queue:
            submit(queue, "a")
            assert queue.purge() == 1
        with refusal(url, "reports") as said:
            assert " lacks ~worq:{reports}*; " in said()

    def test_a_user_of_a_prefix(self, server: Lent) -> None:
        url = server.make("worq", *rules("acme:*").split())
        with closing(TaskQueue(f"{url}?prefix=acme:")) as queue:
            assert queue.size() == 0
        with refusal(url) as said:
            assert " lacks ~worq:{default}*; " in said()

    def test_names_of_queues_need_one_right_more(self, least: str, server: Lent) -> None:
        with closing(TaskQueue(least, retry_deadline_s=1_000)) as queue:
            with pytest.raises(
                BackendUnavailable, match=r"'scan' command.*; docs/redis.md, 'Rights'"
            ):
                queue.queues()
            server.change("worq", "+scan")
            assert queue.queues() == []

    def test_a_database_needs_one_right_more(self, least: str, server: Lent) -> None:
        with refusal(least.replace("/0", "/1")) as said:
            assert " lacks +select; " in said()
        server.change("worq", "+select")
        with closing(TaskQueue(least.replace("/0", "/1"))) as queue:
            assert queue.size() == 0

    def test_a_right_that_is_taken_away_later(self, least: str, server: Lent) -> None:
        """In the midst of a script: nobody knows what was done."""
        with closing(TaskQueue(least, retry_deadline_s=1_000)) as queue:
            assert queue.size() == 0
            server.change("worq", "-hset")
            with pytest.raises(BackendUnavailable, match=r"; docs/redis.md, 'Rights'") as caught:
                submit(queue, "a")
            assert caught.value.outcome == "unknown"
            server.change("worq", "-evalsha")
            with pytest.raises(
                BackendUnavailable, match=r"'evalsha' command.*; docs/redis.md"
            ) as caught:
                submit(queue, "a")
            assert caught.value.outcome == "not_sent"

    def test_producers_in_asyncio_are_told_too(self, least: str, server: Lent) -> None:
        async def look() -> None:
            async with aio.get_broker(least, retry_deadline_s=1_000) as broker:
                with pytest.raises(BackendUnavailable, match=r" lacks \+hset; docs/redis.md"):
                    await broker.size()

        server.change("worq", "-hset")
        asyncio.run(look())

    def test_a_default_user_with_a_password(self, server: Lent) -> None:
        """Who has all rights need not be told of any."""
        with closing(TaskQueue(server.make("all", "allkeys", "+@all"))) as queue:
            assert queue.size() == 0

    @pytest.mark.parametrize("user", ["worq", "nobody"])
    def test_a_wrong_password_is_told_at_once(self, user: str, least: str, server: Lent) -> None:
        del least
        wrong = "another-" + PASSWORD
        with refusal(server.url(user, wrong)) as said:
            assert "password" in said()


class Moving:
    """Where a queue is: at one of two servers, until it fails over."""

    question = b""

    def __init__(self, *servers: RedisServer) -> None:
        self._addresses = [
            Address(str(parts.hostname), int(parts.port or 0))
            for parts in (urlsplit(server.tcp_url) for server in servers)
        ]
        self._lent = [Lent(server.url, server.tcp_url) for server in servers]
        self.urls = [lent.make("worq", *rules().split()) for lent in self._lent]
        self._lent[1].change("worq", "-hset")

    def find(self) -> Address:
        return self._addresses[0]

    def judge(self, address: Address, answer: bytes) -> None:
        raise NotImplementedError

    def lost(self, error: Exception) -> None:
        pass

    def primaries(self) -> list[Address]:
        return self._addresses

    def fail_over(self) -> None:
        self._addresses.reverse()
        self._lent[0].cut_all()

    def give(self) -> None:
        self._lent[1].change("worq", "+hset")

    def close(self) -> None:
        for lent in self._lent:
            lent.close()


@pytest.fixture
def moving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Moving]:
    with (
        RedisServer(tcp=True) as one,
        RedisServer(tcp=True) as two,
        closing(Moving(one, two)) as place,
    ):

        def of_queue(target: Target, prefix: str) -> Target:
            del prefix
            return target._replace(place=place)

        monkeypatch.setattr(Target, "of_queue", of_queue)
        yield place


@pytest.mark.spec("ENV-REDIS-13")
class TestAnotherServer:
    """Servers do not tell each other of users."""

    def test_a_right_that_it_lacks_is_told_before_anything_changes(self, moving: Moving) -> None:
        with closing(TaskQueue(moving.urls[0], retry_deadline_s=1_000)) as queue:
            submit(queue, "a")
            moving.fail_over()
            for _ in range(2):
                with pytest.raises(BackendUnavailable, match=r" lacks \+hset; ") as caught:
                    submit(queue, "b")
                assert caught.value.outcome == "not_sent"
            moving.give()
            submit(queue, "b")
            assert queue.size() == 1

    def test_producers_in_asyncio_are_told_too(self, moving: Moving) -> None:
        async def look() -> None:
            async with aio.get_broker(moving.urls[0], retry_deadline_s=1_000) as broker:
                assert await broker.size() == 0
                moving.fail_over()
                for _ in range(2):
                    with pytest.raises(BackendUnavailable, match=r" lacks \+hset; "):
                        await broker.size()
                moving.give()
                assert await broker.size() == 0

        asyncio.run(look())


def test_a_look_is_made_for_all_that_are_no_commands_of_connections() -> None:
    assert not set(OF_CONNECTIONS) & set(OF_SCRIPTS)
