"""Routes of forecasts: what was said of how long jobs will run, beside what came, and how well each model does.

Everybody may ask, and is told of jobs that he may see. Invariant: nothing is worked out again here; what was said is what is kept.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import answer, caller_from, context_of
from tenure.api.jobs import one_job
from tenure.api.paging import cut, key_of
from tenure.api.parameters import Cursor, Job, Limit, Moment, Named, Switch, Until
from tenure.api.routes import Routes
from tenure.model.access import Permission
from tenure.store.forecasts import ForecastRow, Wanted, forecasts
from tenure.wire import ROOT
from tenure.wire.cursors import Key
from tenure.wire.forecasts import AccuracyReply, AccuracyView, ForecastsReply, ForecastView

routes = Routes(ROOT)
JUDGED = 10_000
BY_THEMSELVES = ("succeeded", "failed")


@routes.get("/forecasts", ForecastsReply, errors=("not_found", "bad_request"), needs=Permission.JOBS_READ)
async def listing(
    request: Request,
    job: Job = "",
    model: Named = "",
    project: Named = "",
    user: Named = "",
    group: Named = "",
    name: Named = "",
    known: Switch = 0,
    since_ms: Moment = 0,
    until_ms: Until = 0,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Response:
    """A page of what each model said of how long jobs will run, of the newest job first, with the truth beside it once that is known
    (``known=1``: only such). Filters are joined by *and*; ``since_ms`` and ``until_ms`` are about when it was said."""
    number = await _number(request, job)
    wanted = Wanted(number, model, project, user, group, name, since_ms, until_ms, known)
    found = await _read(request, wanted, key_of("forecasts", cursor, int, str), limit + 1)
    page, more = cut("forecasts", found, lambda row: (row.job_id, row.model), limit)
    return answer(ForecastsReply(forecasts=[view(row) for row in page], next=more))


@routes.get("/forecasts/accuracy", AccuracyReply, errors=("bad_request",), needs=Permission.JOBS_READ)
async def accuracy(
    request: Request,
    project: Named = "",
    user: Named = "",
    group: Named = "",
    name: Named = "",
    since_ms: Moment = 0,
    until_ms: Until = 0,
) -> Response:
    """How well each model did, by jobs that ended by themselves."""
    wanted = Wanted(0, "", project, user, group, name, since_ms, until_ms, 1)
    found = await _read(request, wanted, (), JUDGED)
    judged = [row for row in found if row.ran_ms and row.state in BY_THEMSELVES]
    models = [_accuracy(model, [row for row in judged if row.model == model]) for model in sorted({row.model for row in judged})]
    return answer(AccuracyReply(models=models, judged=JUDGED))


async def _number(request: Request, job: str) -> int:
    return (await one_job(context_of(request), job, caller_from(request))).job_id if job else 0


async def _read(request: Request, wanted: Wanted, after: Key, limit: int) -> list[ForecastRow]:
    queries, caller = context_of(request).queries, caller_from(request)
    return await asyncio.to_thread(queries.read, lambda link: forecasts(link, wanted, caller, after, limit))


def view(row: ForecastRow) -> ForecastView:
    """A forecast as the wire shows it."""
    said = {name: getattr(row, name) for name in ("model", "as_of_ms", "p50_ms", "p90_ms", "name", "group", "project", "user", "state")}
    if not row.ran_ms:
        return ForecastView(job=row.id, **said)
    return ForecastView(job=row.id, **said, ran_ms=row.ran_ms, error_ms=row.ran_ms - row.p50_ms, held=row.ran_ms <= row.p90_ms)


def _accuracy(model: str, rows: list[ForecastRow]) -> AccuracyView:
    right = sum(min(row.p50_ms, row.ran_ms) / max(row.p50_ms, row.ran_ms) for row in rows) / len(rows)
    covered = sum(row.ran_ms <= row.p90_ms for row in rows) / len(rows)
    return AccuracyView(model=model, jobs=len(rows), accuracy=round(right, 4), covered=round(covered, 4))
