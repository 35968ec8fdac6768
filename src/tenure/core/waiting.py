"""The waiting jobs, grouped so that one judgement serves all that are alike.

Jobs of the same shape, queue, priority and time limit, and of the same value in each field that the policy's orders read besides,
differ in nothing but their age: they form a `Group`, in the order of (submission, id), which no ageing changes. A cycle compares the
first job of each group (columns of 64-bit integers) and walks on inside a group only while its jobs start. Jobs that may not start now
(held, blocked, array at its cap, too early) are in no group, and neither are those that are ``parked``: they have a promise already.
Invariant: a ready job is in exactly one group; columns mirror the first job of each group. A field that does not distinguish groups
is 0 in the columns, so that no order can read of one job what is not true of all.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping

import numpy as np

from tenure.core.columns import Ints
from tenure.core.feasibility import Ask
from tenure.core.grouping import Grouped, columns_of, eligible_times, grouped, may_start
from tenure.model.amounts import MILLI
from tenure.model.job import JobTable, PendingJob
from tenure.model.queue import Queue

Columns = Ints
"""Rows by the constants below, one column per group slot; ``FIRST_ID`` -1 marks a free slot."""

SHAPE, QUEUE, PRIORITY, LIMIT, CPU_MILLI, GPU_MILLI, SHARE, BONUS = range(8)
PROJECT, USER, DEADLINE, EXPECTED, ATTAINED, FIRST_SUBMITTED, FIRST_ID, LOWEST_ID, RUNS, QUOTA_LEFT, BACKLOG = range(8, 19)
"""``RUNS`` counts the jobs of a group, of an array what has not started. ``QUOTA_LEFT`` is what the project has left of its quota, in
thousandths; 0 where the settings give no bonus for it. ``BACKLOG`` is the same for all (`tenure.core.backlog`), for orders that read
it."""
_ROWS = 19

WHOLE = 1_000_000
"""``SHARE`` counts in millionths of all nodes together: of their cpus or of their GPUs, whichever share is larger."""

DISTINGUISHABLE = {"project": PROJECT, "user": USER, "deadline_ms": DEADLINE, "expected_ms": EXPECTED, "attained_ms": ATTAINED}
"""The fields of a job by which groups are distinguished where an order reads them, and their rows. Without need they would only make
many groups of few."""

ALIKE = ("shape", "queue", "priority", "limit_ms")
"""The fields by which groups are always distinguished, in the order of their rows."""

GroupKey = tuple[int, ...]
"""Shape, queue, priority and time limit, then the values of the distinguishing fields."""


class Group:
    """Jobs alike in all but age; ``entries`` are (submitted_ms, id), sorted; ``by_id``: the ids follow the same order. ``runs``: what
    has not started of all of them."""

    __slots__ = ("_by_id", "entries", "key", "limit_ms", "queue", "runs", "shape", "slot")

    def __init__(self, key: GroupKey, slot: int, entries: list[tuple[int, int]], runs: int = 0, *, by_id: bool = True) -> None:
        self.key = key
        self.shape, self.queue, _, self.limit_ms = key[:4]
        self.slot = slot
        self.entries = entries
        self.runs = runs
        self._by_id = by_id

    def add(self, submitted_ms: int, job_id: int) -> None:
        """Put a job in its place."""
        entry = (submitted_ms, job_id)
        entries = self.entries
        if not entries or entries[-1] < entry:
            self._by_id = self._by_id and (not entries or entries[-1][1] < job_id)
            entries.append(entry)
        else:
            self._by_id = False
            insort(entries, entry)

    def remove(self, submitted_ms: int, job_id: int) -> None:
        """Take a job out."""
        del self.entries[bisect_left(self.entries, (submitted_ms, job_id))]
        self._by_id = self._by_id or not self.entries

    def lowest_from(self, offset: int) -> int:
        """The lowest id from ``offset`` on."""
        if self._by_id:
            return self.entries[offset][1]
        return min(job_id for _, job_id in self.entries[offset:])


class Waiting:
    """All waiting jobs. ``rows`` has every one, ``groups`` those that may start at ``now_ms``, ``shapes`` the groups per shape.

    ``distinguishing`` names fields of `DISTINGUISHABLE`; raises KeyError for another one.
    """

    def __init__(self, queues: Iterable[Queue], now_ms: int, distinguishing: tuple[str, ...] = ()) -> None:
        self.distinguishing = distinguishing
        self._rows_told = [DISTINGUISHABLE[name] for name in distinguishing]
        self.rows: dict[int, PendingJob] = {}
        self.groups: dict[GroupKey, Group] = {}
        self.shapes: dict[int, int] = {}
        self.by_slot: list[Group | None] = []
        self.queues: dict[int, Queue] = {queue.id: queue for queue in queues}
        self.now_ms = now_ms
        self._free_slots: list[int] = []
        self.parked: frozenset[int] = frozenset()
        self._later: list[tuple[int, int]] = []
        self._capacity = (1, 1)
        self._grow(16)

    def _grow(self, width: int) -> None:
        """Make room for so many slots."""
        grown: Columns = np.full((_ROWS, width), -1, dtype=np.int64)
        grown[[QUOTA_LEFT, BACKLOG]] = 0
        if self.by_slot:
            grown[:, : len(self.by_slot)] = self.columns
        self._columns = grown
        # The same memory, flat: a few numbers are written several times faster than through an array.
        self._flat = grown.reshape(-1).data

    @property
    def columns(self) -> Columns:
        """The columns of all slots in use (some may be free: ``FIRST_ID`` -1)."""
        return self._columns[:, : len(self.by_slot)]

    def measure_by(self, cpu_milli: int, gpu_milli: int) -> None:
        """From now on shares are of so much."""
        self._capacity = (max(cpu_milli, 1), max(gpu_milli, 1))
        self._share()

    def _share(self) -> None:
        columns, (cpu_milli, gpu_milli) = self.columns, self._capacity
        columns[SHARE] = np.maximum(columns[CPU_MILLI] * WHOLE // cpu_milli, columns[GPU_MILLI] * WHOLE // gpu_milli)

    def put(self, job: PendingJob, asks: Mapping[int, Ask]) -> None:
        """Add a job or replace it."""
        self.drop(job.id)
        self.rows[job.id] = job
        if not self._may_start(job):
            return
        if job.eligible_ms > self.now_ms:
            insort(self._later, (job.eligible_ms, job.id))
        else:
            self._join(job, asks[job.shape])

    def fill(self, table: JobTable, asks: Mapping[int, Ask]) -> None:
        """Add all jobs of a table while none wait: the same as to `put` each."""
        assert not self.rows, "only an empty queue is filled"
        self.rows = {job.id: job for job in table.jobs()}
        rows = columns_of(table)
        free = may_start(rows, [queue.id for queue in self.queues.values() if queue.paused])
        later = rows["eligible_ms"] > self.now_ms
        self._later = eligible_times(rows, free & later)
        found = grouped(rows, (*ALIKE, *self.distinguishing), free & ~later)
        self._grow(max(2 * len(found.entries), 16))
        self.by_slot = [None] * len(found.entries)
        for slot, (key, entries, runs, by_id) in enumerate(found.each()):
            self._add(Group(key, slot, entries, runs, by_id=by_id))
        self._fill_columns(found, asks)

    def _fill_columns(self, found: Grouped, asks: Mapping[int, Ask]) -> None:
        columns, shapes, queues = self.columns, found.keys[0].tolist(), found.keys[1].tolist()
        columns[: len(ALIKE)] = found.keys[: len(ALIKE)]
        totals = {shape: _totals(asks[shape]) for shape in self.shapes}
        columns[CPU_MILLI], columns[GPU_MILLI] = [totals[shape][0] for shape in shapes], [totals[shape][1] for shape in shapes]
        self._share()
        columns[BONUS] = [self._bonus(queue) for queue in queues]
        columns[BONUS + 1 : FIRST_SUBMITTED] = 0
        columns[self._rows_told] = found.keys[len(ALIKE) :]
        columns[FIRST_SUBMITTED], columns[FIRST_ID] = np.array([entries[0] for entries in found.entries]).reshape(-1, 2).T
        columns[LOWEST_ID], columns[RUNS] = found.lowest, found.runs

    def drop(self, job_id: int) -> None:
        """Remove a job, if it is there."""
        job = self.rows.pop(job_id, None)
        if job is None or not self._may_start(job):
            return
        if job.eligible_ms > self.now_ms:
            del self._later[bisect_left(self._later, (job.eligible_ms, job_id))]
        else:
            self._leave(job)

    def park(self, job_ids: Iterable[int], asks: Mapping[int, Ask]) -> None:
        """From now on exactly these jobs are in no group, whatever else is true of them."""
        wanted = frozenset(job_ids)
        rows = [self.rows[job_id] for job_id in sorted(self.parked ^ wanted) if job_id in self.rows]
        for row in rows:
            self.drop(row.id)
        self.parked = wanted
        for row in rows:
            self.put(row, asks)

    def move_to(self, now_ms: int, asks: Mapping[int, Ask]) -> None:
        """Let time pass (or go back): jobs become eligible."""
        if now_ms < self.now_ms:
            early = [job for job in self.rows.values() if now_ms < job.eligible_ms <= self.now_ms and self._may_start(job)]
            for job in early:
                self._leave(job)
                insort(self._later, (job.eligible_ms, job.id))
        self.now_ms = now_ms
        while self._later and self._later[0][0] <= now_ms:
            job = self.rows[self._later.pop(0)[1]]
            self._join(job, asks[job.shape])

    @property
    def next_ms(self) -> int:
        """When the next job becomes eligible, 0 for never."""
        return self._later[0][0] if self._later else 0

    @property
    def later(self) -> tuple[tuple[int, int], ...]:
        """(when, id) of the jobs that become eligible later, sorted."""
        return tuple(self._later)

    def is_ready(self, job: PendingJob) -> bool:
        """Whether the job is in a group: nothing but room keeps it from starting."""
        return self._may_start(job) and job.eligible_ms <= self.now_ms

    def is_paused(self, job: PendingJob) -> bool:
        """Whether the job's queue is paused."""
        queue = self.queues.get(job.queue)
        return queue is not None and queue.paused

    def is_free(self, job: PendingJob) -> bool:
        """Whether nothing but the time and the lack of room keeps the job, or one element of it, from starting."""
        return not (job.held or job.blocked or self.is_paused(job)) and job.array_left > 0 and job.array_room > 0

    def _may_start(self, job: PendingJob) -> bool:
        return self.is_free(job) and job.id not in self.parked

    def _key(self, job: PendingJob) -> GroupKey:
        key = (job.shape, job.queue, job.priority, job.limit_ms)
        if not self.distinguishing:
            return key
        return (*key, *(getattr(job, name) for name in self.distinguishing))

    def _join(self, job: PendingJob, ask: Ask) -> None:
        key = self._key(job)
        group = self.groups.get(key)
        if group is None:
            group = self._open(key, ask)
        group.add(job.submitted_ms, job.id)
        group.runs += job.array_left
        self._mirror(group)

    def _leave(self, job: PendingJob) -> None:
        key = self._key(job)
        group = self.groups[key]
        group.remove(job.submitted_ms, job.id)
        group.runs -= job.array_left
        if group.entries:
            self._mirror(group)
        else:
            self._columns[FIRST_ID, group.slot] = -1
            self.by_slot[group.slot] = None
            self._free_slots.append(group.slot)
            del self.groups[key]
            self.shapes[key[0]] -= 1
            if not self.shapes[key[0]]:
                del self.shapes[key[0]]

    def _open(self, key: GroupKey, ask: Ask) -> Group:
        slot = self._free_slots.pop() if self._free_slots else len(self.by_slot)
        if slot == len(self.by_slot):
            if slot == self._columns.shape[1]:
                self._grow(2 * slot)
            self.by_slot.append(None)
        group = Group(key, slot, [])
        self._add(group)
        alike = len(ALIKE)
        cpu_milli, gpu_milli = _totals(ask)
        share = max(cpu_milli * WHOLE // self._capacity[0], gpu_milli * WHOLE // self._capacity[1])
        self._write(slot, 0, (*key[:alike], cpu_milli, gpu_milli, share, self._bonus(key[1]), *[0] * len(DISTINGUISHABLE)))
        for row, value in zip(self._rows_told, key[alike:], strict=True):
            self._write(slot, row, (value,))
        return group

    def _add(self, group: Group) -> None:
        self.by_slot[group.slot] = group
        self.groups[group.key] = group
        self.shapes[group.shape] = self.shapes.get(group.shape, 0) + 1

    def _bonus(self, queue_id: int) -> int:
        queue = self.queues.get(queue_id)
        return queue.bonus if queue else 0

    def _mirror(self, group: Group) -> None:
        self._write(group.slot, FIRST_SUBMITTED, (*group.entries[0], group.lowest_from(0), group.runs))

    def _write(self, slot: int, row: int, numbers: Iterable[int]) -> None:
        """Write a slot's columns from ``row`` on."""
        width = self._columns.shape[1]
        for at, number in enumerate(numbers, row):
            self._flat[at * width + slot] = number


def _totals(ask: Ask) -> tuple[int, int]:
    """Thousandths of a cpu and of a device that all tasks take together."""
    return ask.need[0] * ask.tasks, (ask.whole * MILLI + ask.milli) * ask.tasks
