"""Figures of tasks over time: gathered in buckets of three widths as they come, so that nothing has to be condensed later.

A value is added to the bucket of each width that it falls in; what is old is removed width by width, the finest first. Invariant: what
a job reported counts once, however often its file is read: the offset is written in the transaction that keeps what was in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import case, delete, exists, func, select

from tenure.model.commands import LEASE
from tenure.model.measures import STEPS_MS, Bucket, Holding, LiveTask, Point, Reported, Series
from tenure.store.intern import next_id
from tenure.store.measured import report, sample, series
from tenure.store.outcome import BY_SCHEDULER
from tenure.store.schema import allocation, allocation_device, attempt, device, job, shape
from tenure.store.sql import InList, Link, Statement, const, insert, param
from tenure.store.tx import Transaction

MOST_NAMES = 64
"""So many names may one task report; a program that makes one up at every step must not fill the store."""
SWEPT = 500
"""Series that one tidying looks at."""

_NAME = (series.c.job_id, series.c.task, series.c.name, series.c.reported)
FIND = Statement(select(series.c.id).where(*(column == param(column.name) for column in _NAME)), *(column.name for column in _NAME))
NAMES_OF = Statement(
    select(func.count()).where(series.c.job_id == param("job"), series.c.task == param("task"), series.c.reported == const(1)),
    "job",
    "task",
)
INSERT_SERIES = insert(series, "id", "job_id", "task", "name", "reported")
SERIES_OF = Statement(
    select(series.c.id, series.c.task, series.c.name, series.c.reported)
    .where(series.c.job_id == param("job"))
    .order_by(series.c.reported, series.c.name, series.c.task),
    "job",
)
_KEY = ("series_id", "step_ms", "at_ms")
ADD = Statement(
    sample.update()
    .ordered_values(
        (sample.c.count, sample.c.count + param("count")),
        (sample.c.total, sample.c.total + param("total")),
        (sample.c.low, case((sample.c.low < param("low"), sample.c.low), else_=param("low2"))),
        (sample.c.high, case((sample.c.high > param("high"), sample.c.high), else_=param("high2"))),
        (sample.c.last, param("last")),
    )
    .where(*(sample.c[name] == param(name) for name in _KEY)),
    *("count", "total", "low", "low2", "high", "high2", "last"),
    *_KEY,
)
INSERT = insert(sample, *_KEY, "count", "total", "low", "high", "last")
BUCKETS = Statement(
    select(sample.c.at_ms, sample.c.count, sample.c.total, sample.c.low, sample.c.high, sample.c.last)
    .where(sample.c.series_id == param("id"), sample.c.step_ms == param("step"), sample.c.at_ms >= param("since"))
    .order_by(sample.c.at_ms)
    .limit(param("limit"))
    .offset(const(0)),
    *("id", "step", "since", "limit"),
)
FIRST_AT = Statement(
    select(func.min(sample.c.at_ms)).where(sample.c.series_id == param("id"), sample.c.step_ms == param("step")), "id", "step"
)
OFFSET = Statement(
    select(report.c.offset).where(report.c.attempt_id == param("attempt"), report.c.task == param("task")), "attempt", "task"
)
MOVE = Statement(
    report.update().values(offset=param("offset")).where(report.c.attempt_id == param("attempt"), report.c.task == param("task")),
    *("offset", "attempt", "task"),
)
INSERT_OFFSET = insert(report, "attempt_id", "task", "offset")
FORGET = Statement(delete(report).where(report.c.attempt_id == param("attempt"), report.c.task == param("task")), "attempt", "task")
LAST_SERIES = Statement(select(func.coalesce(func.max(series.c.id), const(0))))
SOME_SERIES = Statement(
    select(series.c.id).where(series.c.id > param("after")).order_by(series.c.id).limit(param("limit")).offset(const(0)),
    "after",
    "limit",
)
DROP = InList(
    lambda keys: delete(sample).where(
        sample.c.step_ms == param("step"), sample.c.at_ms < param("before"), sample.c.series_id.in_(keys)
    ),
    "step",
    "before",
)
DROP_EMPTY = InList(
    lambda keys: delete(series).where(
        series.c.id.in_(keys), ~exists(select(sample.c.series_id).where(sample.c.series_id == series.c.id))
    )
)
_HELD = allocation.c.released_at_ms.is_(None)
LIVE = Statement(
    select(
        *(allocation.c[name] for name in ("attempt_id", "task", "job_id", "cpu_milli", "memory_bytes")),
        *(shape.c[name] for name in ("cpu_milli", "memory_bytes")),
        *(job.c[name] for name in ("state", "kind")),
        *(attempt.c[name] for name in ("resize_cpu_milli", "resize_due", "shrunk")),
        allocation.c.room,
    )
    .select_from(
        allocation.join(attempt, attempt.c.id == allocation.c.attempt_id)
        .join(job, job.c.id == attempt.c.job_id)
        .join(shape, shape.c.id == job.c.shape_id)
    )
    .where(_HELD, allocation.c.behind == const(0), allocation.c.ended_ms.is_(None))
    .order_by(allocation.c.attempt_id, allocation.c.task)
)
LIVE_DEVICES = Statement(
    select(allocation_device.c.attempt_id, allocation_device.c.task, device.c.uuid, allocation_device.c.milli)
    .join(device, device.c.id == allocation_device.c.device_id)
    .where(allocation_device.c.released_at_ms.is_(None))
    .order_by(allocation_device.c.attempt_id, allocation_device.c.task, device.c.device_index)
)


ENDED_OF = InList(
    lambda keys: select(allocation.c.attempt_id, allocation.c.task, allocation.c.job_id, allocation.c.ended_ms).where(
        allocation.c.attempt_id.in_(keys)
    )
)


class KnownSeries:
    """The ids of series that were written lately; dropped whenever a transaction was undone or rows were removed."""

    def __init__(self) -> None:
        self._ids: dict[tuple[int, int, str, bool], int] = {}

    def forget(self) -> None:
        """Ask the database again."""
        self._ids.clear()

    def id_of(self, tx: Transaction, point: Point) -> int:
        """The series of a point, made if need be; 0 when its task has reported under too many names already."""
        key = point[:4]
        found = self._ids.get(key)
        if found is None:
            if len(self._ids) > 100_000:
                self._ids.clear()
            found = self._ids[key] = self._found(tx, point)
        return found

    def _found(self, tx: Transaction, point: Point) -> int:
        row = tx.link.row(FIND, point.job_id, point.task, point.name, int(point.reported))
        if row is not None:
            return int(row[0])
        if point.reported and (tx.link.row(NAMES_OF, point.job_id, point.task) or (0,))[0] >= MOST_NAMES:
            return 0
        number = next_id(tx.link, series)
        tx.link.write(INSERT_SERIES, number, point.job_id, point.task, point.name, int(point.reported))
        return number

    def keep(self, tx: Transaction, points: Sequence[Point], reported: Sequence[Reported]) -> dict[tuple[int, int], int]:
        """Add values; the offsets up to which each reported file is now taken in."""
        offsets: dict[tuple[int, int], int] = {}
        taken = list(points)
        for item in reported:
            row = tx.link.row(OFFSET, item.attempt_id, item.task)
            known = int(row[0]) if row is not None else 0
            if known == item.start:
                taken += item.points
                known = item.end
                if row is None:
                    tx.link.write(INSERT_OFFSET, item.attempt_id, item.task, item.end)
                else:
                    tx.link.write(MOVE, item.end, item.attempt_id, item.task)
            offsets[item.attempt_id, item.task] = known
        self._add(tx, taken)
        return offsets

    def _add(self, tx: Transaction, points: Iterable[Point]) -> None:
        gathered: dict[tuple[int, int, int], Bucket] = {}
        for point in points:
            number = self.id_of(tx, point)
            for step_ms in STEPS_MS if number else ():
                key = (number, step_ms, point.at_ms // step_ms * step_ms)
                gathered[key] = _with(gathered.get(key), key[2], point.value)
        for key, bucket in gathered.items():
            _, count, total, low, high, last = bucket
            if not tx.link.write(ADD, count, total, low, low, high, high, last, *key):
                tx.link.write(INSERT, *key, count, total, low, high, last)


def _with(bucket: Bucket | None, at_ms: int, value: float) -> Bucket:
    if bucket is None:
        return Bucket(at_ms, 1, value, value, value, value)
    return Bucket(at_ms, bucket.values + 1, bucket.total + value, min(bucket.low, value), max(bucket.high, value), value)


def forget_reports(tx: Transaction, tasks: Sequence[tuple[int, int]]) -> None:
    """The files of these tasks are gone: nobody will ask how far they were read."""
    tx.link.write_many(FORGET, tasks)


def live_tasks(link: Link) -> list[LiveTask]:
    """The tasks whose processes should be there, by attempt and task."""
    rows = link.rows(LIVE)
    held: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for attempt_id, task, uuid, milli in link.rows(LIVE_DEVICES) if rows else ():
        held.setdefault((attempt_id, task), []).append((uuid, milli))
    found = []
    for attempt_id, task, job_id, *rest in rows:
        parts = held.get((attempt_id, task), ())
        cards, shares = tuple(uuid for uuid, _ in parts), tuple(milli for _, milli in parts)
        found.append(LiveTask(attempt_id, task, job_id, cards, shares, _holding(*rest)))
    return found


def _holding(
    cpu: int, memory: int, asked: int, asked_memory: int, state: str, kind: str, told: int, due: int, shrunk: int, room: int | None
) -> Holding | None:
    """What a task holds, where the scheduler may lower it, or has and nobody has said anything since."""
    if state != "running" or kind == LEASE or room is not None or due or (told and shrunk != BY_SCHEDULER):
        return None
    return Holding(cpu, memory, asked, asked_memory, shrunk == BY_SCHEDULER)


def writers_of(link: Link, tasks: Sequence[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, bool]]:
    """Of these tasks, as far as there are rows of them, the job and whether their processes may still be there."""
    rows = link.rows_in(ENDED_OF, sorted({attempt_id for attempt_id, _ in tasks}))
    found = {(attempt_id, task): (job_id, ended_ms is None) for attempt_id, task, job_id, ended_ms in rows}
    return {key: found[key] for key in tasks if key in found}


def read_series(link: Link, job_id: int, since_ms: int, step_ms: int, limit: int) -> list[Series]:
    """All series of a job from a moment on, its own figures first, at most ``limit`` buckets each. ``step_ms`` 0: the finest width
    that reaches back that far within the limit."""
    return [
        Series(task, name, bool(reported), step, tuple(Bucket(*row) for row in link.rows(BUCKETS, number, step, since_ms, limit)))
        for number, task, name, reported in link.rows(SERIES_OF, job_id)
        for step in [step_ms or _finest(link, number, since_ms, limit)]
    ]


def _finest(link: Link, number: int, since_ms: int, limit: int) -> int:
    """The coarsest width goes back the furthest; a finer one will do if it begins no later and fits."""
    begins = {step: (link.row(FIRST_AT, number, step) or (None,))[0] for step in STEPS_MS}
    earliest = begins[STEPS_MS[-1]]
    if earliest is None:
        return STEPS_MS[-1]
    wanted = max(since_ms, earliest)
    for step in STEPS_MS[:-1]:
        first = begins[step]
        if first is not None and first < wanted + STEPS_MS[-1] and len(link.rows(BUCKETS, number, step, wanted, limit + 1)) <= limit:
            return step
    return STEPS_MS[-1]


def drop_old(tx: Transaction) -> int:
    """Remove old buckets of some series, the next ones at each call, and series without any; how many rows went."""
    last = (tx.link.row(LAST_SERIES) or (0,))[0]
    if not last:
        return 0
    turns = last // SWEPT + 1
    after = (tx.now_ms // 60_000) % turns * SWEPT
    numbers = [row[0] for row in tx.link.rows(SOME_SERIES, after, SWEPT)]
    gone = 0
    for step_ms, keep_ms in zip(STEPS_MS, tx.settings.keep_steps_ms, strict=True):
        gone += max(0, tx.link.write_in(DROP, numbers, step_ms, tx.now_ms - keep_ms))
    return gone + max(0, tx.link.write_in(DROP_EMPTY, numbers))
