"""Routes that wait: for jobs to end, for events, for the next line of a log. All are woken by the bus; a log that is followed is
also looked at four times a second, since the file system tells nobody that a job has written."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tenure.api.context import ApiError, Context, answer, body_of, caller_from, context_of
from tenure.api.following import admit
from tenure.api.hearing import Hearer, hearer_of, hears, may_hear
from tenure.api.jobs import one_job, selected
from tenure.api.logfile import opened
from tenure.api.parameters import After, Following, Job, Moment, Offset, Page, Ref, Small, Stream, Tail
from tenure.api.push import Stream as Streaming
from tenure.api.ranges import ByteRange, range_of
from tenure.api.routes import Routes
from tenure.model.access import Permission
from tenure.model.lifecycle import ENDED_STATES
from tenure.store.queries import JobRow, LogFile
from tenure.wire import ROOT
from tenure.wire.dto import ErrorReply, EventView, Selection, WaitReply, WaitRequest

routes = Routes(ROOT)
MAX_WAIT_MS = 30_000
PAGE = 500
LINES = "application/x-ndjson"
LOG_CHUNK = 256 * 1024
MOST_AT_ONCE = 8 * 1024 * 1024
LOG_LOOK_S = 0.25
MTIME_LAGS_MS = 1_000
"""A file system stamps a write with the last tick of its clock, or coarser: a younger stamp proves nothing."""
_encoder = msgspec.json.Encoder()


@routes.post("/jobs/wait", WaitRequest, WaitReply, needs=Permission.JOBS_READ)
async def wait(request: Request) -> Response:
    """Answer when all selected jobs have ended, or when the time is over."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, WaitRequest)
    rows = await selected(context, wish.select, caller)
    exact = Selection(ids=[row.id for row in rows], limit=max(1, len(rows)))
    left_ids = [row.job_id for row in rows]
    deadline = asyncio.get_running_loop().time() + min(wish.timeout_ms, MAX_WAIT_MS) / 1000
    listener = context.bus.listen()
    try:
        while True:
            left_ids = await asyncio.to_thread(context.queries.unfinished, left_ids)
            left_s = deadline - asyncio.get_running_loop().time()
            if not left_ids or left_s <= 0:
                reply = await asyncio.to_thread(context.queries.jobs, exact, caller)
                done = all(job.state in ENDED_STATES for job in reply.jobs)
                return answer(WaitReply(done=done, jobs=reply.jobs))
            await _next_change(listener, left_s)
    finally:
        context.bus.leave(listener)


