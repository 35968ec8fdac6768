"""Webhooks: wanted events in order, signed, tried again, never lost over a restart, and nobody waits."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
from pathlib import Path

import pytest

from tenure.config.monitoring import NotifySettings
from tenure.monitors import notify as module
from tenure.monitors.notify import BATCH, LONGEST_PAUSE_S, Notifier, Told, cursor_name, send, signature
from tests.support.living import until


class World:
    """Events that happen, and a receiver that answers as told."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.settings = NotifySettings(**{"url": "https://example.org/hook?token=x", "secret": "s"} | settings)  # type: ignore[arg-type]
        self.path = folder / cursor_name(self.settings.url)
        self.events: list[Told] = []
        self.status: int | OSError = 200
        self.posted: list[tuple[bytes, dict[str, str]]] = []
        self.logged: list[str] = []
        self.notifier = self.start()

    def start(self) -> Notifier:
        return Notifier(self.settings, str(self.path), self.read, lambda: len(self.events), self.logged.append, self.post)

    def read(self, after: int, limit: int) -> list[Told]:
        return [event for event in self.events if event.cursor > after][:limit]

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        assert url == self.settings.url
        if isinstance(self.status, OSError):
            raise self.status
        self.posted.append((body, headers))
        return self.status

    def happen(self, *kinds: str) -> None:
        for kind in kinds:
            cursor = len(self.events) + 1
            self.events.append(Told(cursor, kind, json.dumps({"cursor": cursor, "kind": kind}).encode()))

    def cursors(self) -> list[list[int]]:
        return [[event["cursor"] for event in json.loads(body)["events"]] for body, _ in self.posted]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_wished_for_is_told_in_order_from_now_on(world: World) -> None:
    world.happen("job.ended")
    assert world.notifier.turn() is False
    world.happen("job.submitted", "job.ended", "anomaly.opened", "hold.changed", "node.changed")
    world.notifier.turn()
    world.notifier.turn()
    assert world.cursors() == [[3, 4, 6]]
    assert world.posted[0][1]["Tenure-Cursor"] == "6"


def test_a_delivery_is_signed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "time", lambda: 1234.5)
    world.notifier.turn()
    world.happen("job.ended")
    world.notifier.turn()
    body, headers = world.posted[0]
    assert headers["Tenure-Signature"] == "t=1234,v1=" + hmac.new(b"s", b"1234." + body, hashlib.sha256).hexdigest()
    assert signature("other", body, 1234) != headers["Tenure-Signature"]


def test_without_a_secret_there_is_no_signature(tmp_path: Path) -> None:
    world = World(tmp_path, secret="")
    world.notifier.turn()
    world.happen("job.ended")
    world.notifier.turn()
    assert "Tenure-Signature" not in world.posted[0][1]


@pytest.mark.parametrize("answer", [500, 404, 302, OSError("refused")])
def test_what_was_not_taken_is_told_again_later_and_later(world: World, answer: int | OSError) -> None:
    world.notifier.turn()
    world.happen("job.ended")
    world.status = answer
    pauses = []
    for _ in range(12):
        assert world.notifier.turn() is False
        pauses.append(world.notifier._pause_s)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert len(world.logged) == 1
    assert "token" not in world.logged[0]
    world.status, world.posted = 200, []
    world.notifier.turn()
    assert world.cursors() == [[1]]
    assert "answers again" in world.logged[1]


def test_a_restart_goes_on_where_the_receiver_stopped(world: World) -> None:
    world.notifier.turn()
    world.happen("job.ended")
    world.status = 503
    world.notifier.turn()
    world.happen("job.ended")
    world.status, world.posted = 200, []
    again = world.start()
    again.turn()
    again.turn()
    assert world.cursors() == [[1, 2]]


def test_many_events_are_told_in_batches(world: World) -> None:
    world.notifier.turn()
    world.happen(*["job.ended"] * (BATCH + 5))
    assert world.notifier.turn() is True
    assert world.notifier.turn() is False
    assert [len(batch) for batch in world.cursors()] == [BATCH, 5]


def test_after_a_day_it_is_given_up_and_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.notifier.turn()
    world.happen("job.ended")
    world.status = 500
    world.notifier.turn()
    monkeypatch.setattr(module, "GIVE_UP_S", 0.0)
    world.notifier.turn()
    assert "will not be told of events 1 to 1" in world.logged[-1]
    world.status, world.posted = 200, []
    world.happen("job.ended")
    world.notifier.turn()
    assert world.cursors() == [[2]]


def test_the_thread_survives_a_store_that_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    broken = [True]

    def read(after: int, limit: int) -> list[Told]:
        if broken[0]:
            raise ZeroDivisionError("the store is away")
        return world.read(after, limit)

    notifier = Notifier(world.settings, str(world.path), read, lambda: 0, world.logged.append, world.post)
    notifier.start()
    until(lambda: world.logged, "the error to be told")
    broken[0] = False
    world.happen("job.ended")
    until(lambda: world.posted, "the delivery")
    notifier.stop()
    assert not notifier.is_alive()


def test_a_receiver_that_speaks_no_http_is_an_error_like_any(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(http.client.HTTPConnection, "connect", lambda link: setattr(link, "sock", ours))
    theirs.sendall(b"SSH-2.0\r\n\r\n")
    theirs.shutdown(socket.SHUT_WR)
    with theirs, pytest.raises(OSError, match="BadStatusLine"):
        send("http://example.org/hook", b"{}", {})


def test_a_delivery_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(http.client.HTTPConnection, "connect", lambda link: setattr(link, "sock", ours))
    theirs.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert send("http://example.org/hook?a=b", b"{}", {"X": "1"}) == 204
    said = theirs.recv(4096)
    theirs.close()
    assert said.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert said.endswith(b"\r\n\r\n{}")
