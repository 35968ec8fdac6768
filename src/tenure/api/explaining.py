"""From core's explanations (codes and numbers) to what a person reads. Nothing is decided here: every fact comes from the snapshot that
the decision was made on, or from the record of the job's end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tenure.api.context import Context
from tenure.api.postmortem import account
from tenure.control.admission import describe_shape
from tenure.core.explain import explain
from tenure.model.amounts import format_bytes, format_duration_ms
from tenure.model.commands import SubmitJob
from tenure.model.explanation import Change, Explanation, Holder, Suggestion, UnknownStart
from tenure.model.job import NO_CAP, PendingJob
from tenure.model.lifecycle import WAITING_STATES
from tenure.model.reasons import Reason, reason_to_dict
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.wire.dto import ExplanationView, HolderView, JobDetail, PlanReply, ReasonView, SuggestionView
from tenure.wire.ids import range_size
from tenure.wire.text import clock_text, count_text, lack_text, reason_text

_UNKNOWN = {
    UnknownStart.NO_LIMIT: "unknown: it depends on a running job that has no time limit",
    UnknownStart.NOT_READY: "unknown: it waits for a person or for another job",
    UnknownStart.NEVER: "never, as things are: nothing that takes work now could hold it",
    UnknownStart.TOO_FAR: "unknown: it lies beyond what was worked out",
}


@dataclass(frozen=True, slots=True)
class Names:
    """Names for the ids of a snapshot."""

    nodes: dict[int, str]
    queues: dict[int, str]
    jobs: dict[int, str]

    @staticmethod
    def of(snapshot: Snapshot) -> Names:
        """The names of its nodes and queues; jobs are named by their number, elements of arrays once they are looked up."""
        return Names({node.id: node.name for node in snapshot.nodes}, {queue.id: queue.name for queue in snapshot.queues}, {})

    def job(self, job_id: int) -> str:
        """What people type for a job."""
        return self.jobs.get(job_id, str(job_id))


def explanation_view(context: Context, snapshot: Snapshot, detail: JobDetail) -> ExplanationView:
    """Why a job is where it is: planned anew for one that waits, read from its record for any other."""
    job = detail.job
    if job.state not in WAITING_STATES or snapshot.job(job.number) is None:
        return account(detail)
    found = explain(snapshot, job.number, context.loop.ports.policy.stages)
    return _view(context, snapshot, found, job.id, job.state)


def planned(context: Context, snapshot: Snapshot, command: SubmitJob) -> PlanReply:
    """What would become of a submission if it were made now."""
    hypothetical = with_submission(snapshot, command)
    number = max((job.id for job in hypothetical.pending.jobs()), default=1)
    plan = context.loop.ports.policy.plan(hypothetical)
    found = explain(hypothetical, number, context.loop.ports.policy.stages)
    view = _view(context, hypothetical, found, "this job", "pending")
    starts = [start for decision in plan.decisions for start in decision.starts if start.job_id == number]
    nodes = {node.id: node for node in snapshot.nodes}
    placements = [
        f"task {place.task} on {nodes[place.node_id].name}"
        + "".join(f" gpu {d.index}" for d in nodes[place.node_id].devices if d.id in {share.device_id for share in place.devices})
        for start in starts[:1]
        for place in start.placements
    ]
    verdict = "starts_now" if starts else "waits"
    return PlanReply(verdict=verdict, placements=placements, explanation=view, limit_ms=command.request.limit_ms)


def with_submission(snapshot: Snapshot, command: SubmitJob) -> Snapshot:
    """The snapshot as if the job had just been submitted."""
    request = command.request
    number = 1 + max((job.id for job in snapshot.pending.jobs()), default=0)
    number = max([number, *(job.id + 1 for job in snapshot.running)])
    shape = next((key for key, known in snapshot.shapes.items() if known == request.shape), None)
    shapes = dict(snapshot.shapes)
    if shape is None:
        shape = 1 + max(shapes, default=0)
        shapes[shape] = request.shape
    queue = next((queue for queue in snapshot.queues if queue.name == request.queue), None)
    job = PendingJob(
        id=number,
        shape=shape,
        queue=queue.id if queue else 0,
        priority=request.priority,
        submitted_ms=snapshot.now_ms,
        eligible_ms=request.not_before_ms,
        limit_ms=request.limit_ms or (queue.default_limit_ms if queue else 0),
        held=int(request.hold),
        blocked=int(bool(request.after)),
        is_array=int(bool(request.array)),
        array_left=sum(range_size(item) for item in request.array) or 1,
        array_room=min(request.array_cap, NO_CAP),
    )
    return replace(snapshot, shapes=shapes, pending=snapshot.pending.changed({number: job}, ()))


def _view(context: Context, snapshot: Snapshot, found: Explanation, shown: str, state: str) -> ExplanationView:
    names = Names.of(snapshot)
    names.jobs.update(context.queries.ids_of([holder.job_id for holder in found.holders]))
    blockers = [reason_view(reason, names) for reason in found.blockers]
    summary = (
        "it starts now" if found.starts_now else "; ".join(blocker.text for blocker in blockers[:1]) or "it waits for the next cycle"
    )
    pending = snapshot.job(found.job_id)
    return ExplanationView(
        id=shown,
        state=state,
        summary=summary,
        blockers=blockers,
        nearest_node=names.nodes.get(found.node_id, ""),
        nearest_lacks=[lack_text(short) for short in found.short],
        holders=[_holder_view(holder, names) for holder in found.holders],
        earliest_ms=found.start.earliest_ms,
        latest_ms=found.start.latest_ms,
        eta_text=_eta_text(found, snapshot.now_ms),
        suggestions=[_suggestion_view(item, pending, snapshot, names) for item in found.suggestions if pending is not None],
    )


def reason_view(reason: Reason, names: Names) -> ReasonView:
    """A reason as the wire shows it."""
    payload = reason_to_dict(reason)
    code, cure = payload.pop("code"), payload.pop("cure")
    return ReasonView(code=code, cure=cure, text=reason_text(reason, names.nodes, names.job), payload=payload)


def _holder_view(holder: Holder, names: Names) -> HolderView:
    held = [count_text(holder.amounts.cpu_milli, "cpu")] if holder.amounts.cpu_milli else []
    if holder.amounts.memory_bytes:
        held.append(f"{format_bytes(holder.amounts.memory_bytes)} of memory")
    if holder.devices:
        held.append(count_text(sum(share.milli for share in holder.devices), "GPU"))
    when = f" until {clock_text(holder.ends_ms)} at the latest" if holder.ends_ms else ", with no time limit"
    verb = "will hold" if holder.planned else "holds"
    node = names.nodes.get(holder.node_id, "")
    text = f"job {names.job(holder.job_id)} {verb} {', '.join(held) or 'nothing that is counted'} on {node}{when}"
    return HolderView(job=names.job(holder.job_id), node=node, text=text, ends_by_ms=holder.ends_ms)


def _eta_text(found: Explanation, now_ms: int) -> str:
    start = found.start
    if found.starts_now:
        return "now"
    if start.latest_ms:
        earliest = f"between {clock_text(start.earliest_ms)} and " if 0 < start.earliest_ms < start.latest_ms else "by "
        return f"{earliest}{clock_text(start.latest_ms)} (in at most {format_duration_ms(max(0, start.latest_ms - now_ms))})"
    return _UNKNOWN[start.unknown] if start.unknown else "unknown"


def _suggestion_view(item: Suggestion, job: PendingJob, snapshot: Snapshot, names: Names) -> SuggestionView:
    if item.change is Change.SHORTER:
        text = f"with a time limit of {format_duration_ms(item.limit_ms)} it would start now, without delaying anybody"
        return SuggestionView(kind=item.change, text=text, options=f"--time {_time_option(item.limit_ms)}")
    if item.change is Change.OTHER_QUEUE:
        name = names.queues.get(item.queue, str(item.queue))
        return SuggestionView(kind=item.change, text=f"in queue {name} it would start now", options=f"--queue {name}")
    options = _changed_options(snapshot.shapes[job.shape], item.shape)
    return SuggestionView(kind=item.change, text=f"with {options} it would start now", options=options)


def _changed_options(old: Shape, new: Shape) -> str:
    """The options in which two shapes differ."""
    before = set(_pairs(describe_shape(old)))
    return " ".join(f"{name} {value}" for name, value in _pairs(describe_shape(new)) if (name, value) not in before)


def _pairs(options: str) -> list[tuple[str, str]]:
    words = options.split()
    return list(zip(words[::2], words[1::2], strict=True))


def _time_option(limit_ms: int) -> str:
    """A limit as ``--time`` takes it, rounded down to seconds."""
    return f"{max(1, limit_ms // 1000)}s"
