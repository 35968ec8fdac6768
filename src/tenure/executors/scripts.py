"""What the tasks of the executor in memory do: behaviours, and scripts that give every launch one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tenure.model.observations import EndReason, Launch

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
