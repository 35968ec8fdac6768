"""Workloads from published models, for measuring without anybody's log: ``lublin:jobs=5000,nodes=256`` or ``poisson:rate=50``."""

from __future__ import annotations

from tenure.model.node import Node
from tenure.sim.generate.lublin import LublinSettings, lublin
from tenure.sim.generate.poisson import PoissonSettings, poisson
from tenure.sim.generate.settings import settings_of
from tenure.sim.workload import BadWorkload, Workload

GENERATORS = ("lublin", "poisson")


def generate(text: str, nodes: tuple[Node, ...] = ()) -> Workload:
    """The workload of ``NAME[:key=value,…]``, on the given nodes or on the generator's own. Raises BadWorkload for a bad setting."""
    name, _, rest = text.partition(":")
    if name == "lublin":
        return lublin(settings_of(name, rest, LublinSettings), nodes)
    if name == "poisson":
        return poisson(settings_of(name, rest, PoissonSettings), nodes)
    raise BadWorkload(f"{name!r} is no generator; choose {', '.join(GENERATORS)}, such as lublin:jobs=5000,nodes=256,seed=1")