async def _next_change(listener: asyncio.Event, left_s: float) -> None:
    """Sleep until the bell rings or the deadline."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(left_s):
            await listener.wait()
    listener.clear()


@routes.get("/events/lines", media=LINES, errors=("not_found", "bad_request", "too_many_followers"), needs=Permission.JOBS_READ)
async def events(request: Request, after: After = -1, limit: Page = PAGE, job: Job = "", follow: Following = 0) -> Response:
    """Events after a cursor as lines of JSON; ``after`` -1 begins with the present. With ``follow`` the stream goes on. The header
    Tenure-Cursor says after which cursor it begins."""
    context = context_of(request)
    caller = caller_from(request)
    one = await one_job(context, job, caller) if job else None
    start = after if after >= 0 else await asyncio.to_thread(context.queries.last_cursor)
    headers = {"Tenure-Cursor": str(start)}
    if follow:
        admit(context.feed)
        lines = _followed(context, start, limit, one, hearer_of(context.identity, request))
        return Streaming(lines, media_type=LINES, headers=headers)
    page, reset = await asyncio.to_thread(context.queries.events, start, limit, one.job_id if one else 0)
    text = _gone(start, is_gone=reset) + b"".join(_line(event) for event in page if hears(caller, event))
    return Response(text, media_type=LINES, headers=headers)


async def _followed(context: Context, after: int, limit: int, one: JobRow | None, hearer: Hearer) -> AsyncIterator[bytes]:
    """The lines of what has happened and of what happens, taken from where all followers take it; of one job, what is past is read by
    its index."""
    feed = context.feed
    async with feed.followed() as newest:
        while one is not None:
            page, reset = await asyncio.to_thread(context.queries.events, after, limit, one.job_id)
            yield _gone(after, is_gone=reset) + b"".join(map(_line, page))
            after = page[-1].cursor if page else after
            if len(page) < limit:
                after = max(after, newest)
                break
        while (caller := hearer()) is not None:
            run = await feed.after(after)
            told = [item for item in run.items if one is None or item.job == one.id]
            lines = b"".join(item.data + b"\n" for item in told if may_hear(caller, item.kind, item.job, item.project, item.uid))
            if piece := _gone(after, is_gone=run.reset) + lines:
                yield piece
            if run.items or run.reset:
                after = run.items[-1].cursor if run.items else max(newest, feed.newest)
            else:
                await feed.news(after, sys.maxsize, MAX_WAIT_MS / 1000)


def _gone(after: int, *, is_gone: bool) -> bytes:
    """The line that says that events are missing, if some are."""
    return _line(EventView(cursor=after, kind="reset", at_ms=0)) if is_gone else b""


def _line(event: EventView) -> bytes:
    return _encoder.encode(event) + b"\n"


@routes.get(
    "/jobs/{ref}/log",
    statuses=(200, 206),
    media="application/octet-stream",
    headers=("Range",),
    errors=("no_log", "bad_request", "bad_range"),
    needs=Permission.JOBS_READ,
)
async def log(
    request: Request,
    ref: Ref,
    attempt: Small = 0,
    task: Small = 0,
    stream: Stream = "out",
    offset: Offset = -1,
    since_ms: Moment = 0,
    tail: Tail = 0,
    follow: Following = 0,
) -> Response:
    """The bytes of a log from ``offset`` on, or what was written after ``since_ms`` (and a few seconds before), or its last ``tail``
    lines; of several, what all of them leave. With ``follow`` it goes on until the task has ended."""
    context = context_of(request)
    row = await one_job(context, ref, caller_from(request))
    if follow:
        await _until_started(context, request, row.job_id, row.position)
    found = await asyncio.to_thread(context.queries.log_file, row.job_id, row.position, attempt, task, stream)
    if found is None:
        raise await no_log(context, row.job_id, row.position, ref)
    if not context.identity.shared:
        found = replace(found, uid=-1)
    if not follow and (wanted := range_of(request.headers.get("range", ""), await asyncio.to_thread(_size, found))):
        return await asyncio.to_thread(_part, found, wanted)
    if since_ms > 0:
        offset = max(offset, await asyncio.to_thread(_offset_since, context, found, since_ms))
    start = await asyncio.to_thread(_start_offset, found, offset, tail)
    body = _log_bytes(context, request, found, start, follow=bool(follow))
    return StreamingResponse(body, media_type="application/octet-stream", headers={"Tenure-Log-Offset": str(start)})


def _size(log: LogFile) -> int:
    """How many bytes a log has; none that is not there (yet)."""
    try:
        with opened(log) as file:
            return os.fstat(file.fileno()).st_size
    except OSError:
        return 0


def _part(log: LogFile, wanted: ByteRange) -> Response:
    """Some bytes of a log, at most `MOST_AT_ONCE` of them."""
    end = min(wanted.end, wanted.start + MOST_AT_ONCE)
    with opened(log) as file:
        content = os.pread(file.fileno(), end - wanted.start, wanted.start)
    headers = {"Content-Range": wanted._replace(end=end).text, "Tenure-Log-Offset": str(wanted.start)}
    return Response(content, 206, headers, "application/octet-stream")


async def no_log(context: Context, job_id: int, position: int, ref: str) -> ApiError:
    """The error for a job without a log: it has not run, or so long ago that retention has removed what there was."""
    detail = await asyncio.to_thread(context.queries.detail, job_id, position)
    if detail is not None and detail.job.attempts and not detail.attempts:
        text = f"the log of job {ref} is no longer kept (settings: retention.runs)"
        return ApiError(404, ErrorReply(code="no_log", message=text, remedy=f"tenure requeue {ref} runs it again"))
    return ApiError(404, ErrorReply(code="no_log", message=f"job {ref} has not written a log", remedy=f"tenure why {ref}"))


async def _until_started(context: Context, request: Request, job_id: int, position: int) -> None:
    """Wait until a job has a log or has ended without one."""
    listener = context.bus.listen()
    try:
        while not await request.is_disconnected():
            detail = await asyncio.to_thread(context.queries.detail, job_id, position)
            if detail is None or detail.attempts or detail.job.state in ENDED_STATES:
                return
            await _next_change(listener, 5.0)
    finally:
        context.bus.leave(listener)


async def _log_bytes(context: Context, request: Request, found: LogFile, offset: int, *, follow: bool) -> AsyncIterator[bytes]:
    hearer = hearer_of(context.identity, request)
    while hearer() is not None:
        ended = not follow or await asyncio.to_thread(context.queries.task_ended, found.attempt_id, found.task)
        while chunk := await asyncio.to_thread(_read, found, offset):
            offset += len(chunk)
            yield chunk.lstrip(b"\0") if offset == len(chunk) else chunk
        if ended or await request.is_disconnected():
            return
        await asyncio.sleep(LOG_LOOK_S)


def _read(log: LogFile, offset: int) -> bytes:
    """The next bytes of a log; none when it is not there (yet)."""
    try:
        with opened(log) as file:
            return os.pread(file.fileno(), LOG_CHUNK, offset)
    except OSError:
        return b""


def _start_offset(log: LogFile, offset: int, tail: int) -> int:
    """Where to begin: at ``offset``, or so that the last ``tail`` lines follow. What a bounded log gave up is skipped."""
    try:
        with opened(log) as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, min(offset, size))
            if tail > 0:
                start = max(start, _tail_offset(file.fileno(), size, tail))
            return _after_hole(file.fileno(), start, size)
    except OSError:
        return 0


def _offset_since(context: Context, found: LogFile, since_ms: int) -> int:
    """Where to begin so that nothing of what was written since is missed: nothing at all, if the log is older than that."""
    try:
        with opened(found) as file:
            status = os.fstat(file.fileno())
    except OSError:
        return 0
    if status.st_mtime_ns // 1_000_000 + MTIME_LAGS_MS < since_ms:
        return status.st_size
    return context.log_length_at(found.attempt_id, found.task, found.stream, since_ms)


def _after_hole(fd: int, start: int, size: int) -> int:
    if start >= size:
        return start
    try:
        return os.lseek(fd, start, os.SEEK_DATA)
    except OSError:
        return start


def _tail_offset(fd: int, size: int, lines: int) -> int:
    """The offset after which exactly the last ``lines`` lines stand."""
    position, seen = size, 0
    while position > 0:
        step = min(LOG_CHUNK, position)
        position -= step
        block = os.pread(fd, step, position)
        cut = len(block)
        while (cut := block.rfind(b"\n", 0, cut)) >= 0:
            if position + cut == size - 1:
                continue
            seen += 1
            if seen == lines:
                return position + cut + 1
    return 0
