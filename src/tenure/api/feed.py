"""One reader of the event stream for all who follow it.

Why: a reader each would ask the store as often as there are followers. Here one task reads after a ring of the bus, encodes each event
once, and keeps the last `KEPT` of them; a follower takes from there what it has not had, and reads the store itself only while it is
further behind. Nobody is sent anything: a follower asks for what comes after its own cursor when its connection has room, so a slow
one costs no memory and loses nothing. Cursors are dense, which makes the place of one in the kept list a subtraction.
Invariant: what `after` gives for a cursor is a gapless run of events that begins right after it, or is said to be broken (``reset``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from tenure.api.bus import Bus
from tenure.wire.dto import EventView

KEPT = 4096
PAGE = 500
AGAIN_S = 1.0
_encoder = msgspec.json.Encoder()


class Item(NamedTuple):
    """An event that is ready to be sent."""

    cursor: int
    kind: str
    project: str
    data: bytes


class Sample(NamedTuple):
    """A look at the machine, which is sent beside the events and kept nowhere; ``number`` grows with each."""

    number: int
    data: bytes


class Run(NamedTuple):
    """Events in order, and whether some that came before them are no longer kept."""

    items: Sequence[Item]
    reset: bool = False


class Events(Protocol):
    """Where the events are kept. Its methods block, and are called in threads."""

    def events(self, after: int, limit: int) -> tuple[list[EventView], bool]:
        """Events after a cursor, and whether some between are no longer kept."""
        ...

    def last_cursor(self) -> int:
        """The cursor of the newest event."""
        ...


class Feed:
    """Everything is called in the event loop."""

    def __init__(self, bus: Bus, store: Events) -> None:
        self._bus = bus
        self._store = store
        self._kept: list[Item] = []
        self._last = -1
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sample = Sample(0, b"")
        self.followers = 0

    @property
    def newest(self) -> int:
        """The cursor of the newest event that was read; -1 while nobody has followed for long enough to know."""
        return self._last

    @property
    def sample(self) -> Sample:
        """The last look at the machine; number 0 before the first."""
        return self._sample

    def show(self, data: bytes) -> None:
        """Another look at the machine, for whoever follows."""
        self._sample = Sample(self._sample.number + 1, data)
        self._tell()

    @contextlib.asynccontextmanager
    async def followed(self) -> AsyncIterator[int]:
        """Follow for a time; gives the cursor of the newest event. The reader runs while anybody follows."""
        self.followers += 1
        try:
            if self._task is None:
                self._task = asyncio.create_task(self._follow_store())
            yield await asyncio.to_thread(self._store.last_cursor)
        finally:
            self.followers -= 1
            if not self.followers and self._task is not None:
                self._task.cancel()
                self._task = None
                self._kept, self._last = [], -1
                self._sample = Sample(0, b"")  # nobody is shown the machine as it was when somebody last looked on

    async def after(self, cursor: int) -> Run:
        """What comes after a cursor, without waiting for more; the store is asked for what is no longer kept here."""
        if self._kept and self._kept[0].cursor <= cursor + 1:
            return Run(self._kept[cursor + 1 - self._kept[0].cursor :])
        if cursor == self._last:
            return Run(())
        page, reset = await asyncio.to_thread(self._store.events, cursor, PAGE)
        return Run([_item(event) for event in page], reset)

    async def news(self, cursor: int, sample: int, timeout_s: float) -> bool:
        """Wait until there is an event after ``cursor`` or a sample after ``sample``; whether there is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._last <= cursor and self._sample.number <= sample:
                    await self._arrived.wait()
        return self._last > cursor or self._sample.number > sample

    async def _follow_store(self) -> None:
        """Read what each ring of the bus announces. An error of the store is waited out: followers hear of nothing meanwhile."""
        listener = self._bus.listen()
        try:
            while True:
                if not await self._catch_up():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(listener.wait(), 30.0)
                listener.clear()
        finally:
            self._bus.leave(listener)

    async def _catch_up(self) -> bool:
        """Keep the next page of events; whether there may be more."""
        try:
            if self._last < 0:
                self._last = await asyncio.to_thread(self._store.last_cursor)
            page, _ = await asyncio.to_thread(self._store.events, self._last, PAGE)
        except Exception:
            await asyncio.sleep(AGAIN_S)
            return True
        if page:
            self._keep([_item(event) for event in page])
        return len(page) == PAGE

    def _keep(self, items: Sequence[Item]) -> None:
        if self._kept and items[0].cursor != self._last + 1:  # the store was replaced: what was kept is of another one
            self._kept = []
        self._kept.extend(items)
        if len(self._kept) > 2 * KEPT:
            del self._kept[:-KEPT]
        self._last = items[-1].cursor
        self._tell()

    def _tell(self) -> None:
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()


def _item(event: EventView) -> Item:
    return Item(event.cursor, event.kind, event.project, _encoder.encode(event))
