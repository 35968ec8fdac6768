"""The TCP listener of a real daemon, on loopback: who gets in, who is cut off, and when it refuses to start."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tenure.client import paths
from tenure.client.certificates import create
from tests.support.living import Installation, installation, until

CONFIG = """
[listen]
address = "127.0.0.1:0"
head_within = "300ms"
connections_per_address = 3
"""


@pytest.fixture(scope="module")
def listening() -> Iterator[Installation]:
    with installation(CONFIG) as home:
        home.up()
        yield home


def port_of(home: Installation) -> int:
    with home.client() as client:
        return urlsplit(client.admin.status().url).port or 0


def connected(home: Installation) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(home)), timeout=10)


def asked(home: Installation, head: str, body: str = "") -> tuple[int, str]:
    """Status and text of the answer to a request that asks for the connection to be closed."""
    with connected(home) as connection:
        connection.sendall(f"{head}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return int(text.split(" ", 2)[1]), text


def is_cut(connection: socket.socket) -> bool:
    """Whether the other end closes it before the socket's deadline."""
    try:
        return connection.recv(65536) == b""
    except ConnectionResetError:
        return True


HOST = "Host: localhost"


def test_nobody_gets_in_without_a_token(listening: Installation) -> None:
    for path in ("/v1/status", "/api/v1/jobs/1", "/api/v1/doctor", "/api/v1/openapi.json", "/api/v1/events", "/no/such"):
        status, text = asked(listening, f"GET {path} HTTP/1.1\r\n{HOST}")
        assert status == 401, path
        assert "www-authenticate: Bearer" in text
    assert asked(listening, f"POST /api/v1/jobs HTTP/1.1\r\n{HOST}", "{}")[0] == 401
    assert asked(listening, f"GET /api/v1/status HTTP/1.1\r\n{HOST}\r\nAuthorization: Bearer no-such-token")[0] == 401
    assert socket_status(listening) == b"401"


def socket_status(listening: Installation) -> bytes:
    """The status with which a WebSocket without a token is refused."""
    upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    with connected(listening) as connection:
        connection.sendall(f"GET /api/v1/events/ws HTTP/1.1\r\n{HOST}\r\nConnection: Upgrade\r\n{upgrade}\r\n\r\n".encode())
        return connection.recv(65536).split(b" ")[1]


def test_pages_of_others_get_nowhere(listening: Installation) -> None:
    assert asked(listening, "GET /api/v1/status HTTP/1.1\r\nHost: rebound.example")[0] == 421
    assert (
        asked(listening, f"POST /api/v1/jobs HTTP/1.1\r\n{HOST}\r\nOrigin: http://evil.test\r\nCookie: tenure-session=x", "{}")[0]
        == 403
    )
    assert asked(listening, f"POST /api/v1/down HTTP/1.1\r\n{HOST}\r\nOrigin: null", "{}")[0] == 403


def test_whoever_dawdles_is_cut_off(listening: Installation) -> None:
    with connected(listening) as silent, connected(listening) as slow:
        assert is_cut(silent)
        deadline = time.monotonic() + 10
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                slow.sendall(b"GET / HTTP/1.1\r\nX: y\r\n"[:1])
                slow.settimeout(0.02)
                with contextlib.suppress(TimeoutError):
                    if slow.recv(1) == b"":
                        break
        assert time.monotonic() < deadline


def test_whoever_sends_too_much_of_a_head_is_refused(listening: Installation) -> None:
    for head in ("GET /" + "x" * 40_000, "GET / HTTP/1.1\r\nX: " + "y" * 40_000, "GET / HTTP/1.1\r\n" + "A: b\r\n" * 200):
        with connected(listening) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(f"{head}\r\n\r\n".encode())
            with contextlib.suppress(ConnectionError):
                assert connection.recv(65536)[:12] in (b"HTTP/1.1 400", b"")


def test_one_address_has_so_many_connections(listening: Installation) -> None:
    def is_answered(connection: socket.socket) -> bool:
        with contextlib.suppress(ConnectionError):
            connection.sendall(f"GET /api/v1/status HTTP/1.1\r\n{HOST}\r\n\r\n".encode())
            return connection.recv(65536).startswith(b"HTTP/1.1")
        return False

    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(connected(listening)) for _ in range(3)]
        assert all(map(is_answered, kept))
        assert not is_answered(stack.enter_context(connected(listening)))
        kept[0].close()
        until(lambda: is_answered(stack.enter_context(connected(listening))), "room for another connection")


def test_nobody_can_fill_the_daemons_log(listening: Installation) -> None:
    before = listening.daemon_log()
    for sent in ("nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\0\r\n\r\n"):
        with connected(listening) as connection:
            connection.sendall(sent.encode())
            assert connection.recv(65536)[:12] in (b"HTTP/1.1 400", b"")
    assert socket_status(listening) in (b"401", b"429")
    assert listening.daemon_log() == before


def test_the_socket_and_what_it_shows_are_as_before(listening: Installation) -> None:
    with listening.client() as client:
        job = client.submit(["true"])
        assert client.wait([job.id], 30).done
        assert any(check.name == "listener" and check.level == "ok" for check in client.admin.doctor().checks)
    assert listening.cli("up", "--listen", "127.0.0.1:0", "--json", ok=False).stderr.count("already_up") == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--listen", "0.0.0.0:8080"), "listen_refused"),
        (("--listen", "nonsense"), "listen_settings"),
        (("--listen", "127.0.0.1:0", "--tls-cert", "none", "--tls-key", "none"), "tls_unusable"),
        (("--tls-cert", "none"), "settings"),
    ],
)
def test_a_mistake_starts_nothing(words: tuple[str, ...], code: str, tmp_path: Path) -> None:
    with installation() as home:
        done = home.cli("up", *words, "--json", ok=False, cwd=tmp_path)
        error = json.loads(done.stderr.splitlines()[-1])["error"]
        assert error["code"] == code
        assert error["remedy"]
        assert not Path(paths.daemon_socket(str(home.home))).exists()
        assert not Path(paths.supervisor_socket(str(home.home))).exists()
        assert not done.stdout


def test_tls_is_of_today_and_nonsense_does_no_harm(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    made = create(str(tmp_path), ["localhost"], 30)
    with installation() as home:
        home.cli("up", "--listen", "127.0.0.1:0", "--tls-cert", made.cert, "--tls-key", made.key)
        with connected(home) as plain:
            plain.sendall(f"GET / HTTP/1.1\r\n{HOST}\r\n\r\n".encode())
            assert b"HTTP/1.1 200" not in plain.recv(65536)
        old = ssl.create_default_context(cafile=made.ca)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with connected(home) as connection, pytest.raises((ssl.SSLError, ConnectionError)):
            old.wrap_socket(connection, server_hostname="localhost")
        today = ssl.create_default_context(cafile=made.ca)
        with connected(home) as connection, today.wrap_socket(connection, server_hostname="localhost") as wrapped:
            wrapped.sendall(f"GET /api/v1/status HTTP/1.1\r\n{HOST}\r\n\r\n".encode())
            assert wrapped.recv(65536).startswith(b"HTTP/1.1 401")
            assert wrapped.version() in ("TLSv1.2", "TLSv1.3")
        assert "is well" in home.cli("status").stdout
