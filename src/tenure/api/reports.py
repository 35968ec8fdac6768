"""Routes that account for the past: what was held, what it cost, what of it was in vain; as JSON, CSV or a page.

Everybody may ask, and is told of jobs that he may see. Invariant: the rows of a report add up to its total, but for jobs that held
something on several days, which are counted once in the total.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import ApiError, Context, answer, context_of
from tenure.api.identity import caller_from
from tenure.api.jobs import refused
from tenure.api.parameters import Moment
from tenure.api.routes import Routes
from tenure.model.access import Caller, Permission
from tenure.model.amounts import GIB, MILLI
from tenure.store.reports import NOBODY, Held, Span, Wasted
from tenure.wire import ROOT
from tenure.wire.dto import ErrorReply
from tenure.wire.report_text import csv_of, html_of
from tenure.wire.reports import COLUMNS, ReportReply, ReportRow

routes = Routes(ROOT)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
USUAL_MS = 7 * DAY_MS
MOST_DAYS = 366
Kind = Literal["usage", "cost", "waste"]
By = Literal["user", "project", "queue", "day"]
UNKNOWN = "(nobody)"
"""What belongs to nobody in particular, such as room that was free."""
CSV, HTML = "text/csv", "text/html"


@routes.get("/report/{kind}", ReportReply, errors=("bad_request",), needs=Permission.JOBS_READ)
async def report(request: Request, kind: Kind, since_ms: Moment = 0, until_ms: Moment = 0, by: By = "user") -> Response:
    """``usage``, ``cost`` or ``waste`` from ``since_ms`` (0: seven days ago) to ``until_ms`` (0: now)."""
    return answer(await _asked(request, kind, (since_ms, until_ms), by))


@routes.get("/report/{kind}/csv", media=CSV, errors=("bad_request",), needs=Permission.JOBS_READ)
async def as_csv(request: Request, kind: Kind, since_ms: Moment = 0, until_ms: Moment = 0, by: By = "user") -> Response:
    """The same for a spreadsheet."""
    return _file(csv_of(await _asked(request, kind, (since_ms, until_ms), by)), CSV, f"tenure-{kind}.csv")


@routes.get("/report/{kind}/html", media=HTML, errors=("bad_request",), needs=Permission.JOBS_READ)
async def as_page(request: Request, kind: Kind, since_ms: Moment = 0, until_ms: Moment = 0, by: By = "user") -> Response:
    """The same as a page."""
    return _file(html_of(await _asked(request, kind, (since_ms, until_ms), by)), HTML, f"tenure-{kind}.html")


def _file(text: str, media: str, name: str) -> Response:
    return Response(text.encode(), media_type=media, headers={"Content-Disposition": f'inline; filename="{name}"'})


async def _asked(request: Request, kind: str, span: Span, by: str) -> ReportReply:
    """The report for the caller. Raises ApiError for a time that means nothing."""
    context, caller = context_of(request), caller_from(request)
    now_ms = context.loop.clock.now_ms()
    until_ms = min(span[1] or now_ms, now_ms)
    since_ms = span[0] or max(0, until_ms - USUAL_MS)
    if since_ms >= until_ms:
        raise _mistake("a report begins before it ends, and not in the future")
    if by == "day" and until_ms - since_ms > MOST_DAYS * DAY_MS:
        raise _mistake(f"a report by day covers at most {MOST_DAYS} days", "name a later beginning")
    return await asyncio.to_thread(reported, context, kind, by, (since_ms, until_ms), caller, now_ms)


def _mistake(message: str, remedy: str = "") -> ApiError:
    return refused(ErrorReply(code="bad_request", message=message, remedy=remedy))


def reported(context: Context, kind: str, by: str, span: Span, caller: Caller, now_ms: int) -> ReportReply:
    """One report."""
    spans = days(*span) if by == "day" else [span]
    found = context.queries.held(spans, by, caller, now_ms)
    waste = context.queries.wasted(spans, by, caller, now_ms) if kind == "waste" else {}
    keys = sorted({(one.span, one.key) for one in found} | waste.keys())
    of = {(one.span, one.key): one for one in found}
    rows = [_row(kind, by, spans, key, of.get(key), waste.get(key, Wasted())) for key in keys]
    total = {
        name: sum(row.figures.get(name, 0.0) for row in rows) for name in COLUMNS[kind] if any(name in row.figures for row in rows)
    }
    if by == "day" and "jobs" in total:  # one that ran over midnight is one job
        total["jobs"] = float(sum(one.jobs for one in context.queries.held([span], by, caller, now_ms)))
    return ReportReply(
        kind=kind,
        by=by,
        since_ms=span[0],
        until_ms=span[1],
        columns=list(COLUMNS[kind]),
        rows=rows,
        total={name: round(value, 6) for name, value in total.items()},
        notes=_notes(kind, found),
    )


def days(since_ms: int, until_ms: int) -> list[Span]:
    """The days of a time, by the local clock; the first and the last may be parts of days."""
    found = []
    while since_ms < until_ms:
        day = datetime.datetime.fromtimestamp(since_ms / 1000).astimezone().date() + datetime.timedelta(days=1)
        midnight_ms = round(datetime.datetime.combine(day, datetime.time()).astimezone().timestamp() * 1000)
        found.append((since_ms, min(midnight_ms, until_ms)))
        since_ms = found[-1][1]
    return found


def _row(kind: str, by: str, spans: Sequence[Span], key: tuple[int, str], held: Held | None, waste: Wasted) -> ReportRow:
    name = datetime.datetime.fromtimestamp(spans[key[0]][0] / 1000).astimezone().date().isoformat() if by == "day" else key[1]
    figures: dict[str, float] = {}
    if held is not None:
        figures = {
            "jobs": float(held.jobs),
            "gpu_hours": _hours(held.gpu_milli_ms / MILLI),
            "cpu_hours": _hours(held.cpu_milli_ms / MILLI),
            "memory_gib_hours": _hours(held.memory_byte_ms / GIB),
        }
        if held.cost_milli or not held.unpriced:
            figures["cost"] = _hours(held.cost_milli / MILLI)
    if kind == "waste":
        parts = {name: _hours(value / MILLI) for name, value in waste._asdict().items()}
        figures |= {"wasted_gpu_hours": round(sum(parts.values()), 6), **parts}
    return ReportRow(
        key=name if name != NOBODY else UNKNOWN, figures={name: figures[name] for name in COLUMNS[kind] if name in figures}
    )


def _hours(amount_ms: float) -> float:
    return round(amount_ms / HOUR_MS, 6)


_WASTE = (
    "idle: held GPUs less than 10 % busy over ten minutes; over asked: the part of a busy GPU that its job never used; "
    "stranded: free GPUs beside which less than one cpu or 1 GiB was free; preempted: runs that were stopped for others, "
    "with what they may have saved; hung: while a job was seen to hang"
)
_UNPRICED = "some of it was held on nodes that declare no price and is not in the cost: give them a label such as price_per_hour=2.50"


def _notes(kind: str, found: Sequence[Held]) -> list[str]:
    """What one must know beside the figures."""
    if kind == "cost" and any(one.unpriced for one in found):
        return [_UNPRICED]
    return [_WASTE] if kind == "waste" else []
