"""A certificate authority of one's own and a server's certificate: enough TLS for a small team, in four files.

Clients trust ``ca.crt``; a renewed server certificate is signed by the same authority, so they need not be told. The authority signs
servers' certificates and no further authorities. Invariant: a key is never readable by others, not even while it is written.
Format: https://www.rfc-editor.org/rfc/rfc5280
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenure.client.errors import TenureError, usage

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey as Key

CA_DAYS = 3650
MOST_DAYS = 825
"""What browsers accept of a server's certificate that a private authority signed."""


@dataclass(frozen=True, slots=True)
class Made:
    """Where the files are."""

    directory: str
    is_new_authority: bool

    @property
    def ca(self) -> str:
        """What clients trust."""
        return os.path.join(self.directory, "ca.crt")

    @property
    def cert(self) -> str:
        """What the daemon shows."""
        return os.path.join(self.directory, "server.crt")

    @property
    def key(self) -> str:
        """What only the daemon has."""
        return os.path.join(self.directory, "server.key")


def create(directory: str, names: Sequence[str], days: int, now: datetime.datetime | None = None) -> Made:
    """Make a server's certificate for these names and addresses in ``directory``, and an authority unless one is there.

    Raises TenureError without the library that makes keys, `BadRequest` for names or a time that cannot be.
    """
    _check(names, days)
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise TenureError("no_cryptography", "making keys takes the package cryptography", "pip install 'tenure[tls]'") from None
    began = (now or datetime.datetime.now(datetime.UTC)) - datetime.timedelta(minutes=5)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    made = Made(directory, is_new_authority=not os.path.exists(os.path.join(directory, "ca.key")))
    ca_key, ca = _authority(made, began)
    key, cert = _server(list(names), began, days, ca_key, ca)
    _write(made.key, _key_text(key))
    _write(made.cert, _cert_text(cert), 0o644)
    return made


def _check(names: Sequence[str], days: int) -> None:
    if not 1 <= days <= MOST_DAYS:
        raise usage(f"a server's certificate is for 1 to {MOST_DAYS} days, not {days}")
    for name in names:
        if not name or len(name) > 253 or not name.isascii() or any(not (c.isalnum() or c in ".-*:") for c in name):
            raise usage(f"{name!r} is no name or address of a machine", "write it like gpu1.example.org or 10.0.0.5")


def _authority(made: Made, began: datetime.datetime) -> tuple[Key, x509.Certificate]:
    """The authority in the directory; made if there is none. Raises TenureError for one that cannot be read."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    path = os.path.join(made.directory, "ca.key")
    if not made.is_new_authority:
        try:
            with open(path, "rb") as key_file, open(made.ca, "rb") as ca_file:
                found = serialization.load_pem_private_key(key_file.read(), None)
                ca = x509.load_pem_x509_certificate(ca_file.read())
        except (OSError, ValueError, TypeError) as error:
            why = f"the authority in {made.directory} cannot be used: {error}"
            raise TenureError("bad_authority", why, "move it away to make another; clients then need its ca.crt") from None
        assert isinstance(found, ec.EllipticCurvePrivateKey)
        return found, ca
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Tenure authority of {os.uname().nodename}"[:64])
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    ca = _signed(name, name, key, key, began, CA_DAYS, [(constraints, True), (_usage(signs=True), True)])
    _write(path, _key_text(key))
    _write(made.ca, _cert_text(ca), 0o644)
    return key, ca


def _server(names: list[str], began: datetime.datetime, days: int, ca_key: Key, ca: x509.Certificate) -> tuple[Key, x509.Certificate]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectAlternativeName([_general(name) for name in names]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    ]
    return key, _signed(_name(names[0][:64]), ca.subject, key, ca_key, began, days, extensions)


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: Key,
    by: Key,
    began: datetime.datetime,
    days: int,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    builder = x509.CertificateBuilder().issuer_name(issuer).subject_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(began).not_valid_after(began + datetime.timedelta(days=days))
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    for extension, is_critical in (*extensions, (own, False), (identifier, False)):
        builder = builder.add_extension(extension, is_critical)
    return builder.sign(by, hashes.SHA256())


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(not signs, False, False, False, False, signs, signs, False, False)


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_text(key: Key) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _cert_text(cert: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return cert.public_bytes(Encoding.PEM)


def _write(path: str, text: bytes, mode: int = 0o600) -> None:
    """Put it there whole or not at all."""
    draft = f"{path}.new"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(fd, "wb") as file:
        os.fchmod(fd, mode)
        file.write(text)
        file.flush()
        os.fsync(fd)
    os.replace(draft, path)
