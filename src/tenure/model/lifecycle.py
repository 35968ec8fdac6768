"""The lifecycles of a job, an allocation and a node, as tables.

One table decides which change of state is allowed, for the store, the simulator and the tests alike. A state that is not in a row's
set cannot follow; a terminal state has an empty set. Everything before ``released`` counts as used.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class JobState(StrEnum):
    """Where a job stands. ``held`` waits for a person; ``pending`` waits for the scheduler."""

    HELD = "held"
    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    SUSPENDED = "suspended"
    PREEMPTED = "preempted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"


class AllocationState(StrEnum):
    """Where an allocation stands. ``claimed`` is promised, ``releasing`` still counts as used until evidence says it is free."""

    CLAIMED = "claimed"
    LAUNCHING = "launching"
    ACTIVE = "active"
    RELEASING = "releasing"
    RELEASED = "released"


class NodeStatus(StrEnum):
    """Whether a node takes new work (``up`` only) and what is believed of the work it has."""

    UP = "up"
    DRAINING = "draining"
    SUSPECT = "suspect"
    DOWN = "down"


class DeviceStatus(StrEnum):
    """Whether a device is offered. ``foreign``: a process that Tenure did not start uses it; ``lost``: the driver lost it;
    ``quarantined``: an ended task left something on it; ``mig``: it is split into instances, and only whole devices are offered."""

    OK = "ok"
    FOREIGN = "foreign"
    LOST = "lost"
    QUARANTINED = "quarantined"
    MIG = "mig"


_J = JobState
_ENDINGS: Final = frozenset({_J.SUCCEEDED, _J.FAILED, _J.CANCELLED, _J.TIMED_OUT, _J.LOST})

JOB_TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    _J.HELD: frozenset({_J.PENDING, _J.CANCELLED, _J.FAILED}),
    _J.PENDING: frozenset({_J.HELD, _J.STARTING, _J.CANCELLED, _J.FAILED}),
    # A task may end before anybody heard that it started, hence every ending; a launch that a node refused goes back to pending.
    _J.STARTING: frozenset({_J.RUNNING, _J.PENDING, _J.HELD, _J.PREEMPTED}) | _ENDINGS,
    _J.RUNNING: frozenset({_J.SUSPENDED, _J.PREEMPTED, _J.PENDING, _J.HELD}) | _ENDINGS,
    _J.SUSPENDED: frozenset({_J.RUNNING, _J.PREEMPTED, _J.PENDING, _J.HELD}) | _ENDINGS,
    _J.PREEMPTED: frozenset({_J.PENDING, _J.HELD, _J.CANCELLED}),
    # A person may run an ended job again.
    _J.SUCCEEDED: frozenset({_J.PENDING, _J.HELD}),
    _J.FAILED: frozenset({_J.PENDING, _J.HELD}),
    _J.CANCELLED: frozenset({_J.PENDING, _J.HELD}),
    _J.TIMED_OUT: frozenset({_J.PENDING, _J.HELD}),
    _J.LOST: frozenset({_J.PENDING, _J.HELD}),
}
"""Allowed changes of a job's state. The way back from an ending is taken by ``requeue`` alone."""

ENDED_STATES: Final = _ENDINGS
WAITING_STATES: Final = frozenset({_J.HELD, _J.PENDING})
LIVE_STATES: Final = frozenset({_J.STARTING, _J.RUNNING, _J.SUSPENDED, _J.PREEMPTED})

_A = AllocationState
ALLOCATION_TRANSITIONS: Final[dict[AllocationState, frozenset[AllocationState]]] = {
    _A.CLAIMED: frozenset({_A.LAUNCHING, _A.RELEASED}),
    _A.LAUNCHING: frozenset({_A.ACTIVE, _A.RELEASING, _A.RELEASED}),
    _A.ACTIVE: frozenset({_A.RELEASING, _A.RELEASED}),
    _A.RELEASING: frozenset({_A.RELEASED}),
    _A.RELEASED: frozenset(),
}


def may_become(old: JobState, new: JobState) -> bool:
    """Whether a job in ``old`` may go to ``new``."""
    return new in JOB_TRANSITIONS[old]
