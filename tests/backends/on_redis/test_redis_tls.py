"""Redis over TLS: certificates, and all that a connection goes through."""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from tests.backends.brokers import broker_of, call, work
from tests.backends.calls import PATIENCE_S
from tests.backends.conftest import Start
from tests.backends.on_redis.cases import CASES, Case, claim, submit
from tests.backends.on_redis.proxy import Proxy
from tests.backends.on_redis.tls import Certificates, TlsFront
from worq import aio
from worq.clock import ManualClock
from worq.errors import BackendUnavailable, QueueClosed
from worq.queue.redis import TaskQueue
from worq.queue.redis.url import CONNECT_TIMEOUT_S, SOCKET_TIMEOUT_S, target
from worq.testing.servers import RedisServer
from worq.values import Outcome, Request


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def front(redis_url: str, certificates: Certificates) -> Iterator[TlsFront]:
    with TlsFront(redis_url, certificates.context()) as front:
        yield front


@pytest.fixture
def url(front: TlsFront, certificates: Certificates) -> str:
    return front.url(ssl_ca_certs=certificates.ca)


@pytest.fixture
def over_tls(url: str, redis_url: str) -> Iterator[TaskQueue]:
    """Its ids are a, b and x."""
    with closing(TaskQueue(url, retry_deadline_s=30)) as queue:
        yield queue
    with closing(TaskQueue(redis_url)) as queue:
        queue.purge()
        for task_id in "abx":
            queue.discard(task_id)


