"""Routes that submit, read and change jobs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.answered import Said, until_s
from tenure.api.context import ApiError, Context, Then, answer, body_of, caller_from, context_of, encoded
from tenure.api.explaining import explanation_view
from tenure.api.fixed import fixed, may_be_fixed
from tenure.api.parameters import Ref
from tenure.api.particulars import with_troubles
from tenure.api.problems import status_of
from tenure.api.routes import Routes
from tenure.api.tags import job_tag, tagged
from tenure.control.acts import act_commands, update_commands
from tenure.control.admission import Inadmissible
from tenure.model.access import Permission
from tenure.model.commands import Answer, Applied, Caller, Command, Refused, SubmitJob
from tenure.model.snapshot import Snapshot
from tenure.store.details import REDACTED
from tenure.store.queries import JobRow
from tenure.wire import ROOT
from tenure.wire.dto import (
    ActReply,
    ActRequest,
    ActResult,
    ErrorReply,
    ExplanationView,
    JobDetail,
    JobsReply,
    Selection,
    SubmitManyReply,
    SubmitManyRequest,
    SubmitReply,
    SubmitRequest,
    UpdateRequest,
)
from tenure.wire.ids import expand

routes = Routes(ROOT)
MAX_BATCH = 100_000
_REFUSALS = ("not_found", "key_reused", "never_fits", "no_pool", "dependency_cycle", "dependency_never", "limit_too_long", "bad_time")


def refused(refusal: Refused | ErrorReply) -> ApiError:
    """A refusal as an HTTP error; its code picks the status."""
    reply = refusal if isinstance(refusal, ErrorReply) else ErrorReply(code=refusal.code, message=refusal.why)
    if reply.code == "malformed":  # by the store: the form was right, or it had not come so far
        reply.code = "bad_request"
    return ApiError(status_of(reply.code), reply)


async def done(context: Context, command: Command, then: Then | None = None) -> Applied:
    """Have a command carried out; ``then`` as for `Context.apply`. Raises ApiError when it is refused."""
    given = (await context.apply([command], then))[0]
    if isinstance(given, Refused):
        raise refused(given)
    return given


def command_for(context: Context, request: SubmitRequest, caller: Caller) -> SubmitJob:
    """The command for one submission. Raises ApiError."""
    context.check_runs_as(caller)
    try:
        return context.admission(caller).command(request, caller)
    except Inadmissible as error:
        raise refused(error.reply) from None


def submit_reply(command: SubmitJob, given: Answer) -> SubmitReply | ErrorReply:
    """What became of one submission."""
    if isinstance(given, Refused):
        return ErrorReply(code=given.code, message=given.why)
    elements = len(expand(command.request.array)) if command.request.array else 0
    return SubmitReply(
        id=str(given.job_id),
        number=given.job_id,
        name=command.request.name,
        replayed=given.replayed,
        elements=elements,
        limit_ms=command.request.limit_ms,
        note=given.note,
    )


@routes.post("/jobs", SubmitRequest, SubmitReply, statuses=(201,), errors=_REFUSALS, needs=Permission.JOBS_WRITE)
async def submit(request: Request) -> Response:
    """Queue one job or array; durable when answered."""
    return await submit_one(context_of(request), await body_of(request, SubmitRequest), caller_from(request))


async def submit_one(context: Context, request: SubmitRequest, caller: Caller) -> Response:
    """Queue one job; the answer to whoever asked. Raises ApiError or StoreUnavailable."""
    command = command_for(context, request, caller)
    given = await context.apply([command])
    reply = submit_reply(command, given[0])
    if isinstance(reply, ErrorReply):
        raise refused(reply)
    return answer(reply, 201)


@routes.post("/jobs/batch", SubmitManyRequest, SubmitManyReply, needs=Permission.JOBS_WRITE)
async def submit_many(request: Request) -> Response:
    """Queue many jobs in one durable write; each is accepted or refused alone."""
    context, caller = context_of(request), caller_from(request)
    batch = await body_of(request, SubmitManyRequest)
    if len(batch.jobs) > MAX_BATCH:
        raise refused(ErrorReply(code="too_large", message=f"one call submits at most {MAX_BATCH} jobs", remedy="send several"))
    results: list[SubmitReply | ErrorReply | None] = []
    commands: list[SubmitJob] = []
    for job in batch.jobs:
        try:
            commands.append(command_for(context, job, caller))
            results.append(None)
        except ApiError as error:
            results.append(error.reply)
    answers = iter(await context.apply(commands)) if commands else iter(())
    pairs = iter(commands)
    full = [result if result is not None else submit_reply(next(pairs), next(answers)) for result in results]
    return answer(SubmitManyReply(results=full))


@routes.post("/jobs/query", Selection, JobsReply, errors=("not_found",), needs=Permission.JOBS_READ)
async def query(request: Request) -> Response:
    """List jobs."""
    context, caller = context_of(request), caller_from(request)
    selection = await body_of(request, Selection)
    try:
        reply = await asyncio.to_thread(context.queries.jobs, selection, caller)
    except ValueError as error:
        raise refused(Refused("bad_request", str(error))) from None
    await context.add_expected_starts(reply.jobs)
    return answer(reply)


@routes.get(
    "/jobs/{ref}", JobDetail, statuses=(200, 304), headers=("If-None-Match",), errors=("bad_request",), needs=Permission.JOBS_READ
)
async def show(request: Request, ref: Ref) -> Response:
    """Everything about one job."""
    context, caller = context_of(request), caller_from(request)
    answers = context.answers
    said, stamp = answers.known(caller, ref)
    if said is None:
        asked_s = answers.clock()
        detail = await detail_of(context, ref, caller)
        job = detail.job
        said = Said(encoded(detail), job_tag(job), until_s(job, asked_s), job.number if job.state == "pending" else 0)
        answers.keep(caller, ref, said, stamp)
    start_ms = await _start_of(context, said.pending, stamp) if said.pending else 0
    return tagged(request, with_start(said.body, start_ms) if start_ms else said.body, said.tag)


async def _start_of(context: Context, number: int, stamp: object) -> int:
    """When a waiting job should start, 0 if nobody says it in time."""
    answers = context.answers
    start_ms = answers.start_of(number)
    if start_ms is None:
        asked_s = answers.clock()
        start_ms = (await context.expected_starts([number])).get(number, 0)
        answers.expect(number, start_ms, asked_s if start_ms else answers.clock(), stamp)
    return start_ms


def with_start(body: bytes, start_ms: int) -> bytes:
    """A job as it was said, with when it should start."""
    detail = msgspec.json.decode(body, type=JobDetail)
    detail.job.eta_ms = start_ms
    return encoded(detail)


@routes.get("/jobs/{ref}/why", ExplanationView, errors=("bad_request",), needs=Permission.JOBS_READ)
async def why(request: Request, ref: Ref) -> Response:
    """Why a job is where it is."""
    context = context_of(request)
    detail = await detail_of(context, ref, caller_from(request))
    snapshot = await context.on_control(lambda: _present(context))
    view = await asyncio.to_thread(explanation_view, context, snapshot, detail, caller_from(request))
    troubles = await asyncio.to_thread(lambda: context.queries.anomalies(job_id=detail.job.number))
    return answer(with_troubles(view, troubles))


def _present(context: Context) -> Snapshot:
    """Everything as it is, with the starts that the last plan promised, which the planner alone knows. On the control thread."""
    loop = context.loop
    board = loop.planner.board
    return replace(loop.ports.store.snapshot(loop.clock.now_ms()), promises=board.promises if board is not None else ())


@routes.post("/jobs/act", ActRequest, ActReply, errors=("not_found",), needs=Permission.JOBS_WRITE)
async def act(request: Request) -> Response:
    """Cancel, hold, release, requeue, suspend or resume the selected jobs."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, ActRequest)
    rows = await selected(context, wish.select, caller)
    try:
        commands = act_commands(wish, [(row.job_id, row.position) for row in rows], caller)
    except ValueError as error:
        raise refused(Refused("bad_request", str(error))) from None
    return answer(_act_reply(rows, await context.apply(commands)))


