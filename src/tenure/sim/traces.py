"""From what a person names to a workload: a log or a generator, the machines, the order in which ties see them, how many jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tenure.model.node import Node
from tenure.model.pool import Pool
from tenure.sim.formats import load
from tenure.sim.machines import NODE_ORDERS, ordered, parse_nodes
from tenure.sim.pools import in_pools
from tenure.sim.workload import BadWorkload, Workload


@dataclass(frozen=True, slots=True)
class Source:
    """How a workload is made.

    ``log_format`` empty: as the log's first line looks. ``nodes`` is a spec or a file (`tenure.sim.machines.parse_nodes`), empty for
    the machines that the log names or its publication describes. ``node_order`` decides ties (`tenure.sim.machines.ordered`).
    ``arrival`` makes a placement study of openb pods: they come until that share of all GPUs was asked for, 0 for the log's own times.
    ``seed`` is for both. ``limit`` keeps the first jobs only, 0 all. ``pools`` are those of the nodes.
    """

    log_format: str = ""
    nodes: str = ""
    node_order: str = NODE_ORDERS[0]
    arrival: float = 0.0
    seed: int = 0
    limit: int = 0
    pools: tuple[Pool, ...] = ()

    @property
    def machines(self) -> tuple[Node, ...]:
        """The nodes that were named, in order; none if none were. Raises BadWorkload."""
        return ordered(parse_nodes(self.nodes), self.node_order, self.seed) if self.nodes else ()

    def finished(self, workload: Workload) -> Workload:
        """The first jobs only, and the workload's own nodes in order. Raises BadWorkload."""
        if not self.nodes and self.node_order != NODE_ORDERS[0]:
            workload = replace(workload, nodes=ordered(workload.nodes, self.node_order, self.seed))
        return in_pools(workload.limited(self.limit) if self.limit else workload, self.pools)


def open_trace(path: str, source: Source) -> Workload:
    """The workload of a log. Raises BadWorkload."""
    workload = load(path, source.log_format, nodes=source.machines, arrival=source.arrival, seed=source.seed)
    return source.finished(workload)


def generated(text: str, source: Source) -> Workload:
    """The workload of a generator, ``NAME[:key=value,...]``. Raises BadWorkload."""
    from tenure.sim.generate import generate

    if source.arrival or source.log_format:
        raise BadWorkload("--arrival and --format are for logs; a generator has settings of its own, such as lublin:jobs=5000")
    return source.finished(generate(text, source.machines))
