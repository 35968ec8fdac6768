"""Why a job waits: a closed, versioned list of causes, each with its typed payload and with what could cure it.

The same value is computed by the code that decides, stored when it changes, shown in ``ps`` and ``why``, and asserted in tests; text
is made at the edge. A new cause is a new class here; a removed or changed one raises `REASONS_VERSION`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final

REASONS_VERSION: Final = 2


class Cure(StrEnum):
    """What could end the wait: time alone, a smaller amount, more quota, an eviction, a person, or nothing."""

    TIME = "time"
    AMOUNT = "amount"
    QUOTA = "quota"
    EVICTION = "eviction"
    PERSON = "person"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a node lacks for one task: so much of a resource (one of `RESOURCES`, ``gpu_devices``, ``gpu_milli``,
    ``gpu_memory_bytes``, or ``places`` beside tasks of the same app), of which ``free`` is there."""

    resource: str
    needed: int
    free: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """No room now. ``node_id`` is the nearest fit (0: none), ``short`` what it lacks, ``until_ms`` the expected start (0: unknown)."""

    code: ClassVar[str] = "capacity"
    cure: ClassVar[Cure] = Cure.TIME
    node_id: int = 0
    short: tuple[Shortfall, ...] = ()
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class WouldDelay:
    """It would fit, but would delay the reserved start ``until_ms`` of job ``head``."""

    code: ClassVar[str] = "would_delay"
    cure: ClassVar[Cure] = Cure.TIME
    head: int
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Reserved:
    """It would fit, but would run into a window (`tenure.model.window`) that is not for it. ``maintenance``: it is for nobody.

    ``longest_ms`` is the longest time limit with which it could start now, 0 for none.
    """

    code: ClassVar[str] = "reserved"
    cure: ClassVar[Cure] = Cure.TIME
    window: int
    name: str = ""
    from_ms: int = 0
    until_ms: int = 0
    maintenance: bool = False
    longest_ms: int = 0


@dataclass(frozen=True, slots=True)
class BetterPlace:
    """It could start, and waits until ``until_ms`` at most for the place it wishes for."""

    code: ClassVar[str] = "better_place"
    cure: ClassVar[Cure] = Cure.TIME
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Dependency:
    """It waits for these jobs to end."""

    code: ClassVar[str] = "dependency"
    cure: ClassVar[Cure] = Cure.TIME
    on: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A person holds it back; ``tenure release`` lets it go."""

    code: ClassVar[str] = "held"
    cure: ClassVar[Cure] = Cure.PERSON


@dataclass(frozen=True, slots=True)
class NotBefore:
    """Its earliest start has not come: asked for, or the back-off of a retry."""

    code: ClassVar[str] = "not_before"
    cure: ClassVar[Cure] = Cure.TIME
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class ArrayCap:
    """The array already has as many running elements as its ``%`` cap allows."""

    code: ClassVar[str] = "array_cap"
    cure: ClassVar[Cure] = Cure.TIME


@dataclass(frozen=True, slots=True)
class QueuePaused:
    """Its queue is paused."""

    code: ClassVar[str] = "queue_paused"
    cure: ClassVar[Cure] = Cure.PERSON
    queue: int = 0


@dataclass(frozen=True, slots=True)
class RoomPromised:
    """Jobs were displaced for it and are leaving; their room is kept for it until ``until_ms``."""

    code: ClassVar[str] = "room_promised"
    cure: ClassVar[Cure] = Cure.TIME
    leaving: tuple[int, ...] = ()
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class NodeUnavailable:
    """It would fit, but only on nodes that take no work now (draining, suspect, down)."""

    code: ClassVar[str] = "node_unavailable"
    cure: ClassVar[Cure] = Cure.PERSON
    nodes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceUnavailable:
    """It would fit, but only on devices that are not offered (a foreign process, lost, quarantined, split)."""

    code: ClassVar[str] = "device_unavailable"
    cure: ClassVar[Cure] = Cure.PERSON
    devices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class QuotaReached:
    """With this job its project, which may not borrow, would hold more of ``resource`` than its quota: ``held`` and ``needed`` exceed
    ``bound``. A lower use of its own or a larger quota lets it start."""

    code: ClassVar[str] = "quota"
    cure: ClassVar[Cure] = Cure.QUOTA
    project: int = 0
    resource: str = ""
    held: int = 0
    needed: int = 0
    bound: int = 0


@dataclass(frozen=True, slots=True)
class MaximumReached:
    """With this job its project would hold more of ``resource`` than it ever may, whatever is idle. Fields as in `QuotaReached`."""

    code: ClassVar[str] = "maximum"
    cure: ClassVar[Cure] = Cure.QUOTA
    project: int = 0
    resource: str = ""
    held: int = 0
    needed: int = 0
    bound: int = 0


@dataclass(frozen=True, slots=True)
class NeverFits:
    """Nothing that is declared could ever hold it. ``node_id`` is the nearest fit, ``short`` what it lacks when empty; ``labels`` are
    those it asks for that no node has."""

    code: ClassVar[str] = "never_fits"
    cure: ClassVar[Cure] = Cure.NEVER
    node_id: int = 0
    short: tuple[Shortfall, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotReached:
    """The cycle's budget ended before its turn; the next cycle goes on."""

    code: ClassVar[str] = "not_reached"
    cure: ClassVar[Cure] = Cure.TIME


Reason = (
    Capacity
    | WouldDelay
    | Reserved
    | BetterPlace
    | Dependency
    | Held
    | NotBefore
    | ArrayCap
    | QueuePaused
    | RoomPromised
    | NodeUnavailable
    | DeviceUnavailable
    | QuotaReached
    | MaximumReached
    | NeverFits
    | NotReached
)

_BY_CODE: Final[dict[str, type[Any]]] = {
    kind.code: kind
    for kind in (
        Capacity,
        WouldDelay,
        Reserved,
        BetterPlace,
        Dependency,
        Held,
        NotBefore,
        ArrayCap,
        QueuePaused,
        RoomPromised,
        NodeUnavailable,
        DeviceUnavailable,
        QuotaReached,
        MaximumReached,
        NeverFits,
        NotReached,
    )
}
REASON_CODES: Final = tuple(_BY_CODE)


def reason_to_dict(reason: Reason) -> dict[str, Any]:
    """A reason as plain data: its code, its cure and its payload."""
    return {"code": reason.code, "cure": reason.cure.value, **asdict(reason)}


def reason_from_dict(data: dict[str, Any]) -> Reason:
    """The inverse of `reason_to_dict`. Raises KeyError for a code that is not in the list."""
    payload = {name: value for name, value in data.items() if name not in ("code", "cure")}
    if "short" in payload:
        payload["short"] = tuple(Shortfall(**item) for item in payload["short"])
    for name in ("on", "nodes", "devices", "leaving", "labels"):
        if name in payload:
            payload[name] = tuple(payload[name])
    reason: Reason = _BY_CODE[data["code"]](**payload)
    return reason
