"""What a replay leaves behind: every action in order, and when each job started and ended. Figures are worked out from it elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tenure.model.allocation import Placement
from tenure.sim.workload import Workload

NOT_YET = -1
"""The time of what has not happened."""

START, END, DROP, PREEMPT, FAIL = "start", "end", "drop", "preempt", "fail"
SUSPEND, RESUME = "suspend", "resume"


class Action(NamedTuple):
    """Something that happened to the job at this position of the workload. A drop has no placements."""

    t_ms: int
    kind: str
    job: int
    placements: tuple[Placement, ...] = ()


class Sample(NamedTuple):
    """The state of the GPUs at one time, in thousandths: what has been asked for so far, what is allocated, what is stranded."""

    t_ms: int
    arrived_milli: int
    allocated_milli: int
    stranded_milli: float


@dataclass(slots=True)
class Replayed:
    """One policy's run of a workload. Lists have one entry per job of the workload; `NOT_YET` where it never came to that.

    ``believed_ms`` is the limit that the planner was told at submission, ``expected_ms`` the forecast beside it. ``events`` are points
    in time at which something happened, ``plans`` those at which the policy had something to decide. ``elapsed_s`` is wall time: the
    one thing here that differs between runs. Of jobs that were stopped, or rested, ``started_ms`` is when they began to run last;
    ``earlier_ms`` and ``lost_ms``, by their position, are how long they had run before and how much of that was in vain.
    """

    workload: Workload
    policy: str
    runtimes: str
    started_ms: list[int]
    ended_ms: list[int]
    believed_ms: list[int]
    expected_ms: list[int]
    actions: list[Action] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    events: int = 0
    plans: int = 0
    elapsed_s: float = 0.0
    preemptions: int = 0
    failures: int = 0
    earlier_ms: dict[int, int] = field(default_factory=dict)
    lost_ms: dict[int, int] = field(default_factory=dict)

    @staticmethod
    def of(workload: Workload, policy: str, runtimes: str) -> Replayed:
        """Before anything has happened."""
        count = len(workload.jobs)
        return Replayed(workload, policy, runtimes, [NOT_YET] * count, [NOT_YET] * count, [0] * count, [0] * count)

    def expect(self, position: int, expected_ms: int) -> int:
        """Note the forecast of a job, 0 for none, and give it back."""
        self.expected_ms[position] = expected_ms
        return expected_ms

    def rest(self, position: int, placements: tuple[Placement, ...], now_ms: int) -> int:
        """The job at this position rests from now on; for how long it ran since it was started or went on."""
        ran_ms = now_ms - self.started_ms[position]
        self.started_ms[position] = NOT_YET
        self.earlier_ms[position] = self.earlier_ms.get(position, 0) + ran_ms
        self.lost_ms.setdefault(position, 0)
        self.actions.append(Action(now_ms, SUSPEND, position, placements))
        return ran_ms

    def go_on(self, position: int, placements: tuple[Placement, ...], now_ms: int) -> None:
        """The job at this position, which rests, runs from now on."""
        self.started_ms[position] = now_ms
        self.actions.append(Action(now_ms, RESUME, position, placements))

    @property
    def decisions(self) -> int:
        """What the policy decided: starts, drops, turns, and who is displaced."""
        return sum(action.kind in (START, DROP, SUSPEND, RESUME) for action in self.actions) + self.preemptions
