"""Reports over a time: what was held, what that cost, what of it was in vain, by whom or by day."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Reply

KINDS = ("usage", "cost", "waste")
COLUMNS: dict[str, tuple[str, ...]] = {
    "usage": ("jobs", "gpu_hours", "cpu_hours", "memory_gib_hours"),
    "cost": ("jobs", "cost", "gpu_hours", "cpu_hours"),
    "waste": ("gpu_hours", "wasted_gpu_hours", "idle", "over_asked", "stranded", "preempted", "hung"),
}
"""The figures of each kind of report, in order. Those of waste are GPU-hours."""


class ReportRow(Reply):
    """One user, project, queue or day. ``figures`` has those that `COLUMNS` names; one that is not known is missing."""

    key: str
    figures: dict[str, float] = msgspec.field(default_factory=dict)


class ReportReply(Reply):
    """A report from ``since_ms`` to before ``until_ms``. ``total`` is that of all rows; ``notes`` say what one must know beside."""

    kind: str
    by: str
    since_ms: int
    until_ms: int
    columns: list[str]
    rows: list[ReportRow]
    total: dict[str, float] = msgspec.field(default_factory=dict)
    notes: list[str] = msgspec.field(default_factory=list)
