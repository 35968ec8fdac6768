"""Why a job waits, in full: every blocker, what comes nearest, who holds it, when it should start, what would help.

It is worked out on demand by `tenure.core.explain` and never stored. Text is made at the edge, as for reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tenure.model.allocation import DeviceShare
from tenure.model.amounts import Amounts
from tenure.model.reasons import Reason, Shortfall
from tenure.model.shape import Shape


class UnknownStart(StrEnum):
    """Why nobody can say when a job will start."""

    NO_LIMIT = "no_limit"
    """It depends on a running job without a time limit."""
    NOT_READY = "not_ready"
    """It waits for a person or for another job to end."""
    UNAVAILABLE = "unavailable"
    """Only nodes or devices that take no work now could hold it: it waits for a person to bring them back."""
    NEVER = "never"
    """Nothing that is declared could hold it, whatever is brought back."""
    DEADLINE = "deadline"
    """Its deadline passes before it could start: it will be cancelled then."""
    QUOTA = "quota"
    """Its project may never hold as much as it asks for."""
    TOO_FAR = "too_far"
    """The start lies beyond what was worked out."""


@dataclass(frozen=True, slots=True)
class ExpectedStart:
    """When a job should start if nobody goes ahead of it who does not wait yet. Milliseconds since the epoch, 0 for unknown.

    ``latest_ms`` supposes that every job takes all of its time limit; ``earliest_ms`` that jobs end when they are forecast to, where
    they are, else that they could end at any time. ``unknown`` says why ``latest_ms`` is 0.
    """

    earliest_ms: int = 0
    latest_ms: int = 0
    unknown: UnknownStart | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """A job that holds what is lacking on the nearest node, until ``ends_ms`` (0: unknown). ``planned``: it starts in this plan."""

    job_id: int
    node_id: int
    amounts: Amounts
    devices: tuple[DeviceShare, ...] = ()
    ends_ms: int = 0
    planned: bool = False


class Change(StrEnum):
    """What a suggestion changes: the closed list of what a user can change of a waiting job."""

    SMALLER = "smaller"
    SHORTER = "shorter"
    OTHER_QUEUE = "other_queue"
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change after which the job would start at once, or be the head with its start reserved; proved by planning it. The fields
    that are not changed have the job's values.

    ``cost_milli`` is what is given up, in thousandths of what was asked for, summed over what changes: less is cheaper. A higher
    priority gives up nothing and takes from others instead: it comes last. ``start_ms`` is the reserved start, 0 for at once.
    """

    change: Change
    shape: Shape
    limit_ms: int
    queue: int
    cost_milli: int
    priority: int
    start_ms: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job waits. ``starts_now``: it does not, the plan starts it; blockers are then those of the rest of an array, if one waits.

    ``blockers`` has every cause, the one the plan saw first in front.

    ``node_id`` and ``short``: the node that comes nearest and what it lacks for one more task (empty when room is not what is lacking).
    """

    job_id: int
    starts_now: bool = False
    blockers: tuple[Reason, ...] = ()
    node_id: int = 0
    short: tuple[Shortfall, ...] = ()
    holders: tuple[Holder, ...] = ()
    start: ExpectedStart = ExpectedStart()
    suggestions: tuple[Suggestion, ...] = ()
