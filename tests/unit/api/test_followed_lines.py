"""Events as lines that go on: everybody's, or those of one job, each once, from the one reader that all followers share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec

from tenure.api import streams
from tenure.api.bus import Bus
from tenure.api.feed import Feed
from tenure.model.access import SCHEDULER
from tenure.wire.dto import EventView


class Stored:
    """Events of ten jobs in turn, of which the first ``gone`` are kept no longer; every read is counted."""

    def __init__(self, count: int, gone: int = 0) -> None:
        self.count = count
        self.gone = gone
        self.reads = 0

    def events(self, after: int, limit: int, job_id: int = 0) -> tuple[list[EventView], bool]:
        self.reads += 1
        found = [
            EventView(cursor=at, kind="job.ended", at_ms=at, job=str(at % 10))
            for at in range(max(after, self.gone) + 1, self.count + 1)
            if not job_id or at % 10 == job_id
        ]
        return found[:limit], after < self.gone

    def last_cursor(self) -> int:
        return self.count


class World:
    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.bus = Bus(asyncio.get_running_loop())
        self.context: Any = SimpleNamespace(feed=Feed(self.bus, stored), queries=stored)

    async def heard(self, after: int, until: int, job: int = 0, limit: int = 500) -> list[tuple[str, int]]:
        """Kind and cursor of the lines up to one of a cursor."""
        one: Any = SimpleNamespace(job_id=job, id=str(job)) if job else None
        found: list[tuple[str, int]] = []
        async for piece in streams._followed(self.context, after, limit, one, lambda: SCHEDULER):
            for line in piece.splitlines():
                event = msgspec.json.decode(line, type=EventView)
                found.append((event.kind, event.cursor))
            if found and found[-1][1] >= until:
                break
        return found

    async def happen(self, count: int) -> None:
        for _ in range(count):
            self.stored.count += 1
            self.bus.publish(self.stored.count, ())
            await asyncio.sleep(0)


def in_world(stored: Stored, body: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(20):
            await body(World(stored))

    asyncio.run(run())


def ended(*cursors: int) -> list[tuple[str, int]]:
    return [("job.ended", cursor) for cursor in cursors]


def test_a_job_is_followed_from_its_past_into_its_future() -> None:
    async def body(world: World) -> None:
        following = asyncio.create_task(world.heard(0, 143, job=3, limit=4))
        await world.happen(45)
        assert await following == ended(*range(3, 144, 10))

    in_world(Stored(100), body)


def test_those_who_follow_do_not_read_the_store_each() -> None:
    async def body(world: World) -> None:
        following = [asyncio.create_task(world.heard(100, 150)) for _ in range(50)]
        while world.context.feed.followers < 50:
            await asyncio.sleep(0)
        await world.happen(50)
        for one in following:
            assert await one == ended(*range(101, 151))
        assert world.stored.reads <= 50 + 50 + 10, "one look each at the beginning, and one for each event at most"

    in_world(Stored(100), body)


def test_what_is_missing_is_said_before_what_is_left() -> None:
    async def body(world: World) -> None:
        assert await world.heard(10, 60) == [("reset", 10), *ended(*range(51, 61))]
        assert await world.heard(10, 53, job=3) == [("reset", 10), *ended(53)]

    in_world(Stored(60, gone=50), body)
