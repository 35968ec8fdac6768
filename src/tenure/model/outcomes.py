"""What the store answers to the control loop: which decisions were committed, what must be launched or stopped, which jobs changed."""

from __future__ import annotations

from dataclasses import dataclass

from tenure.model.observations import Launch, Signal
from tenure.model.plan import Rejection


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcome of a plan's commit: one entry per decision, None where it was committed; and the launches that follow from it."""

    revision: int
    rejections: tuple[Rejection | None, ...]
    launches: tuple[Launch, ...] = ()


@dataclass(frozen=True, slots=True)
class JobChange:
    """A job changed its state (empty: something was asked of it). ``element_of`` is its array, 0 for none."""

    job_id: int
    state: str
    element_of: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """The outcome of recording observations. ``stops`` asks the executor to end what must not go on (the rest of a failed gang)."""

    revision: int
    changes: tuple[JobChange, ...] = ()
    stops: tuple[Signal, ...] = ()
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class Commands:
    """What an executor still has to be told, derived from rows: launches not yet confirmed, stops not yet confirmed."""

    launches: tuple[Launch, ...] = ()
    signals: tuple[Signal, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not self.launches and not self.signals


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold: its name, the row it was found at, and what was expected and found."""

    invariant: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a row, in commit order: ``cursor`` is dense. ``data`` is JSON text, ``uid`` that of the job's user."""

    cursor: int
    kind: str
    job_id: int
    project: str
    at_ms: int
    data: str = "{}"
    version: int = 1
    uid: int = -1
