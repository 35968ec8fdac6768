"""Routes about guidance: what stands, giving some, taking it back.

Everybody may guide his own work; the work of others and the policy take an operator, as the store judges in the transaction that
makes it true. Invariant: who may not see the work of others is not told of guidance that names it.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import Context, answer, body_of, caller_from, context_of
from tenure.api.guided import text_of
from tenure.api.jobs import done
from tenure.api.paging import cut, number_of, page_of
from tenure.api.parameters import Cursor, History, Limit, Named
from tenure.api.routes import Routes
from tenure.model.access import Permission
from tenure.model.commands import EndGuidance, Guide
from tenure.store.guided import GuidanceRow, Wanted, one, open_to, past_to
from tenure.wire import ROOT
from tenure.wire.guidance import EndRequest, GuidanceRequest, GuidancesReply, GuidanceView

routes = Routes(ROOT)
_REFUSALS = ("bad_request", "not_found", "forbidden", "too_many", "name_taken", "unknown_policy", "key_reused")


@routes.get("/guidance", GuidancesReply, needs=Permission.JOBS_READ)
async def guidance(
    request: Request,
    history: History = 0,
    project: Named = "",
    queue: Named = "",
    user: Named = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Response:
    """A page of what guidance stands; with ``history=1`` of all that is kept, the newest first. Filters are about the work that it
    concerns, and are joined by *and*."""
    queries, caller, wanted = context_of(request).queries, caller_from(request), Wanted(project, queue, user)
    if history:
        before = number_of("guidance-past", cursor)
        found = await asyncio.to_thread(queries.read, lambda link: past_to(link, caller, wanted, before, limit + 1))
        page, more = cut("guidance-past", found, lambda row: row.id, limit)
    else:
        standing = await asyncio.to_thread(queries.read, lambda link: open_to(link, caller, wanted))
        page, more = page_of("guidance", standing, lambda row: (row.id,), limit, cursor)
    return answer(GuidancesReply(guidance=[view(row) for row in page], next=more))


@routes.post("/guidance", GuidanceRequest, GuidanceView, statuses=(201,), errors=_REFUSALS, needs=Permission.JOBS_WRITE)
async def give(request: Request) -> Response:
    """Raise or lower a class of work, or let another policy decide, for a while."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, GuidanceRequest)
    said = (wish.steps, wish.project, wish.queue, wish.user, wish.name, wish.policy, wish.length_ms, wish.note)
    given = await done(context, Guide(wish.key, caller, *said))
    return answer(await _one(context, int(given.note)), 201)


@routes.post("/guidance/end", EndRequest, GuidanceView, errors=("not_found", "not_yours", "key_reused"), needs=Permission.JOBS_WRITE)
async def end(request: Request) -> Response:
    """Take guidance back; what it changed is as before from the next plan on."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, EndRequest)
    await done(context, EndGuidance(wish.key, caller, wish.guidance))
    return answer(await _one(context, wish.guidance))


async def _one(context: Context, number: int) -> GuidanceView:
    row = await asyncio.to_thread(context.queries.read, lambda link: one(link, number))
    assert row is not None  # it was written just now, and what is over is kept for longer
    return view(row)


def view(row: GuidanceRow) -> GuidanceView:
    """One row as the wire shows it."""
    return GuidanceView(
        id=row.id,
        text=text_of(row),
        steps=row.steps,
        project=row.project or "",
        queue=row.queue or "",
        user=row.user or "",
        name=row.name,
        policy=row.policy,
        before=row.before,
        note=row.note,
        made_by=row.made_by,
        made_ms=row.made_ms,
        until_ms=row.until_ms,
        ended_ms=row.ended_ms or 0,
        ended_by=row.ended_by,
    )
