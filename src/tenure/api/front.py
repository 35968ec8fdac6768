"""The way in: the handshake for every call, and answers to all that the table of routes knows, without a web framework.

FastAPI's way to the same functions costs several times what they cost, and 15 MB of memory. It is loaded by the first call that is not
in the table or not well-formed, which it answers, and by a question for the OpenAPI document. A submission, the one call whose cost
counts, takes a still shorter way. Invariant: a call has the same answer either way (a test sends it both ways).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import State
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from tenure.api import (
    cluster,
    conflicts,
    exporter,
    jobs,
    leases,
    monitoring,
    policy,
    pools,
    push,
    reservations,
    sharing,
    streams,
    system,
    thinking,
    websocket,
    whatif,
)
from tenure.api.context import ApiError, Context, answer, decoded, too_large
from tenure.api.identity import caller_from_scope, let_in
from tenure.api.routes import WEBSOCKET, Arguments, Endpoint, Finder, Route
from tenure.model.access import Permission
from tenure.ports import StaleEpoch, StoreUnavailable
from tenure.wire import PROTOCOL, PROTOCOLS
from tenure.wire.dto import ErrorReply, SubmitRequest

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TABLE: tuple[Route, ...] = (
    *jobs.routes,
    *leases.routes,
    *whatif.routes,
    *cluster.routes,
    *sharing.routes,
    *pools.routes,
    *policy.routes,
    *thinking.routes,
    *conflicts.routes,
    *reservations.routes,
    *streams.routes,
    *push.routes,
    *push.documented,
    *websocket.routes,
    *websocket.documented,
    *system.routes,
    *monitoring.routes,
    *monitoring.documented,
    *exporter.routes,
)
_SPOKEN = frozenset(str(number).encode() for number in PROTOCOLS)
_OWN = str(PROTOCOL).encode()


class Front:
    """The ASGI application of a daemon. ``state`` is where endpoints find the context, as in any application of Starlette's."""

    def __init__(self, context: Context) -> None:
        self.state = State({"context": context})
        self._context = context
        self._finder = Finder(TABLE)
        self._framework: App | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in or turn away; then answer, or pass on."""
        if scope["type"] not in ("http", "websocket"):
            await self._pass_on(scope, receive, send)
            return
        method = scope["method"] if scope["type"] == "http" else WEBSOCKET
        headers = dict(scope["headers"])
        spoken = headers.get(b"tenure-protocol", _OWN)
        if spoken not in _SPOKEN:
            await mismatch(spoken)(scope, receive, send)
            return
        is_submission = scope["path"] == "/v1/jobs" and method == "POST"
        found = None if is_submission else self._finder.find(method, scope["path"], scope["query_string"])
        needs = Permission.JOBS_WRITE if is_submission else found[1] if found else Permission.SELF_READ
        try:
            let_in(self._context.identity, scope, headers, needs)
            self._context.limits.charge(scope, method)
        except ApiError as error:
            await turned_away(error)(scope, receive, send)
            return
        if is_submission:
            await (await self._submit(scope, headers, receive))(scope, receive, send)
        elif found:
            await self._serve(found[0], found[2], scope, receive, send)
        elif method == WEBSOCKET:
            await no_socket(scope["path"])(scope, receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _serve(self, endpoint: Endpoint, arguments: Arguments, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        try:
            asked = Request(scope, receive) if scope["type"] == "http" else HTTPConnection(scope)
            response = await endpoint(asked, **arguments)
        except (ApiError, StoreUnavailable, StaleEpoch) as error:
            response = error_response(error)
        except Exception as error:
            await bug_response(error)(scope, receive, send)
            raise  # the server logs it
        await response(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave a call to the framework, which is loaded for the first one, beside the event loop."""
        async with self._loading:
            if self._framework is None:
                self._framework = await asyncio.to_thread(_framework, self._context)
        await self._framework(scope, receive, send)

    async def _submit(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Response:
        try:
            too_large(headers.get(b"content-length", b"0").decode("latin-1"))
            request = decoded(await _body(receive), SubmitRequest)
            return await jobs.submit_one(self._context, request, caller_from_scope(scope))
        except (ApiError, StoreUnavailable, StaleEpoch) as error:
            return error_response(error)


def _framework(context: Context) -> App:
    from tenure.api.app import create_app

    return create_app(context)


async def _body(receive: Receive) -> bytes:
    """The whole body; what a client that hung up has sent so far."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def error_response(error: Exception) -> Response:
    """An error that callers are meant to see, as an answer."""
    if isinstance(error, ApiError):
        return answer(error.reply, error.status)
    if isinstance(error, StoreUnavailable):
        return answer(ErrorReply(code=error.code, message=error.why), 507 if error.code == "disk_full" else 503)
    return answer(ErrorReply(code="not_leader", message="another daemon has taken over this store", remedy="repeat the command"), 503)


def turned_away(error: ApiError) -> Response:
    """The answer to a call that is not let in."""
    response = error_response(error)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.wait_s:
        response.headers["Retry-After"] = str(error.wait_s)
    return response


def bug_response(error: Exception) -> Response:
    """An error that nobody foresaw, as an answer."""
    message = f"the daemon could not answer ({type(error).__name__}: {error})"
    return answer(ErrorReply(code="internal", message=message, remedy="nothing was changed by this call; see the daemon's log"), 500)


def no_socket(path: str) -> Response:
    """The answer to who opens a WebSocket where there is none."""
    text = f"there is no WebSocket at {path[:200]}, or not with these parameters"
    return answer(ErrorReply(code="not_found", message=text, remedy="open /api/v1/events/ws"), 404)


def mismatch(spoken: bytes) -> Response:
    """The answer to a client whose protocol this daemon does not speak, before anything is decoded."""
    return answer(
        ErrorReply(
            code="protocol_mismatch",
            message=f"this daemon speaks protocol {PROTOCOL}, the client speaks {spoken.decode('latin-1')}",
            remedy="run tenure down && tenure up with the newer version; running jobs go on",
        ),
        426,
    )
