"""Job rows as lines of a listing: names, counts of arrays, where they run, and why they wait."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select

from tenure.model.job import NO_CAP
from tenure.model.reasons import ArrayCap, Dependency, Held, NotBefore, QueuePaused, Reason, reason_from_dict, reason_to_dict
from tenure.store.intern import Names
from tenure.store.listing import ranges_of
from tenure.store.reader import ask
from tenure.store.schema import allocation, attempt, dependency, hold, job, node, queue
from tenure.store.sql import Link
from tenure.wire.dto import ArrayView, JobView, ReasonView
from tenure.wire.ids import format_id, format_indices
from tenure.wire.text import reason_text

_COUNTED = {
    "array_succeeded": "succeeded",
    "array_failed": "failed",
    "array_cancelled": "cancelled",
    "array_timed_out": "timed_out",
    "array_lost": "lost",
    "array_live": "active",
}
_SAME = (
    "name",
    "state",
    "kind",
    "priority",
    "submitted_ms",
    "started_ms",
    "limit_ms",
    "deadline_ms",
    "cpu_milli",
    "memory_bytes",
    "gpu_milli",
    "gpu_memory_bytes",
    "gpu_model",
    "tasks",
    "nodes",
    "attempts",
    "retries",
    "exit_code",
    "signal",
    "end_reason",
    "why",
    "cpu_ms",
    "peak_memory_bytes",
)
_CHUNK = 500


def job_views(link: Link, names: Names, records: Sequence[dict[str, Any]], now_ms: int) -> list[JobView]:
    """One line per record, in order."""
    live = [record["attempt_id"] for record in records if record["attempt_id"]]
    places, stopping = _places(link, live), _stopping(link, live)
    reasons = Waits(link, now_ms)
    return [
        _view(link, names, record, places.get(record["attempt_id"], []), reasons, stopping=record["attempt_id"] in stopping)
        for record in records
    ]


def _view(link: Link, names: Names, record: dict[str, Any], on_nodes: list[str], reasons: Waits, *, stopping: bool) -> JobView:
    return JobView(
        id=id_of(record),
        number=record["id"],
        user=record["user_name"],
        project=record["project_name"],
        queue=record["queue_name"],
        group=record["group_name"],
        ended_ms=record["ended_ms"] or 0,
        not_before_ms=record["eligible_ms"],
        on_nodes=on_nodes,
        stopping=stopping,
        reason=reasons.of(record),
        array=_array_view(record) if record["array_size"] else None,
        command=shlex.join(names.spec(link, record["spec_id"]).argv)[:200],
        **{name: record[name] for name in _SAME},
    )


def id_of(record: dict[str, Any]) -> str:
    """What people type for this row."""
    return format_id(record["id"], record["array_id"] or 0, record["array_index"])


def _array_view(record: dict[str, Any]) -> ArrayView:
    cap = record["array_cap"] if record["array_cap"] < NO_CAP else 0
    states = {state: record[column] for column, state in _COUNTED.items() if record[column]}
    if record["array_dropped"]:
        states["cancelled"] = states.get("cancelled", 0) + record["array_dropped"]
    ranges = ranges_of(record["array_ranges"])
    return ArrayView(
        indices=format_indices(ranges, cap), size=record["array_size"], waiting=record["array_left"], cap=cap, states=states
    )


def _pieces(keys: Sequence[int]) -> Iterable[Sequence[int]]:
    return (keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK))


def _places(link: Link, attempts: Sequence[int]) -> dict[int, list[str]]:
    """Names of the nodes that attempts hold something on, by attempt, without repetition."""
    found: dict[int, list[str]] = {}
    joined = allocation.join(node, node.c.id == allocation.c.node_id)
    for part in _pieces(attempts):
        clause = select(allocation.c.attempt_id, node.c.name).select_from(joined).where(allocation.c.attempt_id.in_(part))
        for number, name in ask(link, clause.order_by(allocation.c.attempt_id, allocation.c.task)):
            if name not in found.setdefault(number, []):
                found[number].append(name)
    return found


def _stopping(link: Link, attempts: Sequence[int]) -> set[int]:
    """Those of the attempts whose end was asked for."""
    found: set[int] = set()
    for part in _pieces(attempts):
        found.update(row[0] for row in ask(link, select(attempt.c.id).where(attempt.c.id.in_(part), attempt.c.stop_reason != "")))
    return found


class Waits:
    """Why waiting jobs wait: what their own row says comes first, then what the last plan found for their shape and queue."""

    def __init__(self, link: Link, now_ms: int) -> None:
        self._link = link
        self._now_ms = now_ms
        self._holds: dict[tuple[int, int], Reason] | None = None
        self._nodes: dict[int, str] = {}
        self._paused: set[int] = set()

    def of(self, record: dict[str, Any]) -> ReasonView | None:
        """The reason to show; None for a job that does not wait, or that no plan has seen yet."""
        if record["state"] not in ("held", "pending") or (record["attempt_id"] and not record["array_size"]):
            return None
        self._load()
        reason = self._own(record) or (self._holds or {}).get((record["shape_id"], record["queue_id"]))
        if reason is None:
            return None
        payload = reason_to_dict(reason)
        code, cure = payload.pop("code"), payload.pop("cure")
        return ReasonView(code=code, cure=cure, text=reason_text(reason, self._nodes, self._name), payload=payload)

    def _own(self, record: dict[str, Any]) -> Reason | None:
        if record["state"] == "held":
            return Held()
        if record["blocked"]:
            clause = select(dependency.c.on_job).where(dependency.c.job_id == record["id"], dependency.c.satisfied == 0)
            return Dependency(tuple(row[0] for row in ask(self._link, clause.order_by(dependency.c.on_job))))
        if record["eligible_ms"] > self._now_ms:
            return NotBefore(record["eligible_ms"])
        if record["queue_id"] in self._paused:
            return QueuePaused(record["queue_id"])
        if record["array_size"] and record["array_cap"] < NO_CAP and record["array_live"] >= record["array_cap"]:
            return ArrayCap()
        return None

    def _load(self) -> None:
        if self._holds is not None:
            return
        self._holds = {}
        clause = select(hold.c.shape_id, hold.c.queue_id, hold.c.reason).order_by(hold.c.shape_id, hold.c.queue_id, hold.c.code)
        for shape_id, queue_id, text in ask(self._link, clause):
            self._holds.setdefault((shape_id, queue_id), reason_from_dict(msgspec.json.decode(text)))
        self._nodes = dict(ask(self._link, select(node.c.id, node.c.name)))
        self._paused = {row[0] for row in ask(self._link, select(queue.c.id).where(queue.c.paused != 0))}

    def _name(self, job_id: int) -> str:
        return ids_of(self._link, [job_id]).get(job_id, str(job_id))


def ids_of(link: Link, numbers: Sequence[int]) -> dict[int, str]:
    """What people type for these jobs, by number."""
    found: dict[int, str] = {}
    for part in _pieces(sorted(set(numbers))):
        clause = select(job.c.id, func.coalesce(job.c.array_id, 0), job.c.array_index).where(job.c.id.in_(part))
        found.update((number, format_id(number, array_id, index)) for number, array_id, index in ask(link, clause))
    return found
