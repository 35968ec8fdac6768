"""What every call over TCP passes before anything else looks at it: is it meant for us, does it come from where it may, is it small
enough; and what every answer over TCP takes along.

A web page may make a browser call any address. Two things give such calls away: the name by which the address was called (a name that
was rebound to it is none of ours) and the origin that the browser states. A session's cookie counts only for calls whose origin is
this listener; past here it is a token like any other. Invariants: nothing of a call that is refused here reaches an endpoint; the log
of calls has neither tokens nor queries.
References: https://www.rfc-editor.org/rfc/rfc6454 (origin), https://www.w3.org/TR/fetch-metadata/
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, MutableMapping
from typing import Any

from tenure.api.access_log import AccessLog
from tenure.api.context import MAX_BODY_BYTES, Receive
from tenure.api.errors import ApiError
from tenure.api.front import App, Scope, Send
from tenure.api.identity import CALLER
from tenure.api.limits import Failures
from tenure.api.listener import Listener
from tenure.api.login import Login
from tenure.api.problems import error_response
from tenure.model.amounts import parse_duration_ms
from tenure.wire.dto import ErrorReply

Message = MutableMapping[str, Any]
Headers = dict[bytes, bytes]

SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
HSTS = (b"strict-transport-security", b"max-age=31536000")
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
UNLESS_SET = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


def refusal(status: int, code: str, message: str, remedy: str = "") -> ApiError:
    """The error that ends a call here."""
    return ApiError(status, ErrorReply(code=code, message=message, remedy=remedy))


def cookie_name(is_tls: bool, port: int) -> str:
    """The name of a session's cookie; browsers tell ports apart by nothing else. Under TLS its prefix makes them insist on
    Secure, Path=/ and no Domain."""
    return f"{'__Host-' if is_tls else ''}tenure-session-{port}"


class Gate:
    """The ASGI application of a TCP listener, around the daemon's own."""

    def __init__(self, app: App, listener: Listener, log: AccessLog, login: Login | None = None) -> None:
        self._app = app
        self._login = login
        self._log = log
        self._is_tls = listener.tls is not None
        self._hosts = listener.hosts
        self._cookie = cookie_name(self._is_tls, listener.address.port).encode()
        self._failures = Failures()
        self._body_within_s = parse_duration_ms(listener.settings.body_within) / 1000
        self._always = (*ALWAYS, HSTS) if self._is_tls and not listener.address.is_loopback else ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Examine a call, hand it on, and note what became of it."""
        began = time.monotonic()
        call = _Call(scope, receive, send, self._always, self._body_within_s)
        host = str(scope["client"][0])
        try:
            is_own_origin = self._examine(scope, host)
            page = await self._login.page(scope, call.receive, is_own_origin=is_own_origin) if self._login is not None else None
            await (page or self._app)(scope, call.receive, call.send)
        except ApiError as error:
            await call.end(error)
        finally:
            caller = scope.get(CALLER)
            self._failures.note(host, _shown(scope), call.status, caller is not None)
            user = caller.user if caller is not None else "-"
            verb = scope.get("method", "WEBSOCKET")
            self._log.note(host, user, verb, scope["path"], call.status, (time.monotonic() - began) * 1000)

    def _examine(self, scope: Scope, host: str) -> bool:
        """Raise ApiError unless it may go on; turn a cookie that counts into what it stands for. Whether it says that it comes from
        a page of this listener."""
        called = self._called(scope)
        headers: Headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        if origin is not None and not self._is_own(origin, called):
            text = "the call comes from a page of another origin, which may not call this daemon"
            raise refusal(403, "wrong_origin", text, "programs send no Origin; pages call the origin that they came from")
        is_own_origin = origin is not None or headers.get(b"sec-fetch-site") == b"same-origin"
        self._take_cookie(scope, headers, is_own_origin)
        self._failures.check(host, _shown(scope))
        return is_own_origin

    def _called(self, scope: Scope) -> str:
        """By which name it was called, with the port. Raises ApiError for one that is none of ours."""
        given = [value for name, value in scope["headers"] if name == b"host"]
        called = given[0].decode("latin-1").lower() if len(given) == 1 else ""
        name = called.rpartition("]")[0][1:] if called.startswith("[") else called.partition(":")[0]
        server = scope.get("server") or ("", 0)
        if not name or not (name in self._hosts or name == server[0] or _matches(name, self._hosts)):
            text = f"{name[:100]!r} is no name of this daemon"
            raise refusal(
                421, "wrong_host", text, "call it by the name in its address, or add this one to listen.hosts in its settings"
            )
        return called

    def _is_own(self, origin: bytes, called: str) -> bool:
        """Whether an origin is this listener, as it was called."""
        scheme, _, rest = origin.decode("latin-1").lower().partition("://")
        if scheme not in ("http", "https") or (self._is_tls and scheme != "https"):
            return False
        port = ":443" if scheme == "https" else ":80"
        return rest.removesuffix(port) == called.removesuffix(port)

    def _take_cookie(self, scope: Scope, headers: Headers, is_own_origin: bool) -> None:
        secret = _cookie(headers.get(b"cookie", b""), self._cookie)
        if not secret or b"authorization" in headers:
            return
        is_safe = scope["type"] == "http" and scope["method"] in SAFE
        if not is_safe and not is_own_origin:
            text = "with a session's cookie, whatever changes something must say that it comes from this origin"
            raise refusal(403, "cross_site", text, "programs show a token: Authorization: Bearer")
        scope["headers"] = [*scope["headers"], (b"authorization", b"Bearer " + secret)]


class _Call:
    """One call on its way: what was read of it, and what was answered."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, always: Iterable[tuple[bytes, bytes]], body_within_s: float) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._always = always
        self._body_within_s = body_within_s
        self._deadline: float | None = None
        self._taken = 0
        self._is_read = scope["type"] != "http" or not any(
            name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"]
        )
        self.status = 0

    async def receive(self) -> Message:
        """The next part of the body, which must come in time and not be too much. Raises ApiError."""
        if self._is_read:
            return await self._receive()
        clock = asyncio.get_running_loop()
        self._deadline = self._deadline or clock.time() + self._body_within_s
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise refusal(408, "too_slow", "the body of the request did not come in time", "send it faster, or in parts") from None
        self._taken += len(message.get("body", b""))
        if self._taken > MAX_BODY_BYTES:
            raise refusal(413, "too_large", "a request has at most 64 MiB")
        self._is_read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, the first one with the headers that every answer has."""
        if message["type"].endswith("http.response.start"):
            self.status = message["status"]
            headers = [*message.get("headers", ()), *self._always]
            present = {name.lower() for name, _ in headers}
            headers += [one for one in UNLESS_SET if one[0] not in present]
            if not self._is_read:
                headers.append((b"connection", b"close"))  # nobody will read the rest of the body
            message = {**message, "headers": headers}
        elif message["type"] == "websocket.accept":
            self.status = 101
        elif message["type"] == "websocket.close":
            self.status = self.status or 403
        await self._send(message)

    async def end(self, error: ApiError) -> None:
        """Answer with an error, if nothing was answered yet."""
        if not self.status:
            await error_response(error)(self._scope, self._receive, self.send)


def _shown(scope: Scope) -> bytes | None:
    """The secret that a call shows, with its kind."""
    return next((value for name, value in scope["headers"] if name == b"authorization"), None)


def _cookie(text: bytes, name: bytes) -> bytes:
    """The value of one cookie, empty where there is none."""
    for part in text.split(b";"):
        key, _, value = part.strip().partition(b"=")
        if key == name:
            return value
    return b""


def _matches(name: str, hosts: Iterable[str]) -> bool:
    """Whether a certificate's name with a star covers it: the star stands for one label."""
    _, dot, rest = name.partition(".")
    return bool(dot) and f"*.{rest}" in hosts
