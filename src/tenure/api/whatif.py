"""Routes that answer what would happen: to a submission, and to the queue if something were different.

Both look at a picture of the planner's board, which the control thread hands out in a moment; everything else is worked out in a
thread of its own, one answer at a time, so that whoever submits meanwhile does not wait for it. Invariant: nothing is written.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import Context, answer, body_of, caller_from, context_of
from tenure.api.explaining import explained
from tenure.api.routes import Routes
from tenure.api.sharing import picture_of
from tenure.api.supposing import job_added, next_job, supposed
from tenure.control.admission import Inadmissible
from tenure.core.whatif import Effect, Shift, WhatIf, what_if
from tenure.model.access import Permission
from tenure.model.commands import Caller, SubmitJob
from tenure.model.snapshot import Snapshot
from tenure.wire import ROOT
from tenure.wire.dto import Selection, SubmitRequest
from tenure.wire.whatif import PlanReply, ShiftView, WhatIfReply, WhatIfRequest

routes = Routes(ROOT)
T = TypeVar("T")

PLAN_UNITS = 50_000
"""The budget of each side when a submission is only asked about: people wait for the answer at a prompt."""

SWITCH_S = 0.0005
"""While a question is worked out, whoever else needs the interpreter gets it after so long: a turn of the control loop waits for it
several times."""

_WORSE = (Effect.LATER, Effect.IMPOSSIBLE, Effect.UNFORESEEN)


@routes.post("/plan", SubmitRequest, PlanReply, errors=("not_found", "limit_too_long"), needs=Permission.JOBS_READ)
async def plan(request: Request) -> Response:
    """What would become of a submission and whom it would delay, without submitting it."""
    context, caller = context_of(request), caller_from(request)
    submission = await body_of(request, SubmitRequest)
    try:
        command = context.admission(caller).command(submission, caller)
    except Inadmissible as error:
        return answer(PlanReply(verdict="never", note=f"{error.reply.message}; {error.reply.remedy}"))
    picture = await context.on_control(lambda: picture_of(context))
    return answer(await aside(context, lambda: planned(context, picture.snapshot(), command)))


@routes.post(
    "/what-if",
    WhatIfRequest,
    WhatIfReply,
    errors=("not_found", "unknown_policy", "never_fits", "ended", "limit_too_long"),
    needs=Permission.JOBS_READ,
)
async def suppose(request: Request) -> Response:
    """What would start when if something were different, and who would be delayed by how much."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, WhatIfRequest)
    picture = await context.on_control(lambda: picture_of(context))
    return answer(await aside(context, lambda: compared(context, picture.snapshot(), wish, caller)))


async def aside(context: Context, work: Callable[[], T]) -> T:
    """Work in another thread, one piece at a time: several at once would take the interpreter from the control thread."""
    async with context.kept(_Aside).lock:
        return await asyncio.to_thread(_politely, work)


class _Aside:
    """Whose turn it is."""

    def __init__(self, _context: Context) -> None:
        self.lock = asyncio.Lock()


