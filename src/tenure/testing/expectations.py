"""Running a scenario: plan it, and say which expectations were not met, in the scenario language.

Starts and evictions are complete: one that no line names is a failure. Holds, reservations and times are checked where a line names
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tenure.core.board import Board
from tenure.core.conflicts import conflicts_of
from tenure.model.amounts import RESOURCES
from tenure.model.conflict import Conflict
from tenure.model.explanation import Explanation
from tenure.model.plan import ClaimRequest, Plan, Start
from tenure.model.reasons import Reason
from tenure.model.snapshot import Snapshot
from tenure.optimize.words import read_policy
from tenure.testing.scenario import Line, Scenario, parse, time_ms


class Run:
    """One planned scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.policy, _ = read_policy(scenario.policy, scenario.cluster.settings)
        self.names = {job_id: name for name, job_id in scenario.cluster.jobs.items()}

    @cached_property
    def snapshot(self) -> Snapshot:
        """What was planned on."""
        return self.scenario.cluster.snapshot()

    @cached_property
    def plan(self) -> Plan:
        """What the policy decided."""
        return self.policy.plan(self.snapshot)

    @cached_property
    def starts(self) -> tuple[Start, ...]:
        """What starts, in order."""
        return tuple(start for decision in self.plan.decisions for start in decision.starts)

    @cached_property
    def evicts(self) -> dict[str, str]:
        """Who is displaced, and for whom."""
        found = [evict for decision in self.plan.decisions for evict in decision.evicts]
        return {self.names[evict.job_id]: self.names[evict.beneficiary] for evict in found}

    def explain(self, name: str) -> Explanation:
        """Why a job waits."""
        return self.policy.explain(self.snapshot, self.scenario.cluster.jobs[name])

    def failures(self) -> list[str]:
        """Each expectation that was not met, with what was found instead; empty when all were."""
        failed = []
        for line in self.scenario.expectations:
            failed += [f"line {line.number}: {message}" for message in _CHECKS[line.verb](self, line)]
        return failed + list(self._unexpected())

    def _unexpected(self) -> Iterator[str]:
        expected = {line.name for line in self.scenario.expectations if line.verb == "start"}
        for name in dict.fromkeys(self.names[start.job_id] for start in self.starts):
            if name not in expected:
                yield f"nothing says that {name} starts, but: {self.describe(name)}"
        named = {line.name for line in self.scenario.expectations if line.verb == "evict"}
        for name, winner in self.evicts.items():
            if name not in named:
                yield f"nothing says that {name} is displaced, but: evict {name} for={winner}"
        named = {line.name for line in self.scenario.expectations if line.verb in ("suspend", "resume")}
        found = {name: f"suspend {name} for={winner}" for name, winner in _suspends(self).items()}
        for name, text in (found | {name: f"resume {name}" for name in _resumes(self)}).items():
            if name not in named:
                yield f"nothing says so, but: {text}"

    def describe(self, name: str) -> str:
        """What the plan does with a job, as lines of the language."""
        lines: list[str] = []
        for start in (start for start in self.starts if self.names[start.job_id] == name):
            devices = ",".join(str(index) for index in self.devices(start))
            element = f" element={start.position}" if start.position >= 0 else ""
            lines.append(f"start {name} on={','.join(self.nodes(start))}{f' devices={devices}' if devices else ''}{element}")
        causes = [f"hold {name} because={self.cause(reason)}" for reason in self.explain(name).blockers]
        return "; ".join(lines + causes)

    def nodes(self, start: Start | ClaimRequest) -> list[str]:
        """The names of the nodes of its tasks, each once, in order."""
        names = {node.id: node.name for node in self.snapshot.nodes}
        return list(dict.fromkeys(names[place.node_id] for place in start.placements))

    def devices(self, start: Start) -> list[int]:
        """The indexes of the devices of its tasks, in order."""
        index = {device.id: device.index for node in self.snapshot.nodes for device in node.devices}
        return [index[share.device_id] for place in start.placements for share in place.devices]

    def cause(self, reason: Reason) -> str:
        """A reason as ``because=`` writes it, with its time if it has one."""
        head = getattr(reason, "head", None)
        until_ms = getattr(reason, "until_ms", 0)
        name = f":{self.names[head]}" if head is not None else ""
        return f"{reason.code}{name}" + (f" until={self.seconds(until_ms)}" if until_ms else "")

    def seconds(self, at_ms: int) -> str:
        """A time as the language writes it: seconds after now."""
        return f"{(at_ms - self.snapshot.now_ms) / 1000:g}"

    def time(self, text: str) -> int:
        """The inverse: milliseconds since the epoch."""
        return self.snapshot.now_ms + time_ms(text)


