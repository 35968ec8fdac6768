"""Guidance in words, and what a job is told of it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from tenure.model.guidance import guided
from tenure.model.job import PendingJob
from tenure.store.guided import GuidanceRow
from tenure.wire.dto import ExplanationView, JobView
from tenure.wire.text import clock_text


def text_of(row: GuidanceRow) -> str:
    """What it asks for, in a few words."""
    if row.policy:
        return f"{row.policy} decides"
    parts = [("project", row.project), ("queue", row.queue), ("user", row.user), ("name", row.name)]
    of = ", ".join(f"{word} {value}" for word, value in parts if value)
    return f"jobs of {of} count {abs(row.steps)} {'more' if row.steps > 0 else 'less'}"


def with_guidance(view: ExplanationView, job: JobView, pending: PendingJob, rows: Iterable[GuidanceRow]) -> ExplanationView:
    """The explanation of a waiting job with what guidance makes of it."""
    standing = list(rows)
    mine = [row for row in standing if row.steps and row.of_class.concerns(pending.project, pending.queue, pending.user, job.name)]
    told = [*mine, *(row for row in standing if row.policy)]
    notes = [f"guidance {row.id} of {row.made_by}, until {clock_text(row.until_ms)}: {text_of(row)}" for row in told]
    if mine:
        counts = guided(job.priority, [row.steps for row in mine])
        notes.append(f"by guidance it counts with priority {counts} instead of {job.priority}")
    return replace(view, evidence=[*view.evidence, *notes]) if notes else view