class Answering:
    """A port at which something answers whoever comes, and hangs up. A context manager: the port."""

    def __init__(self, answer: Callable[[socket.socket], object]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                with self._listener.accept()[0] as sock:
                    self._answer(sock)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


def refused(url: str) -> str:
    """What is said of it at once, although it may be tried for long; in asyncio as in threads."""
    with closing(TaskQueue(url, retry_deadline_s=1_000)) as queue:
        with pytest.raises(BackendUnavailable) as caught:
            queue.size()
        assert caught.value.outcome == "not_sent"

    async def ask() -> None:
        async with aio.get_broker(url, retry_deadline_s=1_000) as broker, asyncio.timeout(20):
            await broker.size()

    with pytest.raises(BackendUnavailable) as caught_too:
        asyncio.run(ask())
    assert caught_too.value.outcome == "not_sent"
    advice = str(caught.value).partition("; ")[2]  # what goes before has redis-py's words
    assert advice
    assert str(caught_too.value).endswith(advice)
    return str(caught.value)


@pytest.mark.spec("ENV-REDIS-14")
class TestCertificates:
    def test_a_server_that_a_ca_vouches_for(self, url: str) -> None:
        with closing(TaskQueue(url)) as queue:
            assert queue.size() == 0

    def test_one_that_no_trusted_ca_vouches_for(
        self, front: TlsFront, certificates: Certificates
    ) -> None:
        for url in (front.url(), front.url(ssl_ca_certs=certificates.other_ca)):
            assert "no CA that is trusted vouches for the certificate of the server" in refused(url)

    def test_one_for_another_host(self, redis_url: str, certificates: Certificates) -> None:
        with TlsFront(redis_url, certificates.context(elsewhere=True)) as front:
            url = front.url(ssl_ca_certs=certificates.ca)
            assert "the certificate of the server is for another host" in refused(url)
            with closing(TaskQueue(f"{url}&ssl_check_hostname=false")) as queue:
                assert queue.size() == 0
            with closing(TaskQueue(front.url(ssl_cert_reqs="none"))) as queue:
                assert queue.size() == 0

    def test_a_client_with_a_certificate(self, redis_url: str, certificates: Certificates) -> None:
        with TlsFront(redis_url, certificates.context(asks=True)) as front:
            url = front.url(
                ssl_ca_certs=certificates.ca,
                ssl_certfile=certificates.client,
                ssl_keyfile=certificates.client_key,
            )
            with closing(TaskQueue(url)) as queue:
                assert queue.size() == 0

    @pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_a_client_without_one(self, newest: ssl.TLSVersion, certificates: Certificates) -> None:
        """In TLS 1.3 it hears of that when it has shaken hands, and writes."""
        context = certificates.context(asks=True)
        context.maximum_version = newest

        def shake_hands(sock: socket.socket) -> None:
            with suppress(ssl.SSLError), context.wrap_socket(sock, server_side=True):
                pass

        with Answering(shake_hands) as port:
            said = refused(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificates.ca}")
        assert "does it ask for a certificate? ssl_certfile, ssl_keyfile" in said

    def test_a_server_of_other_versions(self, certificates: Certificates) -> None:
        context = certificates.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2

        def shake_hands(sock: socket.socket) -> None:
            with suppress(ssl.SSLError), context.wrap_socket(sock, server_side=True):
                pass

        with Answering(shake_hands) as port:
            url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificates.ca}"
            said = refused(f"{url}&ssl_min_version={ssl.TLSVersion.TLSv1_3.value}")
        assert "the server refuses this client" in said

    def test_a_port_without_tls(self) -> None:
        """A server takes the handshake for the beginning of a line, and says nothing."""
        with RedisServer(tcp=True) as server:
            url = server.tcp_url.replace("redis://", "rediss://")
            said = refused(f"{url}?socket_connect_timeout=0.5")
        assert "answers without TLS; without TLS the URL begins with redis://" in said

    def test_a_port_of_something_else(self) -> None:
        """It answers at once, but not in TLS."""
        with Answering(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
            said = refused(f"rediss://127.0.0.1:{port}")
        assert "without TLS the URL begins with redis://" in said

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ("ssl_ca_certs=/nowhere.pem", "ssl_ca_certs: there is no such file: '/nowhere.pem'"),
            ("ssl_ca_path=/nowhere", "ssl_ca_path: there is no such file: '/nowhere'"),
            ("ssl_keyfile=KEY", "ssl_certfile: one is needed for ssl_keyfile 'KEY'"),
            ("ssl_certfile=/nowhere.pem", "ssl_certfile: there is no such file: '/nowhere.pem'"),
            ("ssl_ca_certs=KEY", "ssl_ca_certs: 'KEY' can't be used: "),
            ("ssl_certfile=CA", "ssl_certfile: 'CA' can't be used: "),
            ("ssl_ciphers=none-such", "ssl_ciphers: 'none-such' can't be used: "),
            ("ssl_min_version=99", "ssl_min_version: 99 can't be used: "),
        ],
    )
    @pytest.mark.spec("ENV-API-11")
    def test_options_that_no_connection_can_be_made_with(
        self, options: str, reason: str, certificates: Certificates
    ) -> None:
        for word, path in (("KEY", certificates.client_key), ("CA", certificates.ca)):
            options, reason = options.replace(word, str(path)), reason.replace(word, str(path))
        with pytest.raises(ValueError, match=r"^url: ") as caught:
            TaskQueue(f"rediss://me:secret@host?{options}")
        assert str(caught.value).startswith(f"url: {reason}")
        assert "secret" not in str(caught.value)


