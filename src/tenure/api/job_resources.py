"""Jobs as resources: pages of them, one that is changed or acted upon, the elements of an array, expected starts.

What is done goes through the commands of the bulk calls in `tenure.api.jobs`, of one job. Invariant: of two who change a job by what
they read of it (``If-Match``), at most one succeeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import Context, answer, body_of, caller_from, context_of
from tenure.api.fixed import fixed
from tenure.api.jobs import detail_of, done, one_job, refused
from tenure.api.paging import number_of
from tenure.api.parameters import Cursor, Limit, Moment, Named, Ref, States, Switch
from tenure.api.problems import failure
from tenure.api.routes import Routes
from tenure.api.tags import check_match, job_tag
from tenure.control.acts import act_commands, update_commands
from tenure.control.admission import Inadmissible
from tenure.model.access import Permission
from tenure.model.commands import Caller, Command
from tenure.store.queries import JobRow
from tenure.wire import ROOT
from tenure.wire.cursors import cursor_of
from tenure.wire.dto import ActRequest, ActResult, JobDetail, JobView, Selection, UpdateRequest
from tenure.wire.ids import format_indices, parse_indices
from tenure.wire.requests import JobOrder, JobPatch
from tenure.wire.resources import ActionRequest, ElementsPage, ForecastReply, JobsPage, StartView

routes = Routes(ROOT)
_REFUSALS = ("bad_request", "not_yours", "not_waiting", "not_running", "ended", "is_a_lease", "not_an_array", "limit_too_long")
_AMOUNTS = ("resize_fixed", "above_ask", "no_room", "shares_room")


class Editing:
    """One who changes by what he read at a time."""

    def __init__(self, _context: Context) -> None:
        self.lock = asyncio.Lock()


@routes.get("/jobs", JobsPage, needs=Permission.JOBS_READ, errors=("bad_request",))
async def jobs(
    request: Request,
    state: States = "",
    name: Named = "",
    user: Named = "",
    project: Named = "",
    queue: Named = "",
    group: Named = "",
    mine: Switch = 0,
    since_ms: Moment = 0,
    order: JobOrder = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Response:
    """A page of jobs, the newest first unless another ``order`` is named; an array is one of them. Filters are joined by *and*;
    ``name`` may have the wildcards * and ?, ``state`` names states between commas or active, ended, all."""
    wanted = Selection(
        name=name,
        states=[word for word in state.split(",") if word],
        mine=bool(mine),
        user=user,
        queue=queue,
        project=project,
        group=group,
        limit=limit,
        order=order,
        cursor=cursor,
        since_ms=since_ms,
    )
    context = context_of(request)
    try:
        found = await asyncio.to_thread(context.queries.jobs, wanted, caller_from(request))
    except ValueError as error:
        raise failure("bad_request", str(error)) from None
    await context.add_expected_starts(found.jobs)
    return answer(JobsPage(jobs=found.jobs, next=found.next, counts=found.counts, revision=found.revision))


@routes.get("/jobs/{ref}/elements", ElementsPage, needs=Permission.JOBS_READ, errors=("bad_request", "not_an_array"))
async def elements(request: Request, ref: Ref, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """The elements of an array, by index."""
    context, caller = context_of(request), caller_from(request)
    array = (await _view(context, await one_job(context, ref, caller), caller)).array
    if array is None:
        raise failure("not_an_array", f"job {ref} is no array", "name an array")
    after = number_of("elements", cursor)
    indices = [index for first, last, step in parse_indices(array.indices)[0] for index in range(first, last + 1, step)]
    rest = indices[after:]
    if not rest:
        return answer(ElementsPage(elements=[]))
    number = (await one_job(context, ref, caller)).job_id
    words = [f"{number}_[{format_indices(tuple((index, index, 1) for index in rest[:limit]))}]"]
    found = await asyncio.to_thread(context.queries.jobs, Selection(ids=words, limit=limit), caller)
    return answer(ElementsPage(elements=found.jobs, next=cursor_of("elements", after + limit) if len(rest) > limit else ""))


@routes.patch(
    "/jobs/{ref}",
    JobPatch,
    JobDetail,
    headers=("If-Match",),
    errors=(*_REFUSALS, "changed", "never_fits", "limit_fixed", "reserved", *_AMOUNTS),
    needs=Permission.JOBS_WRITE,
)
async def patch(request: Request, ref: Ref) -> Response:
    """Change one job, with If-Match only if it is still what it was; the job as it is then."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, JobPatch)
    async with context.kept(Editing).lock:
        row = await one_job(context, ref, caller)
        job = await _view(context, row, caller)
        check_match(request, job_tag(job))
        fields = {name: getattr(wish, name) for name in wish.__struct_fields__}
        asked = UpdateRequest(select=Selection(ids=[row.id]), **fields)
        if refusal := fixed(wish, [job], context.loop.ports.executor.capabilities()):
            raise refused(refusal)
        await done(context, await _update(context, asked, row, caller))
    detail = await detail_of(context, row.id, caller)
    await context.add_expected_starts([detail.job])
    return answer(detail, headers={"ETag": job_tag(detail.job)})


async def _update(context: Context, wish: UpdateRequest, row: JobRow, caller: Caller) -> Command:
    shapes = await asyncio.to_thread(context.queries.shapes, [row.job_id])
    try:
        return update_commands(wish, [(row.job_id, row.position)], shapes, caller, context.loop.planner.nodes)[0]
    except Inadmissible as error:
        raise refused(error.reply) from None
    except ValueError as error:
        raise failure("bad_request", str(error)) from None


async def _view(context: Context, row: JobRow, caller: Caller) -> JobView:
    found = await asyncio.to_thread(context.queries.jobs, Selection(ids=[row.id], limit=1), caller)
    if not found.jobs:
        raise failure("not_found", f"there is no job {row.id}")
    return found.jobs[0]


def _acting(action: str) -> Callable[[Request, str], Awaitable[Response]]:
    """The endpoint that does one thing to one job."""

    async def act(request: Request, ref: Ref) -> Response:
        context, caller = context_of(request), caller_from(request)
        wish = await body_of(request, ActionRequest, optional=True)
        row = await one_job(context, ref, caller)
        asked = ActRequest(action=action, select=Selection(ids=[row.id]), key=wish.key, why=wish.why)
        given = await done(context, act_commands(asked, [(row.job_id, row.position)], caller)[0])
        return answer(ActResult(id=row.id, ok=True, text=given.note))

    act.__doc__ = f"{action.capitalize()} one job, or one array with all its elements."
    return act


for _action in ("cancel", "hold", "release", "requeue", "suspend", "resume"):
    routes.post(f"/jobs/{{ref}}/{_action}", ActionRequest, ActResult, optional=True, errors=_REFUSALS, needs=Permission.JOBS_WRITE)(
        _acting(_action)
    )


@routes.get("/forecast/starts", ForecastReply, errors=("bad_request",), needs=Permission.JOBS_READ)
async def starts(request: Request, project: Named = "", mine: Switch = 0, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """When waiting jobs are expected to start as things are, the newest job first."""
    context = context_of(request)
    wanted = Selection(states=["pending"], project=project, mine=bool(mine), limit=limit, before=number_of("starts", cursor))
    found = await asyncio.to_thread(context.queries.jobs, wanted, caller_from(request))
    await context.add_expected_starts(found.jobs, within_s=None)
    listed = [StartView(job=job.id, name=job.name, start_ms=job.eta_ms) for job in found.jobs]
    more = cursor_of("starts", found.more) if found.more else ""
    return answer(ForecastReply(now_ms=context.loop.clock.now_ms(), starts=listed, next=more))
