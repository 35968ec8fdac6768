"""The table of routes: what a call means, what its parameters must be, and what the document says of both."""

from __future__ import annotations

import asyncio
import json
from typing import Any, get_args

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.errors import ApiError
from tenure.api.examples import EXAMPLES
from tenure.api.front import TABLE
from tenure.api.parameters import Step
from tenure.api.problems import KINDS
from tenure.api.routes import WEBSOCKET, Finder, Routes
from tenure.api.schema import document
from tenure.model.access import Permission
from tenure.model.measures import STEPS_MS

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


@routes.delete("/jobs/{ref}", needs=Permission.JOBS_READ)
async def remove(request: Request, ref: str) -> Response:
    """Another method at a path with a parameter."""
    seen.append({"route": "remove", "ref": ref})
    return Response()


def called(method: str, path: str, query: bytes = b"") -> dict[str, Any]:
    """What is called with what. Raises ApiError."""
    target, of_path = Finder(routes).find(method, path)
    arguments = target.arguments(of_path, query)
    seen.clear()
    asyncio.run(target.route.endpoint(Request({"type": "http"}), **arguments))  # type: ignore[arg-type]
    return seen.pop()


LOG = {"route": "log", "ref": "7", "task": 0, "stream": "out", "offset": -1}


@pytest.mark.parametrize(
    ("method", "path", "query", "found"),
    [
        ("GET", "/v1/jobs/7", b"", {"route": "show", "ref": "7"}),
        ("DELETE", "/v1/jobs/7", b"", {"route": "remove", "ref": "7"}),
        ("GET", "/v1/jobs/a name~2", b"", {"route": "show", "ref": "a name~2"}),
        ("GET", "/v1/jobs/7/log", b"", LOG),
        ("GET", "/v1/jobs/7/log", b"task=3&stream=err&offset=-1", {**LOG, "task": 3, "stream": "err"}),
        ("GET", "/v1/jobs/7/log", b"stream=a+b%C3%A9%26", {**LOG, "stream": "a b\u00e9&"}),
        ("GET", "/v1/jobs/7/log", b"task=007&stream=", {**LOG, "task": 7, "stream": ""}),
        ("GET", "/v1/jobs", b"after=0", {"route": "jobs", "after": 0}),
        ("HEAD", "/v1/jobs", b"after=0", {"route": "jobs", "after": 0}),
        ("POST", "/v1/jobs/act", b"", {"route": "act"}),
    ],
)
def test_a_call_is_found_with_its_arguments(method: str, path: str, query: bytes, found: dict[str, Any]) -> None:
    assert called(method, path, query) == found


@pytest.mark.parametrize(
    ("method", "path", "query", "code"),
    [
        ("GET", "/v1/jobs", b"", "malformed"),
        ("GET", "/v1/jobs/7", b"ref=other", "malformed"),
        ("GET", "/v1/jobs/7/log", b"nobody=asked", "malformed"),
        ("GET", "/v1/jobs/7/log", b"task=1&task=2", "malformed"),
        ("GET", "/v1/jobs/7/log", b"task=x", "malformed"),
        ("GET", "/v1/jobs/7/log", b"task=", "malformed"),
        ("GET", "/v1/jobs/7/log", b"task=+1", "malformed"),
        ("GET", "/v1/jobs/7/log", b"task=1e3", "malformed"),
        ("GET", "/v1/jobs/7/log", "task=\u0663".encode(), "malformed"),
        ("GET", "/v1/jobs/7/log", b"task=" + b"9" * 5000, "malformed"),
        ("GET", "/v1/jobs/7/nothing", b"", "not_found"),
        ("GET", "/v1/jobs/7/", b"", "not_found"),
        ("HEAD", "/v1/jobs/act", b"", "method_not_allowed"),
        ("PUT", "/v1/jobs/act", b"", "method_not_allowed"),
        ("DELETE", "/v1/jobs/act", b"", "method_not_allowed"),
    ],
)
def test_whatever_is_not_in_the_table_is_refused(method: str, path: str, query: bytes, code: str) -> None:
    with pytest.raises(ApiError) as found:
        called(method, path, query)
    assert found.value.reply.code == code


def test_another_method_is_told_which_there_are() -> None:
    with pytest.raises(ApiError) as found:
        called("PUT", "/v1/jobs/7")
    assert found.value.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS"
    assert Finder(routes).allowed("/v1/jobs/act") == "OPTIONS, POST"


def test_no_two_routes_are_the_same() -> None:
    listed = [(route.method, route.path) for route in TABLE]
    assert len(set(listed)) == len(listed)


def test_the_document_knows_every_struct_and_every_operation_once() -> None:
    made = document(TABLE)
    text = json.dumps(made)
    for reference in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in made["components"]["schemas"]
    operations = [operation["operationId"] for path in made["paths"].values() for operation in path.values()]
    assert len(set(operations)) == len(operations) == len([route for route in TABLE if route.method != WEBSOCKET])
    assert all(operation["summary"] for path in made["paths"].values() for operation in path.values())


def test_a_list_of_calls_shows_each_in_a_line_and_leaves_nothing_out() -> None:
    operations = [operation for path in document(TABLE)["paths"].values() for operation in path.values()]
    assert max(len(operation["summary"]) for operation in operations) < 150
    assert not [operation["summary"] for operation in operations if set("`\n") & set(operation["summary"])]
    asked = next(operation for operation in operations if operation["operationId"] == "getApiV1Jobs")
    assert asked["summary"] == "A page of jobs, the newest first unless another order is named"
    assert asked["description"].endswith("`state` names states between commas or active, ended, all.")


def test_every_body_has_an_example_that_is_read_as_it_stands() -> None:
    taken = {route.takes.__name__: route.takes for route in TABLE if route.takes is not None}
    assert taken.keys() == EXAMPLES.keys()
    for name, kind in taken.items():
        msgspec.json.decode(msgspec.json.encode(EXAMPLES[name]), type=kind)


def test_every_error_of_a_route_is_one_that_there_is() -> None:
    assert not {code for route in TABLE for code in route.errors} - KINDS.keys()
    assert set(get_args(Step)) == {0, *STEPS_MS}
