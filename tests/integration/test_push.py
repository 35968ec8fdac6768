"""Server-sent events from a living daemon, spoken as anybody would: nothing lost, nothing twice, whatever breaks."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tenure.client import paths
from tests.support.living import Installation, installation, kill


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation() as started:
        started.cli("up")
        yield started


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the daemon's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("tenure", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(self._path)


class Message(dict[str, str]):
    """The fields of one message of the stream."""

    @property
    def body(self) -> Any:
        return json.loads(self["data"])


@contextmanager
def asked(living: Installation, path: str, last: str = "") -> Iterator[http.client.HTTPResponse]:
    connection = UnixConnection(paths.daemon_socket(str(living.home)))
    try:
        connection.request("GET", path, headers={"Last-Event-ID": last} if last else {})
        yield connection.getresponse()
    finally:
        connection.close()


def messages(response: http.client.HTTPResponse) -> Iterator[Message]:
    """The messages as they come; comments and what has no type are left out."""
    found = Message()
    while line := response.readline():
        text = line.decode().rstrip("\n")
        name, _, value = text.partition(": ")
        if text and name:
            found[name] = value
        elif not text:
            if "event" in found:
                yield found
            found = Message()


def through(living: Installation, path: str, last: str, done: Any) -> list[Message]:
    """The messages up to the first for which ``done`` holds."""
    found = []
    with asked(living, path, last) as response:
        assert response.status == 200
        assert response.getheader("content-type", "").startswith("text/event-stream")
        for message in messages(response):
            found.append(message)
            if done(message):
                return found
    raise AssertionError(f"the stream ended after {found}")


def ended(number: int) -> Any:
    return lambda message: message["event"] == "job" and message.body["kind"] == "job.ended" and message.body["job"] == str(number)


def test_a_broken_stream_is_resumed_without_loss_or_repeat_even_by_another_daemon(living: Installation) -> None:
    [hello] = through(living, "/api/v1/events?topics=job", "", lambda _message: True)
    assert hello["event"] == "hello"
    living.cli("submit", "--wait", "--", "true")
    first = through(living, "/api/v1/events?topics=job", hello["id"], ended(1))
    os.kill(living.daemon_pid(), signal.SIGKILL)
    living.cli("submit", "--wait", "--", "true")
    second = through(living, "/api/v1/events?topics=job", first[-1]["id"], ended(2))
    whole = through(living, "/api/v1/events?topics=job", hello["id"], ended(2))
    parts = [message["id"] for message in first[1:] + second[1:]]
    assert parts == [message["id"] for message in whole[1:]]
    assert len(parts) == len(set(parts))
    assert [message.body["kind"] for message in first[1:]][:1] == ["job.submitted"]


def test_topics_and_heartbeats(living: Installation) -> None:
    with asked(living, "/api/resource-scheduler/push/sse?topics=node&heartbeat_s=1") as response:
        lines = iter(response.readline, b"")
        living.cli("submit", "--wait", "--", "true")
        until_beat = []
        for line in lines:
            until_beat.append(line)
            if line == b": heartbeat\n":
                break
        living.cli("nodes", "drain", living.json("nodes")["nodes"][0]["name"])
        for line in lines:
            if line.startswith(b"event: node"):
                break
    assert not [line for line in until_beat if line.startswith(b"event: job")]


def test_samples_of_the_machine_come_beside_the_events_and_have_no_id(living: Installation) -> None:
    found = through(living, "/api/v1/events", "", lambda message: message["event"] == "resource_status")
    assert "id" not in found[-1]
    assert found[-1].body["hosts"][0]["cores"] >= 1


def test_the_machine_is_not_sent_to_who_wants_jobs_only(living: Installation) -> None:
    living.cli("submit", "--wait", "--", "sleep", "1")
    found = through(living, "/api/v1/events?topics=job&after=0", "", ended(1))
    assert {message["event"] for message in found} == {"hello", "job"}


@pytest.mark.parametrize(
    ("path", "last", "says"),
    [
        ("/api/v1/events?topics=jobs", "", "there is no topic 'jobs'"),
        ("/api/v1/events?heartbeat_s=0", "", "the parameter heartbeat_s is not as it must be: expected `int` >= 1"),
        ("/api/v1/events", "x1", "the header Last-Event-ID is not as it must be"),
        ("/api/v1/events", "9" * 30, "the header Last-Event-ID is not as it must be"),
    ],
)
def test_what_is_not_understood_is_refused(living: Installation, path: str, last: str, says: str) -> None:
    with asked(living, path, last) as response:
        assert response.status == 400
        assert says in json.loads(response.read())["detail"]


def test_an_id_of_another_store_is_told_and_the_present_follows(living: Installation) -> None:
    living.cli("submit", "--wait", "--", "true")
    found = through(living, "/api/v1/events?topics=job", "999999", lambda message: message["event"] == "hello")
    assert [message["event"] for message in found] == ["reset", "hello"]
    assert int(found[-1]["id"]) < 999999


def test_the_daemon_may_open_many_files_and_what_it_starts_as_many_as_before() -> None:
    with installation() as living:
        few = ["sh", "-c", 'ulimit -Sn 300; exec "$0" "$@"', sys.executable, "-m", "tenure.cli", "up"]
        subprocess.run(few, env=living.env, check=True, capture_output=True, timeout=60)
        assert soft_limit(living.daemon_pid()) > 300
        assert soft_limit(living.supervisor_pid()) == 300
        kill(living.supervisor_pid())
        job = living.submit("--wait", "--", "sh", "-c", "ulimit -Sn")
        assert living.cli("logs", job).stdout == "300\n"


def soft_limit(pid: int) -> int:
    """How many files a process may open."""
    [line] = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max open files")]
    return int(line.split()[3])
