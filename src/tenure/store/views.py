"""Job rows as lines of a listing: names, counts of arrays, where they run, and why they wait."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from tenure.model.job import NO_CAP
from tenure.model.reasons import (
    ArrayCap,
    Dependency,
    Held,
    NotBefore,
    QueuePaused,
    Reason,
    RoomPromised,
    reason_from_dict,
    reason_to_dict,
)
from tenure.store.accounts import PROJECT_NAMES
from tenure.store.arrays import ranges_of
from tenure.store.intern import NODE_NAMES, Names
from tenure.store.listing import ids_of
from tenure.store.plan_schema import claim, hold
from tenure.store.rooms import count_behind
from tenure.store.schema import allocation, attempt, dependency, job, node, queue
from tenure.store.sql import InList, Link, Statement, const, param
from tenure.wire.dto import ArrayView, JobView, ReasonView
from tenure.wire.ids import format_id, format_indices
from tenure.wire.text import Awaited, dependency_text, reason_text

_COUNTED = {
    "array_succeeded": "succeeded",
    "array_failed": "failed",
    "array_cancelled": "cancelled",
    "array_timed_out": "timed_out",
    "array_lost": "lost",
    "array_live": "running",
}
_SAME = (
    "name",
    "kind",
    "priority",
    "submitted_ms",
    "started_ms",
    "limit_ms",
    "deadline_ms",
    "cpu_milli",
    "memory_bytes",
    "storage_bytes",
    "bandwidth_bps",
    "gpu_milli",
    "gpu_memory_bytes",
    "gpu_model",
    "tasks",
    "nodes",
    "app",
    "max_per_node",
    "prefer",
    "prefer_wait_ms",
    "attempts",
    "retries",
    "exit_code",
    "signal",
    "end_reason",
    "why",
    "cpu_ms",
    "peak_memory_bytes",
)

PLACES = InList(
    lambda keys: (
        select(allocation.c.attempt_id, node.c.name)
        .join(node, node.c.id == allocation.c.node_id)
        .where(allocation.c.attempt_id.in_(keys))
        .order_by(allocation.c.attempt_id, allocation.c.task)
    )
)
STOPPING = InList(lambda keys: select(attempt.c.id).where(attempt.c.id.in_(keys), attempt.c.stop_reason != const("")))
UNSATISFIED = Statement(
    select(dependency.c.on_job, job.c.name, job.c.state, job.c.array_live, dependency.c.condition)
    .join(job, job.c.id == dependency.c.on_job)
    .where(dependency.c.job_id == param("job"), dependency.c.satisfied == const(0))
    .order_by(dependency.c.on_job),
    "job",
)
HOLDS = Statement(
    select(hold.c.shape_id, hold.c.queue_id, hold.c.project_id, hold.c.first_job, hold.c.reason).order_by(
        hold.c.shape_id, hold.c.queue_id, hold.c.first_job, hold.c.code
    )
)
PROMISED = Statement(
    select(claim.c.job_id, claim.c.victims, claim.c.deadline_ms).where(claim.c.deadline_ms > param("now")).order_by(claim.c.id), "now"
)
PAUSED = Statement(select(queue.c.id).where(queue.c.paused != const(0)))


def job_views(link: Link, names: Names, records: Sequence[dict[str, Any]], now_ms: int) -> list[JobView]:
    """One line per record, in order."""
    shown = [
        record["last_attempt_id"] for record in records if record["state"] not in ("held", "pending") and record["last_attempt_id"]
    ]
    live = [record["attempt_id"] for record in records if record["attempt_id"]]
    places = _places(link, shown)
    stopping = {number for (number,) in link.rows_in(STOPPING, live)}
    reasons = Waits(link, now_ms)
    behind = count_behind(link, [record["id"] for record in records if record["array_size"] and record["array_live"]])
    for record in records:
        record["behind"] = behind.get(record["id"], 0)
    return [
        _view(link, names, record, places.get(record["last_attempt_id"], []), reasons, stopping=record["attempt_id"] in stopping)
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
        state=shown_state(record["state"], record["array_live"]),
        **{name: record[name] for name in _SAME},
    )


def shown_state(state: str, live: int) -> str:
    """The state of a job as people see it: an array runs as soon as an element does."""
    return "running" if live else state


def id_of(record: dict[str, Any]) -> str:
    """What people type for this row."""
    return format_id(record["id"], record["array_id"] or 0, record["array_index"])


def _array_view(record: dict[str, Any]) -> ArrayView:
    cap = record["array_cap"] if record["array_cap"] < NO_CAP else 0
    states = {state: record[column] for column, state in _COUNTED.items() if record[column]}
    if record["behind"]:
        states["running"], states["starting"] = states["running"] - record["behind"], record["behind"]
    waiting = record["array_size"] - record["array_left"] - sum(states.values())
    if waiting:
        states["pending"] = waiting
    indices = format_indices(ranges_of(record["array_ranges"]), cap)
    return ArrayView(indices=indices, size=record["array_size"], waiting=record["array_left"], cap=cap, states=states)


def _places(link: Link, attempts: Sequence[int]) -> dict[int, list[str]]:
    """Names of the nodes of attempts, by attempt, without repetition."""
    found: dict[int, list[str]] = {}
    for number, name in link.rows_in(PLACES, attempts):
        if name not in found.setdefault(number, []):
            found[number].append(name)
    return found


def _waiter(record: dict[str, Any]) -> int:
    """Whose dependencies hold a job back: its array's, where that waits itself."""
    return int(record["array_id"] if record["template_blocked"] else record["id"])


