"""Everything about one job: its request, its attempts task by task, its events. Secrets are redacted here, at the source."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from sqlalchemy import select

from tenure.store.arrays import index_at
from tenure.store.intern import Names
from tenure.store.listing import ids_of, records
from tenure.store.rooms import in_front_of
from tenure.store.schema import allocation, allocation_device, attempt, dependency, device, event, job, node
from tenure.store.sql import Link, Statement, const, param
from tenure.store.views import job_views, shown_state
from tenure.wire.dto import AfterView, AttemptView, EventView, JobDetail, TaskView
from tenure.wire.ids import format_id

MAX_EVENTS = 200
MAX_ATTEMPTS = 50
REDACTED = "********"
_MENTIONED = ("on_job", "condition", "satisfied")
AFTER = Statement(
    select(*(dependency.c[name] for name in _MENTIONED), job.c.name, job.c.state, job.c.array_live)
    .join(job, job.c.id == dependency.c.on_job)
    .where(dependency.c.job_id == param("id"))
    .order_by(dependency.c.on_job),
    "id",
)
_TRIED = ("id", "previous_id", "number", "started_ms", "ended_ms", "outcome", "stop_why", "rest", "slice_ms", "checkpoint_ms")
ATTEMPT = Statement(select(*(attempt.c[name] for name in _TRIED)).where(attempt.c.id == param("id")), "id")
_RAN = (
    *("task", "state", "pid", "exit_code", "signal", "reason", "why"),
    *("started_ms", "ended_ms", "cpu_ms", "peak_memory_bytes", "stdout", "stderr", "cpu_milli", "memory_bytes"),
)
TASKS = Statement(
    select(*(allocation.c[name] for name in _RAN), node.c.name, node.c.pretend)
    .select_from(allocation.join(node, node.c.id == allocation.c.node_id))
    .where(allocation.c.attempt_id == param("attempt"))
    .order_by(allocation.c.task),
    "attempt",
)
DEVICES = Statement(
    select(allocation_device.c.task, device.c.uuid, device.c.device_index)
    .select_from(allocation_device.join(device, device.c.id == allocation_device.c.device_id))
    .where(allocation_device.c.attempt_id == param("attempt"))
    .order_by(device.c.device_index),
    "attempt",
)
EVENTS = Statement(
    select(event.c.cursor, event.c.kind, event.c.at_ms, event.c.version, event.c.data)
    .where(event.c.job_id == param("job"))
    .order_by(event.c.cursor.desc())
    .limit(const(MAX_EVENTS))
    .offset(const(0)),
    "job",
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH|COOKIE|_PAT$", re.IGNORECASE)
_NOT_SECRET = {"KEYBOARD", "SSH_AUTH_SOCK"}


def redact(env: dict[str, str]) -> dict[str, str]:
    """An environment in which the values of names that look like secrets are hidden."""
    return {name: REDACTED if value and name not in _NOT_SECRET and _SECRET.search(name) else value for name, value in env.items()}


def detail(link: Link, names: Names, job_id: int, position: int, now_ms: int) -> JobDetail | None:
    """One job, or one element of an array that is no row yet (``position`` >= 0); None when there is no such job."""
    found = records(link, [job_id])
    if not found:
        return None
    record = found[0]
    spec = names.spec(link, record["spec_id"])
    view = job_views(link, names, [record], now_ms)[0]
    made = JobDetail(
        job=view,
        argv=list(spec.argv),
        script=spec.script,
        cwd=spec.cwd,
        submit_dir=spec.submit_dir,
        env=redact(dict(spec.env)),
        origin=dict(spec.origin),
        after=_after(link, record["array_id"] or job_id),
        attempts=_attempts(link, record),
        events=_events(link, job_id),
    )
    if position >= 0:
        view.id = format_id(0, job_id, index_at(record["array_ranges"], position))
        view.array = None
        view.state = record["state"] if record["array_left"] else "cancelled"
    return made


def _after(link: Link, job_id: int) -> list[AfterView]:
    """What a job waits for; an element waits for what its array does."""
    rows = link.rows(AFTER, job_id)
    shown = ids_of(link, [row[0] for row in rows])
    return [
        AfterView(
            job=shown.get(on_job, str(on_job)), condition=condition, name=name, state=shown_state(state, live), is_met=bool(satisfied)
        )
        for on_job, condition, satisfied, name, state, live in rows
    ]


def attempt_chain(link: Link, last_id: int, limit: int = MAX_ATTEMPTS) -> list[tuple[Any, ...]]:
    """The attempts of a job from its last one backwards: (id, previous, number, started, ended, outcome, why it was stopped, its rest,
    since when, its last checkpoint: see `tenure.model.job.RunningJob`)."""
    chain: list[tuple[Any, ...]] = []
    while last_id and len(chain) < limit:
        row = link.row(ATTEMPT, last_id)
        if row is None:
            break
        chain.append(row)
        last_id = row[1]
    return chain


def _attempts(link: Link, record: dict[str, Any]) -> list[AttemptView]:
    views = []
    chain = attempt_chain(link, record["last_attempt_id"])
    for number, _previous, count, started, ended, outcome, why, rest, since, saved in reversed(chain):
        views.append(
            AttemptView(
                number=count,
                attempt=number,
                started_ms=started or 0,
                ended_ms=ended or 0,
                outcome=outcome,
                tasks=_tasks(link, number),
                why=why,
                rests_ms=since if rest and ended is None else 0,
                checkpoint_ms=saved,
            )
        )
    return views


def _tasks(link: Link, attempt_id: int) -> list[TaskView]:
    devices = _devices(link, attempt_id)
    first = in_front_of(link, attempt_id)
    behind = ids_of(link, [first])[first] if first else ""
    views = []
    for row in link.rows(TASKS, attempt_id):
        task, state, pid, exit_code, signal, reason, why, started, ended, cpu_ms, peak, stdout, stderr, *held, name, pretend = row
        cards = devices.get(task, [])
        views.append(
            TaskView(
                task=task,
                node=name,
                state=state,
                devices=[uuid for uuid, _ in cards],
                device_indices=[index for _, index in cards],
                pretend=bool(pretend),
                pid=pid,
                exit_code=exit_code,
                signal=signal,
                end_reason=reason,
                why=why,
                started_ms=started or 0,
                ended_ms=ended or 0,
                cpu_ms=cpu_ms,
                peak_memory_bytes=peak,
                log=stdout,
                stderr=stderr,
                behind=behind,
                cpu_milli=held[0],
                memory_bytes=held[1],
            )
        )
    return views


def _devices(link: Link, attempt_id: int) -> dict[int, list[tuple[str, int]]]:
    found: dict[int, list[tuple[str, int]]] = {}
    for task, uuid, index in link.rows(DEVICES, attempt_id):
        found.setdefault(task, []).append((uuid, index))
    return found


def _events(link: Link, job_id: int) -> list[EventView]:
    return [
        EventView(cursor=cursor, kind=kind, at_ms=at_ms, version=version, data=msgspec.json.decode(data))
        for cursor, kind, at_ms, version, data in reversed(link.rows(EVENTS, job_id))
    ]