@routes.post(
    "/jobs/update",
    UpdateRequest,
    ActReply,
    errors=("not_found", "never_fits", "limit_fixed", "resize_fixed", "bad_time"),
    needs=Permission.JOBS_WRITE,
)
async def update(request: Request) -> Response:
    """Change the selected jobs."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, UpdateRequest)
    rows = await selected(context, wish.select, caller)
    shapes = await asyncio.to_thread(context.queries.shapes, [row.job_id for row in rows])
    able = context.loop.ports.executor.capabilities()
    if may_be_fixed(wish, able):
        named = Selection(ids=[row.id for row in rows], limit=max(1, len(rows)))
        refusal = fixed(wish, (await asyncio.to_thread(context.queries.jobs, named, caller)).jobs, able)
        if refusal is not None:
            raise refused(refusal)
    try:
        commands = update_commands(wish, [(row.job_id, row.position) for row in rows], shapes, caller, context.loop.planner.nodes)
    except Inadmissible as error:
        raise refused(error.reply) from None
    except ValueError as error:
        raise refused(Refused("bad_request", str(error))) from None
    return answer(_act_reply(rows, await context.apply(commands)))


async def selected(context: Context, selection: Selection, caller: Caller) -> list[JobRow]:
    """The jobs a selection names. Ids that name nothing are an error; a filter that selects nothing is not."""
    try:
        rows = await asyncio.to_thread(context.queries.resolve, selection, caller)
    except ValueError as error:
        raise refused(Refused("bad_request", str(error))) from None
    if selection.ids and not rows:
        raise not_found(", ".join(selection.ids))
    return rows


async def detail_of(context: Context, ref: str, caller: Caller) -> JobDetail:
    """Everything about the one job that a reference names."""
    try:
        count, detail = await asyncio.to_thread(context.queries.named, ref, caller)
    except ValueError as error:
        raise refused(Refused("bad_request", str(error))) from None
    _check_names_one(ref, count)
    if detail is None:
        raise not_found(ref)
    if detail.job.user != caller.user and not caller.sees_all:
        detail.env = dict.fromkeys(detail.env, REDACTED)
    return detail


async def one_job(context: Context, ref: str, caller: Caller) -> JobRow:
    """The one job a reference names."""
    rows = await selected(context, Selection(ids=[ref]), caller)
    _check_names_one(ref, len(rows))
    return rows[0]


def _check_names_one(ref: str, count: int) -> None:
    if count > 1:
        raise refused(Refused("bad_request", f"{ref} names {count} jobs; name one"))


def not_found(ref: str) -> ApiError:
    """The error for a job that does not exist."""
    return ApiError(404, ErrorReply(code="not_found", message=f"there is no job {ref}", remedy="tenure ps -a lists all jobs"))


def _act_reply(rows: list[JobRow], answers: list[Answer]) -> ActReply:
    results = []
    for row, given in zip(rows, answers, strict=True):
        if isinstance(given, Applied):
            results.append(ActResult(id=row.id, ok=True, text=given.note))
        else:
            results.append(ActResult(id=row.id, ok=False, code=given.code, text=given.why))
    return ActReply(results=results)
