"""The HTTP application: routes, the handshake, one error format. It owns no state; everything is in the `Context`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tenure.api import cluster, jobs, streams, system
from tenure.api.context import ApiError, Context, answer
from tenure.api.schema import add_components
from tenure.ports import StaleEpoch, StoreUnavailable
from tenure.wire import PROTOCOL, PROTOCOLS
from tenure.wire.dto import ErrorReply


def create_app(context: Context) -> FastAPI:
    """The application for one daemon."""
    app = FastAPI(title="Tenure", version=context.version, docs_url=None, redoc_url=None)
    app.state.context = context
    app.add_middleware(Handshake)
    for module in (jobs, cluster, streams, system):
        app.include_router(module.router)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(StoreUnavailable, _unavailable)
    app.add_exception_handler(StaleEpoch, _stale)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)
    made = app.openapi
    app.openapi = lambda: add_components(made())  # type: ignore[method-assign]
    return app


class Handshake:
    """Refuses a client whose protocol this daemon does not speak, before anything is decoded; a plain ASGI layer, for speed."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass on, or answer 426."""
        if scope["type"] == "http":
            spoken = dict(scope["headers"]).get(b"tenure-protocol", str(PROTOCOL).encode())
            if spoken not in _SPOKEN:
                await _mismatch(spoken)(scope, receive, send)
                return
        await self.app(scope, receive, send)


_SPOKEN = frozenset(str(number).encode() for number in PROTOCOLS)


def _mismatch(spoken: bytes) -> Response:
    return answer(
        ErrorReply(
            code="protocol_mismatch",
            message=f"this daemon speaks protocol {PROTOCOL}, the client speaks {spoken.decode('latin-1')}",
            remedy="run tenure down && tenure up with the newer version; running jobs go on",
        ),
        426,
    )


async def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return answer(error.reply, error.status)


async def _unavailable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailable)
    return answer(ErrorReply(code=error.code, message=error.why), 507 if error.code == "disk_full" else 503)


async def _stale(_request: Request, _error: Exception) -> Response:
    return answer(ErrorReply(code="not_leader", message="another daemon has taken over this store", remedy="repeat the command"), 503)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return answer(ErrorReply(code="bad_request", message=f"{where}: {first['msg']}"), 400)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer(
        ErrorReply(code="not_found" if error.status_code == 404 else "bad_request", message=str(error.detail)), error.status_code
    )


async def _bug(_request: Request, error: Exception) -> Response:
    return answer(
        ErrorReply(
            code="internal",
            message=f"the daemon could not answer ({type(error).__name__}: {error})",
            remedy="nothing was changed by this call; see the daemon's log",
        ),
        500,
    )