def _check_start(run: Run, line: Line) -> Iterator[str]:
    found = [start for start in run.starts if run.names[start.job_id] == line.name]
    if "element" in line.pairs:
        found = [start for start in found if start.position == int(line.pairs["element"])]
    if not found:
        yield f"{line.name} does not start: {run.describe(line.name)}"
        return
    if "count" in line.pairs and len(found) != int(line.pairs["count"]):
        yield f"{len(found)} elements of {line.name} start"
    on = line.pairs.get("on")
    if on is not None and ",".join(run.nodes(found[0])) != on:
        yield f"it is {run.describe(line.name)}"
    devices = line.pairs.get("devices")
    if devices is not None and ",".join(map(str, run.devices(found[0]))) != devices:
        yield f"it is {run.describe(line.name)}"


def _check_hold(run: Run, line: Line) -> Iterator[str]:
    explanation = run.explain(line.name)
    if not explanation.blockers:
        yield f"it is not held: {run.describe(line.name)}"
        return
    first = explanation.blockers[0]
    code, _, argument = line.pairs.get("because", first.code).partition(":")
    if first.code != code or (argument and run.names.get(getattr(first, "head", 0)) != argument):
        yield f"the first cause is another: {run.describe(line.name)}"
    if "until" in line.pairs and getattr(first, "until_ms", getattr(first, "at_ms", 0)) != run.time(line.pairs["until"]):
        yield f"the time is another: {run.describe(line.name)}"
    node = next((node.name for node in run.snapshot.nodes if node.id == explanation.node_id), "none")
    if line.pairs.get("node", node) != node:
        yield f"the nearest node is {node}"
    short = ",".join(f"{_short_name(item.resource)}:{item.free}/{item.needed}" for item in explanation.short)
    if line.pairs.get("lacks", short) != short:
        yield f"it lacks {short or 'nothing'}"


def _short_name(resource: str) -> str:
    """Resources as ``lacks=`` names them: without their unit."""
    return resource.rsplit("_", 1)[0] if resource in RESOURCES else resource


def _check_reserve(run: Run, line: Line) -> Iterator[str]:
    reservation = run.plan.reservation
    if reservation is None or run.names[reservation.job_id] != line.name:
        yield f"the reservation is for {run.names[reservation.job_id] if reservation else 'nobody'}"
        return
    at = run.seconds(reservation.start_ms) if reservation.start_ms else "unknown"
    if line.pairs.get("at", at) != at:
        yield f"it is reserved at={at}"
    on = ",".join(run.nodes(Start(reservation.job_id, reservation.placements)))
    if line.pairs.get("on", on) != on:
        yield f"it is reserved on={on}"


def _check_evict(run: Run, line: Line) -> Iterator[str]:
    winner = run.evicts.get(line.name)
    if winner is None:
        yield f"{line.name} is not displaced"
    elif line.pairs.get("for", winner) != winner:
        yield f"it is evict {line.name} for={winner}"


