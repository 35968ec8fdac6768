"""The event stream as server-sent events: what happens, as it happens, resumed where a connection broke.

An event's id is its cursor, so ``Last-Event-ID`` resumes without loss or repeat across restarts of the daemon. The first message is
always ``hello`` with the cursor that the stream begins after, so that even a client that heard nothing yet knows where to resume. The
type of a message is its topic (`topic_of`); samples of the machine are sent beside the events, have no id and are not repeated.
Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from tenure.api.context import ApiError, Context, caller_from, context_of
from tenure.api.feed import PAGE, Feed, Run
from tenure.api.routes import Routes
from tenure.monitors.watch import Round
from tenure.wire.dto import ErrorReply
from tenure.wire.monitoring import ResourcesReply

routes = Routes("/api/v1")
documented = Routes("/api/resource-scheduler")

TOPICS = ("job", "node", "conflict", "anomaly", "scheduling_update", "resource_status")
MAX_FOLLOWERS = 2_000
MAX_BEHIND = 20_000
"""Who is this many events behind on a living connection is let go, and catches up by connecting again."""
STALL_S = 60.0
"""A connection that takes nothing for so long is closed."""
MIN_HEARTBEAT_S, MAX_HEARTBEAT_S = 1, 300
RETRY_MS = 2_000
_TOPIC_OF = {"job": "job", "lease": "job", "node": "node", "conflict": "conflict", "anomaly": "anomaly"}
_encoder = msgspec.json.Encoder()


def topic_of(kind: str) -> str:
    """The topic of an event's kind; whatever is about neither jobs nor nodes, conflicts or anomalies changes how is scheduled."""
    return _TOPIC_OF.get(kind.partition(".")[0], "scheduling_update")


@routes.get("/events")
@documented.get("/push/sse")
async def events(request: Request, topics: str = "", project: str = "", after: int = -1, heartbeat_s: int = 15) -> Response:
    """Follow what happens, from now on, from ``after``, or from where ``Last-Event-ID`` says. ``topics`` are names between commas (all
    of them if empty); with ``project`` only events of that project's jobs come, and those that belong to no project."""
    context = context_of(request)
    caller_from(request)
    chosen = _chosen(topics)
    if not MIN_HEARTBEAT_S <= heartbeat_s <= MAX_HEARTBEAT_S:
        raise _bad(f"heartbeat_s is {MIN_HEARTBEAT_S} to {MAX_HEARTBEAT_S}, not {heartbeat_s}")
    start = _resumed(request, after)
    feed = context.feed
    if feed.followers >= MAX_FOLLOWERS:
        text = f"{MAX_FOLLOWERS} clients follow the events already"
        raise ApiError(503, ErrorReply(code="too_many_followers", message=text, remedy="close one of them, or try again later"))
    frames = _Follower(feed, chosen, project).frames(start, heartbeat_s)
    return _Stream(frames, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _chosen(topics: str) -> Collection[str]:
    """The topics asked for. Raises ApiError for one that there is not."""
    names = [name for name in topics.split(",") if name]
    for name in names:
        if name not in TOPICS:
            raise _bad(f"there is no topic {name!r}; there are {', '.join(TOPICS)}")
    return frozenset(names or TOPICS)


def _resumed(request: Request, after: int) -> int:
    """The cursor to begin after, -1 for the present. Raises ApiError for one that is no number."""
    last = request.headers.get("last-event-id", "")
    if not last:
        return after
    if not last.isascii() or not last.isdigit() or len(last) > 18:
        raise _bad(f"Last-Event-ID is the id of an event, a number, not {last[:40]!r}")
    return int(last)


def _bad(message: str) -> ApiError:
    return ApiError(400, ErrorReply(code="bad_request", message=message))


class _Follower:
    """One client: what it asked for, and how far it is."""

    def __init__(self, feed: Feed, chosen: Collection[str], project: str) -> None:
        self._feed = feed
        self._chosen = chosen
        self._project = project
        self._cursor = -1
        self._sample = 0
        self._is_abreast = False

    async def frames(self, start: int, heartbeat_s: int) -> AsyncIterator[bytes]:
        """The stream's text, piece by piece; each piece is asked for when the connection has taken the one before."""
        async with self._feed.followed() as newest:
            yield self._opening(start, newest)
            while not self._is_too_slow():
                run = await self._feed.after(self._cursor)
                if run.reset or run.items:
                    if piece := self._events(run, newest):
                        yield piece
                elif piece := self._look():
                    yield piece
                elif not await self._feed.news(self._cursor, self._sample, heartbeat_s):
                    yield b": heartbeat\n\n"
            yield _frame("dropped", {"why": "too slow", "remedy": f"connect again with Last-Event-ID {self._cursor}"})

    def _opening(self, start: int, newest: int) -> bytes:
        """Where it begins, and how to come back."""
        self._cursor = start if 0 <= start <= newest else newest
        self._sample = max(0, self._feed.sample.number - 1)
        unknown = _frame("reset", {"why": f"there is no event {start} in this store"}) if start > newest else b""
        hello = {"cursor": self._cursor, "topics": sorted(self._chosen)}
        return b"retry: %d\n" % RETRY_MS + unknown + _frame("hello", hello, self._cursor)

    def _events(self, run: Run, newest: int) -> bytes:
        """The next events of those that were asked for, as one piece of text."""
        gone = _frame("reset", {"why": f"not all events after {self._cursor} are kept"}) if run.reset else b""
        self._cursor = run.items[-1].cursor if run.items else newest
        self._is_abreast = self._is_abreast or len(run.items) < PAGE
        return gone + b"".join(
            b"id: %d\nevent: %b\ndata: %b\n\n" % (item.cursor, topic.encode(), item.data)
            for item in run.items
            if (topic := topic_of(item.kind)) in self._chosen and (not self._project or item.project in ("", self._project))
        )

    def _look(self) -> bytes:
        """The sample that it has not had, if it wants samples."""
        sample = self._feed.sample
        fresh = sample.number > self._sample
        self._sample = sample.number
        return b"event: resource_status\ndata: %b\n\n" % sample.data if fresh and "resource_status" in self._chosen else b""

    def _is_too_slow(self) -> bool:
        """Whether it was abreast of the events and has fallen far behind: its connection takes less than happens."""
        return self._is_abreast and self._feed.newest - self._cursor > MAX_BEHIND


def _frame(kind: str, data: object, cursor: int | None = None) -> bytes:
    """A message of the stream itself."""
    head = b"" if cursor is None else b"id: %d\n" % cursor
    return head + b"event: %b\ndata: %b\n\n" % (kind.encode(), _encoder.encode(data))


class _Stream(StreamingResponse):
    """A stream that gives up a client which takes nothing for `STALL_S`."""

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with contextlib.suppress(TimeoutError):
            async for piece in self.body_iterator:
                async with asyncio.timeout(STALL_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def samples_to(context: Context, every_s: float) -> Callable[[Round], None]:
    """What sends each look at the machine to whoever follows; to be called by the thread that looks."""

    def show(seen: Round) -> None:
        if context.feed.followers:
            host, found = seen.looks.get("host"), seen.looks.get("containers")
            sample = ResourcesReply(
                at_ms=seen.at_ms,
                every_s=every_s,
                hosts=[host] if host is not None else [],
                gpus=list(seen.looks.get("gpus", ())),
                containers=list(found.containers) if found is not None else [],
                samplers=[],
            )
            context.bus.loop.call_soon_threadsafe(context.feed.show, _encoder.encode(sample))

    return show
