"""TLS: connections whose handshake is bounded, and what is wrong when there is none. [ENV-REDIS-14]"""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from redis.connection import SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worq.queue.redis.urlparts import UrlError

_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_NOT_FOR_THIS_HOST: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
_NO_TLS_THERE: Final = "without TLS the URL begins with redis://"
_OTHER_VERSIONS: Final = ("UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW")


class PlainPortError(RedisConnectionError):
    """There is a server, which has no TLS at that port."""


class TlsConnection(SSLConnection):
    """One whose handshake ends within the time-out of connecting."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        sock.settimeout(self.socket_connect_timeout)
        try:
            wrapped: ssl.SSLSocket = cast("Any", super())._wrap_socket_with_ssl(sock)  # noqa: SLF001
        except TimeoutError:
            check_not_plain(self.host, self.port, self.socket_connect_timeout)
            raise
        wrapped.settimeout(self.socket_timeout)
        return wrapped

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - as there
        """As there, but that an alert is read: in TLS 1.3 a client has shaken hands before it is refused."""
        del check_health  # it is the backend's own
        this: Any = self
        if not this.is_connected:
            this.connect_check_health(check_health=False)
        sock: ssl.SSLSocket = this._sock  # noqa: SLF001 - it is this one's
        try:
            for item in command:
                sock.sendall(item)
        except TimeoutError as error:
            this.disconnect()
            raise RedisTimeoutError("Timeout writing to socket") from error
        except OSError as error:
            why = _alert(sock) or error
            this.disconnect()
            raise RedisConnectionError(f"Error while writing to socket: {why}") from why
        except BaseException:
            this.disconnect()
            raise


def check_not_plain(host: str, port: int, timeout_s: float | None) -> None:
    """PlainPortError if a server without TLS answers there.

    It takes a handshake for a line that does not end, and waits.
    """
    try:
        with socket.create_connection((host, port), timeout_s) as sock:
            sock.sendall(b"PING\r\n")
            if sock.recv(1) not in (b"+", b"-"):  # PONG, or that one has to say who one is
                return
    except OSError:
        return
    raise PlainPortError(f"{host}:{port} answers without TLS") from None


def _alert(sock: ssl.SSLSocket) -> ssl.SSLError | None:
    """The one that the server has left before it hung up, if any."""
    try:
        sock.settimeout(0)
        sock.recv(1)
    except ssl.SSLError as error:
        return error if "ALERT" in (error.reason or "") else None
    except (OSError, ValueError):
        pass
    return None


def check_tls(options: Mapping[str, Any]) -> None:
    """UrlError for an option that no connection can be made with, before one is tried."""
    for name in _FILES:
        if name in options and not Path(options[name]).exists():
            raise UrlError(f"{name}: there is no such file: {options[name]!r}")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise UrlError(f"ssl_certfile: one is needed for ssl_keyfile {options['ssl_keyfile']!r}")
    context = ssl.create_default_context()
    for name, use in _uses(context, options):
        if name in options:
            try:
                use(options[name])
            except (OSError, ValueError) as error:
                raise UrlError(f"{name}: {options[name]!r} can't be used: {error}") from None


def _uses(
    context: ssl.SSLContext, options: Mapping[str, Any]
) -> Iterator[tuple[str, Callable[[Any], object]]]:
    """What each option is for."""

    def set_minimum(value: Any) -> None:
        context.minimum_version = ssl.TLSVersion(int(value))

    # Without one that is wrong, OpenSSL would ask whoever sits at the terminal for it.
    password = options.get("ssl_password", "")
    yield "ssl_min_version", set_minimum
    yield "ssl_ciphers", context.set_ciphers
    yield "ssl_ca_certs", lambda value: context.load_verify_locations(cafile=value)
    yield "ssl_ca_path", lambda value: context.load_verify_locations(capath=value)
    yield "ssl_ca_data", lambda value: context.load_verify_locations(cadata=value)
    yield (
        "ssl_certfile",
        lambda value: context.load_cert_chain(value, options.get("ssl_keyfile"), password),
    )


def advice(error: Exception) -> str | None:
    """What is to be done about an error that no other try will mend; None for all others."""
    if isinstance(error, PlainPortError):
        return _NO_TLS_THERE
    tls = error.__cause__ or error.__context__
    if isinstance(tls, ssl.SSLCertVerificationError):
        if tls.verify_code in _NOT_FOR_THIS_HOST:
            return "the certificate of the server is for another host than that of the URL"
        return "no CA that is trusted vouches for the certificate of the server: ssl_ca_certs"
    if not isinstance(tls, ssl.SSLError):
        return None
    reason = tls.reason or ""
    if reason in _NO_TLS:
        return _NO_TLS_THERE
    if reason in _OTHER_VERSIONS:
        return "the server has other versions of TLS: ssl_min_version"
    if "ALERT" in reason:
        return "the server refuses this client; does it ask for a certificate? ssl_certfile, ssl_keyfile"
    return None
