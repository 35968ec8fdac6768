"""From core's explanations (codes and numbers) to what a person reads. Nothing is decided here: every fact comes from the snapshot that
the decision was made on, or from the record of the job's end."""

from __future__ import annotations

from dataclasses import dataclass, field

from tenure.api.context import Context
from tenure.api.guided import with_guidance
from tenure.api.particulars import with_particulars
from tenure.api.pools import forgotten_text, pools_text
from tenure.api.postmortem import account
from tenure.api.sharing import standing_text
from tenure.api.suggesting import suggestion_view
from tenure.core.quotas import has_bounds
from tenure.model.access import SCHEDULER, Caller
from tenure.model.amounts import format_bytes, format_duration_ms
from tenure.model.explanation import Explanation, Holder, UnknownStart
from tenure.model.lifecycle import WAITING_STATES
from tenure.model.reasons import Reason, reason_to_dict
from tenure.model.snapshot import Snapshot
from tenure.wire.dto import ExplanationView, HolderView, JobDetail, ReasonView
from tenure.wire.text import clock_text, count_text, lack_text, reason_text

_UNKNOWN = {
    UnknownStart.NO_LIMIT: "unknown: it depends on a running job that has no time limit",
    UnknownStart.NOT_READY: "unknown: it waits for a person or for another job",
    UnknownStart.UNAVAILABLE: "unknown: what could hold it takes no work now",
    UnknownStart.NEVER: "never: nothing that is declared could hold it",
    UnknownStart.DEADLINE: "not before its deadline, at which it is cancelled",
    UnknownStart.QUOTA: "unknown: its project may not hold as much as it asks for",
    UnknownStart.TOO_FAR: "unknown: it lies beyond what was worked out",
}


HIDDEN = "of others"
"""What a job is called to those who may not see it."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names for the ids of a snapshot."""

    nodes: dict[int, str]
    queues: dict[int, str]
    jobs: dict[int, str]
    projects: dict[int, str] = field(default_factory=dict)

    @staticmethod
    def of(snapshot: Snapshot) -> Names:
        """The names of its nodes, queues and projects; jobs are named by their number, elements of arrays once they are looked up."""
        projects = {project.id: project.name for project in snapshot.projects}
        return Names({node.id: node.name for node in snapshot.nodes}, {queue.id: queue.name for queue in snapshot.queues}, {}, projects)

    def job(self, job_id: int) -> str:
        """What people type for a job."""
        return self.jobs.get(job_id, str(job_id))


def explanation_view(context: Context, snapshot: Snapshot, detail: JobDetail, caller: Caller = SCHEDULER) -> ExplanationView:
    """Why a job is where it is: planned anew for one that waits, read from its record for any other. Of others' jobs the caller learns
    what they hold, and not which they are."""
    job = detail.job
    if job.state not in WAITING_STATES or snapshot.job(job.number) is None:
        return account(detail)
    policy, pending = context.loop.ports.policy, snapshot.job(job.number)
    view = with_particulars(explained(context, snapshot, policy.explain(snapshot, job.number), job.id, job.state, caller), detail)
    shares = "project" in policy.distinguishes or has_bounds({project.id: project for project in snapshot.projects})
    if pending is not None:
        labels = snapshot.shapes[pending.shape].labels
        view.summary = forgotten_text(snapshot.nodes, labels) or view.summary
        view.evidence += pools_text(context.pools, labels)
        view = with_guidance(view, job, pending, context.queries.guidance())
    if shares and pending is not None:
        view.evidence.append(standing_text(snapshot, pending, job.project, job.user))
    return view


def explained(
    context: Context, snapshot: Snapshot, found: Explanation, shown: str, state: str, caller: Caller = SCHEDULER
) -> ExplanationView:
    """An explanation in words, of a job that people call ``shown``."""
    names = Names.of(snapshot)
    names.jobs.update(context.queries.ids_of([holder.job_id for holder in found.holders]))
    if not caller.sees_all:
        concerned = [job.id for job in snapshot.running] + [job.id for job in snapshot.pending.jobs()]
        visible = context.queries.seen(caller, [*concerned, *names.jobs])
        names.jobs.update(dict.fromkeys({*concerned, *names.jobs} - visible, HIDDEN))
        names.projects.update({n: HIDDEN for n, name in names.projects.items() if not caller.role_in(name)})
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
        suggestions=[suggestion_view(item, pending, snapshot) for item in found.suggestions if pending is not None],
    )


def reason_view(reason: Reason, names: Names) -> ReasonView:
    """A reason as the wire shows it."""
    payload = reason_to_dict(reason)
    code, cure = payload.pop("code"), payload.pop("cure")
    return ReasonView(code=code, cure=cure, text=reason_text(reason, names.nodes, names.job, names.projects), payload=payload)


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
