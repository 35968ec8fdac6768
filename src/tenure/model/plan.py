"""What a policy decides, as values: nothing here has an effect until the store has committed it.

A `Decision` is applied entirely or not at all. A start whose room depends on a departure is never in the decision that evicts: the
eviction carries a claim, and a later decision consumes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tenure.model.allocation import Allocation, Claim, Placement
from tenure.model.amounts import Amounts
from tenure.model.conflict import Conflict
from tenure.model.lifecycle import DeviceStatus, JobState, NodeStatus
from tenure.model.project import Bundle, Project
from tenure.model.reasons import Reason
from tenure.model.window import TimeWindow


@dataclass(frozen=True, slots=True)
class Start:
    """Start a job with one placement per task, sorted by task. ``position`` names the element of an array, -1 for a plain job;
    ``claim`` the promise that this start redeems, 0 for none.

    ``successors`` are positions of further elements that take over the room, one after another: only together with the first they
    count as use, and only for a job of one task without devices.
    """

    job_id: int
    placements: tuple[Placement, ...]
    position: int = -1
    claim: int = 0
    successors: tuple[int, ...] = ()


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
class Suspend:
    """Let an attempt rest, so that ``beneficiary`` has its turn. It keeps what it holds, but its cpus only until it has stopped."""

    job_id: int
    attempt_id: int
    beneficiary: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Let an attempt that rests go on where it is; it takes its cpus again."""

    job_id: int
    attempt_id: int


@dataclass(frozen=True, slots=True)
class Resize:
    """Let each task of an attempt that runs hold so much cpu and memory from now on, where it is (`tenure.core.resizing`).

    What is less than it holds comes free only once its executor has confirmed that the task is kept to it."""

    job_id: int
    attempt_id: int
    cpu_milli: int
    memory_bytes: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """One indivisible change."""

    starts: tuple[Start, ...] = ()
    evicts: tuple[Evict, ...] = ()
    resizes: tuple[Resize, ...] = ()
    claims: tuple[ClaimRequest, ...] = ()
    suspends: tuple[Suspend, ...] = ()
    resumes: tuple[Resume, ...] = ()


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
    """The promised start of a waiting job, the head of the order or any other: backfilling never delays it.

    ``start_ms`` 0 is when all is over that has no time limit. ``position`` names the element of an array, -1 a plain job.
    """

    job_id: int
    start_ms: int
    placements: tuple[Placement, ...]
    position: int = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of one cycle on the snapshot of ``base_revision``.

    ``truncated_at`` says after how many units of budget the plan was cut short (None: complete): the budget was used up, or jobs are
    displaced, which is always the last decision, so that the rest is planned when that is true. ``units`` is the work it took.
    ``next_ms`` is the earliest time at which the same snapshot could give another plan (a job becomes eligible, a promise ends, a job
    may be displaced, somebody's patience is over), 0 for never. ``conflicts`` are what the jobs that wait cannot all have, where
    somebody asked for them.
    ``promises`` are what a policy has promised to others than the head as well: the next plan keeps them (`Snapshot.promises`).
    ``strategy`` is the one that it follows, where the policy leaves that open (`tenure.core.strategy`).
    """

    base_revision: int
    decisions: tuple[Decision, ...] = ()
    holds: tuple[Hold, ...] = ()
    reservation: Reservation | None = None
    truncated_at: int | None = None
    units: int = 0
    next_ms: int = 0
    promises: tuple[Reservation, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    strategy: str = ""


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
    """A job as locked by a commit. ``ready`` is false while a person or a dependency holds it or its start has not come.

    ``limit_ms`` is the time limit of a run that starts now (0: none); ``cpu_milli`` as in `RunningJob`."""

    id: int
    state: JobState
    shape: int
    ready: bool
    is_array: bool = False
    array_left: int = 1
    array_room: int = 2**31
    project: int = 0
    limit_ms: int = 0
    user: int = 0
    cpu_milli: int = 0


@dataclass(frozen=True, slots=True)
class LockedProject:
    """A project with bounds as locked by a commit, and what rows that are not released hold for it."""

    project: Project
    held: Bundle


@dataclass(frozen=True, slots=True)
class LockedHolder:
    """What one task holds of a node until ``ends_ms`` (0: nobody knows), and whose it is; only told where amounts are set aside."""

    node_id: int
    ends_ms: int
    amounts: Amounts
    project: int = 0
    user: int = 0


@dataclass(frozen=True, slots=True)
class LockedRows:
    """Everything a decision touches, read under its locks. ``projects`` are those that have bounds.

    For decisions that promise room: ``leaving`` is what attempts hold that are being stopped or are to be evicted, ``claims`` are the
    promises that stand. ``windows`` are those of the touched nodes that are not over at ``now_ms``, by id. ``resting`` is what attempts
    hold that rest (`tenure.core.rotation`), ``resizing`` what those hold that are to hold something else.
    """

    nodes: dict[int, LockedNode]
    devices: dict[int, LockedDevice]
    jobs: dict[int, LockedJob]
    leaving: tuple[Allocation, ...] = ()
    claims: tuple[Claim, ...] = ()
    projects: dict[int, LockedProject] = field(default_factory=dict)
    now_ms: int = 0
    windows: tuple[TimeWindow, ...] = ()
    holders: tuple[LockedHolder, ...] = ()
    resting: tuple[Allocation, ...] = ()
    resizing: tuple[Allocation, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a decision was not committed: a code (``job_changed``, ``no_room``, ``device_taken``, ``node_gone``, ``maximum``,
    ``reserved``, ``malformed``) and the id that caused it."""

    code: str
    subject: int
    detail: str = ""
