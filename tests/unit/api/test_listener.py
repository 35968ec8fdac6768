"""Where the daemon may listen: beyond this machine only with everything that it takes, and all that is missing is said at once."""

from __future__ import annotations

import socket

import pytest

from tenure.api.listener import Listener, Refusal, opened
from tenure.client.certificates import Made, create
from tenure.config.listen import ListenSettings

pytest.importorskip("cryptography")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return create(str(tmp_path_factory.mktemp("tls")), ["gpu1.example.org", "*.lab.example.org"], 20)


def refused(settings: ListenSettings, *, has_users: bool = True) -> Refusal:
    with pytest.raises(Refusal) as found:
        opened(settings, has_users)
    return found.value


def listening(settings: ListenSettings, *, has_users: bool = True) -> Listener:
    found = opened(settings, has_users)
    found.socket.close()
    return found


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "10.11.12.13:0", "gpu1.example.org:0"])
def test_what_is_missing_is_said_at_once(address: str) -> None:
    both = refused(ListenSettings(address=address), has_users=False)
    assert both.code == "listen_refused"
    assert "tenure cert create" in both.message
    assert "tenure token create" in both.message
    assert "127.0.0.1" in both.remedy
    assert "token" not in refused(ListenSettings(address=address)).message
    assert "cert" not in refused(ListenSettings(address=address, insecure=True), has_users=False).message


def test_this_machine_alone_takes_nothing() -> None:
    found = listening(ListenSettings(address="127.0.0.1:0"), has_users=False)
    assert found.url == f"http://127.0.0.1:{found.address.port}"
    assert found.address.port > 0
    assert not found.is_exposed
    assert not found.warnings()
    assert {"localhost", "127.0.0.1", "::1"} <= found.hosts


def test_with_everything_it_listens_everywhere(made: Made) -> None:
    found = listening(ListenSettings(address="0.0.0.0:0", tls_cert=made.cert, tls_key=made.key, hosts=("Other.example",)))
    assert found.url == f"https://gpu1.example.org:{found.address.port}"
    assert {"gpu1.example.org", "*.lab.example.org", "other.example", socket.gethostname().lower()} <= found.hosts
    assert not found.is_exposed
    assert "expires in 19 days" in found.warnings()[0]


def test_who_says_that_he_knows_is_reminded_of_it() -> None:
    found = listening(ListenSettings(address="0.0.0.0:0", insecure=True))
    assert found.is_exposed
    assert "without TLS" in found.warnings()[0]


def test_a_bad_certificate_is_never_replaced_by_none(made: Made) -> None:
    for insecure in (False, True):
        found = refused(ListenSettings(address="127.0.0.1:0", tls_cert=made.cert, tls_key="/nowhere", insecure=insecure))
        assert (found.code, "--tls-key" in found.remedy) == ("tls_unusable", True)


def test_settings_that_mean_nothing() -> None:
    assert refused(ListenSettings(address="8080")).code == "listen_settings"
    assert refused(ListenSettings(address="127.0.0.1:0", reads="x")).code == "listen_settings"


def test_an_address_that_is_taken_or_not_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert refused(ListenSettings(address=f"127.0.0.1:{other.getsockname()[1]}")).code == "listen_taken"
    assert refused(ListenSettings(address="192.0.2.77:0", insecure=True)).code == "listen_unusable"
    assert refused(ListenSettings(address="no.such.host.invalid:0", insecure=True)).code == "listen_unusable"
