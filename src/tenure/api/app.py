"""The HTTP application: the table's routes in FastAPI, with one error format. It owns no state; everything is in the `Context`.

Importing this costs 15 MB and a quarter of a second, so `Front` does it for the first call that the table does not answer: the
OpenAPI document, or a call that is somehow wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tenure.api.context import ApiError, Context, answer
from tenure.api.front import TABLE, bug_response, error_response
from tenure.api.identity import let_in
from tenure.api.routes import WEBSOCKET
from tenure.api.schema import add_components, documents
from tenure.model.access import Permission
from tenure.ports import StaleEpoch, StoreUnavailable
from tenure.wire.dto import ErrorReply


def create_app(context: Context) -> FastAPI:
    """The application for one daemon."""
    app = FastAPI(title="Tenure", version=context.version, docs_url=None, redoc_url=None)
    app.state.context = context
    for route in (route for route in TABLE if route.method != WEBSOCKET):
        guard = [Depends(_let_in(context, route.needs))]
        app.add_api_route(route.path, route.endpoint, methods=[route.method], openapi_extra=documents(route), dependencies=guard)
    for known in (ApiError, StoreUnavailable, StaleEpoch):
        app.add_exception_handler(known, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)
    made = app.openapi
    app.openapi = lambda: add_components(made(), TABLE)  # type: ignore[method-assign]
    return app


def _let_in(context: Context, needs: Permission) -> Callable[[Request], Awaitable[None]]:
    """What runs before the endpoint, whatever else is wrong with the call."""

    async def guard(request: Request) -> None:
        let_in(context.identity, request.scope, dict(request.scope["headers"]), needs)

    return guard


async def _known(_request: Request, error: Exception) -> Response:
    return error_response(error)


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
    return bug_response(error)
