"""What was held over a time, by whom, and what of it was in vain: sums worked out by the database from rows that are there anyway.

A run holds from its start to its end, or until now; what lies outside the time that is asked for is cut off. Every sum is taken over
*spans* (the whole time, or its days) and a key, so that memory grows with the answer and not with history. A run that rests counts as
holding. Invariant: over any spans that together make a longer one, figures add up to that one's (a property test compares them with a
naive sum).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import CTE, ColumnElement, FromClause, Select, Table, and_, case, func, literal, or_, select

from tenure.model.access import Caller, Role
from tenure.model.amounts import GIB, MILLI
from tenure.model.measures import COARSE_MS
from tenure.model.upkeep import upkeep_of
from tenure.store.measured import anomaly, sample, series
from tenure.store.reader import ask
from tenure.store.schema import (
    allocation,
    allocation_device,
    attempt,
    device,
    held_before,
    job,
    node,
    node_capacity,
    project,
    queue,
    usage_sample,
    user,
)
from tenure.store.sql import Link

IDLE_PERCENT = 10
"""A GPU that was less busy than this over ten minutes was held idly."""
LEAST_CPU_MILLI, LEAST_MEMORY_BYTES = MILLI, GIB
"""A free GPU without so much free beside it on its node is stranded: hardly any job could use it."""
SAMPLED_MS = 60_000
"""What a sample of a node stands for: one is kept about so often."""
NOBODY = ""
BY = ("user", "project", "queue", "day")

Span = tuple[int, int]
"""From a moment to before another one, in milliseconds since the epoch."""


class Held(NamedTuple):
    """What a key held in a span: jobs that held anything, and amounts times milliseconds. ``cost`` is in thousandths of the
    installation's unit; ``unpriced`` says that some of it was held where no price is declared."""

    span: int
    key: str
    jobs: int
    cpu_milli_ms: int
    memory_byte_ms: int
    gpu_milli_ms: int
    cost_milli: float
    unpriced: bool


class Wasted(NamedTuple):
    """Thousandths of GPUs times milliseconds that served nobody, by what became of them."""

    idle: float = 0.0
    over_asked: float = 0.0
    stranded: float = 0.0
    preempted: float = 0.0
    hung: float = 0.0


@dataclass(frozen=True, slots=True)
class _Place:
    """A node as its price sees it."""

    price_milli: int
    has_price: bool
    cpu_milli: int
    memory_bytes: int
    gpu_milli: int

    def share(self, cpu_milli: int, memory_bytes: int, gpu_milli: int) -> float:
        """The largest part that these amounts are of anything on the node, as in `tenure.core.objectives.share_of`."""
        parts = (cpu_milli / max(1, self.cpu_milli), memory_bytes / max(1, self.memory_bytes), gpu_milli / max(1, self.gpu_milli))
        return max(parts if gpu_milli else parts[:2])


def held(link: Link, spans: Sequence[Span], by: str, caller: Caller, now_ms: int) -> list[Held]:
    """What was held, by span and key; of jobs that the caller may see. ``by`` is one of `BY`."""
    cut = _spans(spans)
    began, over = allocation.c.started_ms, func.coalesce(allocation.c.ended_ms, now_ms)
    _, inside = _overlap(cut, [(began, over)])
    key = _key(by)
    runs = _runs(cut, by).where(inside, _visible(caller))
    amounts = [
        row
        for table, since, until in (
            (allocation, func.coalesce(allocation.c.held_ms, began), over),
            (held_before, held_before.c.from_ms, held_before.c.until_ms),
        )
        for row in ask(link, _amounts(cut, by, caller, table, (since, until)))
    ]
    counts = ask(link, runs.with_only_columns(cut.c.number, key, func.count(func.distinct(job.c.id))).group_by(cut.c.number, key))
    places = _places(link)
    sums: dict[tuple[int, str], list[Any]] = {}
    for number, name, node_id, cpu_milli, memory_bytes, gpu_milli, length_ms in amounts:
        found = sums.setdefault((number, name), [0, 0, 0, 0.0, False])
        place = places[node_id]
        for at, amount in enumerate((cpu_milli, memory_bytes, gpu_milli)):
            found[at] += int(amount) * int(length_ms)
        found[3] += place.price_milli * place.share(cpu_milli, memory_bytes, gpu_milli) * length_ms
        found[4] = found[4] or not place.has_price
    return [Held(number, name, jobs, *sums[number, name]) for number, name, jobs in sorted(map(tuple, counts))]


