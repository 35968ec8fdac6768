"""What a person or a program may ask the store to change, as values. Each carries an idempotency key: the same key, asked twice by
the same caller, has one effect and gives the same answer. The caller's identity comes from the transport, never from these values."""

from __future__ import annotations

from dataclasses import dataclass, field

from tenure.model.access import Caller as Caller  # noqa: PLC0414 (a part of every command)
from tenure.model.job import NO_CAP
from tenure.model.people import PeopleCommand
from tenure.model.shape import Shape
from tenure.model.simulation import BeginSimulation

LEASE = "lease"
"""The kind of a job whose process is the caller."""
RELEASED = "released"
"""What a lease is stopped for when its holder gives it back."""


@dataclass(frozen=True, slots=True)
class DependsOn:
    """Wait for ``job_id`` (an array: for all of it) to end: ``ok`` succeeded, ``failed`` ended otherwise, ``any`` ended."""

    job_id: int
    condition: str = "ok"


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What the scheduler must know of a job. ``array`` is the index list of an array as inclusive ranges ``(first, last, step)``.

    ``retries`` is how often a failed run is repeated; ``grace_ms`` the time between the polite and the hard end. ``limit_ms`` 0 takes
    the queue's default. ``kind`` is batch, service or lease. ``hold`` submits it held.
    """

    name: str
    shape: Shape
    kind: str = "batch"
    project: str = "default"
    queue: str = "default"
    priority: int = 5
    limit_ms: int = 0
    deadline_ms: int = 0
    not_before_ms: int = 0
    after: tuple[DependsOn, ...] = ()
    array: tuple[tuple[int, int, int], ...] = ()
    array_cap: int = NO_CAP
    retries: int = 0
    grace_ms: int = 10_000
    hold: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose process has a lease, as the transport and the kernel say: its pid (0: none is watched) and when it was started, in the unit
    of ``/proc/PID/stat``, so that no later process is taken for it."""

    pid: int = 0
    start_ticks: int = 0


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What the executor must know of a job: ``argv`` (never empty), the captured environment, the directory, where output goes.

    ``stdout`` and ``stderr`` may contain Slurm's patterns (%j, %A, %a, %x, %t); empty: Tenure's own log. ``script`` is the text of a
    submitted script. ``submit_dir`` differs from ``cwd`` for a snapshot. ``origin`` records git commit, dirty flag and host. ``holder``
    is set for a lease: nothing is started then, and ``argv`` only says what it is for.
    """

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""
    script: str = ""
    umask: int = 0o022
    submit_dir: str = ""
    origin: dict[str, str] = field(default_factory=dict)
    holder: Holder | None = None


@dataclass(frozen=True, slots=True)
class SubmitJob:
    """Queue a job (or an array: one template row). Answers with its id."""

    key: str
    caller: Caller
    request: JobRequest
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class AcquireLease:
    """Queue a lease; it is cancelled when it was not granted within ``wait_ms``. Answers with its job's id.

    ``token`` is the digest of the secret by which it is renewed and released; ``asked`` a digest of what was asked for, which a
    repetition must agree with: the request itself may be one of several that would have served.
    """

    key: str
    caller: Caller
    request: JobRequest
    spec: JobSpec
    token: str
    wait_ms: int
    expected_ms: int = 0
    asked: str = ""


@dataclass(frozen=True, slots=True)
class RenewLease:
    """Let a lease that is held end ``ttl_ms`` from now on. Whoever knows the secret may, whoever he is."""

    key: str
    caller: Caller
    job_id: int
    token: str
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """End a lease, or withdraw one that waits. One that is over is left alone, which is not an error."""

    key: str
    caller: Caller
    job_id: int
    token: str


@dataclass(frozen=True, slots=True)
class CancelJob:
    """End a job: a waiting one at once, a running one by stopping it. An ended one is left alone, which is not an error.

    ``position`` >= 0 names one element of an array; an array without it means all of its elements, here and in the commands below.
    """

    key: str
    caller: Caller
    job_id: int
    position: int = -1
    why: str = ""


@dataclass(frozen=True, slots=True)
class HoldJob:
    """Keep a waiting job from starting. Refused for a job that runs or has ended."""

    key: str
    caller: Caller
    job_id: int
    position: int = -1


@dataclass(frozen=True, slots=True)
class ReleaseJob:
    """Let a held job wait for the scheduler again."""

    key: str
    caller: Caller
    job_id: int
    position: int = -1


@dataclass(frozen=True, slots=True)
class RequeueJob:
    """Run a job again: an ended one from the start; a running one is stopped first and then waits again."""

    key: str
    caller: Caller
    job_id: int
    position: int = -1


@dataclass(frozen=True, slots=True)
class SuspendJob:
    """Stop the processes of a running job where they are (it keeps what it holds), or let them go on (``resume``)."""

    key: str
    caller: Caller
    job_id: int
    position: int = -1
    resume: bool = False


@dataclass(frozen=True, slots=True)
class UpdateJob:
    """Change a waiting job; None leaves a field alone. Of a running job only ``priority``, ``name`` and ``limit_ms`` may change, and
    what each of its tasks holds: to ``cpu_milli`` and ``memory_bytes``, which never change what a waiting job asks for (``shape``
    does). ``why`` is told with that."""

    key: str
    caller: Caller
    job_id: int
    position: int = -1
    name: str | None = None
    priority: int | None = None
    limit_ms: int | None = None
    queue: str | None = None
    shape: Shape | None = None
    deadline_ms: int | None = None
    array_cap: int | None = None
    retries: int | None = None
    cpu_milli: int | None = None
    memory_bytes: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class SetNode:
    """Drain, resume or mark a node; ``status`` is one of `NodeStatus`."""

    key: str
    caller: Caller
    name: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SetQueue:
    """Make a queue or change one; None leaves a field alone."""

    key: str
    caller: Caller
    name: str
    paused: bool | None = None
    default_limit_ms: int | None = None
    max_limit_ms: int | None = None
    bonus: int | None = None


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """Let another policy plan from now on: ``NAME[:KEY=VALUE,...]``, or empty for the one that the settings name.

    Empty and from the scheduler itself (as when a daemon starts) it changes nothing while a person's choice stands.
    """

    key: str
    caller: Caller
    policy: str = ""


@dataclass(frozen=True, slots=True)
class ResolveConflict:
    """Resolve the open conflict ``conflict`` in one of the ways of `tenure.model.conflict.Resolution`; ``favour`` is the contender that
    goes first by priority (0: the one of the highest priority, then the lowest id)."""

    key: str
    caller: Caller
    conflict: str
    way: str
    favour: int = 0


@dataclass(frozen=True, slots=True)
class MakeReservation:
    """Set nodes (by name; none: all) aside from ``from_ms`` (0: now) to before ``until_ms``, or for ``length_ms``: for jobs of
    ``project``, of ``user`` or of either, or, as ``maintenance``, for nobody. Of each node all of it, or so many ``devices`` with these
    amounts: where 0 is said, the devices' share of what the node has. Without a ``name`` it is given one."""

    key: str
    caller: Caller
    name: str
    from_ms: int = 0
    until_ms: int = 0
    length_ms: int = 0
    nodes: tuple[str, ...] = ()
    maintenance: bool = False
    project: str = ""
    user: Caller | None = None
    devices: int = 0
    cpu_milli: int = 0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RemoveReservation:
    """Take back the reservation of that name or id, which is not over."""

    key: str
    caller: Caller
    reservation: str


