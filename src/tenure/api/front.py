"""The way in: the handshake for every call, the table of routes, and every error in one format.

There is one way to an endpoint, so whatever must hold for every call is asked here. A submission, the one call whose cost counts, is
found without the table. Everything is at `ROOT`; `MEETING` is the same as protocol 1 had it, for clients of before the upgrade.
Invariant: whatever arrives is answered, an error with a code of `tenure.api.problems`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import State
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from tenure.api import (
    cluster,
    conflicts,
    describing,
    exporter,
    forecasts,
    guidance,
    job_resources,
    jobs,
    leases,
    login,
    monitoring,
    people,
    policy,
    pools,
    push,
    reports,
    reservations,
    sharing,
    simulations,
    single,
    strategies,
    streams,
    system,
    thinking,
    websocket,
    whatif,
)
from tenure.api.context import ApiError, Context, Receive, decoded, keyed, read_body
from tenure.api.denials import Denials
from tenure.api.identity import caller_from_scope, let_in
from tenure.api.problems import error_response, is_foreseen, mismatch
from tenure.api.routes import WEBSOCKET, Finder, Route
from tenure.model.access import Permission
from tenure.wire import MEETING, PROTOCOL, PROTOCOLS, ROOT
from tenure.wire.dto import SubmitRequest

Scope = MutableMapping[str, Any]
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
    *guidance.routes,
    *reports.routes,
    *conflicts.routes,
    *reservations.routes,
    *streams.routes,
    *push.routes,
    *push.documented,
    *websocket.routes,
    *websocket.documented,
    *people.routes,
    *login.routes,
    *system.routes,
    *monitoring.routes,
    *monitoring.documented,
    *exporter.routes,
    *describing.routes,
    *job_resources.routes,
    *simulations.routes,
    *forecasts.routes,
    *single.routes,
    *strategies.routes,
    *strategies.documented,
)
_SPOKEN = frozenset(str(number).encode() for number in PROTOCOLS)
_OWN = str(PROTOCOL).encode()
_OLDER = f"{MEETING}/"
_SUBMIT = f"{ROOT}/jobs"
_WHOLE = 100_000
"""Protocol 1 knew no pages: longer than any of the lists that it had, and still a bound for those that came later."""
_MOVED = {f"{MEETING}/events": f"{ROOT}/events/lines"}
"""What is not where it was below `MEETING`."""


class Front:
    """The ASGI application of a daemon. ``state`` is where endpoints find the context, as in any application of Starlette's."""

    def __init__(self, context: Context) -> None:
        self.state = State({"context": context})
        self.table = TABLE
        self._context = context
        self._finder = Finder(TABLE)
        self._denials = Denials(context)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        spoken, path = PROTOCOL, scope["path"]
        if path.startswith(_OLDER):
            spoken = 1
            path = scope["path"] = _MOVED.get(path) or ROOT + path[len(MEETING) :]
        try:
            response = await self._respond(scope, path, receive, pages=spoken > 1)
        except Exception as error:
            if isinstance(error, ApiError) and error.reply.code == "forbidden":
                self._denials.note(scope, error.reply.code)
            await _answered(error_response(error, spoken), scope, receive, send)
            if not is_foreseen(error):
                raise  # the server logs it
        else:
            await _answered(response, scope, receive, send)

    async def _respond(self, scope: Scope, path: str, receive: Receive, *, pages: bool) -> Response:
        """The answer to a call that is let in; without ``pages`` a list is answered whole. Raises ApiError for any other."""
        headers = dict(scope["headers"])
        said = headers.get(b"tenure-protocol", _OWN)
        if said not in _SPOKEN:
            raise mismatch(said)
        method = scope["method"] if scope["type"] == "http" else WEBSOCKET
        identity = self._context.identity
        if path == _SUBMIT and method == "POST" and not scope["query_string"]:
            let_in(identity, scope, headers, Permission.JOBS_WRITE)
            self._context.limits.charge(scope, method)
            request = keyed(decoded(await read_body(headers, receive), SubmitRequest), headers)  # as `jobs.submit`, without the table
            return await jobs.submit_one(self._context, request, caller_from_scope(scope))
        if method == "OPTIONS":
            let_in(identity, scope, headers, Permission.SELF_READ)
            self._context.limits.charge(scope, method)
            return Response(status_code=204, headers={"Allow": self._finder.allowed(path)})
        try:
            target, of_path = self._finder.find(method, path)
        except ApiError:
            let_in(identity, scope, headers, Permission.SELF_READ)  # strangers are not told what there is
            self._context.limits.charge(scope, method)
            raise
        let_in(identity, scope, headers, target.route.needs)
        self._context.limits.charge(scope, method)
        target.check(headers)
        arguments = target.arguments(of_path, scope["query_string"])
        if not pages and "cursor" in arguments:
            arguments["limit"] = _WHOLE
        scope["app"] = self
        asked = Request(scope, receive) if method != WEBSOCKET else HTTPConnection(scope)
        return await target.route.endpoint(asked, **arguments)


async def _answered(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer; to HEAD its head alone, so that a stream never begins."""
    if scope.get("method") != "HEAD":
        await response(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": b""})
