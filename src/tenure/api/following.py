"""One client that follows what happens: what it asked for, how far it is, and its next messages.

Server-sent events and WebSockets are two spellings of the same messages, so what comes next is decided here, once. Messages are asked
for when the connection has taken those before, so nothing waits in memory for a slow one. Invariants: a follower's events are all that
it asked for, each once and in order, or a ``reset`` says that some are missing; when a message with a cursor comes, everything up to
there has been looked at for this follower, so that whoever resumes after it neither loses nor repeats anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.types import Message, Scope, Send

from tenure.api.context import ApiError
from tenure.api.feed import PAGE, Feed, Item
from tenure.api.hearing import Hearer, may_hear
from tenure.api.peer import ABORT
from tenure.model.access import Caller
from tenure.wire.dto import ErrorReply

TOPICS = ("job", "node", "conflict", "anomaly", "hint", "scheduling_update", "resource_status")
MAX_FOLLOWERS = 2_000
MAX_BEHIND = 20_000
"""Who is this many events behind on a living connection is let go, and catches up by connecting again."""
STALL_S = 60.0
"""A connection that takes nothing for so long is cut."""
HEARTBEAT, DROPPED = "heartbeat", "dropped"
_TOPIC_OF = {"job": "job", "lease": "job", "node": "node", "conflict": "conflict", "anomaly": "anomaly", "hint": "hint"}
_encoder = msgspec.json.Encoder()


def topic_of(kind: str) -> str:
    """The topic of an event's kind; whatever is about none of these subjects changes how is scheduled."""
    return _TOPIC_OF.get(kind.partition(".")[0], "scheduling_update")


class Told(NamedTuple):
    """A message: its topic or what it says of the stream itself, its data as JSON, and the cursor to resume after."""

    kind: str
    data: bytes
    cursor: int | None = None


class Wish(NamedTuple):
    """What a follower wants to hear of; a project's followers hear of what belongs to no project too."""

    topics: frozenset[str]
    project: str = ""

    def takes(self, item: Item) -> bool:
        """Whether an event is among it."""
        return topic_of(item.kind) in self.topics and (not self.project or item.project in ("", self.project))


def chosen(topics: Collection[str]) -> frozenset[str]:
    """The topics asked for, all if none are. Raises ApiError for one that there is not."""
    for name in topics:
        if name not in TOPICS:
            raise bad(f"there is no topic {name[:40]!r}; there are {', '.join(TOPICS)}")
    return frozenset(topics or TOPICS)


def admit(feed: Feed) -> None:
    """Raise ApiError where as many follow already as may, over all the ways there are."""
    if feed.followers >= MAX_FOLLOWERS:
        text = f"{MAX_FOLLOWERS} clients follow the events already"
        raise ApiError(503, ErrorReply(code="too_many_followers", message=text, remedy="close one of them, or try again later"))


def bad(message: str) -> ApiError:
    """The error for what is not understood."""
    return ApiError(400, ErrorReply(code="malformed", message=message))


class Follower:
    """One client. ``wish`` may be changed at any time, for what comes after."""

    def __init__(self, feed: Feed, wish: Wish, hearer: Hearer) -> None:
        """``hearer`` says who it is that listens, each time anew."""
        self._feed = feed
        self._hearer = hearer
        self._caller: Caller | None = None
        self.wish = wish
        self._cursor = -1
        self._aside = 0
        self._is_abreast = False

    async def messages(self, start: int, heartbeat_s: int) -> AsyncIterator[Sequence[Told]]:
        """What happens after the cursor ``start`` (-1: from now on), some messages at a time. Ends only with `DROPPED`.

        Who has been told of no cursor for ``heartbeat_s`` is told of the present one, whatever else he heard: by it he resumes where
        he is, and not where something that concerned him happened last."""
        now_s = asyncio.get_running_loop().time
        async with self._feed.followed() as newest:
            self._caller = self._hearer()
            yield list(self._opening(start, newest))
            due_s = now_s() + heartbeat_s
            while not self._is_too_slow():
                self._caller = self._hearer()
                if self._caller is None:
                    yield [_told(DROPPED, {"why": "not let in any more", "remedy": "show a token that is valid"}, self._cursor)]
                    return
                run = await self._feed.after(self._cursor)
                has_moved = run.reset or bool(run.items)
                told = self._events(run.items, newest, is_broken=run.reset) if has_moved else self._asides()
                if told:
                    yield told
                if told and told[-1].cursor is not None:
                    due_s = now_s() + heartbeat_s
                elif now_s() >= due_s:
                    yield [_told(HEARTBEAT, {"cursor": self._cursor}, self._cursor)]
                    due_s = now_s() + heartbeat_s
                elif not told and not has_moved:
                    await self._feed.news(self._cursor, self._aside, due_s - now_s())
            yield [_told(DROPPED, {"why": "too slow", "remedy": f"connect again and resume after {self._cursor}"}, self._cursor)]

    def _opening(self, start: int, newest: int) -> Iterator[Told]:
        """Where it begins, so that even who heard nothing yet knows where to resume."""
        self._cursor = start if 0 <= start <= newest else newest
        if start > newest:
            yield _told("reset", {"why": f"there is no event {start} in this store"})
        yield _told("hello", {"cursor": self._cursor, "topics": sorted(self.wish.topics), "project": self.wish.project}, self._cursor)
        yield from self._asides(standing=True)

    def _events(self, items: Sequence[Item], newest: int, *, is_broken: bool) -> list[Told]:
        """The next events of those that were asked for. What is kept goes on after the cursor of the ``reset`` before it."""
        end = items[-1].cursor if items else max(newest, self._feed.newest)
        begin = items[0].cursor - 1 if items else end
        gone = [_told("reset", {"why": f"not all events after {self._cursor} are kept"}, begin)] if is_broken else []
        self._cursor = end
        self._is_abreast = self._is_abreast or len(items) < PAGE
        takes, caller = self.wish.takes, self._caller
        told = [item for item in items if takes(item) and caller and may_hear(caller, item.kind, item.job, item.project, item.uid)]
        return gone + [Told(topic_of(item.kind), item.data, item.cursor) for item in told]

    def _asides(self, *, standing: bool = False) -> list[Told]:
        """What came beside the events since the last time, of what was asked for; at the beginning only what holds."""
        found = self._feed.asides(self._aside)
        self._aside = self._feed.newest_aside
        wanted = [one for one in found if one.topic in self.wish.topics and (one.stands or not standing)]
        is_wide = self._caller is not None and self._caller.sees_all
        return [Told(one.topic, one.data if is_wide else one.narrow) for one in wanted if is_wide or one.narrow]

    def _is_too_slow(self) -> bool:
        """Whether it was abreast of the events and has fallen far behind: its connection takes less than happens."""
        return self._is_abreast and self._feed.newest - self._cursor > MAX_BEHIND


def _told(kind: str, data: dict[str, Any], cursor: int | None = None) -> Told:
    """A message of the stream itself."""
    return Told(kind, _encoder.encode(data), cursor)


def patient(send: Send, scope: Scope) -> Send:
    """``send`` that cuts a connection which takes nothing for `STALL_S`, and then raises TimeoutError.

    Closing would not do: what waits to be sent would be kept, with the connection, for as long as the client likes."""

    async def sent(message: Message) -> None:
        try:
            async with asyncio.timeout(STALL_S):
                await send(message)
        except TimeoutError:
            scope[ABORT]()
            raise

    return sent
