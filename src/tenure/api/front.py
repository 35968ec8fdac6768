"""The way in: the handshake for every call, and a short way for the one call whose cost counts.

A submission that arrives over a kept connection costs the web framework several times what it costs the scheduler, so it is decoded
and answered here, by the very function that the framework's route calls. Everything else goes on to the application. Invariant: a call
has the same answer either way (a test sends it both ways).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import Response

from tenure.api.context import ApiError, Context, answer, caller_from_scope, decoded, too_large
from tenure.api.jobs import submit_one
from tenure.ports import StaleEpoch, StoreUnavailable
from tenure.wire import PROTOCOL, PROTOCOLS
from tenure.wire.dto import ErrorReply, SubmitRequest

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SPOKEN = frozenset(str(number).encode() for number in PROTOCOLS)
_OWN = str(PROTOCOL).encode()


class Front:
    """An ASGI application in front of the framework's."""

    def __init__(self, app: App, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        spoken = headers.get(b"tenure-protocol", _OWN)
        if spoken not in _SPOKEN:
            await mismatch(spoken)(scope, receive, send)
        elif scope["path"] == "/v1/jobs" and scope["method"] == "POST":
            response = await self._submit(scope, headers, receive)
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _submit(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Response:
        try:
            too_large(headers.get(b"content-length", b"0").decode("latin-1"))
            request = decoded(await _body(receive), SubmitRequest)
            return await submit_one(self._context, request, caller_from_scope(scope))
        except (ApiError, StoreUnavailable, StaleEpoch) as error:
            return error_response(error)


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
