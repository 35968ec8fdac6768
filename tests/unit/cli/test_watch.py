"""``ps -w``: drawn again when something happens, in one piece, and the terminal left as it was."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tenure.cli import watch
from tenure.wire import dto
from tests.unit.cli.conftest import FakeClient, Shell


class Listing:
    """The listings one after another; the last one is interrupted with Ctrl-C."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.over = False
        self.asked = threading.Event()

    def __call__(self, _select: Any) -> dto.JobsReply:
        self.asked.set()
        if not self.names:
            self.over = True
            raise KeyboardInterrupt
        name = self.names.pop(0)
        return dto.JobsReply(jobs=[dto.JobView(id="1", number=1, name=name, state="running")], revision=7)

    def events(self, **_named: Any) -> Iterator[dto.EventView]:
        """Something happens after each listing, until the last one was asked for."""
        while not self.over:
            yield dto.EventView(cursor=8, kind="x", at_ms=0)
            self.asked.wait(0.01)
            self.asked.clear()


@pytest.fixture
def events(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    monkeypatch.setattr(watch, "_LEAST_S", 0)
    monkeypatch.setattr("tenure.client.start.connect", lambda: client)
    return client


def test_a_pipe_gets_each_change_once(shell: Shell, events: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_TICK_S", 0)
    monkeypatch.setattr(watch, "Event", Always)
    listing = Listing("a", "a", "b")
    events.answers |= {"jobs": listing, "events": listing.events}
    done = shell("ps", "-w")
    assert done.code == 0
    assert [line.split()[1] for line in done.out.splitlines() if line.startswith("1 ")] == ["a", "b"]
    assert "\x1b" not in done.out


class Always:
    """An event that has always just happened."""

    def set(self) -> None:
        return None

    def clear(self) -> None:
        return None

    def is_set(self) -> bool:
        return True

    def wait(self, _timeout: float | None = None) -> bool:
        return True


def test_a_terminal_is_drawn_in_place_and_left_as_it_was(shell: Shell, events: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    listing = Listing("a", "b", "c")
    events.answers |= {"jobs": listing, "events": listing.events}
    done = shell("ps", "-w")
    assert done.code == 0
    assert done.out.startswith("\x1b[?1049h\x1b[?25l\x1b[H")
    assert done.out.endswith("\x1b[?25h\x1b[?1049l")
    assert "b" in done.out
    assert all(line.endswith("\x1b[K") for line in done.out.split("\n")[:-1])


def test_events_are_followed_from_the_listing_on(shell: Shell, events: FakeClient) -> None:
    listing = Listing("a", "b")
    events.answers |= {"jobs": listing, "events": listing.events}
    shell("ps", "-w")
    assert ("events", (), {"after": 7, "follow": True}) in events.calls
