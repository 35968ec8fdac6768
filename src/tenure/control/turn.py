"""What one turn of the control loop takes in, and what follows from it.

It is made anew for each turn and belongs to the control thread alone; only the answers that others wait for are seen by them.
Invariant: whoever asked is answered once, and not before what was asked is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from tenure.control.steps import Intake
from tenure.model.commands import Command
from tenure.model.observations import Launch, Observations, Signal
from tenure.model.outcomes import JobChange


class Listener(Protocol):
    """Told after each durable turn, on the control thread; must not block."""

    def __call__(self, revision: int, changes: Sequence[JobChange]) -> None:
        """``changes`` are the jobs that observations moved, that were displaced, and leases of which something was asked; other changes
        are found by the events up to ``revision``."""
        ...


@dataclass(slots=True)
class Asked:
    """A request from another thread: commands to apply, or a call to make on the control thread."""

    answer: Future[Any]
    commands: Sequence[Command] = ()
    call: Callable[[], Any] | None = None


@dataclass(slots=True)
class Turn:
    """What one turn takes in and what follows from it."""

    now_ms: int
    asked: list[Asked]
    seen: Observations
    intake: Intake = field(default_factory=Intake)
    launches: list[Launch] = field(default_factory=list)
    noted: list[JobChange] = field(default_factory=list)
    displaced: bool = False
    due: Sequence[Signal] = ()
    answered: bool = False

    @property
    def commands(self) -> list[Command]:
        """The commands of everybody who asked, in order."""
        return [command for one in self.asked for command in one.commands]

    @property
    def changes(self) -> Sequence[JobChange]:
        """The jobs that somebody may wait for."""
        moved = self.intake.recorded.changes if self.intake.recorded else ()
        return (*moved, *self.noted) if self.noted else moved
