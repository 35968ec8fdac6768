"""The event stream as real clients hear it: `websockets` over the daemon's socket, `httpx-sse` beside it, and whatever breaks."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, unix_connect

from tenure.client import paths
from tests.support.living import Installation, installation

WS = "/api/v1/events/ws"
PATIENCE_S = 30.0


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation() as started:
        started.cli("up")
        yield started


def opened(living: Installation, path: str = WS) -> ClientConnection:
    return unix_connect(paths.daemon_socket(str(living.home)), f"ws://tenure{path}", open_timeout=PATIENCE_S)


def until(socket: ClientConnection, done: Callable[[Any], bool]) -> list[Any]:
    """The messages up to the first for which ``done`` holds."""
    found = []
    while not found or not done(found[-1]):
        found.append(json.loads(socket.recv(PATIENCE_S)))
    return found


def said(kind: str) -> Callable[[Any], bool]:
    return lambda message: message["type"] == kind


def ended(job: str) -> Callable[[Any], bool]:
    return lambda message: message["type"] == "job" and message["data"]["kind"] == "job.ended" and message["data"]["job"] == job


def say(socket: ClientConnection, kind: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


@contextmanager
def as_sse(living: Installation, last: str) -> Iterator[Iterator[Any]]:
    transport = httpx.HTTPTransport(uds=paths.daemon_socket(str(living.home)))
    with (
        httpx.Client(transport=transport, timeout=PATIENCE_S) as client,
        connect_sse(client, "GET", "http://tenure/api/v1/events?topics=job", headers={"Last-Event-ID": last}) as source,
    ):
        yield source.iter_sse()


def test_who_resumes_after_a_crash_misses_nothing_and_hears_nothing_twice(living: Installation) -> None:
    with opened(living, WS + "?topics=job") as socket:
        [hello] = until(socket, said("hello"))
        one = living.submit("--", "true")
        first = until(socket, ended(one))
        os.kill(living.daemon_pid(), signal.SIGKILL)
    two = living.submit("--", "true")
    with opened(living, f"/api/resource-scheduler/push/ws?topics=job&after={first[-1]['id']}") as socket:
        second = until(socket, ended(two))
    heard = [message["id"] for message in first + second if message["type"] == "job"]
    with as_sse(living, str(hello["id"])) as stream:
        whole = []
        for message in stream:
            whole += [int(message.id)] if message.event == "job" else []
            if message.event == "job" and json.loads(message.data)["job"] == two and "job.ended" in message.data:
                break
    assert heard == whole
    assert len(heard) == len(set(heard))


def test_a_client_changes_its_mind(living: Installation) -> None:
    with opened(living, WS + "?topics=none&heartbeat_s=1") as socket:
        [hello] = until(socket, said("hello"))
        assert hello["data"]["topics"] == []
        one = living.submit("--wait", "--", "true")
        assert [message["type"] for message in until(socket, said("heartbeat"))] == ["heartbeat"]
        say(socket, "subscribe", topics=["job"], after=0)
        again = until(socket, ended(one))
        assert again[0] == {"type": "hello", "id": 0, "data": {"cursor": 0, "topics": ["job"], "project": ""}}
        assert [message["data"]["kind"] for message in again[1:]][:1] == ["job.submitted"]
        say(socket, "subscribe", topics=["node"], project="elsewhere")
        told = until(socket, said("subscribed"))[-1]
        assert told == {"type": "subscribed", "topics": ["job", "node"], "project": "elsewhere"}
        living.submit("--wait", "--", "true")
        living.cli("nodes", "drain", living.json("nodes")["nodes"][0]["name"])
        assert {message["type"] for message in until(socket, said("node"))} <= {"node", "heartbeat"}
        say(socket, "unsubscribe")
        assert until(socket, said("subscribed"))[-1]["topics"] == []


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ("no json", "malformed"),
        ('{"type": "sing"}', "sing"),
        ('{"type": "subscribe", "topics": ["jobs"]}', "there is no topic 'jobs'"),
        ('{"type": "subscribe", "loud": 1}', "loud"),
        (b"\xff\xfe", "not understood"),
    ],
)
def test_what_is_not_understood_is_said_and_the_conversation_goes_on(living: Installation, sent: str | bytes, says: str) -> None:
    with opened(living, WS + "?topics=none") as socket:
        socket.send(sent)
        error = until(socket, said("error"))[-1]
        assert error["code"] == "malformed"
        assert says in error["message"]
        say(socket, "ping")
        until(socket, said("pong"))


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        (WS + "?topics=jobs", 400, "there is no topic 'jobs'"),
        (WS + "?heartbeat_s=0", 400, "heartbeat_s is not as it must be"),
        (WS + "?after=x", 400, "after is a whole number"),
        ("/api/v1/elsewhere/ws", 404, "there is no WebSocket at"),
    ],
)
def test_a_handshake_is_refused_in_words(living: Installation, path: str, status: int, says: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(living, path)
    assert refused.value.response.status_code == status
    assert says in json.loads(refused.value.response.body)["detail"]


def test_a_daemon_that_ends_says_so(living: Installation) -> None:
    with opened(living, WS + "?topics=none") as socket:
        until(socket, said("hello"))
        living.cli("down")
        with pytest.raises(ConnectionClosed):
            until(socket, said("never"))
        assert socket.close_code == 1012
