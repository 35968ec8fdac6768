"""The event stream over the TCP listener with a token, as real clients hear it: `websockets` and `httpx-sse`. Who it is, what he may
hear, and going on where the last connection ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from httpx_sse import SSEError, connect_sse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tenure.client.session import new_key
from tests.support.living import Installation, installation

PATIENCE_S = 30.0
Found = list[tuple[int, str, str]]
"""Cursor, kind and job of each event."""


@pytest.fixture(scope="module")
def listening() -> Iterator[Installation]:
    with installation('[listen]\naddress = "127.0.0.1:0"\n[projects.seen]\n[projects.hidden]\n') as home:
        home.up()
        yield home


def address_of(home: Installation) -> str:
    with home.client() as client:
        return urlsplit(client.admin.status().url).netloc


def token_of(home: Installation, **wish: object) -> str:
    with home.client() as client:
        return str(client._link.call("POST", "/api/v1/tokens", dict, {"key": new_key(), **wish})["secret"])


@contextmanager
def by_socket(address: str, token: str, after: int | None) -> Iterator[Iterator[tuple[str, int, Any]]]:
    query = "?topics=job" + (f"&after={after}" if after is not None else "")
    headers = {"Authorization": f"Bearer {token}"}
    with connect(f"ws://{address}/api/v1/events/ws{query}", additional_headers=headers, open_timeout=PATIENCE_S) as socket:
        yield (
            (message["type"], message["id"], message["data"])
            for message in iter(lambda: json.loads(socket.recv(PATIENCE_S)), None)
            if "id" in message
        )


@contextmanager
def by_sse(address: str, token: str, after: int | None) -> Iterator[Iterator[tuple[str, int, Any]]]:
    headers = {"Authorization": f"Bearer {token}"} | ({"Last-Event-ID": str(after)} if after is not None else {})
    with (
        httpx.Client(timeout=PATIENCE_S, headers=headers) as client,
        connect_sse(client, "GET", f"http://{address}/api/v1/events?topics=job") as source,
    ):
        source.response.raise_for_status()
        yield ((message.event, int(message.id), json.loads(message.data)) for message in source.iter_sse() if message.id)


def up_to_the_end(messages: Iterator[tuple[str, int, Any]], job: str) -> Found:
    """The events of jobs up to the end of this one."""
    found: Found = []
    for topic, cursor, data in messages:
        if topic == "job":
            found.append((cursor, data["kind"], data["job"]))
            if found[-1][1:] == ("job.ended", job):
                return found
    raise AssertionError(f"the stream ended before job {job} did: {found}")


def submitted(home: Installation, project: str) -> str:
    return home.submit("--project", project, "--wait", "--", "true")


@pytest.mark.parametrize("way", [by_socket, by_sse])
def test_a_narrow_token_hears_its_project_and_goes_on_where_it_was(listening: Installation, way: Any) -> None:
    address = address_of(listening)
    narrow, wide = token_of(listening, projects=["seen"], label="narrow"), token_of(listening, role="operator", label="wide")
    with way(address, narrow, None) as messages, way(address, wide, None) as everything:
        assert next(messages)[0] == next(everything)[0] == "hello"
        jobs = [submitted(listening, project) for project in ("hidden", "seen")]
        first = up_to_the_end(messages, jobs[1])
        whole = up_to_the_end(everything, jobs[1])
    assert {job for _, _, job in first} == {jobs[1]}
    assert {job for _, _, job in whole} == set(jobs)
    jobs += [submitted(listening, project) for project in ("seen", "hidden", "seen")]
    with way(address, narrow, first[-1][0]) as messages:
        second = up_to_the_end(messages, jobs[4])
    with way(address, narrow, whole[0][0] - 1) as messages:
        again = up_to_the_end(messages, jobs[4])
    assert [job for _, kind, job in second if kind == "job.submitted"] == [jobs[2], jobs[4]]
    assert first + second == again, "nothing is missed, nothing is heard twice"


def test_who_is_not_known_hears_nothing(listening: Installation) -> None:
    address = address_of(listening)
    with pytest.raises(InvalidStatus) as refused, by_socket(address, "tenure_nobody", None):
        pass
    assert refused.value.response.status_code == 401
    with pytest.raises((httpx.HTTPStatusError, SSEError)) as unheard, by_sse(address, "tenure_nobody", None):
        pass
    assert "401" in str(unheard.value)
