"""The way in: every call has its answer, every error one format; strangers, other protocols and oversized bodies are refused."""

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

from tenure.api.context import Context
from tenure.api.front import Front
from tenure.control.steps import Planner
from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import Applied, Refused
from tenure.model.node import Node
from tenure.ports import StaleEpoch, StoreUnavailable
from tenure.wire.dto import QueuesReply

SUBMIT = ("POST", "/api/v1/jobs", "")


class QueriesDouble:
    """Knows no job and no queue, and cannot read nodes."""

    def resolve(self, *_asked: Any) -> list[Any]:
        return []

    def named(self, *_asked: Any) -> tuple[int, None]:
        return 0, None

    def stamp(self) -> int:
        return 1

    def queues(self) -> QueuesReply:
        return QueuesReply([])

    def nodes(self, *_asked: Any) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    def last_cursor(self) -> int:
        raise StoreUnavailable("corrupt", "the store is damaged")


class LoopDouble:
    """Answers every command with `given`, or raises it."""

    def __init__(self, given: Any) -> None:
        self.planner = Planner(nodes=(Node(1, "box", Amounts(4000, 8 * GIB)),))
        self.given = given

    def submit(self, commands: Sequence[Any], answers: Future[Any] | None = None) -> Future[Any]:
        future: Future[Any] = answers or Future()
        if isinstance(self.given, Exception):
            future.set_exception(self.given)
        else:
            future.set_result([self.given for _ in commands])
        return future


OWNER = ("uid", os.getuid())


def context_with(given: Any) -> Context:
    return Context(LoopDouble(given), QueriesDouble(), None, Path("/srv/tenure"), Path("/srv/tenure/s"))  # type: ignore[arg-type]


async def call(
    app: Any, body: bytes, headers: dict[str, str], client: Any, verb: str = "POST", path: str = "/api/v1/jobs", query: str = ""
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


def asked(
    given: Any, body: Any, headers: dict[str, str] | None = None, client: Any = OWNER, called: tuple[str, str, str] = SUBMIT
) -> tuple[int, Any]:
    """The status and the answer."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return asyncio.run(call(Front(context_with(given)), raw, headers or {}, client, *called))


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
        (None, {**JOB, "memory_bytes": 2**63}, 400, "memory_bytes"),
        (Applied(12, 3), {**JOB, "memory_bytes": 1e9, "env": {"A": "1.0"}}, 201, "12"),
        (None, {**JOB, "memory_bytes": 1.5}, 400, "float"),
        (None, {**JOB, "name": "a\0b"}, 400, "name"),
        (None, {**JOB, "argv": []}, 422, "needs a command"),
    ],
)
def test_a_submission_has_its_answer(given: Any, body: Any, status: int, word: str) -> None:
    found, reply = asked(given, body)
    assert found == status
    assert word in json.dumps(reply)


@pytest.mark.parametrize(
    ("called", "body", "status", "word"),
    [
        (("GET", "/api/v1/queues", ""), b"", 200, "queues"),
        (("POST", "/api/v1/jobs/query", ""), {"misspelt": 1}, 400, "misspelt"),
        (("GET", "/api/v1/jobs/77", ""), b"", 404, "no job 77"),
        (("GET", "/api/v1/jobs/77/log", "offset=12&tail=3"), b"", 404, "no job 77"),
        (("GET", "/api/v1/jobs/77/log", "offset=12&unknown=1"), b"", 400, "unknown"),
        (("GET", "/api/v1/jobs/77/log", "tail=1&tail=2"), b"", 400, "tail is given twice"),
        (("GET", "/api/v1/jobs/77/log", "offset=soon"), b"", 400, "offset"),
        (("GET", "/api/v1/jobs/77/log", "offset="), b"", 400, "offset"),
        (("GET", "/api/v1/jobs/77/log", "offset=-2"), b"", 400, "offset"),
        (("GET", "/api/v1/events/lines", "limit=5"), b"", 503, "damaged"),
        (("GET", "/api/v1/nodes", ""), b"", 500, "ZeroDivisionError"),
        (("GET", "/api/v1/nowhere", ""), b"", 404, "openapi.json"),
        (("PUT", "/api/v1/jobs/act", ""), b"", 405, "POST"),
    ],
)
def test_every_call_has_its_answer(called: tuple[str, str, str], body: Any, status: int, word: str) -> None:
    found, reply = asked(None, body, called=called)
    assert found == status
    assert word in json.dumps(reply)


def test_a_body_that_is_announced_too_large_is_refused_unread() -> None:
    status, reply = asked(Applied(1), JOB, {"content-length": str(10**9)})
    assert (status, reply["code"]) == (413, "too_large")


def test_a_connection_without_an_owner_is_refused() -> None:
    status, reply = asked(Applied(1), JOB, client=None)
    assert (status, reply["code"]) == (401, "unidentified")


def test_another_protocol_is_refused_before_anything_is_decoded() -> None:
    context = context_with(Applied(1))
    status, reply = asyncio.run(call(Front(context), b"nothing", {"tenure-protocol": "99"}, OWNER))
    assert status == 426
    assert reply["code"] == "protocol_mismatch"
    assert "tenure up" in reply["remedy"]


def test_an_error_is_a_problem_that_names_where_it_is_explained() -> None:
    status, reply = asked(None, b"", called=("GET", "/api/v1/jobs/77", ""))
    assert reply == {
        "type": "/api/v1/problems/not_found",
        "title": "There is no such thing",
        "status": status,
        "detail": "there is no job 77",
        "code": "not_found",
        "remedy": "tenure ps -a lists all jobs",
    }
    explained, kind = asked(None, b"", called=("GET", reply["type"], ""))
    assert (explained, kind["title"], kind["status"]) == (200, reply["title"], 404)


def test_protocol_1_is_answered_as_it_was() -> None:
    assert asked(None, b"", called=("GET", "/v1/queues", "")) == (200, {"queues": []})
    status, reply = asked(None, b"", called=("GET", "/v1/jobs/77", ""))
    wanted = {"type": "error", "code": "not_found", "message": "there is no job 77", "remedy": "tenure ps -a lists all jobs"}
    assert (status, reply) == (404, wanted)
    assert asked(Applied(12, 3), JOB, called=("POST", "/v1/jobs", ""))[1]["id"] == "12"
    assert asked(None, b"", called=("GET", "/v1/events", "limit=5"))[0] == 503, "the lines of events, where they were"


@pytest.mark.parametrize(
    ("body", "header", "status"),
    [
        ({"key": "k"}, "", 201),
        ({}, "k", 201),
        ({"key": "k"}, "k", 201),
        ({"key": "k"}, "other", 422),
        ({}, "", 422),
        ({}, "k" * 201, 400),
    ],
)
def test_the_key_of_a_submission_may_be_a_header(body: dict[str, str], header: str, status: int) -> None:
    headers = {"Idempotency-Key": header} if header else {}
    assert asked(Applied(12, 3), {"argv": ["true"], "cwd": "/", **body}, headers)[0] == status


def test_a_body_that_is_no_json_is_refused_by_its_type() -> None:
    status, reply = asked(Applied(1), JOB, {"content-type": "application/x-www-form-urlencoded"})
    assert (status, reply["code"]) == (415, "unsupported_media_type")
    assert asked(Applied(1), JOB, {"content-type": "Application/JSON; charset=utf-8"})[0] == 201


def test_a_body_without_a_length_is_read_no_further_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure.api.context.MAX_BODY_BYTES", 20)
    status, reply = asked(Applied(1), JOB, {"content-length": "0"})
    assert (status, reply["code"]) == (413, "too_large")