@pytest.mark.spec("ENV-REDIS-14")
class TestConnections:
    def test_the_whole_way_of_a_task(self, over_tls: TaskQueue) -> None:
        broker = broker_of(over_tls)
        first = call(broker.queue().give, "a", "x" * 1_000_000)
        second = call(broker.queue().give, "b", first)
        assert work(broker) == 2
        assert second.wait(PATIENCE_S)
        assert second.value == "x" * 1_000_000

    @pytest.mark.spec("ENV-WAIT-2")
    def test_a_wait_is_woken(self, over_tls: TaskQueue, redis_url: str, start: Start) -> None:
        waiting = start(lambda: over_tls.claim(PATIENCE_S))
        with closing(TaskQueue(redis_url)) as other:
            submit(other, "a")
        found = waiting.answer()
        assert found is not None
        assert found.id == "a"

    @pytest.mark.spec("ENV-WAIT-7")
    def test_close_ends_all_waits(self, over_tls: TaskQueue, start: Start) -> None:
        calls = [start(lambda: over_tls.claim(None)) for _ in range(5)]
        over_tls.close()
        for each in calls:
            with pytest.raises(QueueClosed):
                each.answer()

    @pytest.mark.spec("ENV-WAIT-7")
    def test_close_interrupts_what_a_silent_server_keeps(
        self, proxy: Proxy, certificates: Certificates, start: Start
    ) -> None:
        """Sockets are shut down from another thread, in the midst of reading."""
        with TlsFront(proxy.url, certificates.context()) as front:
            queue = TaskQueue(front.url(ssl_ca_certs=certificates.ca), retry_deadline_s=1_000)
            assert queue.size() == 0
            calls = [start(lambda: queue.claim(None)) for _ in range(3)]
            proxy.wait_until(lambda: proxy.is_blocked)
            proxy.fall_silent(for_all=True)
            queue.close()
            for each in calls:
                with pytest.raises(QueueClosed):
                    each.answer()
            proxy.cut()

    @pytest.mark.spec("ENV-RETRY-1")
    @pytest.mark.parametrize("case", [CASES["claim"], CASES["finish"], CASES["submit"]])
    @pytest.mark.parametrize("fault", ["not sent", "reply lost", "half a reply"])
    def test_what_is_lost_is_asked_for_again(
        self,
        case: Case,
        fault: str,
        proxy: Proxy,
        queue: TaskQueue,
        clock: ManualClock,
        certificates: Certificates,
    ) -> None:
        case.prepare(queue)
        with (
            TlsFront(proxy.url, certificates.context()) as front,
            closing(TaskQueue(front.url(ssl_ca_certs=certificates.ca), clock=clock)) as over,
        ):
            over.size()
            proxy.faults.append(fault)  # type: ignore[arg-type]
            assert case.act(over) == case.answer
            assert not proxy.faults

    @pytest.mark.spec("ENV-RETRY-4")
    def test_an_outage_is_outlived(
        self, over_tls: TaskQueue, front: TlsFront, start: Start
    ) -> None:
        submit(over_tls, "a")
        claimed = claim(over_tls)
        front.stop()
        ending = start(lambda: over_tls.finish("a", b"done", 100, token=claimed.token))
        waiting = start(lambda: over_tls.pop("a", PATIENCE_S))
        front.go_on()
        assert ending.answer().accepted
        assert waiting.answer() == Outcome("result", b"done")

    def test_producers_in_asyncio_go_over_it_too(self, url: str, over_tls: TaskQueue) -> None:
        async def enqueue() -> None:
            async with aio.get_broker(url) as broker:
                assert await broker.size() == 0

        del over_tls
        asyncio.run(enqueue())

    def test_a_fork_has_connections_of_its_own(self, over_tls: TaskQueue) -> None:
        submit(over_tls, "a")
        child = os.fork()
        if child == 0:
            os._exit(0 if over_tls.submit(Request("b"), b"").status == "accepted" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert [claim(over_tls).id, claim(over_tls).id] == ["a", "b"]

    def test_connections_are_used_again(
        self, over_tls: TaskQueue, proxy: Proxy, certificates: Certificates
    ) -> None:
        """What TLS has to say for itself is not taken for a reply that is left."""
        del over_tls
        with (
            TlsFront(proxy.url, certificates.context()) as front,
            closing(TaskQueue(front.url(ssl_ca_certs=certificates.ca))) as queue,
        ):
            for _ in range(3):
                queue.size()
                threading.Event().wait(0.02)  # longer than a connection is trusted
            assert proxy.connections == 1

    def test_a_handshake_may_take_as_long_as_connecting(self) -> None:
        """A receipt outlives all tries of an operation; and here nothing answers."""
        assert target("redis://h").try_s == CONNECT_TIMEOUT_S + SOCKET_TIMEOUT_S
        assert target("rediss://h").try_s == 2 * CONNECT_TIMEOUT_S + SOCKET_TIMEOUT_S
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"rediss://127.0.0.1:{silent.getsockname()[1]}?socket_connect_timeout=0.1"
            with (
                closing(TaskQueue(url, retry_deadline_s=0)) as queue,
                pytest.raises(BackendUnavailable, match="Timeout connecting to server"),
            ):
                queue.size()
