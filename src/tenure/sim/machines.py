"""Machines for a simulation, from a short spec or from a published list, and the order in which ties see them.

``100x8xA100:80G,64c,512G`` is a hundred nodes, each with eight devices of 80 GiB, 64 cores and 512 GiB. Ids are given in one order
and every tie ends in an id, so the order of the nodes is part of an experiment: `ordered` makes it explicit. Invariant: node and device
ids are 1, 2, 3, … in the order of the nodes.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tenure.model.amounts import GIB, MILLI, Amounts, parse_bytes, parse_milli
from tenure.model.node import Device, Node
from tenure.model.upkeep import POWER_FULL, POWER_IDLE, POWER_SLEEP, PRICE, label_of
from tenure.sim.workload import BadWorkload

GRAMMAR = (
    "write COUNTxGPUSxMODEL[:MEMORY][,CORESc][,MEMORY][,disk=SIZE][,net=BITS][,label=TEXT][,power=WATTS]"
    "[,idle=WATTS][,sleep=WATTS][,price=PER_HOUR], such as 100x8xA100:80G,64c,512G, "
    "without GPUs COUNTxCORESc[,MEMORY], such as 4x32c,128G; join several with +; or name a file that lists nodes"
)
RANDOM_TIES = "random-ties"
NODE_ORDERS = ("name", "shuffled", RANDOM_TIES)
"""Who wins among nodes that a policy takes for equally good: the first by name, the first of a deal, any of them each time anew."""

MAX_NODES = 200_000
MAX_GPUS = 128
GPU_MEMORY = 16 * GIB
CORES_PER_GPU, MEMORY_PER_GPU = 16, 128 * GIB
MEMORY_PER_CORE = 4 * GIB

_UPKEEP = {"idle": POWER_IDLE, "power": POWER_FULL, "price": PRICE, "sleep": POWER_SLEEP}
_COUNT = re.compile(r"(\d{1,9})x(.+)")
_GPUS = re.compile(r"(\d{1,9})x([A-Za-z][\w.-]*)(?::(.+))?")
_CORES = re.compile(r"(\d+(?:\.\d+)?)c")
_BITS = re.compile(r"(\d{1,9})([kMGT]?)")
_BIT_STEPS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class Machine:
    """One node before it has an id. All its devices are alike, as in every list that is published."""

    name: str
    capacity: Amounts
    gpus: int = 0
    model: str = ""
    gpu_memory_bytes: int = 0
    labels: tuple[str, ...] = ()


def nodes_of(machines: Iterable[Machine]) -> tuple[Node, ...]:
    """Nodes with ids in the order given."""
    nodes: list[Node] = []
    devices = 0
    for id_, machine in enumerate(machines, 1):
        own = tuple(
            Device(devices + index + 1, id_, index, f"{machine.name}-{index}", machine.model, machine.gpu_memory_bytes)
            for index in range(machine.gpus)
        )
        devices += machine.gpus
        nodes.append(Node(id_, machine.name, machine.capacity, own, labels=machine.labels))
    return tuple(nodes)


def ordered(nodes: Iterable[Node], order: str = NODE_ORDERS[0], seed: int = 0) -> tuple[Node, ...]:
    """The nodes with new ids, by name or ``shuffled`` with the seed (from the order by name, so that only the seed matters)."""
    if order not in NODE_ORDERS:
        raise BadWorkload(f"{order!r} is no order of nodes; write {', '.join(NODE_ORDERS)}")
    found = sorted(nodes, key=lambda node: node.name)
    if order == "shuffled":
        random.Random(seed).shuffle(found)
    return _renumbered(found)


def lots_of(order: str, seed: int) -> int:
    """What decides between nodes that a policy takes for equally good (`tenure.core.stages.Stages.lots`): 0 for their order."""
    return seed + 1 if order == RANDOM_TIES else 0


def _renumbered(nodes: Iterable[Node]) -> tuple[Node, ...]:
    renumbered: list[Node] = []
    devices = 0
    for id_, node in enumerate(nodes, 1):
        own = tuple(replace(device, id=devices + place, node_id=id_) for place, device in enumerate(node.devices, 1))
        devices += len(own)
        renumbered.append(replace(node, id=id_, devices=own))
    return tuple(renumbered)


def parse_nodes(text: str) -> tuple[Node, ...]:
    """The nodes of a spec or of a file that lists them. Raises BadWorkload with the grammar for anything else."""
    if os.path.isfile(text):
        from tenure.sim.formats.nodes import read_nodes  # it builds on this module

        return read_nodes(text)
    if text.endswith((".csv", ".gz")) or os.sep in text:
        raise BadWorkload(f"there is no file {text}; {GRAMMAR}")
    return _of_spec(text)


def _of_spec(text: str) -> tuple[Node, ...]:
    groups = [_group(part.strip()) for part in text.split("+")]
    total = sum(count for count, _ in groups)
    if total > MAX_NODES:
        raise BadWorkload(f"{text!r} asks for {total:,} nodes; at most {MAX_NODES:,} are simulated")
    kinds = [machine for count, machine in groups for _ in range(count)]
    width = len(str(total))  # names sort as the numbers do
    return nodes_of(replace(machine, name=f"n{number:0{width}d}") for number, machine in enumerate(kinds, 1))


def _group(part: str) -> tuple[int, Machine]:
    """One group of a spec: how many nodes, and what each is."""
    counted = _COUNT.fullmatch(part)
    count = int(counted[1]) if counted else 0
    if counted is None or not 0 < count <= MAX_NODES:
        raise BadWorkload(f"{part!r} does not say how many nodes (1 to {MAX_NODES}); {GRAMMAR}")
    items = [item.strip() for item in counted[2].split(",")]
    try:
        gpus = _GPUS.fullmatch(items[0])
        amounts = _Amounts.of(items[1:] if gpus else items)
        return count, amounts.machine(*_devices(gpus)) if gpus else amounts.machine(0, "", 0)
    except ValueError as error:
        raise BadWorkload(f"{part!r}: {error}; {GRAMMAR}") from None


def _devices(match: re.Match[str]) -> tuple[int, str, int]:
    """How many devices, their model and the memory of each."""
    count = int(match[1])
    if not 0 < count <= MAX_GPUS:
        raise ValueError(f"a node has 1 to {MAX_GPUS} GPUs, not {count}")
    return count, match[2], parse_bytes(match[3]) if match[3] else GPU_MEMORY


@dataclass(frozen=True, slots=True)
class _Amounts:
    """What a group says of its nodes beside their GPUs; 0 where it says nothing."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    storage_bytes: int = 0
    bandwidth_bps: int = 0
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, items: Iterable[str]) -> _Amounts:
        """Read the items after the GPUs. Raises ValueError for one that means nothing."""
        found = cls()
        for item in items:
            name, equals, value = item.partition("=")
            if cores := _CORES.fullmatch(item):
                found = replace(found, cpu_milli=parse_milli(cores[1]))
            elif not equals:
                found = replace(found, memory_bytes=parse_bytes(item))
            elif name == "disk":
                found = replace(found, storage_bytes=parse_bytes(value))
            elif name == "net":
                found = replace(found, bandwidth_bps=_bits(value))
            elif name == "label" and value:
                found = replace(found, labels=tuple(sorted({*found.labels, value})))
            elif name in _UPKEEP:
                found = replace(found, labels=tuple(sorted({*found.labels, label_of(_UPKEEP[name], value)})))
            else:
                raise ValueError(f"{item!r} is not an amount")
        return found

    def machine(self, gpus: int, model: str, gpu_memory_bytes: int) -> Machine:
        """A machine without a name. What is not said follows from its GPUs, else from its cores."""
        cpu = self.cpu_milli or CORES_PER_GPU * gpus * MILLI
        if not cpu:
            raise ValueError("a node without GPUs needs cores")
        memory = self.memory_bytes or MEMORY_PER_GPU * gpus or MEMORY_PER_CORE * cpu // MILLI
        return Machine("", Amounts(cpu, memory, self.storage_bytes, self.bandwidth_bps), gpus, model, gpu_memory_bytes, self.labels)


def _bits(text: str) -> int:
    match = _BITS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a bandwidth in bits per second; write it like 100G")
    return int(match[1]) * _BIT_STEPS[match[2]]