def _suspends(run: Run) -> dict[str, str]:
    """Who rests, and for whom."""
    found = [suspend for decision in run.plan.decisions for suspend in decision.suspends]
    return {run.names[suspend.job_id]: run.names[suspend.beneficiary] for suspend in found}


def _resumes(run: Run) -> list[str]:
    """Who goes on."""
    return [run.names[resume.job_id] for decision in run.plan.decisions for resume in decision.resumes]


def _check_suspend(run: Run, line: Line) -> Iterator[str]:
    winner = _suspends(run).get(line.name)
    if winner is None:
        yield f"{line.name} does not rest"
    elif line.pairs.get("for", winner) != winner:
        yield f"it is suspend {line.name} for={winner}"


def _check_resume(run: Run, line: Line) -> Iterator[str]:
    if line.name not in _resumes(run):
        yield f"{line.name} does not go on"


def _check_claim(run: Run, line: Line) -> Iterator[str]:
    claims = [claim for decision in run.plan.decisions for claim in decision.claims if run.names[claim.job_id] == line.name]
    if not claims:
        yield f"nothing is promised to {line.name}"
        return
    found = {"on": ",".join(run.nodes(claims[0])), "until": run.seconds(claims[0].deadline_ms)}
    if any(found[key] != value for key, value in line.pairs.items()):
        yield f"it is claim {line.name} on={found['on']} until={found['until']}"


def _check_eta(run: Run, line: Line) -> Iterator[str]:
    start = run.explain(line.name).start
    found = f"unknown:{start.unknown.value}" if start.unknown else run.seconds(start.latest_ms)
    if line.pairs.get("at") != found:
        yield f"its expected start is at={found}"


def _check_next(run: Run, line: Line) -> Iterator[str]:
    found = run.seconds(run.plan.next_ms) if run.plan.next_ms else "never"
    if line.pairs.get("at") != found:
        yield f"the next plan is due at={found}"


def _check_nothing(run: Run, _line: Line) -> Iterator[str]:
    for start in run.starts:
        yield f"something starts: {run.describe(run.names[start.job_id])}"


def _told(run: Run, item: Conflict) -> str:
    """A conflict as a line of the language."""
    sides = ("between", item.contenders), ("holders", item.holders)
    words = [item.kind.value.partition("_")[0], *([f"over={item.room}"] if item.room else []), f"severity={item.severity}"]
    words += [f"{key}={','.join(run.names[job] for job in jobs)}" for key, jobs in sides if jobs]
    return f"conflict {' '.join(words)}"


def _check_conflict(run: Run, line: Line) -> Iterator[str]:
    conflicts = conflicts_of(Board.of(run.snapshot, run.policy.distinguishes), run.plan)
    found = [item for item in conflicts if item.kind.value.startswith(line.name)]
    if "over" in line.pairs:
        found = [item for item in found if item.room == line.pairs["over"]]
    if "between" in line.pairs:
        found = [item for item in found if ",".join(run.names[job] for job in item.contenders) == line.pairs["between"]]
    if not found:
        yield f"there is no such conflict: {'; '.join(_told(run, item) for item in conflicts) or 'there is none'}"
        return
    holders, severity = ",".join(run.names[job] for job in found[0].holders), str(found[0].severity)
    if line.pairs.get("holders", holders) != holders or line.pairs.get("severity", severity) != severity:
        yield f"it is {_told(run, found[0])}"


_CHECKS = {
    "start": _check_start,
    "hold": _check_hold,
    "reserve": _check_reserve,
    "evict": _check_evict,
    "claim": _check_claim,
    "suspend": _check_suspend,
    "resume": _check_resume,
    "eta": _check_eta,
    "next": _check_next,
    "conflict": _check_conflict,
    "nothing": _check_nothing,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a text: empty ``failures`` is a pass."""

    failures: tuple[str, ...]


def check(text: str) -> Verdict:
    """Parse and run a scenario. Raises ScenarioError for a text that is none."""
    return Verdict(tuple(Run(parse(text)).failures()))
