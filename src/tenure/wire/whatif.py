"""What-if and plan on the wire: what may be supposed, and what would come of it.

Apart from `tenure.wire.dto` because nothing else uses it. Invariant: a request names what it supposes and carries no key, for it
changes nothing and may be asked again.
"""

from __future__ import annotations

import msgspec

from tenure.wire.base import Line, Whole, Word
from tenure.wire.dto import ExplanationView, Reply, Request, SubmitRequest

UNKNOWN_TEXT = {
    "no_limit": "it depends on a job without a time limit",
    "not_ready": "it waits for a person, a paused queue or another job",
    "unavailable": "it waits for a node or device that takes no work",
    "never": "nothing that is declared could hold it",
    "deadline": "it is cancelled at its deadline",
    "quota": "it asks for more than its project may hold",
    "too_far": "it lies beyond what is worked out at once",
}
"""Why nobody can say when a job starts (`tenure.model.explanation.UnknownStart`), in words."""


class MachineSpec(Request):
    """``count`` nodes that are alike. GPUs of one node have the same model and memory."""

    count: Whole = 1
    cpu_milli: Whole = 0
    memory_bytes: Whole = 0
    storage_bytes: Whole = 0
    bandwidth_bps: Whole = 0
    gpus: Whole = 0
    gpu_model: Word = ""
    gpu_memory_bytes: Whole = 0
    labels: list[Word] = msgspec.field(default_factory=list)


class PriorityWish(Request):
    """Another priority (1-10) for the jobs that ``job`` names in the id grammar."""

    job: Line
    priority: Whole


class WhatIfRequest(Request):
    """What is supposed, all of it together. Nodes are named by name, jobs in the id grammar; ``cancel`` takes running jobs too.

    ``policy`` is ``NAME[:KEY=VALUE,...]``. ``limit``: so many waiting jobs are compared, the first in the order they are considered in,
    and those that are named.
    """

    add_nodes: list[MachineSpec] = msgspec.field(default_factory=list)
    remove_nodes: list[Word] = msgspec.field(default_factory=list)
    drain_nodes: list[Word] = msgspec.field(default_factory=list)
    resume_nodes: list[Word] = msgspec.field(default_factory=list)
    add_jobs: list[SubmitRequest] = msgspec.field(default_factory=list)
    priorities: list[PriorityWish] = msgspec.field(default_factory=list)
    cancel: list[Line] = msgspec.field(default_factory=list)
    policy: Line = ""
    limit: Whole = 200


class ShiftView(Reply):
    """One job as things are and as they would be. Starts are milliseconds since the epoch, 0 for unknown: then ``before_unknown`` or
    ``after_unknown`` is the code of the reason (see `UNKNOWN_TEXT`); both are 0 and empty on a side where the job does not wait.

    ``effect`` is one of ``same sooner later possible impossible foreseen unforeseen beyond added interrupted cancelled``.
    ``change_ms`` is how much later it starts (negative: sooner), None unless both starts are known. Of an array the next element.
    """

    id: str
    effect: str
    name: str = ""
    before_ms: int = 0
    after_ms: int = 0
    before_unknown: str = ""
    after_unknown: str = ""
    change_ms: int | None = None


class WhatIfReply(Reply):
    """What would come of it. ``supposed`` says in sentences what was asked, ``notes`` what one should know of the answer.

    ``jobs`` has each job that was compared: those that wait, in their order, then those that would wait only if. ``compared`` of
    ``waiting`` jobs wait now. ``mean_change_ms`` is over the ``foreseen`` jobs whose start is known on both sides, None without one.
    ``starts_now`` are those that would start at once, ``endless`` the jobs whose end nobody knows, running ones first.
    """

    now_ms: int
    supposed: list[str] = msgspec.field(default_factory=list)
    jobs: list[ShiftView] = msgspec.field(default_factory=list)
    waiting: int = 0
    compared: int = 0
    sooner: int = 0
    later: int = 0
    possible: int = 0
    impossible: int = 0
    foreseen: int = 0
    mean_change_ms: int | None = None
    starts_now: list[str] = msgspec.field(default_factory=list)
    endless: list[str] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)


class PlanReply(Reply):
    """What would become of a submission: ``verdict`` starts_now, waits or never, the explanation that goes with it, and its horizon.

    ``start_ms`` is the expected start (0: unknown, ``start_unknown`` is the code of the reason). ``delayed`` has the waiting jobs that
    would start later, become impossible or could no longer be foreseen, the most delayed first, of ``compared`` out of ``waiting``.
    """

    verdict: str
    placements: list[str] = msgspec.field(default_factory=list)
    explanation: ExplanationView | None = None
    limit_ms: int = 0
    note: str = ""
    start_ms: int = 0
    start_unknown: str = ""
    delayed: list[ShiftView] = msgspec.field(default_factory=list)
    compared: int = 0
    waiting: int = 0
