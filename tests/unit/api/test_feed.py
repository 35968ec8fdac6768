"""The one reader of the event stream: gapless for everybody, whether kept here or read from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import msgspec
import pytest

from tenure.api import feed as feeding
from tenure.api.bus import Bus
from tenure.api.context import Context
from tenure.api.feed import Feed
from tenure.control.health import LoopHealth
from tenure.control.loop import STUCK_AFTER_S
from tenure.wire.dto import EventView


class Stored:
    """Events as a store keeps them: the first ``gone`` are retained no longer."""

    def __init__(self, count: int, gone: int = 0) -> None:
        self.count = count
        self.gone = gone
        self.reads = 0
        self.asked: list[int] = []

    def events(self, after: int, limit: int) -> tuple[list[EventView], bool]:
        self.reads += 1
        self.asked.append(after)
        first = max(after, self.gone) + 1
        found = [EventView(cursor=at, kind="job.ended", at_ms=at) for at in range(first, min(self.count, first + limit - 1) + 1)]
        return found, after < self.gone

    def last_cursor(self) -> int:
        return self.count


def in_loop(body: Callable[[Bus], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(20):
            await body(Bus(asyncio.get_running_loop()))

    asyncio.run(run())


async def take(feed: Feed, cursor: int, until: int) -> list[int]:
    """The cursors from one on up to another, as a follower takes them."""
    found: list[int] = []
    while cursor < until:
        run = await feed.after(cursor)
        if run.items:
            found += [item.cursor for item in run.items]
            cursor = found[-1]
        else:
            await feed.news(cursor, 10**9, 5.0)
    return found


def test_a_follower_gets_every_event_once_wherever_it_begins() -> None:
    async def body(bus: Bus) -> None:
        stored = Stored(1200)
        feed = Feed(bus, stored)
        async with feed.followed() as newest:
            assert newest == 1200
            old, fresh = asyncio.create_task(take(feed, 0, 1500)), asyncio.create_task(take(feed, 1200, 1500))
            for count in range(1210, 1501, 10):
                stored.count = count
                bus.publish(count, ())
                await asyncio.sleep(0)
            assert await old == list(range(1, 1501))
            assert await fresh == list(range(1201, 1501))

    in_loop(body)


def test_many_followers_cost_one_reader() -> None:
    async def body(bus: Bus) -> None:
        stored = Stored(10)
        feed = Feed(bus, stored)
        async with feed.followed():
            followers = [asyncio.create_task(take(feed, 10, 400)) for _ in range(100)]
            while stored.reads < len(followers):
                await asyncio.sleep(0.01)
            before = stored.reads
            stored.count = 400
            bus.publish(400, ())
            for follower in followers:
                assert await follower == list(range(11, 401))
            assert stored.reads - before <= 3

    in_loop(body)


def test_only_the_last_are_kept_and_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "KEPT", 20)

    async def body(bus: Bus) -> None:
        stored = Stored(0)
        feed = Feed(bus, stored)
        async with feed.followed():
            for count in range(10, 301, 10):
                stored.count = count
                bus.publish(count, ())
                assert await take(feed, count - 10, count) == list(range(count - 9, count + 1))
            stored.asked.clear()
            assert await take(feed, 285, 300) == list(range(286, 301))
            assert 285 not in stored.asked
            assert await take(feed, 0, 300) == list(range(1, 301))
            assert 0 in stored.asked

    in_loop(body)


def test_who_comes_from_before_retention_is_told() -> None:
    async def body(bus: Bus) -> None:
        feed = Feed(bus, Stored(100, gone=90))
        async with feed.followed():
            run = await feed.after(5)
            assert run.reset
            assert [item.cursor for item in run.items] == list(range(91, 101))
            assert not (await feed.after(95)).reset

    in_loop(body)


def test_without_followers_nobody_reads() -> None:
    async def body(bus: Bus) -> None:
        stored = Stored(10)
        feed = Feed(bus, stored)
        async with feed.followed():
            await take(feed, 0, 10)
        while bus._listeners:
            await asyncio.sleep(0)
        stored.count = 20
        bus.publish(20, ())
        assert not bus._ringing
        async with feed.followed() as newest:
            assert newest == 20

    in_loop(body)


def test_a_store_that_fails_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "AGAIN_S", 0.01)

    class Failing(Stored):
        def events(self, after: int, limit: int) -> tuple[list[EventView], bool]:
            if self.reads < 3:
                self.reads += 1
                raise OSError("the disk is gone")
            return super().events(after, limit)

    async def body(bus: Bus) -> None:
        stored = Failing(0)
        feed = Feed(bus, stored)
        async with feed.followed():
            stored.count = 5
            bus.publish(5, ())
            assert await feed.news(0, 10**9, 3600)

    in_loop(body)


def test_what_comes_between_the_first_look_of_a_follower_and_that_of_the_reader_is_told_at_once() -> None:
    class Growing(Stored):
        def last_cursor(self) -> int:
            self.count += 1
            return self.count

    async def body(bus: Bus) -> None:
        feed = Feed(bus, Growing(3))
        async with feed.followed():
            assert await feed.news(4, 10**9, 3600)
            assert [item.cursor for item in (await feed.after(4)).items] == [5]

    in_loop(body)


def test_who_follows_anew_is_not_shown_what_was_seen_before_the_pause() -> None:
    async def body(bus: Bus) -> None:
        feed = Feed(bus, Stored(10))
        async with feed.followed():
            feed.show("resource_status", b"then")
            assert [aside.data for aside in feed.asides(0)] == [b"then"]
        async with feed.followed():
            assert feed.asides(0) == []

    in_loop(body)


def test_only_the_last_aside_of_a_topic_is_sent_and_in_the_order_of_their_coming() -> None:
    async def body(bus: Bus) -> None:
        feed = Feed(bus, Stored(10))
        async with feed.followed():
            for topic, data in (("resource_status", b"1"), ("anomaly", b"2"), ("resource_status", b"3")):
                feed.show(topic, data)
            assert [aside.data for aside in feed.asides(0)] == [b"2", b"3"]
            assert feed.asides(feed.newest_aside) == []

    in_loop(body)


def test_a_loop_that_does_not_turn_is_told_within_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock of the loop's health: what is allowed to pass before anybody looks, and between two looks."""
    assert STUCK_AFTER_S + feeding.GUARD_S < 30
    monkeypatch.setattr(feeding, "GUARD_S", 0.001)
    health, now_s = LoopHealth(), [100.0]
    monkeypatch.setattr("tenure.control.health.time", SimpleNamespace(monotonic=lambda: now_s[0]))

    async def body(bus: Bus) -> None:
        context = Context(SimpleNamespace(health=health, clock=SimpleNamespace(now_ms=lambda: 7)), Stored(10), bus, None, None)  # type: ignore[arg-type]
        feed = context.feed
        async with feed.followed():
            health.busy_since = now_s[0]
            now_s[0] += STUCK_AFTER_S
            await asyncio.sleep(0.01)
            assert feed.asides(0) == []
            now_s[0] += 0.1
            assert await feed.news(10, 0, 10.0)
            [opened] = feed.asides(0)
            told = msgspec.json.decode(opened.data)
            assert (opened.topic, told["kind"], told["data"]["key"], opened.stands) == ("anomaly", "anomaly.opened", "loop_stuck", True)
            health.busy_since = 0.0
            assert await feed.news(10, opened.number, 10.0)
            [closed] = feed.asides(0)
            assert (msgspec.json.decode(closed.data)["kind"], closed.stands) == ("anomaly.closed", False)

    in_loop(body)
