"""The event stream as server-sent events: what happens, as it happens, resumed where a connection broke.

An event's id is its cursor, so ``Last-Event-ID`` resumes without loss or repeat across restarts of the daemon. The first message is
always ``hello`` with the cursor that the stream begins after, so that even a client that heard nothing yet knows where to resume. The
type of a message is its topic; samples of the machine are sent beside the events, have no id and are not repeated. A heartbeat is an id
without data: by the format that is no message and moves the place to resume at, so that quiet topics keep it young.
Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tenure.api.context import Context, context_of
from tenure.api.following import HEARTBEAT, Follower, Told, Wish, admit, chosen, patient
from tenure.api.hearing import hearer_of
from tenure.api.parameters import After, Heartbeat, Named, Topics
from tenure.api.routes import Routes
from tenure.model.access import Permission
from tenure.monitors.watch import Round
from tenure.wire import ROOT
from tenure.wire.monitoring import ResourcesReply

routes = Routes(ROOT)
documented = Routes("/api/resource-scheduler")

RETRY_MS = 2_000
STREAM: dict[str, Any] = {
    "media": "text/event-stream",
    "errors": ("bad_request", "too_many_followers"),
    "headers": ("Last-Event-ID",),
}
_encoder = msgspec.json.Encoder()


@routes.get("/events", **STREAM, needs=Permission.JOBS_READ)
@documented.get("/push/sse", **STREAM, needs=Permission.JOBS_READ)
async def events(
    request: Request, topics: Topics = "", project: Named = "", after: After = -1, heartbeat_s: Heartbeat = 15
) -> Response:
    """Follow what happens, from now on, from ``after``, or from where ``Last-Event-ID`` says. ``topics`` are names between commas (all
    of them if empty); with ``project`` only events of that project's jobs come, and those that belong to no project."""
    context = context_of(request)
    wish = Wish(chosen([name for name in topics.split(",") if name]), project)
    start = _resumed(request, after)
    admit(context.feed)
    frames = _frames(Follower(context.feed, wish, hearer_of(context.identity, request)).messages(start, heartbeat_s))
    return Stream(frames, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _resumed(request: Request, after: int) -> int:
    """The cursor to begin after, -1 for the present. That the header is a number was seen to before."""
    last = request.headers.get("last-event-id", "")
    return int(last) if last else after


async def _frames(messages: AsyncIterator[Sequence[Told]]) -> AsyncIterator[bytes]:
    """The stream's text, piece by piece."""
    yield b"retry: %d\n" % RETRY_MS
    async with contextlib.aclosing(messages) as several:  # type: ignore[type-var]
        async for some in several:
            yield b"".join(map(_frame, some))


def _frame(told: Told) -> bytes:
    head = b"" if told.cursor is None else b"id: %d\n" % told.cursor
    if told.kind == HEARTBEAT:
        return b": heartbeat\n%b\n" % head
    return head + b"event: %b\ndata: %b\n\n" % (told.kind.encode(), told.data)


class Stream(StreamingResponse):
    """A stream that is cut when its client takes nothing for long, and whose source is closed with it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with contextlib.aclosing(self.body_iterator):  # type: ignore[type-var]
            with contextlib.suppress(TimeoutError):
                await super().__call__(scope, receive, patient(send, scope))


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
            narrow = replace(sample, gpus=[replace(gpu, jobs=[]) for gpu in sample.gpus], containers=[])
            wide, less = _encoder.encode(sample), _encoder.encode(narrow)
            context.bus.loop.call_soon_threadsafe(lambda: context.feed.show("resource_status", wide, narrow=less))

    return show
