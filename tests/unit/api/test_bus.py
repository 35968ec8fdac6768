"""The bell between the control thread and those who wait: bounded in number, and never silent after the last turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from tenure.api.bus import BURST, RATE, Bus
from tenure.model.outcomes import JobChange


class HandLoop:
    """An event loop whose clock is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.woken = 0

    def time(self) -> float:
        return self.now

    def is_closed(self) -> bool:
        return False

    def call_soon_threadsafe(self, call: Callable[..., None], *arguments: Any) -> None:
        self.woken += 1
        call(*arguments)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.later.append((self.now + seconds, call))

    def run_to(self, now: float) -> None:
        self.now = now
        due = [call for at, call in self.later if at <= now]
        self.later = [(at, call) for at, call in self.later if at > now]
        for call in due:
            call()


@pytest.fixture
def loop() -> HandLoop:
    return HandLoop()


@pytest.fixture
def bus(loop: HandLoop) -> Bus:
    return Bus(cast("Any", loop))


def test_nobody_listens_nobody_is_woken(loop: HandLoop, bus: Bus) -> None:
    bus.publish(1, ())
    bus.leave(bus.listen())
    bus.publish(2, ())
    assert loop.woken == 0


def test_the_first_turns_after_quiet_ring_at_once(loop: HandLoop, bus: Bus) -> None:
    listener = bus.listen()
    for turn in range(BURST):
        bus.publish(turn, ())
        assert listener.is_set()
        listener.clear()
    assert not loop.later


def test_a_busy_loop_rings_at_the_rate_and_once_more_after_its_last_turn(loop: HandLoop, bus: Bus) -> None:
    listener = bus.listen()
    rings, seconds, turns = 0, 4, 4000
    for turn in range(turns):
        loop.run_to(seconds * turn / turns)
        bus.publish(turn, ())
        rings += listener.is_set()
        listener.clear()
    assert RATE * seconds * 0.9 <= rings <= RATE * seconds + BURST + 1
    assert loop.woken <= rings + 1
    loop.run_to(seconds + 1 / RATE)
    assert listener.is_set()


def test_who_follows_a_job_is_told_of_it_at_once_and_of_nothing_else(bus: Bus, loop: HandLoop) -> None:
    with bus.follow(3) as told, bus.follow(3) as too, bus.follow(4) as other:
        for revision in range(BURST * 3):
            bus.publish(revision, [JobChange(3, "running"), JobChange(9, "running")])
            assert told.is_set()
            assert too.is_set()
            told.clear()
            too.clear()
        assert not other.is_set()
        assert loop.later == [], "nobody listens to the bell"
    before = loop.woken
    bus.publish(99, [JobChange(3, "succeeded")])
    assert loop.woken == before, "nobody follows any more"


def test_who_does_not_know_the_number_yet_is_told_from_when_it_is_named_on(bus: Bus, loop: HandLoop) -> None:
    with bus.follow() as told, bus.follow(3) as other:
        bus.publish(1, [JobChange(3, "starting"), JobChange(0, "")])
        assert not told.is_set()
        told.name(3)
        other.clear()
        bus.publish(2, [JobChange(3, "running")])
        assert told.is_set()
        assert other.is_set()


def test_who_has_left_is_not_followed_by_a_name_that_comes_late(bus: Bus, loop: HandLoop) -> None:
    with bus.follow() as told:
        pass
    told.name(3)
    bus.publish(1, [JobChange(3, "running")])
    assert not told.is_set()
    assert loop.woken == 0, "nothing is kept for it"
