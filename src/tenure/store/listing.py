"""Which jobs a selection names, and a page of them as the wire shows them.

An array is one line (its template); its elements are listed when they are named. Filters are joined by *and*. Every query is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, and_, func, or_, select

from tenure.model.commands import Caller
from tenure.model.lifecycle import ENDED_STATES, JobState
from tenure.store.reader import ask
from tenure.store.schema import job, project, queue, shape, user
from tenure.store.sql import Link
from tenure.wire.dto import Selection
from tenure.wire.ids import JobRef, expand, format_id, parse_ref

MAX_PAGE = 100_000
_ENDED = sorted(state.value for state in ENDED_STATES)


class JobRow(NamedTuple):
    """One selected job: its row, and for an element of an array that has no row yet its position in the template (else -1)."""

    job_id: int
    position: int
    id: str


COLUMNS = (
    job,
    queue.c.name.label("queue_name"),
    project.c.name.label("project_name"),
    user.c.name.label("user_name"),
    shape.c.cpu_milli,
    shape.c.memory_bytes,
    shape.c.gpu_milli,
    shape.c.gpu_memory_bytes,
    shape.c.gpu_model,
    shape.c.tasks,
    shape.c.nodes,
)
FROM = (
    job.join(queue, queue.c.id == job.c.queue_id)
    .join(project, project.c.id == job.c.project_id)
    .join(user, user.c.id == job.c.user_id)
    .join(shape, shape.c.id == job.c.shape_id)
)
NAMES = [column.name for column in select(*COLUMNS).selected_columns]


def records(link: Link, condition: ColumnElement[bool], limit: int = MAX_PAGE) -> list[dict[str, Any]]:
    """Job rows with the names of what they refer to, the newest first."""
    found = ask(link, select(*COLUMNS).select_from(FROM).where(condition).order_by(job.c.id.desc()).limit(limit))
    return [dict(zip(NAMES, row, strict=True)) for row in found]


def condition_of(selection: Selection, caller: Caller) -> ColumnElement[bool]:
    """The filters of a selection (its ids excepted) as one condition. Raises ValueError for a state that is none."""
    parts: list[ColumnElement[bool]] = [job.c.id > 0]
    if states := _states_of(selection.states):
        parts.append(job.c.state.in_(states))
    if selection.name:
        parts.append(
            job.c.name.op("GLOB")(selection.name) if any(mark in selection.name for mark in "*?[") else job.c.name == selection.name
        )
    if selection.mine:
        parts.append(job.c.uid == caller.uid)
    for value, column in ((selection.user, user.c.name), (selection.queue, queue.c.name), (selection.project, project.c.name)):
        if value:
            parts.append(column == value)
    if selection.group:
        parts.append(job.c.group_name == selection.group)
    if selection.before:
        parts.append(job.c.id < selection.before)
    if selection.since_ms:
        parts.append(or_(job.c.ended_ms.is_(None), job.c.ended_ms >= selection.since_ms))
    return and_(*parts)


def _states_of(wished: Sequence[str]) -> list[str]:
    """The states that are wished, as stored; empty for all."""
    states: list[str] = []
    for word in wished:
        if word == "all":
            return []
        if word == "active":
            states += [state.value for state in JobState if state not in ENDED_STATES]
        elif word == "ended":
            states += _ENDED
        elif word in set(JobState):
            states.append(word)
        else:
            raise ValueError(f"{word!r} is no state; states are {', '.join(JobState)}, active, ended and all")
    return states


def resolve(link: Link, selection: Selection, caller: Caller) -> list[JobRow]:
    """The jobs a selection names, by id. A job that does not exist is left out. Raises ValueError for a word that names nothing."""
    filtered = condition_of(selection, caller)
    if not selection.ids:
        found = ask(
            link, select(job.c.id).select_from(FROM).where(filtered, job.c.array_id.is_(None)).order_by(job.c.id).limit(MAX_PAGE)
        )
        return [JobRow(row[0], -1, str(row[0])) for row in found]
    refs = [ref for word in selection.ids for ref in parse_ref(word)]
    rows: dict[tuple[int, int], JobRow] = {}
    numbers = sorted({ref.number for ref in refs if ref.last is None and not ref.indices})
    for start in range(0, len(numbers), 500):
        part = numbers[start : start + 500]
        clause = select(job.c.id, job.c.array_id, job.c.array_index).select_from(FROM).where(filtered, job.c.id.in_(part))
        for job_id, array_id, index in ask(link, clause):
            rows[job_id, -1] = JobRow(job_id, -1, format_id(job_id, array_id or 0, index))
    for ref in refs:
        for row in _last(link, ref, caller) if ref.last is not None else _elements(link, ref) if ref.indices else ():
            rows[row.job_id, row.position] = row
    return [rows[key] for key in sorted(rows)]


def _last(link: Link, ref: JobRef, caller: Caller) -> list[JobRow]:
    """The caller's last job, or the one so many before it."""
    mine = select(job.c.id).where(job.c.uid == caller.uid, job.c.array_id.is_(None)).order_by(job.c.id.desc())
    found = ask(link, mine.limit(1).offset(ref.last or 0))
    return [JobRow(row[0], -1, str(row[0])) for row in found]


def _elements(link: Link, ref: JobRef) -> list[JobRow]:
    """Elements of an array: those that are rows by their row, the others by their position in the template."""
    found = ask(link, select(job.c.array_ranges).where(job.c.id == ref.number, job.c.array_size > 0))
    if not found:
        return []
    positions = {index: position for position, index in enumerate(expand(ranges_of(found[0][0])))}
    wanted = [index for index in ref.indices if index in positions]
    rows: dict[int, int] = {}
    for start in range(0, len(wanted), 500):
        part = [positions[index] for index in wanted[start : start + 500]]
        clause = select(job.c.array_index, job.c.id).where(job.c.array_id == ref.number, job.c.array_position.in_(part))
        rows.update((index, job_id) for index, job_id in ask(link, clause))
    made = []
    for index in wanted:
        name = format_id(0, ref.number, index)
        made.append(JobRow(rows[index], -1, name) if index in rows else JobRow(ref.number, positions[index], name))
    return made


def ranges_of(text: str) -> tuple[tuple[int, int, int], ...]:
    """The ranges of a template's column; empty for a plain job."""
    return tuple((first, last, step) for first, last, step in msgspec.json.decode(text)) if text else ()


def counts_by_state(link: Link, condition: ColumnElement[bool]) -> dict[str, int]:
    """How many selected jobs are in which state; an array counts once."""
    clause = select(job.c.state, func.count()).select_from(FROM).where(condition, job.c.array_id.is_(None)).group_by(job.c.state)
    return dict(sorted((state, count) for state, count in ask(link, clause)))
