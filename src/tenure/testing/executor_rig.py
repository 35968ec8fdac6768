"""What the contract suites of executors are written in: a place to run in, somebody who follows the reports, launches and stops.

Invariant: nothing here knows which executor it drives, and nothing waits for luck: time passes until what is waited for is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import pytest

from tenure.model.amounts import Amounts
from tenure.model.commands import JobSpec
from tenure.model.observations import (
    Launch,
    LaunchRejected,
    Observation,
    Resized,
    Signal,
    SignalAction,
    SignalDone,
    TaskEmptied,
    TaskEnded,
    TaskStarted,
)
from tenure.ports import Executor

_O = TypeVar("_O", TaskStarted, LaunchRejected, TaskEnded, TaskEmptied, SignalDone, Resized)

SUCCEEDS, FAILS, LASTS, STUBBORN, IMPOSSIBLE = "succeeds", "fails", "lasts", "stubborn", "impossible"
EXIT_CODE_OF_FAILS = 3


class Rig(Protocol):
    """What a suite needs of the place where an executor runs."""

    executor: Executor

    def argv(self, behaviour: str) -> tuple[str, ...]:
        """A command that succeeds at once, fails with `EXIT_CODE_OF_FAILS`, lasts until stopped, ignores the stop, or cannot start."""
        ...

    def settled(self, attempt_id: int) -> bool:
        """Whether a stubborn task has begun to ignore the polite stop."""
        ...

    def pass_time(self) -> bool:
        """Let something happen; False when nothing will any more, or patience is at its end."""
        ...

    def reconnect(self) -> Executor:
        """The executor of a daemon that starts anew, while tasks went on; also to be found in ``executor``."""
        ...


class Watcher:
    """Follows the reports of a rig's executor like the control loop does."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.cursor = 0
        self.seen: list[Observation] = []

    def look(self) -> list[Observation]:
        """Take in what is there; the new reports."""
        found = self.rig.executor.observe(self.cursor)
        self.cursor = found.cursor
        self.seen += found.items
        return list(found.items)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Let time pass until it holds."""
        self.look()
        while not holds():
            assert self.rig.pass_time(), f"waited in vain for {what}; reported so far: {self.seen}"
            self.look()

    def reports(self, kind: type[_O], attempt_id: int, task: int = 0) -> list[_O]:
        """The reports of that kind about a task, in order."""
        return [item for item in self.seen if isinstance(item, kind) and (item.attempt_id, item.task) == (attempt_id, task)]

    def started(self, attempt_id: int, task: int = 0) -> TaskStarted:
        """Wait for the start of a task."""
        self.until(lambda: bool(self.reports(TaskStarted, attempt_id, task)), f"the start of {attempt_id}/{task}")
        return self.reports(TaskStarted, attempt_id, task)[0]

    def ended(self, attempt_id: int, task: int = 0) -> TaskEnded:
        """Wait for the end of a task."""
        self.until(lambda: bool(self.reports(TaskEnded, attempt_id, task)), f"the end of {attempt_id}/{task}")
        return self.reports(TaskEnded, attempt_id, task)[0]

    def rejected(self, attempt_id: int) -> LaunchRejected:
        """Wait for the rejection of a task."""
        self.until(lambda: bool(self.reports(LaunchRejected, attempt_id)), f"the rejection of {attempt_id}")
        return self.reports(LaunchRejected, attempt_id)[0]

    def gone(self, attempt_id: int, task: int = 0) -> bool:
        """Whether nothing of a task is left."""
        ends = self.reports(TaskEnded, attempt_id, task)
        return any(end.empty for end in ends) or bool(self.reports(TaskEmptied, attempt_id, task))


class ExecutorSuiteBase:
    """What every suite has. Where one is run, the fixture ``rig`` is defined. Fences start at 5, so that there are lower ones."""

    FENCE = 5

    @pytest.fixture
    def rig(self) -> Rig:
        """The place to test in."""
        raise NotImplementedError("a suite is run with a rig of its own")

    @pytest.fixture
    def watch(self, rig: Rig) -> Watcher:
        """Follows the rig's executor."""
        return Watcher(rig)

    def launch(
        self, rig: Rig, attempt_id: int, behaviour: str, task: int = 0, tasks: int = 1, fence: int = FENCE, limit_ms: int = 0
    ) -> Launch:
        """A launch of a job with that behaviour."""
        spec = JobSpec(rig.argv(behaviour), "/", {"PATH": "/usr/local/bin:/usr/bin:/bin", "ATTEMPT": str(attempt_id)})
        node = "here"
        return Launch(
            attempt_id, attempt_id, task, fence, node, behaviour, spec, Amounts(1000), tasks, limit_ms=limit_ms, peers=(node,) * tasks
        )

    def stop(self, attempt_id: int, reason: str = "cancelled", fence: int = FENCE, grace_ms: int = 10_000) -> Signal:
        """A polite stop."""
        return Signal(attempt_id, 0, fence, SignalAction.STOP, grace_ms, reason)
