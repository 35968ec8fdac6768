"""Which daemon a client means when it is not the one of its home: a URL with a token, from the environment or a profile.

``TENURE_URL`` with ``TENURE_TOKEN`` and ``TENURE_CA_FILE``, else the profile that ``TENURE_PROFILE`` names, else the default profile,
unless ``TENURE_HOME`` is set. Profiles stand in ``tenure/client.toml`` in the user's configuration. Invariants: a token is sent to the
place it was given for and to no other, and not in the clear beyond this machine; a file with a token is closed to others.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any

from tenure.client import http
from tenure.client.errors import DaemonUnreachable, TenureError

CONNECT_S = 10.0
IN_THE_CLEAR = "TENURE_INSECURE_I_KNOW"
_FORM = "write it like https://gpu1.example.org:8080, http://127.0.0.1:8080 or unix:/path/daemon.sock"


@dataclass(frozen=True, slots=True)
class Place:
    """A daemon: of a host and port, or behind the unix socket ``path``. ``url`` is how it was named."""

    url: str
    host: str = ""
    port: int = 0
    is_tls: bool = False
    path: str = ""
    token: str = ""
    ca_file: str = ""

    @property
    def is_this_machine(self) -> bool:
        """Whether its directories are those that are seen here."""
        return bool(self.path) or self.host == "localhost" or _is_loopback(self.host)

    @property
    def lines(self) -> str:
        """The headers that each of its requests has."""
        host = "tenure" if self.path else f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"Host: {host}\r\n" + (f"Authorization: Bearer {self.token}\r\n" if self.token else "")

    def connect(self, timeout_s: float) -> socket.socket:
        """A connection, shaken hands. Raises `http.Refused` or `http.Broken`, or TenureError for what trying again does not help."""
        if self.path:
            return http.unix(self.path, timeout_s)
        try:
            found = socket.create_connection((self.host, self.port), min(timeout_s, CONNECT_S))
        except (ConnectionRefusedError, TimeoutError) as error:
            raise http.Refused(f"{self.url}: {error.strerror or 'no answer'}") from error
        except OSError as error:
            raise http.Broken(f"{self.url}: {error.strerror or error}") from error
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.is_tls:
            found = self._wrapped(found)
        found.settimeout(timeout_s)
        return found

    def _wrapped(self, plain: socket.socket) -> socket.socket:
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            plain.close()
            raise TenureError("ca_file", f"{self.ca_file} cannot be used: {error.strerror}", "name the daemon's ca.crt") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            return context.wrap_socket(plain, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            why = f"the certificate that {self.url} shows is not trusted: {error.verify_message}"
            raise TenureError(
                "untrusted", why, "set TENURE_CA_FILE to the ca.crt of that daemon, and call it by a name it has"
            ) from None
        except OSError as error:
            plain.close()
            why = f"{self.url} does not speak TLS as it should: {getattr(error, 'reason', None) or error}"
            raise DaemonUnreachable("unreachable", why, "a port without TLS is called with http://") from None


def elsewhere(environ: Any = os.environ) -> Place | None:
    """The place that the environment or a profile names; None: the daemon of the home. Raises TenureError where that means nothing."""
    url = environ.get("TENURE_URL")
    if url:
        return place_of(url, environ.get("TENURE_TOKEN", ""), environ.get("TENURE_CA_FILE", ""), environ)
    name = environ.get("TENURE_PROFILE", "")
    path = profiles_file(environ)
    if not os.path.exists(path):
        if name:
            raise _bad(f"there is no profile {name}: {path} does not exist", "write it, or unset TENURE_PROFILE")
        return None
    if not name and environ.get("TENURE_HOME"):
        return None
    return _of_profile(path, name, environ)


def profiles_file(environ: Any = os.environ) -> str:
    """Where profiles stand."""
    folder = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(folder, "tenure", "client.toml")


def place_of(url: str, token: str = "", ca_file: str = "", environ: Any = os.environ) -> Place:
    """A URL as a place. Raises TenureError."""
    from urllib.parse import urlsplit

    if not token.isascii() or not token.isprintable() or " " in token:
        raise _bad("the token has characters that no token has", "copy it again")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad(f"{url!r} is no address of a daemon", _FORM) from None
    if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
        return Place(url, path=parts.path, token=token)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or parts.username is not None
    ):
        raise _bad(f"{url!r} is no address of a daemon", _FORM)
    is_tls = parts.scheme == "https"
    found = Place(url, parts.hostname, port or (443 if is_tls else 80), is_tls, token=token, ca_file=os.path.expanduser(ca_file))
    if token and not is_tls and not found.is_this_machine and environ.get(IN_THE_CLEAR) != "1":
        raise TenureError(
            "token_in_clear",
            f"{url} has no TLS, so everybody on the way would see the token",
            f"use https://, or ssh -L; {IN_THE_CLEAR}=1 sends it all the same",
        )
    return found


def _of_profile(path: str, name: str, environ: Any) -> Place | None:
    import msgspec

    from tenure.client.profiles import Profiles

    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            found = msgspec.toml.decode(file.read(), type=Profiles)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _bad(f"the profiles in {path} are not understood: {error}", "mend the file, or move it away") from None
    chosen = name or found.default
    if not chosen:
        return None
    profile = found.profiles.get(chosen)
    if profile is None:
        raise _bad(f"there is no profile {chosen} in {path}", f"there are {', '.join(sorted(found.profiles)) or 'none'}")
    token = environ.get("TENURE_TOKEN") or profile.token
    if profile.token and mode & 0o077:
        raise _bad(f"others can read {path}, which has a token", f"chmod 600 {path}")
    if profile.token_file and not token:
        token = _from_file(os.path.expanduser(profile.token_file))
    return place_of(profile.url, token, environ.get("TENURE_CA_FILE") or profile.ca_file, environ)


def _from_file(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise _bad(f"others can read the token in {path}", f"chmod 600 {path}")
            return file.read().strip()
    except (OSError, UnicodeError) as error:
        raise _bad(f"the token in {path} cannot be read: {error}", "write it there, or set TENURE_TOKEN") from None


def _is_loopback(host: str) -> bool:
    import ipaddress  # the command line does without it where no URL is meant

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bad(message: str, remedy: str) -> TenureError:
    return TenureError("bad_place", message, remedy)
