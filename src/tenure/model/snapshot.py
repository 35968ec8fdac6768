"""Everything a decision may depend on, read consistently at one revision; and the difference between two revisions.

The control loop and the simulator keep one board and feed it `Changes`; a policy sees a `Snapshot`. Rebuilding from a snapshot and
advancing by changes give the same board (a property test).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tenure.model.allocation import Claim, Eviction
from tenure.model.forecast import Forecast
from tenure.model.job import JobTable, PendingJob, RunningJob
from tenure.model.node import Node
from tenure.model.plan import Reservation
from tenure.model.project import Project, Usage
from tenure.model.queue import Queue
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.window import TimeWindow


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent immutable read. Tuples are sorted by id; mappings are never changed after construction.

    ``strategy`` is the one that the plan before followed, where the policy leaves it open (`tenure.core.strategy`).

    ``touched`` lists, per array, the positions at or after its ``array_next`` that already are jobs of their own (a cancelled or held
    element): a start skips them. ``projects`` are those of which something was decided; ``usage`` is sorted by (project, user) and each
    row holds until what is held of it changes. ``evictions`` are those that still count: of the last hour, or within the cool-down.
    ``promises`` are those of the last plan (`Plan.promises`), ``reservations`` the windows that are not over, of people and projects
    and for maintenance.
    """

    revision: int
    now_ms: int
    seed: int = 0
    nodes: tuple[Node, ...] = ()
    shapes: Mapping[int, Shape] = field(default_factory=dict)
    pending: JobTable = JobTable()
    running: tuple[RunningJob, ...] = ()
    claims: tuple[Claim, ...] = ()
    queues: tuple[Queue, ...] = ()
    projects: tuple[Project, ...] = ()
    usage: tuple[Usage, ...] = ()
    forecasts: Mapping[int, Forecast] = field(default_factory=dict)
    settings: PlanSettings = PlanSettings()
    touched: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    evictions: tuple[Eviction, ...] = ()
    promises: tuple[Reservation, ...] = ()
    reservations: tuple[TimeWindow, ...] = ()
    strategy: str = ""

    def job(self, job_id: int) -> PendingJob | None:
        """A waiting job as a value, None when it does not wait."""
        return self.pending.job(job_id)


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between revision ``since`` and ``revision``. A job that started is in ``pending_removed`` and in ``running``;
    ``usage`` has a row for each user and project of which somebody started or ended."""

    since: int
    revision: int
    now_ms: int
    pending: Mapping[int, PendingJob] = field(default_factory=dict)
    pending_removed: tuple[int, ...] = ()
    running: Mapping[int, RunningJob] = field(default_factory=dict)
    running_removed: tuple[int, ...] = ()
    nodes: tuple[Node, ...] | None = None
    queues: tuple[Queue, ...] | None = None
    claims: tuple[Claim, ...] | None = None
    usage: tuple[Usage, ...] = ()
    evictions: tuple[Eviction, ...] | None = None
    shapes: Mapping[int, Shape] = field(default_factory=dict)
    touched: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    settings: PlanSettings | None = None
    promises: tuple[Reservation, ...] | None = None
    reservations: tuple[TimeWindow, ...] | None = None
    strategy: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing that a plan depends on has changed."""
        return self.since == self.revision