@dataclass(frozen=True, slots=True)
class Guide:
    """Give guidance for ``length_ms`` (0: an hour): either ``steps`` of priority more or less for jobs of ``project``, ``queue``,
    ``user`` and ``name`` (a pattern; empty: any), or another ``policy``. Answers with its number as the note."""

    key: str
    caller: Caller
    steps: int = 0
    project: str = ""
    queue: str = ""
    user: str = ""
    name: str = ""
    policy: str = ""
    length_ms: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class EndGuidance:
    """Take the guidance of that number back. One that is over is left alone, which is not an error."""

    key: str
    caller: Caller
    guidance: int


Command = (
    SubmitJob
    | AcquireLease
    | RenewLease
    | ReleaseLease
    | CancelJob
    | HoldJob
    | ReleaseJob
    | RequeueJob
    | SuspendJob
    | UpdateJob
    | SetNode
    | SetQueue
    | SetPolicy
    | ResolveConflict
    | MakeReservation
    | RemoveReservation
    | Guide
    | EndGuidance
    | BeginSimulation
    | PeopleCommand
)


@dataclass(frozen=True, slots=True)
class Applied:
    """A command took effect (or had taken effect before: ``replayed``). ``job_id`` is the job it concerned, 0 for none.

    ``ended_attempt`` is the one of a lease that ended with it (0: none), which its executor is to forget.
    """

    job_id: int = 0
    revision: int = 0
    replayed: bool = False
    note: str = ""
    ended_attempt: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A command had no effect. ``code`` is stable, ``why`` one sentence with the way out."""

    code: str
    why: str


Answer = Applied | Refused
