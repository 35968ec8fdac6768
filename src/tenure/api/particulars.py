"""What a job's own record adds to what the planner says: which jobs it waits for and how they stand, and what its memory came to."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from tenure.model.amounts import format_bytes
from tenure.model.anomaly import Anomaly
from tenure.wire.dto import ExplanationView, JobDetail, JobView
from tenure.wire.text import Awaited, dependency_text

NEAR_PERCENT = 90
"""A peak of so much of the limit is worth a word: the next run may not fit."""


def with_particulars(view: ExplanationView, detail: JobDetail) -> ExplanationView:
    """The explanation of a waiting job: the jobs it waits for by name, and of its last run whom it made room for, and its memory."""
    text = dependency_text([Awaited(item.job, item.name, item.state, item.condition) for item in detail.after if not item.is_met])
    blockers = [replace(item, text=text) if item.code == "dependency" and text else item for item in view.blockers]
    is_first = bool(blockers) and view.summary == view.blockers[0].text
    note = memory_note(detail.job)
    last = detail.attempts[-1] if detail.attempts else None
    notes = [f"its last run was stopped: {last.why}"] if last is not None and last.outcome == "preempted" else []
    notes += [f"of its last run: {note}"] if note else []
    return replace(
        view,
        summary=blockers[0].text if is_first else view.summary,
        blockers=blockers,
        is_array=detail.job.array is not None,
        evidence=[*view.evidence, *notes],
    )


def with_troubles(view: ExplanationView, troubles: Sequence[Anomaly]) -> ExplanationView:
    """The explanation with the anomalies of the job: those that go on decide what to do next."""
    lines = [f"{'' if one.closed_ms else 'still '}{one.kind.replace('_', ' ')}: {one.text}" for one in reversed(troubles)]
    going_on = [one.remedy for one in troubles if not one.closed_ms]
    return replace(view, evidence=[*view.evidence, *lines], next_step=going_on[0] if going_on else view.next_step)


def memory_note(job: JobView) -> str:
    """A sentence about a run that came near the memory it asks for, or above it; empty for any other."""
    limit, peak = job.memory_bytes, job.peak_memory_bytes
    if not limit or peak * 100 < limit * NEAR_PERCENT:
        return ""
    if peak > limit:
        return f"its memory peaked at {format_bytes(peak)}, above the {format_bytes(limit)} it asks for"
    share = f"{peak * 100 // limit}% of the {format_bytes(limit)} it asks for"
    return f"its memory, file cache included, peaked at {format_bytes(peak)}, {share}"
