"""What those are told who think ahead: a report of how things stand, and recommendations that were tried out.

A report is made from a picture of the planner's board in a thread of its own, at most once a second however often it is asked for, so
it costs the cycle a few references per job. Recommendations take longer: they are worked out for who asks and for who follows, and kept
while nothing changes, for `ADVICE_EVERY_S` at most. Those that are new or over are told as hints. Invariant: nothing else is written,
and nobody is told of a job that he may not see.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import to_builtins
from msgspec.json import encode
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.advising import Speaker, hint_of
from tenure.api.context import Context, answer, context_of
from tenure.api.identity import caller_from
from tenure.api.parameters import Switch
from tenure.api.routes import Routes
from tenure.api.sharing import picture_of
from tenure.api.whatif import aside
from tenure.core.advice import LOOKED_AT, Advice, Known, advise
from tenure.core.board import Board
from tenure.core.picture import Picture
from tenure.core.standing import Bottleneck, standing_of
from tenure.core.whatif import in_line
from tenure.model.access import SCHEDULER, Caller, Permission
from tenure.model.amounts import MILLI
from tenure.model.hint import Hint
from tenure.model.plan import Plan
from tenure.monitors.tasks import CPU, GPU, MEMORY, TaskLook, with_gpus
from tenure.wire import ROOT
from tenure.wire.dto import EventView
from tenure.wire.thinking import (
    BottleneckView,
    RecommendationsReply,
    StatusReport,
    StockView,
)

routes = Routes(ROOT)
REPORT_EVERY_S, ADVICE_EVERY_S = 1.0, 10.0
REST = 20
"""Unasked, advice is worked out for one part of the time in so many."""
_USED = {"cpu": (CPU, 10.0), "memory": (MEMORY, 1.0), "gpu": (GPU, 10.0)}
"""By kind, the figure of a task and what turns it into the kind's unit: a per cent of one cpu is ten thousandths of it."""


@dataclass(frozen=True, slots=True)
class _Told:
    """Entries of an answer with the jobs that each names, and whose these are, so that nobody is told of jobs that he may not see."""

    entries: tuple[tuple[Any, frozenset[int]], ...] = ()
    owners: Mapping[int, tuple[int, str]] = field(default_factory=dict)

    def to(self, caller: Caller) -> list[Any]:
        """The entries that name only jobs which the caller may see."""
        return [entry for entry, jobs in self.entries if caller.sees_all or all(self._shows(caller, number) for number in jobs)]

    def _shows(self, caller: Caller, number: int) -> bool:
        return number in self.owners and caller.sees(*self.owners[number])


