"""Certificates: one that works is taken, and everything that is wrong with one is a sentence before anything listens."""

from __future__ import annotations

import datetime
import os
import shutil
import ssl
from pathlib import Path

import pytest

from tenure.api.tls import TlsError, certificate
from tenure.client.certificates import Made, create
from tenure.client.errors import BadRequest, TenureError

pytest.importorskip("cryptography")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return create(str(tmp_path_factory.mktemp("tls")), ["gpu1.example.org", "127.0.0.1"], 100)


def test_a_pair_that_works(made: Made) -> None:
    found = certificate(made.cert, made.key)
    assert found.names == ("gpu1.example.org", "127.0.0.1")
    assert found.days_left() == 99
    assert found.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert all(cipher["aead"] for cipher in found.context.get_ciphers())


def test_keys_are_closed_to_others(made: Made) -> None:
    assert made.is_new_authority
    modes = {path.name: path.stat().st_mode & 0o777 for path in Path(made.directory).iterdir()}
    assert modes == {"ca.key": 0o600, "ca.crt": 0o644, "server.key": 0o600, "server.crt": 0o644}


def test_renewing_keeps_the_authority(tmp_path: Path) -> None:
    first = create(str(tmp_path), ["a.example"], 10)
    ca, cert = Path(first.ca).read_bytes(), Path(first.cert).read_bytes()
    again = create(str(tmp_path), ["b.example"], 10)
    assert not again.is_new_authority
    assert (Path(again.ca).read_bytes(), Path(again.cert).read_bytes() == cert) == (ca, False)
    assert certificate(again.cert, again.key).names == ("b.example",)


def expect(words: str, cert: str, key: str) -> None:
    with pytest.raises(TlsError, match=words):
        certificate(cert, key)


def test_a_key_that_others_can_read(made: Made, tmp_path: Path) -> None:
    key = shutil.copy(made.key, tmp_path / "key")
    os.chmod(key, 0o640)
    expect("others can read the key", made.cert, str(key))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user(made: Made, tmp_path: Path) -> None:
    key = shutil.copy(made.key, tmp_path / "key")
    os.chmod(key, 0o600)
    os.chown(key, 65534, 65534)
    expect("belongs to another user", made.cert, str(key))


def test_a_key_of_another_certificate(made: Made, tmp_path: Path) -> None:
    expect("is not that of the certificate", made.cert, create(str(tmp_path), ["x"], 1).key)


def test_files_that_are_not_there_or_no_files(made: Made, tmp_path: Path) -> None:
    expect("key .* cannot be read", made.cert, str(tmp_path / "none"))
    expect("certificate .* cannot be read", str(tmp_path / "none"), made.key)
    expect("is not a file", made.cert, str(tmp_path))


def test_files_that_are_something_else(made: Made, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_text("-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n")
    junk.chmod(0o600)
    expect("are no certificate and key in PEM", str(junk), made.key)
    expect("are no certificate and key in PEM", made.cert, str(junk))


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(made: Made, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(Path(made.key).read_bytes(), None)
    closed = tmp_path / "closed"
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x"))
    closed.write_bytes(key.private_bytes(*kinds))
    closed.chmod(0o600)
    expect("has a password", made.cert, str(closed))


def test_one_that_has_expired(tmp_path: Path) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=40)
    old = create(str(tmp_path), ["x"], 10, now=past)
    expect("has expired", old.cert, old.key)


def test_one_that_is_not_valid_yet(tmp_path: Path) -> None:
    future = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=40)
    early = create(str(tmp_path), ["x"], 10, now=future)
    expect("not valid yet", early.cert, early.key)


def test_an_authority_is_no_server(made: Made) -> None:
    with pytest.raises(TlsError):
        certificate(made.ca, os.path.join(made.directory, "ca.key"))


@pytest.mark.parametrize(("names", "days"), [([""], 1), (["a b"], 1), (["x"], 0), (["x"], 826), (["ü"], 1)])
def test_names_and_times_that_cannot_be(tmp_path: Path, names: list[str], days: int) -> None:
    with pytest.raises(BadRequest):
        create(str(tmp_path), names, days)
    assert not list(tmp_path.iterdir())


def test_an_authority_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "ca.key").write_text("junk")
    (tmp_path / "ca.crt").write_text("junk")
    with pytest.raises(TenureError, match="cannot be used"):
        create(str(tmp_path), ["x"], 1)
