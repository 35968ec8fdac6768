"""The short way in and the framework's give the same answers; strangers, other protocols and oversized bodies are refused by both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tenure.api.app import create_app
from tenure.api.context import Context
from tenure.api.front import Front
from tenure.control.steps import Planner
from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import Applied, Refused
from tenure.model.node import Node
from tenure.ports import StaleEpoch, StoreUnavailable
from tenure.wire.dto import QueuesReply

SUBMIT = ("POST", "/v1/jobs", "")


class QueriesDouble:
    """Knows no job and no queue, and cannot read nodes."""

    def resolve(self, *_asked: Any) -> list[Any]:
        return []

    def queues(self) -> QueuesReply:
        return QueuesReply([])

    def nodes(self) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    def last_cursor(self) -> int:
        raise StoreUnavailable("corrupt", "the store is damaged")


class LoopDouble:
    """Answers every command with `given`, or raises it."""

    def __init__(self, given: Any) -> None:
        self.planner = Planner(nodes=(Node(1, "box", Amounts(4000, 8 * GIB)),))
        self.given = given

    def submit(self, commands: Sequence[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        if isinstance(self.given, Exception):
            future.set_exception(self.given)
        else:
            future.set_result([self.given for _ in commands])
        return future


OWNER = ("uid", os.getuid())


def context_with(given: Any) -> Context:
    return Context(LoopDouble(given), QueriesDouble(), None, Path("/srv/tenure"), Path("/srv/tenure/s"))  # type: ignore[arg-type]


async def call(
    app: Any, body: bytes, headers: dict[str, str], client: Any, verb: str = "POST", path: str = "/v1/jobs", query: str = ""
) -> tuple[int, Any]:
    """One call; an error that the application raises after its answer is what the server would log, and is left out."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": verb,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in {"content-length": str(len(body)), **headers}.items()],
        "client": client,
        "server": ("unix", None),
        "state": {},
    }
    parts = [body[:10], body[10:]]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)} if parts else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with contextlib.suppress(ZeroDivisionError):
        await app(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(text)


def both(
    given: Any,
    body: Any,
    headers: dict[str, str] | None = None,
    client: Any = OWNER,
    called: tuple[str, str, str] = SUBMIT,
) -> tuple[int, Any]:
    """The answer, which must be the same by both ways."""
    context = context_with(given)
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    short = asyncio.run(call(Front(context), raw, headers or {}, client, *called))
    long = asyncio.run(call(create_app(context), raw, headers or {}, client, *called))
    assert short == long
    return short


JOB = {"argv": ["true"], "cwd": "/", "key": "k"}


@pytest.mark.parametrize(
    ("given", "body", "status", "word"),
    [
        (Applied(12, 3), JOB, 201, "12"),
        (Applied(12, 3, replayed=True), JOB, 201, "replayed"),
        (Refused("not_found", "there is no queue x"), JOB, 404, "no queue x"),
        (Refused("dependency_cycle", "1 waits for 1"), JOB, 422, "waits"),
        (StoreUnavailable("disk_full", "no room"), JOB, 507, "no room"),
        (StoreUnavailable("locked", "busy"), JOB, 503, "busy"),
        (StaleEpoch(), JOB, 503, "another daemon"),
        (None, {**JOB, "cpu_milli": 9000}, 422, "never_fits"),
        (None, {**JOB, "misspelt": 1}, 400, "misspelt"),
        (None, b"{no json at all", 400, "not understood"),
        (None, b'{"argv": ["\xff\xfe"], "cwd": "/"}', 400, "not understood"),
        (None, {**JOB, "argv": []}, 400, "needs a command"),
    ],
)
def test_both_ways_give_the_same_answer(given: Any, body: Any, status: int, word: str) -> None:
    found, reply = both(given, body)
    assert found == status
    assert word in json.dumps(reply)


@pytest.mark.parametrize(
    ("called", "body", "status", "word"),
    [
        (("GET", "/v1/queues", ""), b"", 200, "queues"),
        (("POST", "/v1/jobs/query", ""), {"misspelt": 1}, 400, "misspelt"),
        (("GET", "/v1/jobs/77", ""), b"", 404, "no job 77"),
        (("GET", "/v1/jobs/77/log", "offset=12&tail=3&unknown=1"), b"", 404, "no job 77"),
        (("GET", "/v1/jobs/77/log", "offset=soon"), b"", 400, "offset"),
        (("GET", "/v1/jobs/77/log", "offset="), b"", 400, "offset"),
        (("GET", "/v1/events", "limit=5"), b"", 503, "damaged"),
        (("GET", "/v1/nodes", ""), b"", 500, "ZeroDivisionError"),
        (("GET", "/v1/nowhere", ""), b"", 404, "Not Found"),
        (("PUT", "/v1/jobs", ""), b"", 405, "Method Not Allowed"),
    ],
)
def test_every_call_has_the_same_answer_with_and_without_the_framework(
    called: tuple[str, str, str], body: Any, status: int, word: str
) -> None:
    found, reply = both(None, body, called=called)
    assert found == status
    assert word in json.dumps(reply)


def test_a_body_that_is_announced_too_large_is_refused_unread() -> None:
    status, reply = both(Applied(1), JOB, {"content-length": str(10**9)})
    assert (status, reply["code"]) == (413, "too_large")


def test_a_connection_without_an_owner_is_refused() -> None:
    status, reply = both(Applied(1), JOB, client=None)
    assert (status, reply["code"]) == (401, "unidentified")


def test_another_protocol_is_refused_before_anything_is_decoded() -> None:
    context = context_with(Applied(1))
    status, reply = asyncio.run(call(Front(context), b"nothing", {"tenure-protocol": "99"}, ("uid", os.getuid())))
    assert status == 426
    assert reply["code"] == "protocol_mismatch"
    assert "tenure up" in reply["remedy"]


def test_the_openapi_knows_every_struct_that_a_route_names() -> None:
    made = create_app(context_with(None)).openapi()
    schemas = made["components"]["schemas"]
    text = json.dumps(made)
    for path in made["paths"].values():
        for route in path.values():
            body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
            assert not body or body.rsplit("/", 1)[1] in schemas
    for reference in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in schemas
