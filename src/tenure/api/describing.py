"""Routes that describe the rest: the OpenAPI document, what an error's code means, whether the daemon lives and schedules."""

from __future__ import annotations

import asyncio
from functools import lru_cache

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import answer, context_of
from tenure.api.parameters import Code
from tenure.api.problems import KINDS, failure, type_of
from tenure.api.routes import JSON, Route, Routes
from tenure.api.schema import document
from tenure.api.system import problems_of
from tenure.model.access import Permission
from tenure.wire import ROOT
from tenure.wire.installation import HealthView, KindsReply, KindView

routes = Routes(ROOT)


@routes.get("/openapi.json", needs=Permission.SELF_READ)
async def openapi(request: Request) -> Response:
    """Everything that can be called, as an OpenAPI document."""
    return Response(await asyncio.to_thread(_written, request.app.table), media_type=JSON)


@routes.get("/problems", KindsReply, needs=Permission.PUBLIC)
async def kinds(_request: Request) -> Response:
    """Every code of an error, with its status and what it means."""
    return answer(KindsReply(problems=[_kind(code) for code in sorted(KINDS)]))


@routes.get("/problems/{code}", KindView, needs=Permission.PUBLIC)
async def kind(_request: Request, code: Code) -> Response:
    """What one code of an error means: its path is the type of every such problem."""
    if code not in KINDS:
        raise failure("not_found", f"there is no error {code}", f"GET {ROOT}/problems lists them")
    return answer(_kind(code))


@lru_cache(maxsize=1)
def _written(table: tuple[Route, ...]) -> bytes:
    """The document as text: it takes a twentieth of a second to make, and is always the same."""
    return msgspec.json.encode(document(table))


def _kind(code: str) -> KindView:
    return KindView(type=type_of(code), code=code, status=KINDS[code].status, title=KINDS[code].title)


@routes.get("/health", HealthView, needs=Permission.PUBLIC)
async def health(request: Request) -> Response:
    """That the daemon answers, and what is wrong with it if anything is; 200 as long as it answers at all."""
    problems = problems_of(context_of(request))
    return answer(HealthView(status="fail" if problems else "pass", version=context_of(request).version, problems=problems))


@routes.get("/ready", HealthView, errors=("stuck",), needs=Permission.PUBLIC)
async def ready(request: Request) -> Response:
    """Whether it schedules: an error while the control loop is stuck or has ended."""
    problems = problems_of(context_of(request))
    if problems:
        raise failure("stuck", "; ".join(problems), "look at the daemon's log, then: tenure down && tenure up")
    return answer(HealthView(status="pass", version=context_of(request).version))
