"""The waiting jobs, grouped so that one judgement serves all that are alike.

Jobs of the same shape, queue, priority and time limit, and of the same value in each field that the policy's orders read besides,
differ in nothing but their age: they form a `Group`, in the order of (submission, id), which no ageing changes. A cycle compares the
first job of each group (columns of 64-bit integers) and walks on inside a group only while its jobs start. Jobs that may not start now
(held, blocked, array at its cap, too early) are in no group.
Invariant: a ready job is in exactly one group; columns mirror the first job of each group. A field that does not distinguish groups
is 0 in the columns, so that no order can read of one job what is not true of all.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from tenure.core.feasibility import Ask
from tenure.model.amounts import MILLI
from tenure.model.job import PendingJob
from tenure.model.queue import Queue

Columns = npt.NDArray[np.int64]
"""Rows by the constants below, one column per group slot; ``FIRST_ID`` -1 marks a free slot."""

SHAPE, QUEUE, PRIORITY, LIMIT, CPU_MILLI, GPU_MILLI, BONUS, PROJECT, USER, DEADLINE, EXPECTED, FIRST_SUBMITTED, FIRST_ID, LOWEST_ID = (
    range(14)
)
_ROWS = 14

DISTINGUISHABLE = {"project": PROJECT, "user": USER, "deadline_ms": DEADLINE, "expected_ms": EXPECTED}
"""The fields of a job by which groups are distinguished where an order reads them, and their rows. Without need they would only make
many groups of few."""

GroupKey = tuple[int, ...]
"""Shape, queue, priority and time limit, then the values of the distinguishing fields."""


class Group:
    """Jobs alike in all but age; ``entries`` are (submitted_ms, id), sorted."""

    __slots__ = ("_by_id", "entries", "key", "limit_ms", "queue", "shape", "slot")

    def __init__(self, key: GroupKey, slot: int) -> None:
        self.key = key
        self.shape, self.queue, _, self.limit_ms = key[:4]
        self.slot = slot
        self.entries: list[tuple[int, int]] = []
        self._by_id = True

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
        self._columns: Columns = np.full((_ROWS, 16), -1, dtype=np.int64)
        self._free_slots: list[int] = []
        self._later: list[tuple[int, int]] = []

    @property
    def columns(self) -> Columns:
        """The columns of all slots in use (some may be free: ``FIRST_ID`` -1)."""
        return self._columns[:, : len(self.by_slot)]

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

    def drop(self, job_id: int) -> None:
        """Remove a job, if it is there."""
        job = self.rows.pop(job_id, None)
        if job is None or not self._may_start(job):
            return
        if job.eligible_ms > self.now_ms:
            del self._later[bisect_left(self._later, (job.eligible_ms, job_id))]
        else:
            self._leave(job)

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

    def is_paused(self, job: PendingJob) -> bool:
        """Whether the job's queue is paused."""
        queue = self.queues.get(job.queue)
        return queue is not None and queue.paused

    def _may_start(self, job: PendingJob) -> bool:
        return not (job.held or job.blocked or self.is_paused(job)) and job.array_left > 0 and job.array_room > 0

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
        self._mirror(group)

    def _leave(self, job: PendingJob) -> None:
        key = self._key(job)
        group = self.groups[key]
        group.remove(job.submitted_ms, job.id)
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
        group = Group(key, slot)
        if slot == len(self.by_slot):
            self.by_slot.append(group)
            if slot == self._columns.shape[1]:
                self._columns = np.concatenate((self._columns, np.full_like(self._columns, -1)), axis=1)
        else:
            self.by_slot[slot] = group
        queue = self.queues.get(key[1])
        cpu_milli, gpu_milli = ask.need[0] * ask.tasks, (ask.whole * MILLI + ask.milli) * ask.tasks
        self._columns[:FIRST_SUBMITTED, slot] = (*key[:4], cpu_milli, gpu_milli, queue.bonus if queue else 0, 0, 0, 0, 0)
        for row, value in zip(self._rows_told, key[4:], strict=True):
            self._columns[row, slot] = value
        self.groups[key] = group
        self.shapes[key[0]] = self.shapes.get(key[0], 0) + 1
        return group

    def _mirror(self, group: Group) -> None:
        columns, slot = self._columns, group.slot
        columns[FIRST_SUBMITTED:, slot] = (*group.entries[0], group.lowest_from(0))