class Thinker:
    """The last report and the last advice of one daemon. Used in the event loop alone."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._report = StatusReport(timestamp_ms=0, revision=0)
        self._bottlenecks, self._advice = _Told(), _Told()
        self._advised = RecommendationsReply(recommendations=[])
        self._reported_s = self._advised_s = -math.inf
        self._reporting, self._advising = asyncio.Lock(), asyncio.Lock()

    async def report(self, caller: Caller) -> StatusReport:
        """How things stand: the last report where it is younger than a second."""
        async with self._reporting:
            if time.monotonic() - self._reported_s >= REPORT_EVERY_S:
                picture, plan = await self._context.on_control(lambda: _seen(self._context))
                self._report, self._bottlenecks = await asyncio.to_thread(report_of, self._context, picture, plan)
                self._reported_s = time.monotonic()
        return replace(
            self._report,
            bottlenecks=self._bottlenecks.to(caller),
            recommendations=self._advice.to(caller),
            recommended_ms=self._advised.at_ms,
        )

    async def advice(self, caller: Caller) -> RecommendationsReply:
        """What one could change: worked out anew where anything has changed, or a while has passed."""
        async with self._advising:
            picture, _ = await self._context.on_control(lambda: _seen(self._context))
            if picture.revision != self._advised.revision or time.monotonic() - self._advised_s >= ADVICE_EVERY_S:
                self._advised, self._advice, hints = await aside(self._context, lambda: recommended(self._context, picture))
                self._context.hints.publish("recommendations", hints)
                self._advised_s = time.monotonic()
        return replace(self._advised, recommendations=self._advice.to(caller))


async def push_reports(context: Context) -> None:
    """Send a report to whoever follows, when something has changed and a second has passed; for as long as this is let run."""
    thinker, listener = context.kept(Thinker), context.bus.listen()
    try:
        while True:
            await listener.wait()
            listener.clear()
            with contextlib.suppress(Exception):  # a store or a loop that cannot answer now is told of by others
                wide, narrow = await thinker.report(SCHEDULER), await thinker.report(NOBODY)
                context.feed.show("scheduling_update", _told(wide), stands=False, narrow=_told(narrow))
            await asyncio.sleep(REPORT_EVERY_S)
    finally:
        context.bus.leave(listener)


async def push_advice(context: Context) -> None:
    """Work advice out when something has changed, so that whoever follows hears of it; for as long as this is let run."""
    thinker, listener = context.kept(Thinker), context.bus.listen()
    try:
        while True:
            listener.clear()
            began_s = time.monotonic()
            with contextlib.suppress(Exception):  # as above
                await thinker.advice(SCHEDULER)
            await asyncio.sleep(max(ADVICE_EVERY_S, REST * (time.monotonic() - began_s)))
            await listener.wait()
    finally:
        context.bus.leave(listener)


def _told(report: StatusReport) -> bytes:
    """A report in the words of an event that is not stored."""
    event = EventView(cursor=0, kind="status.report", at_ms=report.timestamp_ms, data=to_builtins(report))
    return encode(event)


NOBODY = Caller(-2, "")
"""Who sees no job at all."""


def _seen(context: Context) -> tuple[Picture, Plan | None]:
    """What the planner sees and what it made of it last. On the control thread."""
    return picture_of(context), context.loop.planner.last


@routes.get("/report/status", StatusReport, needs=Permission.CLUSTER_READ)
async def status(request: Request, advise: Switch = 1) -> Response:
    """How things stand: use, what is available of each kind, what those wait for who wait, and what would help. ``advise`` 0 leaves
    the recommendations as they were worked out last."""
    thinker, caller = context_of(request).kept(Thinker), caller_from(request)
    if advise:
        await thinker.advice(caller)
    return answer(await thinker.report(caller))


@routes.get("/recommendations", RecommendationsReply, needs=Permission.JOBS_READ)
async def recommendations(request: Request) -> Response:
    """Changes that would let somebody start sooner, each tried out on the queue as it is, with the command that makes it."""
    return answer(await context_of(request).kept(Thinker).advice(caller_from(request)))


def report_of(context: Context, picture: Picture, plan: Plan | None) -> tuple[StatusReport, _Told]:
    """The report of one moment, and its bottlenecks."""
    found = standing_of(picture, plan)
    used, efficiency = _measured(context, picture)
    firsts = sorted({one.first for one in found.bottlenecks})
    names = context.queries.ids_of(firsts)
    bottlenecks = tuple((_bottleneck(one, names), frozenset({one.first})) for one in found.bottlenecks)
    report = StatusReport(
        timestamp_ms=found.now_ms,
        revision=found.revision,
        policy=context.loop.ports.policy.name,
        strategy=picture.strategy,
        utilisation=found.utilisation_milli / MILLI,
        available=[
            StockView(kind=one.kind, offered=one.offered, allocated=one.held, available=one.free, used=used.get(one.kind))
            for one in found.stocks
            if one.offered
        ],
        pending=found.pending,
        critical=found.critical,
        running=found.running,
        efficiency=efficiency,
    )
    return report, _Told(bottlenecks, context.queries.owners(firsts))


def _bottleneck(one: Bottleneck, names: Mapping[int, str]) -> BottleneckView:
    return BottleneckView(resource=one.resource, jobs=one.jobs, job=names.get(one.first, str(one.first)), until_ms=one.until_ms)


def _measured(context: Context, picture: Picture) -> tuple[dict[str, int], dict[str, float]]:
    """By kind, what tasks were last seen to use, and what part that is of what the same tasks hold."""
    seen = context.watch.seen.looks if context.watch is not None else {}
    gpus = {gpu.uuid: gpu for gpu in seen.get("gpus", ())}
    looks: list[TaskLook] = [with_gpus(look, gpus) for look in seen.get("tasks", ())]
    held = {(part.attempt_id, part.task): part for job in picture.running for part in job.allocations}
    used: dict[str, float] = {}
    allocated: dict[str, int] = {}
    for look in looks:
        part = held.get((look.task.attempt_id, look.task.task))
        if part is None:
            continue
        gpu_milli = sum(share.milli for share in part.devices)
        amounts = {"cpu": part.amounts.cpu_milli, "memory": part.amounts.memory_bytes, "gpu": gpu_milli}
        for kind, (figure, scale) in _USED.items():
            if figure in look.figures and amounts[kind]:
                use = look.figures[figure] * scale
                if kind == "gpu":  # the mean over its devices; of a shared one it is counted as using no more than it holds
                    use = min(use * len(part.devices), gpu_milli)
                used[kind] = used.get(kind, 0) + use
                allocated[kind] = allocated.get(kind, 0) + amounts[kind]
    return {kind: round(value) for kind, value in used.items()}, {
        kind: round(min(1.0, used[kind] / allocated[kind]), 4) for kind in used
    }


def recommended(context: Context, picture: Picture) -> tuple[RecommendationsReply, _Told, list[Hint]]:
    """The advice for one moment: when it is of, its entries, and the same as hints."""
    snapshot, policy, queries = picture.snapshot(), context.loop.ports.policy, context.queries
    reply = RecommendationsReply(recommendations=[], at_ms=snapshot.now_ms, revision=snapshot.revision)
    if not policy.foreseeable or not len(snapshot.pending):
        return reply, _Told(), []
    board = Board.of(snapshot, policy.stages.distinguishes)
    first = in_line(board, snapshot.now_ms, policy.stages, LOOKED_AT)
    idle = {one.job_id: one.text for one in queries.anomalies() if one.kind == "idle_gpu" and one.job_id}
    known = Known(queries.habits(first), tuple(sorted(idle)), queries.movable())
    found = advise(snapshot, policy.stages, known, policy.planning)
    named = [_named(one) for one in found]
    concerned = sorted(frozenset[int]().union(*named))
    speaker = Speaker(snapshot, queries.ids_of(concerned), idle)
    said = [speaker.say(one) for one in found]
    told = _Told(tuple(zip(said, named, strict=True)), queries.owners(concerned))
    return reply, told, [hint_of(one, view) for one, view in zip(found, said, strict=True)]


def _named(advice: Advice) -> frozenset[int]:
    """The jobs that a piece of advice speaks of."""
    change = advice.change
    return frozenset({change.job_id, change.beneficiary, *advice.now, *advice.later, *(shift.job_id for shift in advice.sooner)} - {0})
