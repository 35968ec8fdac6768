"""Routes about what monitoring saw last: processors, GPUs, containers, all of it. They look at nothing themselves.

`documented` are the same answers at the paths by which others know them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import ApiError, Context, answer, caller_from, context_of
from tenure.api.jobs import one_job
from tenure.api.paging import cut, number_of, page_of
from tenure.api.parameters import Cursor, History, Limit, Moment, Named, Ref, Step, Until
from tenure.api.routes import Routes
from tenure.model.access import Permission
from tenure.model.anomaly import Anomaly
from tenure.model.measures import Series
from tenure.monitors.containers import ContainersSeen
from tenure.monitors.tasks import TaskLook
from tenure.store import anomalies as rows
from tenure.wire import ROOT
from tenure.wire.dto import DeviceView, ErrorReply, NodesReply
from tenure.wire.monitoring import (
    AnomaliesReply,
    AnomalyView,
    BucketView,
    ContainersReply,
    CpuReply,
    GpuSample,
    GpusReply,
    HostSample,
    MetricsReply,
    ResourcesReply,
    SamplerView,
    SeriesView,
)

routes = Routes(ROOT)
documented = Routes("/api/resource-scheduler")
UNTOLD = "shared: its driver does not tell what of the GPU is this job's; tenure gpus has the figures of the whole device"


@dataclass(frozen=True, slots=True)
class Seen:
    """The last round, by what it looked at, with the health of those who looked."""

    at_ms: int
    every_s: float
    host: HostSample | None = None
    gpus: Sequence[GpuSample] = ()
    containers: ContainersSeen = ContainersSeen()
    samplers: list[SamplerView] = field(default_factory=list)

    def problem_of(self, name: str) -> str:
        """Why a sampler gives nothing at the moment; empty when it is well."""
        return next((view.last_error for view in self.samplers if view.name == name), "")


def seen_by(context: Context) -> Seen:
    """What the watch saw last. Raises ApiError where monitoring is off."""
    watch = context.watch
    if watch is None:
        text = "monitoring is off here"
        raise ApiError(404, ErrorReply(code="not_monitored", message=text, remedy='set every = "5s" under [monitor] in config.toml'))
    seen = watch.seen
    return Seen(
        seen.at_ms,
        watch.every_s,
        seen.looks.get("host"),
        seen.looks.get("gpus", ()),
        seen.looks.get("containers", ContainersSeen()),
        watch.views(),
    )


@routes.get("/status/cpu", CpuReply, errors=("not_monitored", "not_yet"), needs=Permission.CLUSTER_READ)
@documented.get("/status/cpu", CpuReply, errors=("not_monitored", "not_yet"), needs=Permission.CLUSTER_READ)
async def cpu(request: Request) -> Response:
    """The processors of this machine: utilisation, cores, frequency, and whether that is healthy."""
    seen = seen_by(context_of(request))
    host = seen.host
    if host is None:
        why = seen.problem_of("host") or "the first look is still to come"
        reply = ErrorReply(code="not_yet", message=f"nothing is known of the processors: {why}", remedy="ask again in a few seconds")
        raise ApiError(503, reply)
    return answer(CpuReply(**{name: getattr(host, name) for name in CpuReply.__struct_fields__}))


@routes.get("/status/gpu", GpusReply, errors=("not_monitored",), needs=Permission.CLUSTER_READ)
@documented.get("/status/gpu", GpusReply, errors=("not_monitored",), needs=Permission.CLUSTER_READ)
async def gpu(request: Request) -> Response:
    """The GPUs: memory, utilisation, temperature, power, and whether each is available, in use or in error."""
    context = context_of(request)
    seen = seen_by(context)
    nodes = await asyncio.to_thread(context.queries.nodes, caller_from(request))
    return answer(GpusReply(at_ms=seen.at_ms, gpus=merged(nodes.devices, seen.gpus), problem=seen.problem_of("gpus")))


@routes.get("/status/containers", ContainersReply, errors=("not_monitored",), needs=Permission.MACHINE_READ)
@documented.get("/status/containers", ContainersReply, errors=("not_monitored",), needs=Permission.MACHINE_READ)
async def containers(request: Request) -> Response:
    """The containers of this machine: state, cpu, memory, network."""
    seen = seen_by(context_of(request))
    found = seen.containers
    problem = seen.problem_of("containers")
    return answer(ContainersReply(at_ms=seen.at_ms, engine=found.engine, containers=list(found.containers), problem=problem))


@routes.get("/resources", ResourcesReply, errors=("not_monitored",), needs=Permission.CLUSTER_READ)
async def resources(request: Request) -> Response:
    """Everything that was last seen, and how the looking goes."""
    context, caller = context_of(request), caller_from(request)
    seen = seen_by(context)
    nodes: NodesReply = await asyncio.to_thread(context.queries.nodes, caller)
    return answer(
        ResourcesReply(
            at_ms=seen.at_ms,
            every_s=seen.every_s,
            hosts=[seen.host] if seen.host is not None else [],
            gpus=merged(nodes.devices, seen.gpus),
            containers=list(seen.containers.containers) if caller.may(Permission.MACHINE_READ) else [],
            samplers=seen.samplers,
        )
    )


@routes.get("/jobs/{ref}/metrics", MetricsReply, errors=("bad_request",), needs=Permission.JOBS_READ)
async def metrics(request: Request, ref: Ref, since_ms: Moment = 0, step_ms: Step = 0, name: Named = "") -> Response:
    """A job's figures over time: what it used and what it reported, one of them with ``name``. ``step_ms`` 0 is the finest that reaches
    back to ``since_ms``."""
    context = context_of(request)
    row = await one_job(context, ref, caller_from(request))
    job_id = 0 if row.position >= 0 else row.job_id  # an element that is no job yet has no figures
    found = await asyncio.to_thread(context.queries.series, job_id, since_ms, step_ms)
    looks: Sequence[TaskLook] = context.watch.seen.looks.get("tasks", ()) if context.watch is not None else ()
    note = UNTOLD if any(look.is_untold for look in looks if look.task.job_id == job_id) else ""
    return answer(MetricsReply(id=row.id, series=[_series(one) for one in found if name in ("", one.name)], note=note))


@routes.get("/anomalies", AnomaliesReply, needs=Permission.JOBS_READ)
async def anomalies(
    request: Request,
    history: History = 0,
    kind: Named = "",
    since_ms: Moment = 0,
    until_ms: Until = 0,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Response:
    """A page of what has gone on for too long, the oldest first; with ``history=1`` of all that are kept, the newest first.
    ``since_ms`` and ``until_ms`` are about when it began."""
    queries, caller, wanted = context_of(request).queries, caller_from(request), rows.Wanted(kind, since_ms, until_ms)
    if history:
        before = number_of("anomalies-past", cursor)
        found = await asyncio.to_thread(queries.read, lambda link: rows.past_to(link, caller, wanted, before, limit + 1))
        numbered, more = cut("anomalies-past", found, lambda pair: pair[0], limit)
        page = [one for _, one in numbered]
    else:
        opened = await asyncio.to_thread(queries.read, lambda link: rows.open_to(link, caller, wanted))
        page, more = page_of("anomalies", opened, lambda one: (one.opened_ms, one.key), limit, cursor)
    ids = await asyncio.to_thread(queries.ids_of, [one.job_id for one in page if one.job_id])
    return answer(AnomaliesReply(anomalies=[_anomaly(one, ids.get(one.job_id, "")) for one in page], next=more))


def _anomaly(one: Anomaly, job: str) -> AnomalyView:
    return AnomalyView(
        key=one.key,
        kind=one.kind,
        text=one.text,
        remedy=one.remedy,
        opened_ms=one.opened_ms,
        closed_ms=one.closed_ms,
        job=job,
        subject=one.subject,
        action=one.action,
        evidence=dict(one.evidence),
    )


def _series(one: Series) -> SeriesView:
    points = [
        BucketView(at_ms=at_ms, count=count, mean=total / count, low=low, high=high, last=last)
        for at_ms, count, total, low, high, last in one.buckets
    ]
    return SeriesView(name=one.name, task=one.task, reported=one.reported, step_ms=one.step_ms, points=points)


def merged(devices: Sequence[DeviceView], looks: Sequence[GpuSample]) -> list[GpuSample]:
    """All GPUs that Tenure offers, with what was seen of them, then those that were seen and are not offered."""
    by_uuid = {look.uuid: look for look in looks}
    found = [_merged(device, by_uuid.pop(device.uuid, None)) for device in devices]
    return found + [look for look in looks if look.uuid in by_uuid]


def _merged(device: DeviceView, look: GpuSample | None) -> GpuSample:
    """One device: who holds it decides whether it is in use, whatever it computes at the moment."""
    error = look is not None and look.state == "error"
    broken = error or device.status in ("lost", "quarantined")
    busy = bool(device.jobs) or device.status == "foreign" or (look is not None and look.state == "in_use")
    return GpuSample(
        uuid=device.uuid,
        index=device.index,
        model=device.model,
        node=device.node,
        state="error" if broken else "in_use" if busy else "available",
        why=device.why or (look.why if look is not None else ""),
        memory_bytes=device.memory_bytes or None,
        memory_used_bytes=look.memory_used_bytes if look is not None else None,
        utilisation_percent=look.utilisation_percent if look is not None else None,
        temperature_c=look.temperature_c if look is not None else None,
        power_mw=look.power_mw if look is not None else None,
        power_limit_mw=look.power_limit_mw if look is not None else None,
        jobs=device.jobs,
        pretend=device.pretend,
    )


def with_readings(reply: NodesReply, looks: Sequence[GpuSample]) -> NodesReply:
    """The same reply, its devices with what was last seen of them."""
    by_uuid = {look.uuid: look for look in looks}
    for device in reply.devices:
        look = by_uuid.get(device.uuid)
        if look is not None:
            device.utilisation = None if look.utilisation_percent is None else round(look.utilisation_percent)
            device.memory_in_use_bytes = look.memory_used_bytes
            device.temperature_c = None if look.temperature_c is None else round(look.temperature_c)
            device.power_mw = look.power_mw
    return reply
