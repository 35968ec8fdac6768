"""One reader of the event stream for all who follow it.

Why: a reader each would ask the store as often as there are followers. Here one task reads after a ring of the bus, encodes each event
once, and keeps the last `KEPT` of them; a follower takes from there what it has not had, and reads the store itself only while it is
further behind. Nobody is sent anything: a follower asks for what comes after its own cursor when its connection has room, so a slow
one costs no memory and loses nothing. Cursors are dense, which makes the place of one in the kept list a subtraction.

Asides are sent beside the events and are kept nowhere: the last look at the machine, and the alarm that the control loop does not turn,
which could not be stored because that loop is the one that writes.
Invariant: what `after` gives for a cursor is a gapless run of events that begins right after it, or is said to be broken (``reset``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from tenure.api.bus import Bus
from tenure.model.anomaly import Anomaly
from tenure.wire.dto import EventView

GUARD_S = 5.0
KEPT = 4096
PAGE = 500
AGAIN_S = 1.0
_encoder = msgspec.json.Encoder()


class Item(NamedTuple):
    """An event that is ready to be sent."""

    cursor: int
    kind: str
    project: str
    job: str
    data: bytes
    uid: int = -1


class Aside(NamedTuple):
    """A message beside the events; ``number`` grows with each. Who comes later is shown it while it ``stands``. ``narrow`` is what
    of it is told to those who do not see everything."""

    number: int
    topic: str
    data: bytes
    stands: bool
    narrow: bytes


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

    def __init__(self, bus: Bus, store: Events, alarm: Callable[[], Anomaly | None] = lambda: None) -> None:
        """``alarm`` is asked every `GUARD_S` while anybody follows: whether the control loop does not turn."""
        self._bus = bus
        self._store = store
        self._alarm = alarm
        self._kept: list[Item] = []
        self._last = -1
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._asides: dict[str, Aside] = {}
        self.newest_aside = 0
        self.followers = 0
        self.beside: Callable[[], Coroutine[Any, Any, None]] | None = None
        """What runs beside the reader while anybody follows."""

    @property
    def newest(self) -> int:
        """The cursor of the newest event that was read; -1 while nobody has followed for long enough to know."""
        return self._last

    def show(self, topic: str, data: bytes, *, stands: bool = True, narrow: bytes | None = None) -> None:
        """Send a message beside the events, in the place of the last of its topic; another one, if it is given, to those who do not see
        everything."""
        self.newest_aside += 1
        self._asides[topic] = Aside(self.newest_aside, topic, data, stands, data if narrow is None else narrow)
        self._tell()

    def asides(self, after: int) -> list[Aside]:
        """Those with a greater number, in order; of each topic the last alone."""
        return sorted(aside for aside in self._asides.values() if aside.number > after)

    @contextlib.asynccontextmanager
    async def followed(self) -> AsyncIterator[int]:
        """Follow for a time; gives the cursor of the newest event. The reader runs while anybody follows."""
        self.followers += 1
        try:
            if not self._tasks:
                self._tasks = [asyncio.create_task(self._follow_store()), asyncio.create_task(self._guard())]
                self._tasks += [asyncio.create_task(self.beside())] if self.beside is not None else []
            yield await asyncio.to_thread(self._store.last_cursor)
        finally:
            self.followers -= 1
            if not self.followers:
                for task in self._tasks:
                    task.cancel()
                self._tasks = []
                self._kept, self._last = [], -1
                self._asides = {}  # nobody is shown the machine as it was when somebody last looked on

    async def after(self, cursor: int) -> Run:
        """What comes after a cursor, without waiting for more; the store is asked for what is no longer kept here."""
        if self._kept and self._kept[0].cursor <= cursor + 1:
            return Run(self._kept[cursor + 1 - self._kept[0].cursor :])
        if cursor == self._last:
            return Run(())
        page, reset = await asyncio.to_thread(self._store.events, cursor, PAGE)
        return Run([_item(event) for event in page], reset)

    async def news(self, cursor: int, aside: int, timeout_s: float) -> bool:
        """Wait until there is an event after ``cursor`` or an aside after ``aside``; whether there is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._last <= cursor and self.newest_aside <= aside:
                    await self._arrived.wait()
        return self._last > cursor or self.newest_aside > aside

    async def _guard(self) -> None:
        """Say that the control loop does not turn when that begins, and when it is over."""
        known: Anomaly | None = None
        while True:
            found = self._alarm()
            if (found is None) != (known is None):
                self.show("anomaly", _encoder.encode(_alarmed(found, known)), stands=found is not None)
            known = found
            await asyncio.sleep(GUARD_S)

    async def _follow_store(self) -> None:
        """Read what each ring of the bus announces. An error of the store is waited out: followers hear of nothing meanwhile."""
        listener = self._bus.listen()
        try:
            while True:
                if not await self._catch_up():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(30.0):  # `wait_for` of 3.11 can lose a cancellation, and this would go on for ever
                            await listener.wait()
                listener.clear()
        finally:
            self._bus.leave(listener)

    async def _catch_up(self) -> bool:
        """Keep the next page of events; whether there may be more."""
        try:
            if self._last < 0:
                self._last = await asyncio.to_thread(self._store.last_cursor)
                self._tell()  # what came after a follower's first look and before this one is nowhere else announced
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
    return Item(event.cursor, event.kind, event.project, event.job, _encoder.encode(event), event.uid)


def _alarmed(found: Anomaly | None, known: Anomaly | None) -> EventView:
    """An alarm, or its end, in the words of the event that could not be stored."""
    about = found or known
    assert about is not None
    told = {"key": about.key, "kind": about.kind, "text": about.text, "remedy": about.remedy, "evidence": dict(about.evidence)}
    return EventView(cursor=0, kind="anomaly.opened" if found else "anomaly.closed", at_ms=about.opened_ms, data=told)
