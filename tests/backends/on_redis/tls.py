"""TLS in front of a server that has none, with certificates that are made for the tests."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import trustme

PATIENCE_S: Final = 20.0
T = TypeVar("T")


class Certificates:
    """Those of a server on 127.0.0.1, of a client, and of the CA of both, in files; and another CA."""

    def __init__(self, folder: Path) -> None:
        self._ca, other = trustme.CA(), trustme.CA()
        self._server = self._ca.issue_cert("127.0.0.1")
        client = self._ca.issue_cert("client@tests")
        self.ca, self.other_ca = folder / "ca.pem", folder / "other.pem"
        self.client, self.client_key = folder / "client.pem", folder / "client.key"
        self._ca.cert_pem.write_to_path(self.ca)
        other.cert_pem.write_to_path(self.other_ca)
        client.private_key_pem.write_to_path(self.client_key)
        for pem in client.cert_chain_pems:
            pem.write_to_path(self.client, append=True)

    def context(self, *, asks: bool = False, elsewhere: bool = False) -> ssl.SSLContext:
        """Of a server. `asks`: for the certificate of its client. `elsewhere`: its own is for another host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (self._ca.issue_cert("elsewhere.test") if elsewhere else self._server).configure_cert(
            context
        )
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            self._ca.configure_trust(context)
        return context


class TlsFront:
    """A port of the loopback interface that speaks TLS, before the server of a URL. A context manager.

    One thread serves all connections, in a loop of asyncio.
    """

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self._behind = urlsplit(url)
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._port = 0

    def url(self, **options: object) -> str:
        """Of the same database, with options of TLS."""
        user = "".join(self._behind.netloc.rpartition("@")[:2])
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"rediss://{user}127.0.0.1:{self._port}/0?{query}".rstrip("?")

    @property
    def plain_url(self) -> str:
        """Of the same port, without TLS."""
        return f"redis://127.0.0.1:{self._port}/0"

    def stop(self) -> None:
        """Take no more connections, and cut those that there are."""
        self._do(self._stopping())

    def go_on(self) -> None:
        """Take connections again, on the same port."""
        self._server = self._do(self._serving())

    def __enter__(self) -> Self:
        self._thread.start()
        self.go_on()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE_S)

    async def _serving(self) -> asyncio.Server:
        server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, ssl=self._context, reuse_address=True
        )
        self._port = server.sockets[0].getsockname()[1]
        return server

    async def _stopping(self) -> None:
        self._server.close()
        this = asyncio.current_task()
        while True:
            await asyncio.sleep(0)  # a task that has not begun would not close what it was given
            others = asyncio.all_tasks() - {this}
            if not others:
                return
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            inner, outer = await self._connect()
            pumps = [
                asyncio.ensure_future(_pump(reader, outer)),
                asyncio.ensure_future(_pump(inner, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                outer.transport.abort()
        writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._behind.scheme == "unix":
            return await asyncio.open_unix_connection(self._behind.path)
        return await asyncio.open_connection(self._behind.hostname, self._behind.port)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
