"""What the tasks of the executor in memory do: behaviours, scripts that give every launch one, and a task that follows its script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tenure.model.observations import EndReason, Launch, TaskEnded

FOREVER_MS = -1


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a task does. ``duration_ms`` `FOREVER_MS`: until it is stopped. ``reject`` is job, node or empty.

    ``evidence_delay_ms`` is how long leftovers outlive the main process. A task that ``ignores_stop`` ends by SIGKILL after the grace.
    """

    duration_ms: int = 0
    exit_code: int = 0
    signal: int = 0
    reason: EndReason = EndReason.EXIT
    reject: str = ""
    code: str = "refused"
    why: str = "the script says so"
    start_delay_ms: int = 0
    evidence_delay_ms: int = 0
    ignores_stop: bool = False
    peak_memory_bytes: int = 0


Script = Callable[[Launch], Behaviour]


def read_argv(launch: Launch) -> Behaviour:
    """The script by default: understands ``true``, ``false``, ``sleep SECONDS`` and ``exit CODE``; anything else succeeds at once."""
    match launch.spec.argv:
        case ("sleep", "infinity"):
            return Behaviour(FOREVER_MS)
        case ("sleep", seconds):
            return Behaviour(round(float(seconds) * 1000))
        case ("exit", code):
            return Behaviour(exit_code=int(code))
        case ("false",):
            return Behaviour(exit_code=1)
    return Behaviour()


def by_name(names: Mapping[str, Behaviour], otherwise: Script = read_argv) -> Script:
    """A script that looks at the job's name first."""
    return lambda launch: names[launch.name] if launch.name in names else otherwise(launch)


@dataclass(slots=True)
class ScriptedTask:
    """A task from its launch until its evidence. ``due`` numbers the event that counts; events with another number are stale.

    ``stood_ms`` is how long it was suspended so far; both its work and its time limit stand still meanwhile.
    """

    launch: Launch
    acts: Behaviour
    pid: int
    limit_ms: int
    due: int = 0
    started_at_ms: int | None = None
    suspended_at_ms: int | None = None
    stood_ms: int = 0
    ended: bool = False
    ending: TaskEnded | None = None

    @property
    def ends_after_ms(self) -> int:
        """How long it runs if nobody stops it: until its work is done or its limit is reached."""
        bounds = [self.limit_ms] if self.limit_ms else []
        if self.acts.duration_ms != FOREVER_MS:
            bounds.append(self.acts.duration_ms)
        return min(bounds, default=FOREVER_MS)

    @property
    def is_late(self) -> bool:
        """Whether its limit ends it, and not its own work."""
        return 0 < self.limit_ms == self.ends_after_ms != self.acts.duration_ms

    @property
    def is_lease(self) -> bool:
        """Whether it has no process of its own."""
        return self.launch.spec.holder is not None

    def used_ms(self, now_ms: int) -> int:
        """For how long it has run, without the time it was suspended."""
        until = now_ms if self.suspended_at_ms is None else self.suspended_at_ms
        return 0 if self.started_at_ms is None else until - self.started_at_ms - self.stood_ms
