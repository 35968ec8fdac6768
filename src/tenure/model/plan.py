"""What a policy decides, as values: nothing here has an effect until the store has committed it.

A `Decision` is applied entirely or not at all. A start whose room depends on a departure is never in the decision that evicts: the
eviction carries a claim, and a later decision consumes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenure.model.allocation import Placement
from tenure.model.amounts import Amounts
from tenure.model.lifecycle import DeviceStatus, JobState, NodeStatus
from tenure.model.reasons import Reason


@dataclass(frozen=True, slots=True)
class Start:
    """Start a job with one placement per task, sorted by task. ``position`` names the element of an array, -1 for a plain job."""

    job_id: int
    placements: tuple[Placement, ...]
    position: int = -1


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Promise capacity to a job until ``deadline_ms``."""

    job_id: int
    placements: tuple[Placement, ...]
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Evict:
    """Stop an attempt so that ``beneficiary`` may start; the grace is the job's own."""

    job_id: int
    attempt_id: int
    beneficiary: int
    why: str


@dataclass(frozen=True, slots=True)
class Resize:
    """Restart an elastic attempt with another number of tasks."""

    job_id: int
    attempt_id: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Decision:
    """One indivisible change."""

    starts: tuple[Start, ...] = ()
    evicts: tuple[Evict, ...] = ()
    resizes: tuple[Resize, ...] = ()
    claims: tuple[ClaimRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """Why jobs of one shape in one queue wait, one per cause. ``first_job`` is the lowest id it was found for. A cause that concerns
    one ``project`` only names it (0: jobs of all)."""

    shape: int
    queue: int
    reason: Reason
    first_job: int
    project: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """The reserved start of the job at the head of the order: backfilling never delays it."""

    job_id: int
    start_ms: int
    placements: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of one cycle on the snapshot of ``base_revision``.

    ``truncated_at`` says after how many units of budget the plan was cut short (None: complete). ``units`` is the work it took.
    ``next_ms`` is the earliest time at which the same snapshot could give another plan (a job becomes eligible), 0 for never.
    """

    base_revision: int
    decisions: tuple[Decision, ...] = ()
    holds: tuple[Hold, ...] = ()
    reservation: Reservation | None = None
    truncated_at: int | None = None
    units: int = 0
    next_ms: int = 0


@dataclass(frozen=True, slots=True)
class LockedNode:
    """A node as locked by a commit: its capacity and what rows that are not released hold of it, and how many tasks of which apps do
    (only told where a decision depends on it)."""

    id: int
    status: NodeStatus
    capacity: Amounts
    used: Amounts
    labels: tuple[str, ...] = ()
    apps: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class LockedDevice:
    """A device as locked by a commit."""

    id: int
    node_id: int
    status: DeviceStatus
    model: str
    capacity_milli: int
    memory_bytes: int
    used_milli: int
    used_memory_bytes: int
    capability: int = 0


@dataclass(frozen=True, slots=True)
class LockedJob:
    """A job as locked by a commit. ``ready`` is false while a person or a dependency holds it or its start has not come."""

    id: int
    state: JobState
    shape: int
    ready: bool
    is_array: bool = False
    array_left: int = 1
    array_room: int = 2**31


@dataclass(frozen=True, slots=True)
class LockedRows:
    """Everything a decision touches, read under its locks."""

    nodes: dict[int, LockedNode]
    devices: dict[int, LockedDevice]
    jobs: dict[int, LockedJob]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a decision was not committed: a code (``job_changed``, ``no_room``, ``device_taken``, ``node_gone``, ``malformed``) and the
    id that caused it."""

    code: str
    subject: int
    detail: str = ""
