"""``ps -w``: drawn again when something happens, in one piece, and the terminal left as it was."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tenure.cli import watch
from tenure.wire import dto
from tests.unit.cli.conftest import FakeClient, Shell


class Listing:
    """The listings one after another; the last one is interrupted with Ctrl-C."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    def __call__(self, _select: Any) -> dto.JobsReply:
        if not self.names:
            raise KeyboardInterrupt
        name = self.names.pop(0)
        return dto.JobsReply(jobs=[dto.JobView(id="1", number=1, name=name, state="running")], revision=7)


@pytest.fixture
def events(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    monkeypatch.setattr(watch, "_LEAST_S", 0)
    monkeypatch.setattr("tenure.client.start.connect", lambda: client)
    client.answers["events"] = lambda **_named: (dto.EventView(cursor=n, kind="x", at_ms=0) for n in range(1000))
    return client


def test_a_pipe_gets_each_change_once(shell: Shell, events: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_TICK_S", 0)
    monkeypatch.setattr(watch, "Event", Always)
    events.answers["jobs"] = Listing("a", "a", "b")
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
    events.answers["jobs"] = Listing("a", "b", "c")
    done = shell("ps", "-w")
    assert done.code == 0
    assert done.out.startswith("\x1b[?1049h\x1b[?25l\x1b[H")
    assert done.out.endswith("\x1b[?25h\x1b[?1049l")
    assert "b" in done.out
    assert all(line.endswith("\x1b[K") for line in done.out.split("\n")[:-1])


def test_events_are_followed_from_the_listing_on(shell: Shell, events: FakeClient) -> None:
    events.answers["jobs"] = Listing("a", "b")
    shell("ps", "-w")
    assert ("events", (), {"after": 7, "follow": True}) in events.calls
