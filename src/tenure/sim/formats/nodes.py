"""Published lists of machines: Alibaba's openb nodes (``sn,cpu_milli,memory_mib,gpu,model``) and Philly's (machine and GPUs).

A list knows less than a cluster: openb does not say how much memory a device has, Philly nothing of cores and memory; what is not
said is what the spec's defaults say (`tenure.sim.machines`). Invariant: nodes are in the order of the file.
"""

from __future__ import annotations

from collections.abc import Sequence

from tenure.model.amounts import MIB, MILLI, Amounts
from tenure.model.node import Node
from tenure.sim.formats.text import lines, table, whole
from tenure.sim.machines import CORES_PER_GPU, GPU_MEMORY, MAX_GPUS, MAX_NODES, MEMORY_PER_GPU, Machine, nodes_of
from tenure.sim.workload import BadWorkload

OPENB = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
PHILLY = ("machineId", "number of GPUs")


def read_nodes(path: str) -> tuple[Node, ...]:
    """The nodes of a file in either format. Machines that have neither cores nor GPUs are left out.

    Raises BadWorkload with file, line and reason.
    """
    header = {name.strip() for name in next((line for _, line in lines(path)), "").split(",")}
    if header.issuperset(OPENB):
        machines = list(table(path, OPENB, _openb))
    elif header.issuperset(PHILLY):
        machines = [machine for machine in table(path, PHILLY, _philly) if machine.gpus]
    else:
        raise BadWorkload(f"{path}, line 1: no list of nodes; it needs the columns {','.join(OPENB)} or {','.join(PHILLY)}")
    if not machines or len(machines) > MAX_NODES:
        raise BadWorkload(f"{path} lists {len(machines):,} nodes; 1 to {MAX_NODES:,} can be simulated")
    names = {machine.name for machine in machines}
    if len(names) != len(machines):
        raise BadWorkload(f"{path}: two nodes have the same name; every node needs its own")
    return nodes_of(machines)


def _openb(row: Sequence[str]) -> Machine:
    name, cpu, memory, gpus, model = row
    capacity = Amounts(whole(cpu, "cpu_milli"), whole(memory, "memory_mib") * MIB)
    return Machine(name, capacity, whole(gpus, "gpu", most=MAX_GPUS), model.strip(), GPU_MEMORY)


def _philly(row: Sequence[str]) -> Machine:
    name, gpus = row
    count = whole(gpus, "number of GPUs", most=MAX_GPUS)
    return Machine(name, Amounts(count * CORES_PER_GPU * MILLI, count * MEMORY_PER_GPU), count, "GPU", GPU_MEMORY)
