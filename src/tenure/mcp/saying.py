"""Replies of the daemon as plain data for an agent: what is said is short, and nothing that is empty is said at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenure.model.amounts import RESOURCES
from tenure.wire.jobs import JobView
from tenure.wire.leases import LeaseView
from tenure.wire.whatif import ShiftView

SHOWN = 20


def plain(value: Any) -> Any:
    """A reply as JSON has it: fields that have their default value are left out."""
    import msgspec

    return msgspec.to_builtins(value)


def job_line(job: JobView) -> dict[str, Any]:
    """A job in a line."""
    told: dict[str, Any] = {"id": job.id, "name": job.name, "state": job.state, "user": job.user, "project": job.project}
    if job.gpu_milli:
        told["gpus"] = job.gpu_milli / 1000
    for name in ("submitted_ms", "started_ms", "ended_ms", "limit_ms", "eta_ms", "on_nodes", "end_reason", "why"):
        if value := getattr(job, name):
            told[name] = value
    if job.exit_code is not None:
        told["exit_code"] = job.exit_code
    if job.reason is not None:
        told["waits_because"] = job.reason.text
    return told


def lease_view(view: LeaseView) -> dict[str, Any]:
    """A lease: its number and state, what it has, until when, and what a process that uses it should have in its environment."""
    names = ("id", "number", "phase", "why", "node", "devices", "gpu_milli", "gpu_memory_bytes")
    told = {name: getattr(view, name) for name in (*names, *RESOURCES, "fence", "expires_ms", "left_ms", "env")}
    return {name: value for name, value in told.items() if value not in ("", 0, [], {})}


def shift_lines(shifts: Sequence[ShiftView]) -> list[dict[str, Any]]:
    """The jobs for which something changes, the first ones."""
    changed = [shift for shift in shifts if shift.effect != "same"][:SHOWN]
    return [plain(shift) for shift in changed]
