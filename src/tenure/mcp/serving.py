"""The server for agents over HTTP: behind the same listener, door and gate as the daemon, and with the same reasons to refuse a start.

On this machine it listens in the clear, beyond it only with TLS and with somebody who has a token. The gate looks at names, origins,
sizes and guesses; `Guard` asks the daemon of each request whose token it shows. Invariant: no request without a token that the daemon
knows reaches the protocol, and none is answered under the identity of whoever started the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from tenure.api.access_log import AccessLog
from tenure.api.context import Receive
from tenure.api.errors import ApiError
from tenure.api.front import App, Scope, Send
from tenure.api.gate import Gate, refusal
from tenure.api.identity import CALLER
from tenure.api.listener import Listener, Refusal, opened
from tenure.api.serving import Server, config_of
from tenure.client.errors import TenureError, usage
from tenure.client.session import Client
from tenure.config.listen import ListenSettings
from tenure.mcp.tools import Connect
from tenure.model.access import Caller
from tenure.wire.dto import ErrorReply
from tenure.wire.secrets import bearer_of

PATH = "/mcp"
_NOBODY = ("unidentified", "bad_token", "forbidden")


class Guard:
    """Lets in who shows a token that the daemon knows, before anything is read."""

    def __init__(self, app: App, connect: Connect) -> None:
        self._app = app
        self._connect = connect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on. Raises ApiError for who is not to be let in, which the gate answers."""
        if scope["type"] != "http":
            raise refusal(404, "not_found", "there is no WebSocket here", f"call {PATH}")
        secret = bearer_of(next((value for name, value in scope["headers"] if name == b"authorization"), b""))
        try:
            scope[CALLER] = await asyncio.to_thread(self._caller, secret)
        except TenureError as error:
            raise _refused(error) from None
        await self._app(scope, receive, send)

    def _caller(self, secret: str) -> Caller:
        """Whom a secret names, for the log and the count of guesses. Raises TenureError for one that means nobody."""
        if not secret:
            raise TenureError("unidentified", "this server wants a token", "send the header Authorization: Bearer TOKEN")
        client = self._connect(secret)
        try:
            me = client.people.whoami()
        finally:
            client.close()
        return Caller(me.uid, me.user, via=me.via)


def _refused(error: TenureError) -> ApiError:
    status = 401 if error.code in _NOBODY else 503
    return ApiError(status, ErrorReply(code=error.code, message=error.message, remedy=error.remedy))


def listener_for(settings: ListenSettings, client: Client) -> Listener:
    """The listener, bound. Raises `TenureError` when it must not be, with everything that is missing."""
    try:
        settings.check()
    except ValueError as error:
        raise usage(str(error).replace("listen.", ""), "see tenure mcp --help") from None
    try:
        return opened(settings, _has_users(client))
    except Refusal as refused:
        raise TenureError(refused.code, refused.message, refused.remedy) from None


def _has_users(client: Client) -> bool:
    """Whether anybody has a token: whoever starts the server by one has one himself."""
    return client.people.whoami().token is not None or any(
        view.valid and view.kind == "token" for view in client.people.tokens().tokens
    )


def serve_http(server: MCPServer[Any], connect: Connect, listener: Listener, log_path: str, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; ``ready`` is told where. Calls are noted in ``log_path``."""
    # The gate looks at Host and Origin already, and knows the names of the certificate.
    theirs = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    inner: Any = server.streamable_http_app(
        streamable_http_path=PATH, stateless_http=True, json_response=True, transport_security=theirs
    )
    log = AccessLog(log_path)
    guarded = Guard(inner, connect)
    ready(f"{listener.url}{PATH}")
    Server(config_of(inner, lifespan="on"), listener, lambda given: Gate(guarded, given, log), log).run([])
