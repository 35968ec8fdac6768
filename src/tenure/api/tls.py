"""The certificate of the listener: read, tried out, and refused in one sentence when nobody could rely on it.

A pair is tried by shaking hands with ourselves in memory: the client's end trusts this certificate alone, so one that has expired or
is not for a server fails there as it would at a client, and what a client is shown of it is what is read.
Invariant: a context is returned only for a pair with which somebody can connect now, and whose key nobody else can read.
"""

from __future__ import annotations

import os
import ssl
import stat
import time
from dataclasses import dataclass
from typing import Any

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption. Those of 1.3 are all of that kind."""
_EXPIRED, _NOT_YET = 10, 9
_DAY_S = 86_400


class TlsError(Exception):
    """The pair cannot be used; the message is one sentence with the way out."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A usable pair. ``names`` are those it is for; ``ends_s`` is its last second, in seconds of the epoch."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    ends_s: int

    def days_left(self) -> int:
        """Whole days until it expires; negative afterwards."""
        return int((self.ends_s - time.time()) // _DAY_S)


def certificate(cert_file: str, key_file: str) -> Certificate:
    """The pair in these files. Raises TlsError."""
    _check_key(key_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except OSError as error:
        raise _unreadable(cert_file, key_file, error) from None
    shown = _shaken(context, cert_file)
    names = tuple(value for kind, value in shown.get("subjectAltName", ()) if kind in ("DNS", "IP Address"))
    if not names:
        raise TlsError(f"the certificate {cert_file} names no host (subjectAltName), so no client can check it; make one that does")
    return Certificate(context, names, int(ssl.cert_time_to_seconds(shown["notAfter"])))


def _no_password() -> str:
    """Asked for only when the key is encrypted: nobody is there to type, and the empty answer makes reading it fail."""
    return ""


def _check_key(path: str) -> None:
    try:
        found = os.stat(path)
    except OSError as error:
        raise TlsError(f"the key {path} cannot be read ({error.strerror}); name the right file with --tls-key") from None
    if not stat.S_ISREG(found.st_mode):
        raise TlsError(f"the key {path} is not a file; name the right one with --tls-key")
    if found.st_mode & 0o077:
        raise TlsError(f"others can read the key {path}; close it to them: chmod 600 {path}, and consider it known if they had time")
    if found.st_uid not in (0, os.getuid()):
        raise TlsError(f"the key {path} belongs to another user, who can read it; copy it: install -m 600 {path} FILE")


def _unreadable(cert_file: str, key_file: str, error: OSError) -> TlsError:
    if not isinstance(error, ssl.SSLError):
        return TlsError(f"the certificate {cert_file} cannot be read ({error.strerror}); name the right file with --tls-cert")
    if error.reason == "KEY_VALUES_MISMATCH":
        return TlsError(f"the key {key_file} is not that of the certificate {cert_file}; name the two that belong together")
    why = "are no certificate and key in PEM, or the key has a password, which nobody could type for a daemon"
    return TlsError(f"{cert_file} and {key_file} {why}; make a pair: tenure cert create")


def _shaken(server_side: ssl.SSLContext, cert_file: str) -> dict[str, Any]:
    """What a client that trusts this certificate is shown of it."""
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.check_hostname = False
    client_side.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client_side.load_verify_locations(cert_file)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(down, up)
    server = server_side.wrap_bio(up, down, server_side=True)
    try:
        for _ in range(8):
            if _step(client) & _step(server):
                break
        return dict(client.getpeercert() or {})
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            raise TlsError(f"the certificate {cert_file} has expired; renew it, or make another: tenure cert create") from None
        if error.verify_code == _NOT_YET:
            raise TlsError(f"the certificate {cert_file} is not valid yet; look at this machine's clock") from None
        raise TlsError(f"no client would accept the certificate {cert_file}: {error.verify_message}; make another one") from None
    except ssl.SSLError as error:
        raise TlsError(f"nobody could connect with the certificate {cert_file}: {error.reason}; make another one") from None


def _step(side: ssl.SSLObject) -> bool:
    """Let one side go on as far as it can; whether it is done."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
