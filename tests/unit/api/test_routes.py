"""The table of routes finds what FastAPI finds and gives the same arguments, or leaves the call to it."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.front import TABLE
from tenure.api.routes import Finder, Routes
from tenure.model.access import Permission

seen: list[dict[str, Any]] = []
routes = Routes("/v1")


@routes.get("/jobs/{ref}", needs=Permission.JOBS_READ)
async def show(request: Request, ref: str) -> Response:
    """A path with a parameter."""
    seen.append({"route": "show", "ref": ref})
    return Response()


@routes.get("/jobs/{ref}/log", needs=Permission.JOBS_READ)
async def log(request: Request, ref: str, task: int = 0, stream: str = "out", *, offset: int = -1) -> Response:
    """A path with a parameter and a query."""
    seen.append({"route": "log", "ref": ref, "task": task, "stream": stream, "offset": offset})
    return Response()


@routes.get("/jobs", needs=Permission.JOBS_READ)
async def jobs(request: Request, after: int) -> Response:
    """A query that must be there."""
    seen.append({"route": "jobs", "after": after})
    return Response()


@routes.post("/jobs/act", needs=Permission.JOBS_WRITE)
async def act(request: Request) -> Response:
    """No parameter at all."""
    seen.append({"route": "act"})
    return Response()


def by_fastapi(method: str, path: str, query: bytes) -> dict[str, Any] | None:
    """What FastAPI calls with what, None where it refuses."""
    app = FastAPI()
    for route in routes:
        app.add_api_route(route.path, route.endpoint, methods=[route.method])
    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": [], "root_path": "", "server": ("x", 80)}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(_message: Any) -> None:
        return

    seen.clear()
    asyncio.run(app(scope, receive, send))
    return seen.pop() if seen else None


def by_table(method: str, path: str, query: bytes) -> dict[str, Any] | None:
    """What the table calls with what, None where it leaves the call."""
    found = Finder(routes).find(method, path, query)
    if found is None:
        return None
    endpoint, _needs, arguments = found
    seen.clear()
    asyncio.run(endpoint(Request({"type": "http"}), **arguments))  # type: ignore[arg-type]
    return seen.pop()


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/v1/jobs/7", b""),
        ("GET", "/v1/jobs/a%20name~2", b"ref=other"),
        ("GET", "/v1/jobs/7/log", b""),
        ("GET", "/v1/jobs/last/log", b"task=3&stream=err&offset=-1"),
        ("GET", "/v1/jobs/7/log", b"task=1&task=2&stream=&nobody=asked"),
        ("GET", "/v1/jobs/7/log", b"stream=a+b%C3%A9%26"),
        ("GET", "/v1/jobs/7/log", b"task=007"),
        ("GET", "/v1/jobs", b"after=0"),
        ("POST", "/v1/jobs/act", b""),
    ],
)
def test_a_plain_call_is_found_with_the_same_arguments(method: str, path: str, query: bytes) -> None:
    found = by_table(method, unquote(path), query)
    assert found is not None
    assert found == by_fastapi(method, unquote(path), query)


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/v1/jobs", b""),
        ("GET", "/v1/jobs/7/log", b"task=x"),
        ("GET", "/v1/jobs/7/log", b"task="),
        ("GET", "/v1/jobs/7/log", b"task=+1"),
        ("GET", "/v1/jobs/7/log", b"task=1e3"),
        ("GET", "/v1/jobs/7/log", "task=\u0663".encode()),
        ("GET", "/v1/jobs/7/log", b"task=" + b"9" * 5000),
        ("GET", "/v1/jobs/7/nothing", b""),
        ("GET", "/v1/jobs/7/", b""),
        ("HEAD", "/v1/jobs/7", b""),
        ("DELETE", "/v1/jobs/7", b""),
        ("GET", "/openapi.json", b""),
    ],
)
def test_whatever_is_not_plain_is_left_to_the_framework(method: str, path: str, query: bytes) -> None:
    assert by_table(method, path, query) is None


def test_no_two_routes_are_the_same() -> None:
    called = [(route.method, route.path) for route in TABLE]
    assert len(set(called)) == len(called)