def _amounts(cut: CTE, by: str, caller: Caller, table: Table, when: tuple[ColumnElement[Any], ColumnElement[Any]]) -> Select[Any]:
    """For how long runs held what, by span, key and node: what their rows say now, or what they held before that was changed."""
    length, inside = _overlap(cut, [when])
    grouped = (cut.c.number, _key(by), allocation.c.node_id, table.c.cpu_milli, table.c.memory_bytes, _gpus())
    past = (held_before.c.attempt_id == allocation.c.attempt_id) & (held_before.c.task == allocation.c.task)
    runs = _runs(cut, by, lambda source: source if table is allocation else source.join(held_before, past))
    return runs.where(inside, _visible(caller)).with_only_columns(*grouped, func.sum(length)).group_by(*grouped)


def wasted(link: Link, spans: Sequence[Span], by: str, caller: Caller, now_ms: int) -> dict[tuple[int, str], Wasted]:
    """What was held in vain, by span and key; what is stranded was nobody's."""
    parts = {
        "idle": _measured(spans, by, caller, now_ms, idle=True),
        "over_asked": _measured(spans, by, caller, now_ms, idle=False),
        "preempted": _preempted(spans, by, caller, now_ms),
        "hung": _hung(spans, by, caller, now_ms),
        "stranded": _stranded(spans, now_ms),
    }
    found: dict[tuple[int, str], dict[str, float]] = {}
    for name, clause in parts.items():
        for number, key, amount in ask(link, clause):
            if amount:
                found.setdefault((number, key), {})[name] = float(amount)
    return {key: Wasted(**found[key]) for key in sorted(found)}


def _measured(spans: Sequence[Span], by: str, caller: Caller, now_ms: int, *, idle: bool) -> Select[Any]:
    """GPU time by what was measured: idle, or else the part of a busy GPU that its job never used, even at its peak."""
    cut, gpus = _spans(spans), _gpus()
    peak = (
        select(series.c.job_id.label("job_id"), series.c.task.label("task"), func.max(sample.c.high).label("percent"))
        .join(sample, sample.c.series_id == series.c.id)
        .where(*_GPU_BUSY)
        .group_by(series.c.job_id, series.c.task)
        .subquery("peak")
    )
    length, inside = _overlap(cut, [_run(now_ms), (sample.c.at_ms, sample.c.at_ms + COARSE_MS)])
    is_idle = sample.c.total < IDLE_PERCENT * sample.c.count
    spare = case((peak.c.percent < 100, (100 - peak.c.percent) / 100.0), else_=0.0)
    amount = length * gpus if idle else length * gpus * spare
    found = _runs(cut, by, join=lambda source: _with_samples(source, peak))
    chosen = is_idle if idle else ~is_idle
    return _summed(found.where(inside, chosen, *_GPU_BUSY, gpus > 0, _visible(caller)), cut, by, amount)


_GPU_BUSY = (series.c.name == "gpu_percent", series.c.reported == 0, sample.c.step_ms == COARSE_MS)


def _with_samples(source: FromClause, peak: FromClause) -> FromClause:
    return (
        source.join(series, and_(series.c.job_id == allocation.c.job_id, series.c.task == allocation.c.task))
        .join(sample, sample.c.series_id == series.c.id)
        .join(peak, and_(peak.c.job_id == series.c.job_id, peak.c.task == series.c.task))
    )


def _preempted(spans: Sequence[Span], by: str, caller: Caller, now_ms: int) -> Select[Any]:
    """GPU time of runs that were stopped for others: what was not kept by a checkpoint had to be done again."""
    cut, gpus = _spans(spans), _gpus()
    length, inside = _overlap(cut, [_run(now_ms)])
    return _summed(_runs(cut, by).where(inside, attempt.c.outcome == "preempted", _visible(caller)), cut, by, length * gpus)


def _hung(spans: Sequence[Span], by: str, caller: Caller, now_ms: int) -> Select[Any]:
    """GPU time of jobs while they were seen to hang."""
    cut, gpus = _spans(spans), _gpus()
    length, inside = _overlap(cut, [_run(now_ms), (anomaly.c.opened_ms, func.coalesce(anomaly.c.closed_ms, now_ms))])
    found = _runs(cut, by, join=lambda source: source.join(anomaly, anomaly.c.job_id == allocation.c.job_id))
    return _summed(found.where(inside, anomaly.c.kind == "hung", _visible(caller)), cut, by, length * gpus)


def _stranded(spans: Sequence[Span], now_ms: int) -> Select[Any]:
    """Free GPU time on nodes that had too little cpu or memory left for anybody to use it."""
    cut = _spans(spans)
    size = _sizes()
    at = usage_sample.c.at_ms
    over = case((at + SAMPLED_MS < now_ms, at + SAMPLED_MS), else_=literal(now_ms))
    length, inside = _overlap(cut, [(at, over)])
    free = size.c.gpu_milli - usage_sample.c.gpu_milli
    short = or_(
        size.c.cpu_milli - usage_sample.c.cpu_milli < LEAST_CPU_MILLI,
        size.c.memory_bytes - usage_sample.c.memory_bytes < LEAST_MEMORY_BYTES,
    )
    source = usage_sample.join(size, size.c.id == usage_sample.c.node_id).join(cut, literal(True))
    nobody = literal(NOBODY)
    return (
        select(cut.c.number, nobody, func.sum(length * free)).select_from(source).where(inside, free > 0, short).group_by(cut.c.number)
    )


