"""What a replay drew and cost, where every node declares its power or its price (`tenure.model.upkeep`).

Energy is that of all nodes from the first submission to the last action, idle and sleeping ones included. Cost is what the jobs held
of nodes, at the nodes' prices: a job pays its share of a node for as long as it runs; while it
rests so that others have their turn it draws and pays nothing. Invariant: both follow from the actions alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tenure.core.feasibility import ask_of, node_room
from tenure.core.objectives import share_of
from tenure.model.amounts import MILLI
from tenure.model.node import Node
from tenure.model.upkeep import Upkeep, upkeep_of
from tenure.sim.results import RESUME, START, Replayed

HOUR_MS = 3_600_000
KILO = 1000


@dataclass(slots=True)
class _Use:
    """A node's use: how much of it since when, by how many tasks, and what has been drawn and paid so far."""

    upkeep: Upkeep
    since_ms: int
    share: float = 0.0
    tasks: int = 0
    watt_ms: float = field(default=0.0)
    price_ms: float = field(default=0.0)

    def move_to(self, now_ms: int) -> None:
        """Let time pass."""
        span_ms = now_ms - self.since_ms
        self.watt_ms += self.upkeep.drawn_w(min(self.share, 1.0), empty=not self.tasks) * span_ms
        self.price_ms += self.upkeep.price_milli * self.share * span_ms
        self.since_ms = now_ms


def consumed(result: Replayed) -> dict[str, float | None]:
    """``energy_kwh`` and ``cost``; None where a node does not say, or where nothing ever ends."""
    workload = result.workload
    upkeeps = [upkeep_of(node.labels) for node in workload.nodes]
    has_power = bool(upkeeps) and all(upkeep.has_power for upkeep in upkeeps)
    has_price = bool(upkeeps) and all(upkeep.has_price for upkeep in upkeeps)
    if not (has_power or has_price) or not result.actions or all(job.lives for job in workload.jobs):
        return {"energy_kwh": None, "cost": None}
    uses = _uses(result)
    energy = sum(use.watt_ms for use in uses) / HOUR_MS / KILO
    cost = sum(use.price_ms for use in uses) / HOUR_MS / MILLI
    return {"energy_kwh": energy if has_power else None, "cost": cost if has_price else None}


def _uses(result: Replayed) -> list[_Use]:
    jobs, nodes = result.workload.jobs, {node.id: node for node in result.workload.nodes}
    uses = {node.id: _Use(upkeep_of(node.labels), jobs[0].submitted_ms) for node in nodes.values()}
    shares: dict[tuple[int, int], float] = {}
    for action in result.actions:
        sign = 1 if action.kind in (START, RESUME) else -1
        for placement in action.placements:
            use, shape = uses[placement.node_id], jobs[action.job].shape
            key = (id(shape), placement.node_id)
            share = shares.get(key)
            if share is None:
                share = shares[key] = _share(nodes[placement.node_id], result, action.job)
            use.move_to(action.t_ms)
            use.tasks += sign
            use.share = use.share + sign * share if use.tasks else 0.0
    for use in uses.values():
        use.move_to(result.actions[-1].t_ms)
    return list(uses.values())


def _share(node: Node, result: Replayed, job: int) -> float:
    return share_of(ask_of(result.workload.jobs[job].shape), node_room(node))
