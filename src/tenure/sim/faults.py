"""Nodes that fail and are repaired: drawn per node from the seed, so that every policy meets the same outages.

Times to failure and to repair are exponential, as is usual where nothing better is known of a cluster. A failed node is down: what runs
there is stopped, and nothing starts there until it is repaired. Invariant: the outages of a node depend on the faults, the seed and its
name; only while nothing runs or comes does nothing fail, for else a workload with a job that fits nowhere would never end.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from tenure.model.node import Node
from tenure.sim.workload import BadWorkload

GRAMMAR = (
    "write MEAN_TIME_BETWEEN_FAILURES/MEAN_TIME_TO_REPAIR of a node, such as 30d/2h, and ,fail behind it if jobs are not to run again"
)
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(s|m|h|d)")
_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Faults:
    """Mean times of one node. ``requeue``: a job that is stopped by a failure waits again; else it has failed."""

    between_ms: int
    repair_ms: int
    requeue: bool = True


def parse_faults(text: str) -> Faults:
    """The faults of ``30d/2h`` or ``30d/2h,fail``. Raises BadWorkload with the grammar for anything else."""
    times, comma, after = text.partition(",")
    parts = [_SPAN.fullmatch(part) for part in times.split("/")]
    spans = [round(float(part[1]) * _UNITS_MS[part[2]]) for part in parts if part is not None]
    if len(spans) != 2 or len(parts) != 2 or min(spans) < 1 or (comma and after != "fail"):
        raise BadWorkload(f"{text!r} says nothing of failures; {GRAMMAR}")
    return Faults(spans[0], spans[1], requeue=not comma)


class Outages:
    """The failures and repairs to come."""

    def __init__(self, faults: Faults, nodes: Iterable[Node], seed: int) -> None:
        self.faults = faults
        self.down: dict[int, None] = {}
        self._chances = {node.id: random.Random(f"{seed}:{node.name}") for node in nodes}
        self._next = [(self._span_ms(node_id, faults.between_ms), node_id) for node_id in self._chances]
        heapify(self._next)

    def _span_ms(self, node_id: int, mean_ms: int) -> int:
        return max(round(self._chances[node_id].expovariate(1 / mean_ms)), 1)

    def next_ms(self, *, idle: bool) -> int | None:
        """When the next node fails or works again; while the rest of the cluster is idle, only when one works again."""
        if not idle:
            return self._next[0][0] if self._next else None
        return min((at_ms for at_ms, node_id in self._next if node_id in self.down), default=None)

    def until(self, now_ms: int, *, idle: bool) -> list[int]:
        """Let happen what happens by now; the nodes that changed, in order. They are in ``down`` or are not."""
        found: list[int] = []
        while self._next and self._next[0][0] <= now_ms:
            at_ms, node_id = heappop(self._next)
            if node_id in self.down:
                del self.down[node_id]
                found.append(node_id)
            elif not idle:
                self.down[node_id] = None
                found.append(node_id)
            mean_ms = self.faults.repair_ms if node_id in self.down else self.faults.between_ms
            heappush(self._next, (max(at_ms, now_ms) + self._span_ms(node_id, mean_ms), node_id))
        return found