class Waits:
    """Why waiting jobs wait: what their own row says comes first, then what the last plan found for their shape and queue."""

    def __init__(self, link: Link, now_ms: int) -> None:
        self._link = link
        self._now_ms = now_ms
        self._holds: dict[tuple[int, int], list[tuple[int, int, Reason]]] | None = None
        self._projects: dict[int, str] = {}
        self._nodes: dict[int, str] = {}
        self._paused: set[int] = set()
        self._promised: dict[int, RoomPromised] = {}

    def of(self, record: dict[str, Any]) -> ReasonView | None:
        """The reason to show; None for a job that does not wait, or that no plan has seen yet."""
        if record["state"] not in ("held", "pending") or (record["attempt_id"] and not record["array_size"]):
            return None
        self._load()
        reason = self._own(record) or self._found(record)
        if reason is None:
            return None
        payload = reason_to_dict(reason)
        code, cure = payload.pop("code"), payload.pop("cure")
        text = (
            self._waits_for(record) if isinstance(reason, Dependency) else reason_text(reason, self._nodes, self._name, self._projects)
        )
        return ReasonView(code=code, cure=cure, text=text, payload=payload)

    def _own(self, record: dict[str, Any]) -> Reason | None:
        if record["state"] == "held":
            return Held()
        if record["blocked"] or record["template_blocked"]:
            return Dependency(tuple(row[0] for row in self._link.rows(UNSATISFIED, _waiter(record))))
        if record["eligible_ms"] > self._now_ms:
            return NotBefore(record["eligible_ms"])
        if record["queue_id"] in self._paused:
            return QueuePaused(record["queue_id"])
        if record["id"] in self._promised and not record["array_size"]:
            return self._promised[record["id"]]
        of_array = bool(record["array_size"]) and record["array_live"] >= record["array_cap"]
        of_element = bool(record["array_id"]) and record["template_live"] >= record["template_cap"]
        return ArrayCap() if of_array or of_element else None

    def _waits_for(self, record: dict[str, Any]) -> str:
        rows = self._link.rows(UNSATISFIED, _waiter(record))
        return dependency_text([Awaited(self._name(row[0]), row[1], shown_state(row[2], row[3]), row[4]) for row in rows])

    def _found(self, record: dict[str, Any]) -> Reason | None:
        """The plan's reason: of several for one shape and queue, that of its project, else the one that was found latest in the order
        before this job."""
        found = (self._holds or {}).get((record["shape_id"], record["queue_id"]), [])
        mine = [(first, reason) for project_id, first, reason in found if project_id in (0, record["project_id"])]
        own = [reason for project_id, _, reason in found if project_id == record["project_id"]]
        before = own or [reason for first, reason in mine if first <= record["id"]]
        return before[-1] if before else mine[0][1] if mine else None

    def _load(self) -> None:
        if self._holds is not None:
            return
        self._holds = {}
        for shape_id, queue_id, project_id, first, text in self._link.rows(HOLDS):
            found = self._holds.setdefault((shape_id, queue_id), [])
            found.append((project_id, first, reason_from_dict(msgspec.json.decode(text))))
        self._projects = {number: name for name, number in self._link.rows(PROJECT_NAMES)}
        self._nodes = dict(self._link.rows(NODE_NAMES))
        self._paused = {number for (number,) in self._link.rows(PAUSED)}
        for job_id, victims, deadline_ms in self._link.rows(PROMISED, self._now_ms):
            self._promised[job_id] = RoomPromised(tuple(msgspec.json.decode(victims, type=list[int])), deadline_ms)

    def _name(self, job_id: int) -> str:
        return ids_of(self._link, [job_id]).get(job_id, str(job_id))