def _politely(work: Callable[[], T]) -> T:
    """Work in a thread that gives the interpreter away soon when another one wants it."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        return work()
    finally:
        sys.setswitchinterval(usual)


def planned(context: Context, snapshot: Snapshot, command: SubmitJob) -> PlanReply:
    """What would become of a submission if it were made now. Raises ApiError when its queue does not take it."""
    policy, number = context.loop.ports.policy, next_job(snapshot)
    added = job_added(context, snapshot, command, number)
    after = added.on(snapshot)
    starts = [start for decision in policy.plan(after).decisions for start in decision.starts if start.job_id == number]
    found = policy.explain(after, number)
    nodes = {node.id: node for node in snapshot.nodes}
    placements = [
        f"task {place.task} on {nodes[place.node_id].name}"
        + "".join(f" gpu {d.index}" for d in nodes[place.node_id].devices if d.id in {share.device_id for share in place.devices})
        for start in starts[:1]
        for place in start.placements
    ]
    others = what_if(snapshot, [added], policy.stages, planning=policy.planning, units=PLAN_UNITS)
    worse = sorted((shift for shift in others.shifts if shift.effect in _WORSE), key=lambda shift: -(shift.change_ms or 2**62))
    return PlanReply(
        verdict="starts_now" if starts else "waits",
        placements=placements,
        explanation=explained(context, after, found, "this job", "pending", command.caller),
        limit_ms=added.job.limit_ms,
        start_ms=snapshot.now_ms if starts else found.start.latest_ms,
        start_unknown="" if starts or found.start.unknown is None else found.start.unknown.value,
        delayed=_views(context, worse, {}, command.caller),
        compared=len(others.shifts) - 1,
        waiting=others.waiting,
    )


def compared(context: Context, snapshot: Snapshot, wish: WhatIfRequest, caller: Caller) -> WhatIfReply:
    """The answer to a what-if. Raises ApiError."""
    asked = supposed(context, snapshot, wish, caller)
    present, other = context.loop.ports.policy, asked.policy
    found = what_if(
        snapshot,
        asked.alterations,
        present.stages,
        other.stages if other is not None else None,
        planning=present.planning,
        planning_instead=other.planning if other is not None else None,
        count=wish.limit,
    )
    views = _views(context, found.shifts, asked.added, caller)
    changes = [shift.change_ms for shift in found.shifts if shift.change_ms is not None]
    effects = [shift.effect for shift in found.shifts]
    visible = context.queries.seen(caller, list(found.endless)) | set(asked.added)
    endless = context.queries.ids_of(found.endless) | {job_id: shown for job_id, (shown, _) in asked.added.items()}
    known_before = [shift for shift in found.shifts if shift.before is not None]
    return WhatIfReply(
        now_ms=snapshot.now_ms,
        supposed=asked.sentences,
        jobs=views,
        waiting=found.waiting,
        compared=len(known_before),
        sooner=effects.count(Effect.SOONER),
        later=effects.count(Effect.LATER),
        possible=effects.count(Effect.POSSIBLE),
        impossible=effects.count(Effect.IMPOSSIBLE),
        foreseen=len(changes),
        mean_change_ms=round(sum(changes) / len(changes)) if changes else None,
        starts_now=[view.id for view in views if view.after_ms == snapshot.now_ms],
        endless=[endless.get(job_id, str(job_id)) for job_id in found.endless if job_id in visible],
        notes=[*asked.notes, *_notes(found, len(known_before), takes_turns=(other or present).stages.slices)],
    )


def _views(context: Context, shifts: Sequence[Shift], added: Mapping[int, tuple[str, str]], caller: Caller) -> list[ShiftView]:
    """Those jobs that the caller may see as the wire shows them, with what people call them."""
    known = [shift.job_id for shift in shifts if shift.job_id not in added]
    selection = Selection(ids=[str(job_id) for job_id in known], states=["all"], limit=max(1, len(known)))
    found = context.queries.jobs(selection, caller).jobs if known else []
    shown = {job.number: (job.id, job.name) for job in found} | dict(added)
    return [_view(shift, *shown[shift.job_id]) for shift in shifts if shift.job_id in shown]


def _view(shift: Shift, shown: str, name: str) -> ShiftView:
    before, after = shift.before, shift.after
    return ShiftView(
        id=shown,
        effect=shift.effect.value,
        name=name,
        before_ms=before.start_ms if before else 0,
        after_ms=after.start_ms if after else 0,
        before_unknown=before.unknown.value if before and before.unknown else "",
        after_unknown=after.unknown.value if after and after.unknown else "",
        change_ms=shift.change_ms,
    )


def _notes(found: WhatIf, compared: int, *, takes_turns: bool) -> list[str]:
    """What one should know of the answer beside the figures."""
    notes = []
    if compared < found.waiting:
        notes.append(f"compared are {compared} of {found.waiting} waiting jobs, the first in their order; others may be concerned too")
    if any(shift.effect is Effect.BEYOND for shift in found.shifts):
        notes.append("some starts lie beyond what is worked out at once; ask for fewer jobs to see whether it reaches them")
    if takes_turns:
        notes.append("turns are not foreseen: who runs is taken to go on to its end, so others may start sooner, and it may end later")
    return notes
