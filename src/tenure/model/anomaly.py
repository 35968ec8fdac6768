"""Something that has gone on for too long: what, of which job or machine, on what evidence, and what helps.

Invariant: a key names one trouble of one subject; at most one anomaly of a key is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KINDS = ("cpu", "memory", "thermal", "device_lost", "idle_gpu", "stalled", "hung", "over_asked", "squeezed", "loop_stuck")
"""All that is looked for."""
_OF_MACHINES = ("off", "warn")
_OF_JOBS = (*_OF_MACHINES, "requeue", "kill")
_ACTIONS = {
    **dict.fromkeys(("idle_gpu", "stalled", "hung"), _OF_JOBS),
    "over_asked": (*_OF_MACHINES, "shrink"),
    "squeezed": (*_OF_MACHINES, "restore"),
}


def actions_of(kind: str) -> tuple[str, ...]:
    """What can be done about that kind; about what is of no job one can only warn."""
    return _ACTIONS.get(kind, _OF_MACHINES)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One trouble. ``job_id`` 0: of no job; ``subject`` is the node or device; figures are those of the last look."""

    key: str
    kind: str
    text: str
    remedy: str
    job_id: int = 0
    subject: str = ""
    evidence: Mapping[str, float] = field(default_factory=dict)
    action: str = "warn"
    opened_ms: int = 0
    closed_ms: int = 0
