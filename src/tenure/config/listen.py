"""Settings of how others reach the daemon: the TCP listener with its limits, and the mode in which users of one machine share it.

Reading them opens nothing: whether an address may be listened on is decided where it is opened (`tenure.api.listener`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tenure.model.amounts import is_whole, parse_duration_ms

_RATE = re.compile(r"([1-9][0-9]{0,6})/(s|m|h)")
_PERIOD_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000}
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


class Address(NamedTuple):
    """Where to listen. ``host`` is as it was written, an IPv6 address without its brackets."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host == "localhost" or (_is_ip(self.host) and ipaddress.ip_address(self.host).is_loopback)

    @property
    def is_everywhere(self) -> bool:
        """Whether it is every address of the machine."""
        return _is_ip(self.host) and ipaddress.ip_address(self.host).is_unspecified

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Rate(NamedTuple):
    """At most ``times`` at once, and so many again in ``period_ms``."""

    times: int
    period_ms: int


def address_of(text: str) -> Address:
    """``HOST:PORT`` read, ``[::1]:8080`` for IPv6. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ip(host):
            host = ""
    elif not _NAME.fullmatch(host):
        host = ""
    if not host or not is_whole(port) or int(port) > 65535:
        raise ValueError(f"{text!r} is no address to listen on; write it like 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080")
    return Address(host, int(port))


def rate_of(text: str) -> Rate:
    """``100/s``, ``30/m`` or ``500/h`` read. Raises ValueError."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no rate; write it like 100/s, 30/m or 500/h")
    return Rate(int(found[1]), _PERIOD_MS[found[2]])


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class ListenSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The TCP listener: none unless there is an ``address``. ``hosts`` are further names by which browsers may call it. ``insecure``
    lets it listen beyond this machine without TLS. Rates are per caller; those of this machine's own user on the socket have none."""

    address: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    hosts: tuple[str, ...] = ()
    insecure: bool = False
    session: str = "12h"
    connections: int = 512
    connections_per_address: int = 64
    head_within: str = "10s"
    body_within: str = "60s"
    idle: str = "75s"
    reads: str = "200/s"
    submissions: str = "200/s"
    simulations: str = "30/m"

    def check(self) -> None:
        """Raise ValueError for what means nothing, naming the setting."""
        for name in ("session", "head_within", "body_within", "idle"):
            _named(name, getattr(self, name), parse_duration_ms)
        for name in ("reads", "submissions", "simulations"):
            _named(name, getattr(self, name), rate_of)
        if self.address:
            _named("address", self.address, address_of)
        for name in ("connections", "connections_per_address"):
            if getattr(self, name) < 1:
                raise ValueError(f"listen.{name} is at least 1, not {getattr(self, name)}")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("listen.tls_cert and listen.tls_key are given together: a certificate is of no use without its key")


class SharedSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One daemon of root for the users of a machine: on or off, which ``group`` may connect (empty: every user), and whether ``root``
    may submit jobs, which run as root."""

    on: bool = False
    group: str = ""
    root: bool = False


def _named(name: str, text: str, read: Callable[[str], object]) -> None:
    try:
        read(text)
    except ValueError as error:
        raise ValueError(f"listen.{name}: {error}") from None