def _summed(clause: Select[Any], cut: CTE, by: str, amount: ColumnElement[Any]) -> Select[Any]:
    key = _key(by)
    return clause.with_only_columns(cut.c.number, key, func.sum(amount)).group_by(cut.c.number, key)


def _run(now_ms: int) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return allocation.c.started_ms, func.coalesce(allocation.c.ended_ms, now_ms)


def _spans(spans: Sequence[Span]) -> CTE:
    """The spans as a table."""
    first, *rest = (
        select(literal(number).label("number"), literal(since).label("from_ms"), literal(until).label("until_ms"))
        for number, (since, until) in enumerate(spans)
    )
    return first.union_all(*rest).cte("span") if rest else first.cte("span")


def _overlap(
    cut: CTE, intervals: Sequence[tuple[ColumnElement[Any], ColumnElement[Any]]]
) -> tuple[ColumnElement[Any], ColumnElement[bool]]:
    """How long the intervals and the span have in common, and whether they have anything."""
    begin: ColumnElement[Any] = cut.c.from_ms
    end: ColumnElement[Any] = cut.c.until_ms
    for since, until in intervals:
        begin, end = case((since > begin, since), else_=begin), case((until < end, until), else_=end)
    return end - begin, end > begin


def _gpus() -> ColumnElement[Any]:
    """The thousandths of GPUs that an allocation holds."""
    own = (allocation_device.c.attempt_id == allocation.c.attempt_id, allocation_device.c.task == allocation.c.task)
    total = select(func.sum(allocation_device.c.milli)).where(*own).scalar_subquery()
    return case((allocation.c.devices > 0, func.coalesce(total, 0)), else_=0)


def _key(by: str) -> ColumnElement[Any]:
    return {"user": user.c.name, "project": project.c.name, "queue": queue.c.name}.get(by, literal(NOBODY))


def _runs(cut: CTE, by: str, join: Any = lambda source: source) -> Select[Any]:
    """Allocations that have begun, with their job and its project, crossed with the spans."""
    source: Any = allocation.join(job, job.c.id == allocation.c.job_id).join(project, project.c.id == job.c.project_id)
    source = source.join(attempt, attempt.c.id == allocation.c.attempt_id)
    if by == "user":
        source = source.join(user, user.c.id == job.c.user_id)
    elif by == "queue":
        source = source.join(queue, queue.c.id == job.c.queue_id)
    source = join(source).join(cut, literal(True))
    return select(allocation.c.task).select_from(source).where(allocation.c.started_ms.is_not(None))


def _visible(caller: Caller) -> ColumnElement[bool]:
    """Whether the caller may see a job, as `Caller.sees` has it."""
    if caller.sees_all:
        return literal(True)
    named = {name for name, _ in caller.projects} | set(caller.only or ())
    shown = sorted(name for name in named if caller.role_in(name) >= Role.VIEWER)
    own = job.c.uid == caller.uid if caller.role > Role.NOBODY else literal(False)
    if caller.only is not None:
        own = and_(own, project.c.name.in_(sorted(caller.only)))
    return or_(own, project.c.name.in_(shown))


def _sizes() -> FromClause:
    """What each node has."""

    def most(resource: str) -> ColumnElement[Any]:
        return func.max(case((node_capacity.c.resource == resource, node_capacity.c.capacity), else_=0))

    gpus = select(func.coalesce(func.sum(device.c.capacity_milli), 0)).where(device.c.node_id == node.c.id).scalar_subquery()
    return (
        select(
            node.c.id,
            node.c.labels,
            most("cpu_milli").label("cpu_milli"),
            most("memory_bytes").label("memory_bytes"),
            gpus.label("gpu_milli"),
        )
        .join(node_capacity, node_capacity.c.node_id == node.c.id)
        .group_by(node.c.id, node.c.labels)
        .subquery("size")
    )


def _places(link: Link) -> dict[int, _Place]:
    size = _sizes()
    found = {}
    for number, labels, cpu_milli, memory_bytes, gpu_milli in ask(link, select(size)):
        upkeep = upkeep_of(tuple(msgspec.json.decode(labels)))
        found[number] = _Place(upkeep.price_milli, upkeep.has_price, cpu_milli, memory_bytes, gpu_milli)
    return found
