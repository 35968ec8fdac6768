"""Routes about conflicts: the queue in two orders, the history, and resolving one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import answer, body_of, caller_from, context_of
from tenure.api.explaining import HIDDEN
from tenure.api.jobs import done, one_job
from tenure.api.paging import key_of, page_of
from tenure.api.parameters import Cursor, History, Limit, Moment, Until
from tenure.api.problems import failure
from tenure.api.routes import Routes
from tenure.model.access import Permission
from tenure.model.commands import ResolveConflict
from tenure.model.conflict import ConflictKind, Resolution
from tenure.store.conflicts import ALL, ConflictRow, Shown, Wanted, open_to, past_to
from tenure.wire import ROOT
from tenure.wire.conflict import ConflictChoice, ConflictsReply, ConflictView, ResolveReply, ResolveRequest
from tenure.wire.cursors import Key, cursor_of

routes = Routes(ROOT)
By = Literal["age", "severity"]
Kind = Literal["", "resource_competition", "priority_conflict", "schedule_conflict"]
REFUSALS = ("not_found", "ended", "not_available", "not_a_contender", "one_contender")


def _key(by: By, row: ConflictRow) -> Key:
    return (-row.severity, row.opened_ms, row.id) if by == "severity" else (row.id,)


async def open_conflicts(request: Request, wanted: Wanted = ALL) -> Shown:
    """The open conflicts, as far as they are for the caller."""
    queries, caller = context_of(request).queries, caller_from(request)
    return await asyncio.to_thread(queries.read, lambda link: open_to(link, caller, wanted))


async def _past(request: Request, wanted: Wanted, limit: int, cursor: str) -> Shown:
    """A page of the history. Raises ApiError."""
    queries, caller = context_of(request).queries, caller_from(request)
    after = key_of(_kind(wanted), cursor, *((int, int) if wanted.by_severity else (int,)))
    return await asyncio.to_thread(queries.read, lambda link: past_to(link, caller, wanted, after, limit))


def _kind(wanted: Wanted) -> str:
    return "conflicts-past-severity" if wanted.by_severity else "conflicts-past"


async def views(request: Request, rows: Sequence[ConflictRow], visible: Set[int]) -> list[ConflictView]:
    """Conflicts as somebody is told of them who may see these jobs."""
    about = {number for row in rows for number in row.jobs}
    names = await asyncio.to_thread(context_of(request).queries.ids_of, sorted(about & visible))
    return [view(row, names) for row in rows]


@routes.get("/conflicts", ConflictsReply, needs=Permission.JOBS_READ)
async def conflicts(
    request: Request,
    by: By = "age",
    history: History = 0,
    kind: Kind = "",
    since_ms: Moment = 0,
    until_ms: Until = 0,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Response:
    """A page of the open conflicts: the oldest first, or the most severe (``by=severity``); with ``history=1`` of all, the newest
    first, or the most severe and of these the newest. ``since_ms`` and ``until_ms`` are about when they opened."""
    wanted = Wanted(kind, since_ms, until_ms, by == "severity")
    if history:
        page, visible, after = await _past(request, wanted, limit, cursor)
        more = cursor_of(_kind(wanted), after) if after else ""
    else:
        rows, visible, _ = await open_conflicts(request, wanted)
        page, more = page_of(f"conflicts-{by}", rows, lambda row: _key(by, row), limit, cursor)
    return answer(ConflictsReply(conflicts=await views(request, page, visible), next=more))


@routes.post("/conflicts/resolve", ResolveRequest, ResolveReply, errors=REFUSALS, needs=Permission.JOBS_WRITE)
async def resolve(request: Request) -> Response:
    """Resolve an open conflict in the chosen way."""
    wish = await body_of(request, ResolveRequest)
    return await resolved(request, wish.conflict, wish)


async def resolved(request: Request, conflict: str, wish: ConflictChoice) -> Response:
    """Resolve one as was chosen. Raises ApiError."""
    context, caller = context_of(request), caller_from(request)
    if wish.by not in list(Resolution):
        raise failure("bad_request", f"a conflict is resolved by {', '.join(Resolution)}, not by {wish.by!r}")
    if wish.favour and wish.by != Resolution.PRIORITY:
        raise failure("bad_request", "only a resolution by priority favours a job", "leave favour out")
    favour = (await one_job(context, wish.favour, caller)).job_id if wish.favour else 0
    given = await done(context, ResolveConflict(wish.key, caller, conflict, wish.by, favour))
    return answer(ResolveReply(conflict=conflict, text=given.note))


def view(row: ConflictRow, names: Mapping[int, str]) -> ConflictView:
    """A conflict as the wire shows it; jobs without a name are not for the caller."""
    contenders = [names.get(number, HIDDEN) for number in row.contenders]
    holders = [names.get(number, HIDDEN) for number in row.holders]
    return ConflictView(
        id=row.key,
        kind=row.kind,
        severity=row.severity,
        text=_text(row, contenders, holders),
        contenders=contenders,
        holders=holders,
        room=row.room,
        opened_ms=row.opened_ms,
        updated_ms=row.updated_ms,
        closed_ms=row.closed_ms or 0,
        resolution=row.resolution,
        resolved_by=row.resolved_by,
        resolved_ms=row.resolved_ms or 0,
    )


def _text(row: ConflictRow, contenders: Sequence[str], holders: Sequence[str]) -> str:
    if row.kind == ConflictKind.RESOURCE:
        kind = row.room.partition(":")[2]
        room = f"GPUs of kind {kind}" if kind else "GPUs" if row.room == "gpu" else "cpus and memory"
        return f"jobs {', '.join(contenders)} wait for the same {room}"
    if row.kind == ConflictKind.PRIORITY:
        return f"job {contenders[0]} waits for what jobs of a lower priority hold: {', '.join(holders)}"
    return f"job {contenders[0]} waits and cannot end by its deadline any more"
