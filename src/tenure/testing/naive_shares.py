"""Quotas and fair shares in plain words, everything added up anew whenever somebody asks: what `tenure.testing.naive` goes by."""

from __future__ import annotations

from fractions import Fraction

from tenure.model.job import PendingJob
from tenure.model.project import Project
from tenure.model.reasons import MaximumReached, QuotaReached
from tenure.model.snapshot import Snapshot

NAMES = ("cpu_milli", "memory_bytes", "gpu_milli")
SHARING = ("fair",)
LN_2 = Fraction(693147180559945, 10**15)


def left_of_quota(job: PendingJob, snapshot: Snapshot) -> int:
    """What the job's project has left of its quota, in thousandths; 0 without one."""
    held, lefts = Tally(snapshot, "").holds(job.project), []
    for project in snapshot.projects:
        if project.id == job.project:
            lefts = [
                1000 - min(1000, 1000 * held[at] // quota if quota else 1000) for at, quota in enumerate(project.quota) if quota >= 0
            ]
    return min(lefts, default=0)


class Tally:
    """Who holds what at one point of a plan."""

    def __init__(self, snapshot: Snapshot, order: str) -> None:
        self._snapshot = snapshot
        self._shares = order in SHARING
        self._projects = {project.id: project for project in snapshot.projects}
        self._kept: dict[int, PendingJob] = {}
        self._held: list[tuple[int, int, tuple[int, ...]]] = []
        for job in snapshot.running:
            for part in job.allocations:
                gpus = sum(share.milli for share in part.devices)
                self._held.append((job.project, job.user, (part.amounts.cpu_milli, part.amounts.memory_bytes, gpus)))

    def _need(self, job: PendingJob) -> tuple[int, ...]:
        shape = self._snapshot.shapes[job.shape]
        return tuple(amount * shape.tasks for amount in (shape.amounts.cpu_milli, shape.amounts.memory_bytes, shape.gpu_milli))

    def started(self, job: PendingJob) -> None:
        """The job holds its room from now on."""
        self._held.append((job.project, job.user, self._need(job)))

    def holds(self, project: int, user: int | None = None) -> list[int]:
        """What a project, or one user for it, holds."""
        return [sum(held[at] for of, who, held in self._held if of == project and user in (None, who)) for at in range(3)]

    def is_borrower(self, job: PendingJob) -> bool:
        """Whether its project would hold more of something than its quota."""
        need, held, own = self._need(job), self.holds(job.project), self._projects.get(job.project, Project(job.project))
        for at in range(3):
            if need[at] and any(project.quota[at] >= 0 for project in self._snapshot.projects) and held[at] + need[at] > own.quota[at]:
                return True
        return False

    def bar(self, job: PendingJob) -> MaximumReached | QuotaReached | None:
        """What its project forbids."""
        need, held, own = self._need(job), self.holds(job.project), self._projects.get(job.project, Project(job.project))
        for bound, reason in ((own.maximum, MaximumReached), (own.quota, QuotaReached)):
            if reason is QuotaReached and own.borrow:
                break
            for at in range(3):
                if need[at] and 0 <= bound[at] < held[at] + need[at]:
                    return reason(own.id, NAMES[at], held[at], need[at], bound[at])
        return None

    def keep(self, job: PendingJob) -> None:
        """Keep what the job asks for free of its project's bounds, if nothing is kept yet and the project may ever hold it."""
        need, most = self._need(job), self._projects.get(job.project, Project(job.project)).most
        if job.project not in self._kept and all(not 0 <= most[at] < need[at] for at in range(3)):
            self._kept[job.project] = job

    def held_back(self, job: PendingJob, head: PendingJob | None) -> int:
        """The job of its project for which this one must leave what the project may hold, 0 for none."""
        others = [self._kept[job.project]] if job.project in self._kept else []
        others += [head] if head is not None and head.project == job.project and head.id != job.id else []
        need, held = self._need(job), self.holds(job.project)
        more = [sum(self._need(other)[at] for other in others) for at in range(3)]
        most = self._projects.get(job.project, Project(job.project)).most
        is_short = any(need[at] and more[at] and 0 <= most[at] < held[at] + need[at] + more[at] for at in range(3))
        return others[0].id if is_short else 0

    def standing(self, job: PendingJob) -> tuple[int, int]:
        """The share of its project by weight, and of its user in the project, in parts of 10^9."""
        if not self._shares:
            return (0, 0)
        users = {who for of, who, _ in self._held if of == job.project}
        users |= {row.user for row in self._snapshot.usage if row.project == job.project}
        each = {user: self._counted(job.project, user) for user in users}
        together = [sum(counted[at] for counted in each.values()) for at in range(3)]
        weight = self._projects.get(job.project, Project(job.project)).weight_milli
        return self._share(together) * 1000 // weight, self._share(each.get(job.user, [0, 0, 0]))

    def _counted(self, project: int, user: int) -> list[int]:
        """What a user holds now, and on top held on average of late."""
        half_life_ms, now_ms = self._snapshot.settings.half_life_ms, self._snapshot.now_ms
        before = [0, 0, 0]
        for job in self._snapshot.running:
            if (job.project, job.user) == (project, user):
                for part in job.allocations:
                    before[0] += part.amounts.cpu_milli
                    before[1] += part.amounts.memory_bytes
                    before[2] += sum(share.milli for share in part.devices)
        mean = [0, 0, 0]
        for row in self._snapshot.usage:
            if half_life_ms and (row.project, row.user) == (project, user):
                window = int(half_life_ms / LN_2)
                left = Fraction(2.0 ** (-max(now_ms - row.as_of_ms, 0) / half_life_ms))
                use = (row.cpu_milli_ms, row.memory_mib_ms, row.gpu_milli_ms)
                rate = (before[0], before[1] // 2**20, before[2])
                grown = [round(old * left + new * window * (1 - left)) for old, new in zip(use, rate, strict=True)]
                mean = [grown[0] // window, grown[1] * 2**20 // window, grown[2] // window]
        return [held + average for held, average in zip(self.holds(project, user), mean, strict=True)]

    def _share(self, amounts: list[int]) -> int:
        nodes = self._snapshot.nodes
        whole = (
            sum(node.capacity.cpu_milli for node in nodes),
            sum(node.capacity.memory_bytes for node in nodes),
            sum(device.capacity_milli for node in nodes for device in node.devices),
        )
        return max(amount * 10**9 // total if total else 0 for amount, total in zip(amounts, whole, strict=True))
