"""Which daemon is meant, to whom a token is sent, and what is said when it cannot be reached."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.client import http
from tenure.client.certificates import Made, create
from tenure.client.errors import DaemonUnreachable, TenureError
from tenure.client.place import Place, elsewhere, place_of
from tenure.client.session import Client
from tests.unit.client.fake import daemon, reply


@pytest.mark.parametrize(
    ("url", "expected", "lines"),
    [
        ("https://gpu1.example.org:8080", ("gpu1.example.org", 8080, True, False), "Host: gpu1.example.org:8080\r\n"),
        ("https://gpu1.example.org/", ("gpu1.example.org", 443, True, False), "Host: gpu1.example.org:443\r\n"),
        ("http://127.0.0.1:1", ("127.0.0.1", 1, False, True), "Host: 127.0.0.1:1\r\n"),
        ("http://[::1]:1", ("::1", 1, False, True), "Host: [::1]:1\r\n"),
        ("http://localhost", ("localhost", 80, False, True), "Host: localhost:80\r\n"),
    ],
)
def test_a_url_is_a_place(url: str, expected: tuple[str, int, bool, bool], lines: str) -> None:
    found = place_of(url)
    assert (found.host, found.port, found.is_tls, found.is_this_machine) == expected
    assert found.lines == lines
    assert place_of(url.replace("http://", "https://"), "secret").lines.endswith("Authorization: Bearer secret\r\n")


WRONG = [
    "",
    "gpu1:8080",
    "ftp://x",
    "https://",
    "https://x:y",
    "https://x:70000",
    "https://u:p@x",
    "https://x/v1",
    "https://x?a",
    "unix:rel",
]


@pytest.mark.parametrize("url", [*WRONG, "unix://host/path"])
def test_anything_else_is_none(url: str) -> None:
    with pytest.raises(TenureError) as refused:
        place_of(url)
    assert refused.value.code == "bad_place"


def test_a_token_is_not_sent_in_the_clear_beyond_this_machine() -> None:
    with pytest.raises(TenureError) as refused:
        place_of("http://gpu1.example.org", "secret", environ={})
    assert refused.value.code == "token_in_clear"
    assert place_of("http://gpu1.example.org", "secret", environ={"TENURE_INSECURE_I_KNOW": "1"}).token == "secret"
    assert place_of("http://127.0.0.1:8080", "secret", environ={}).token == "secret"


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "ü"])
def test_a_token_is_no_header(token: str) -> None:
    with pytest.raises(TenureError):
        place_of("https://x", token)


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    path = tmp_path / "tenure" / "client.toml"
    path.parent.mkdir()
    (tmp_path / "secret").write_text("from-file\n")
    (tmp_path / "secret").chmod(0o600)
    path.write_text(
        f'default = "a"\n[profiles.a]\nurl = "https://a.example"\ntoken_file = "{tmp_path}/secret"\nca_file = "/ca"\n'
        '[profiles.b]\nurl = "https://b.example"\ntoken = "from-profile"\n'
    )
    path.chmod(0o600)
    return path


def place_with(profiles: Path, **environ: str) -> Place | None:
    return elsewhere({"XDG_CONFIG_HOME": str(profiles.parent.parent), **environ})


def test_what_goes_before_what(profiles: Path) -> None:
    assert elsewhere({"XDG_CONFIG_HOME": "/nowhere"}) is None
    assert place_with(profiles) == Place("https://a.example", "a.example", 443, True, token="from-file", ca_file="/ca")
    assert place_with(profiles, TENURE_HOME="/h") is None
    named = place_with(profiles, TENURE_PROFILE="b", TENURE_HOME="/h")
    assert named is not None
    assert (named.host, named.token) == ("b.example", "from-profile")
    given = place_with(profiles, TENURE_URL="https://c.example", TENURE_PROFILE="b", TENURE_TOKEN="t", TENURE_CA_FILE="/own")
    assert given is not None
    assert (given.host, given.token, given.ca_file) == ("c.example", "t", "/own")
    over = place_with(profiles, TENURE_TOKEN="t")
    assert over is not None
    assert over.token == "t"


def test_profiles_that_mean_nothing_or_lie_open(profiles: Path) -> None:
    def expect(words: str, **environ: str) -> None:
        with pytest.raises(TenureError, match=words):
            place_with(profiles, **environ)

    expect("there is no profile c", TENURE_PROFILE="c")
    profiles.chmod(0o644)
    expect("others can read", TENURE_PROFILE="b")
    assert place_with(profiles) is not None  # it names a file, and has no token itself
    (profiles.parent.parent / "secret").chmod(0o640)
    expect("others can read the token")
    (profiles.parent.parent / "secret").unlink()
    expect("cannot be read")
    profiles.write_text("[profiles.a]\nurl = 1\n")
    expect("are not understood")
    profiles.unlink()
    expect("there is no profile c", TENURE_PROFILE="c")


def test_every_request_shows_the_token() -> None:
    with (
        daemon(reply({"queues": []})) as fake,
        Client(Place("unix:", path=fake.path, token="t")) as client,
    ):
        client.admin.queues()
        assert fake.asked[0].headers["authorization"] == "Bearer t"


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None) -> Iterator[int]:
    """One port that shakes hands with whoever comes and answers once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with contextlib.suppress(OSError), connection:
                        wrapped = context.wrap_socket(connection, server_side=True) if context else connection
                        wrapped.recv(65536)
                        wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + b'{"queues":[]}')
                        wrapped.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    pytest.importorskip("cryptography")
    return create(str(tmp_path_factory.mktemp("tls")), ["localhost"], 10)


def context_of(made: Made) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    return context


def queues(place: Place) -> object:
    with Client(place, timeout_s=10) as client:
        return client.admin.queues().queues


def test_over_tls_with_an_authority_of_ones_own(made: Made, tmp_path: Path) -> None:
    with serving(context_of(made)) as port:
        assert queues(place_of(f"https://localhost:{port}", "t", made.ca)) == []
        for host, ca in (("localhost", ""), ("127.0.0.1", made.ca)):
            with pytest.raises(TenureError) as refused:
                queues(place_of(f"https://{host}:{port}", "t", ca))
            assert (refused.value.code, "TENURE_CA_FILE" in refused.value.remedy) == ("untrusted", True)
        with pytest.raises(TenureError, match="cannot be used"):
            queues(place_of(f"https://localhost:{port}", "t", str(tmp_path / "none")))


def test_a_port_that_speaks_something_else(made: Made) -> None:
    with serving(None) as port, pytest.raises(DaemonUnreachable, match="does not speak TLS"):
        queues(place_of(f"https://localhost:{port}", "", made.ca))


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DaemonUnreachable, match="no daemon answers on http:"):
        queues(place_of(f"http://127.0.0.1:{port}"))
    with pytest.raises(http.Broken, match="invalid"):
        place_of("http://no.such.host.invalid").connect(1.0)
