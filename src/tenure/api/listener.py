"""Whether and where the daemon listens on TCP, decided before anything is started: everything that is missing is said at once.

Beyond this machine it listens only with TLS and with somebody who may come in, or when it was told in so many words to do without. A
setting that cannot be used is a refusal and never less security than was asked for. Invariant: `opened` returns a bound socket for
which all of that holds, or raises `Refusal`, and then nothing is left open.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from dataclasses import dataclass

from tenure.api.tls import Certificate, TlsError, certificate
from tenure.config.listen import Address, ListenSettings, address_of

SOON_DAYS = 30
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Refusal(Exception):
    """The daemon must not listen like that: a stable ``code``, one sentence, and the way out."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that is bound, and what was decided about it. ``hosts`` are the names by which it may be called, in lower case."""

    address: Address
    socket: socket.socket
    settings: ListenSettings
    certificate: Certificate | None
    hosts: frozenset[str]

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What connections are wrapped in."""
        return self.certificate.context if self.certificate is not None else None

    @property
    def url(self) -> str:
        """How to call it: by a name of its certificate where that is for one."""
        host = self.address.host
        if self.certificate is not None and host not in self.certificate.names:
            host = next((name for name in self.certificate.names if "*" not in name), host)
        elif self.address.is_everywhere:
            host = socket.gethostname()
        return f"{'https' if self.certificate else 'http'}://{Address(host, self.address.port)}"

    @property
    def is_exposed(self) -> bool:
        """Whether tokens and jobs cross a network in the clear."""
        return self.certificate is None and not self.address.is_loopback

    def warnings(self) -> list[str]:
        """What whoever looks at the daemon should be told of it, in sentences."""
        found = []
        if self.is_exposed:
            found.append(
                f"it listens on {self.address} without TLS (--insecure-i-know): whoever sees the traffic has every token and every job"
            )
        if self.certificate is not None and self.certificate.days_left() < SOON_DAYS:
            left = self.certificate.days_left()
            when = f"expires in {left} days" if left >= 0 else "has expired: clients refuse it"
            found.append(f"the certificate {self.settings.tls_cert} {when}; renew it, then tenure down && tenure up")
        return found


def opened(settings: ListenSettings, has_users: bool) -> Listener:
    """The listener that the settings ask for. ``has_users``: whether anybody has a token or an account that works. Raises Refusal."""
    try:
        address = address_of(settings.address)
        settings.check()
    except ValueError as error:
        raise Refusal("listen_settings", str(error), "see tenure up --help") from None
    _refuse_exposed(settings, address, has_users)
    pair = None
    if settings.tls_cert:
        try:
            pair = certificate(settings.tls_cert, settings.tls_key)
        except TlsError as error:
            message, _, remedy = str(error).partition("; ")
            raise Refusal("tls_unusable", message, remedy) from None
    bound = _bound(address)
    real = Address(address.host, bound.getsockname()[1])
    return Listener(real, bound, settings, pair, frozenset(_names(settings, address, pair)))


def _refuse_exposed(settings: ListenSettings, address: Address, has_users: bool) -> None:
    """Say everything that is missing for an address beyond this machine."""
    if address.is_loopback:
        return
    missing = []
    if not settings.tls_cert and not settings.insecure:
        missing.append("a certificate (tenure cert create, then --tls-cert FILE --tls-key FILE)")
    if not has_users:
        missing.append("somebody who may come in (tenure token create)")
    if missing:
        raise Refusal(
            "listen_refused",
            f"{address} can be reached from other machines, which takes {' and '.join(missing)}",
            f"get what is missing, or listen on 127.0.0.1:{address.port} and come through ssh -L",
        )


def _bound(address: Address) -> socket.socket:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        text = f"{address.host} is no name of this machine ({error.strerror})"
        raise Refusal("listen_unusable", text, "listen on an address that it has, or on 127.0.0.1") from None
    family, kind, protocol, _, where = sorted(found, key=lambda one: (one[0] != socket.AF_INET, str(one[4])))[0]
    listening = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with contextlib.suppress(OSError):
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(where)
        listening.listen(256)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise _unusable(address, error) from None
    return listening


def _unusable(address: Address, error: OSError) -> Refusal:
    if error.errno == errno.EADDRINUSE:
        return Refusal("listen_taken", f"something else listens on {address}", "choose another port, or stop what listens there")
    if error.errno == errno.EACCES:
        text = f"only root may listen on port {address.port}"
        return Refusal("listen_unusable", text, "choose a port of 1024 or above")
    text = f"{address} cannot be listened on: {os.strerror(error.errno or 0)}"
    return Refusal("listen_unusable", text, "listen on an address that this machine has")


def _names(settings: ListenSettings, address: Address, pair: Certificate | None) -> set[str]:
    """By which names it may be called. An IP address of this machine is always one: nobody can rebind a number."""
    names = {address.host, *settings.hosts}
    if address.is_loopback or address.is_everywhere:
        names.update(_LOOPBACK_NAMES)
    if not address.is_loopback:
        names.add(socket.gethostname())
    if pair is not None:
        names.update(pair.names)
    return {name.lower() for name in names}
