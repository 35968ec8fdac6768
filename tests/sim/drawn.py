"""Small workloads drawn from a seed: a pool of processors, and a GPU cluster with fractions, gangs and cpu-only jobs."""

from __future__ import annotations

import random

from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.node import Device, Node
from tenure.model.shape import Shape
from tenure.sim.workload import TraceJob, Workload, workload_of

SECOND_MS = 1000
PROCESSORS = 16


def pool(processors: int = PROCESSORS) -> Node:
    """One node with nothing but cpus, as the protocols of batch logs know it."""
    return Node(1, "pool", Amounts(cpu_milli=processors * MILLI))


def batch(seed: int, count: int = 200, processors: int = PROCESSORS) -> Workload:
    """Jobs that keep the pool about as busy as it can be: many short and narrow, some long and wide, whole seconds, ties of time."""
    chance = random.Random(seed)
    jobs, at_s = [], 0
    for number in range(1, count + 1):
        at_s += chance.choice((0, 0, 5, 30, 60, 200))
        width = min(chance.choice((1, 1, 2, 3, 4, 8, processors)), processors)
        run_s = chance.choice((1, 10, 60, 60, 300, 900))
        asked_s = run_s * chance.choice((1, 2, 5, 10))
        shape = Shape(Amounts(cpu_milli=width * MILLI))
        user = f"u{chance.randint(1, 5)}"
        jobs.append(
            TraceJob(number, f"j{number}", shape, at_s * SECOND_MS, run_s * SECOND_MS, asked_s * SECOND_MS, user=user, project="p")
        )
    return workload_of(f"batch {seed}", [pool(processors)], jobs)


def cluster(nodes: int = 3, gpus: int = 4) -> list[Node]:
    """Nodes with devices, ids in order."""
    return [
        Node(
            number,
            f"n{number}",
            Amounts(32 * MILLI, 128 * GIB),
            tuple(
                Device(number * 100 + index, number, index, f"G-{number}-{index}", "A100", 80 * GIB, index // 2)
                for index in range(gpus)
            ),
        )
        for number in range(1, nodes + 1)
    ]


def gpu_shape(chance: random.Random) -> Shape:
    """What a research cluster is asked for."""
    gpu_milli = chance.choice((0, 250, 500, 500, 1000, 1000, 2000, 4000))
    tasks = 2 if gpu_milli >= MILLI and chance.random() < 0.2 else 1
    return Shape(Amounts(chance.randint(1, 8) * MILLI, chance.randint(1, 16) * GIB), gpu_milli, tasks=tasks)


def mixed(seed: int, count: int = 120) -> Workload:
    """Jobs of all kinds on a GPU cluster, some without a requested time, some with deadlines."""
    chance = random.Random(seed)
    jobs, at_s = [], 0
    for number in range(1, count + 1):
        at_s += chance.choice((0, 10, 20, 60))
        run_s = chance.choice((0, 20, 100, 400, 1000))
        asked_s = chance.choice((0, run_s, 2 * run_s))
        deadline_s = at_s + 2 * run_s + 60 if chance.random() < 0.5 else 0
        jobs.append(
            TraceJob(
                number,
                f"j{number}",
                gpu_shape(chance),
                at_s * SECOND_MS,
                run_s * SECOND_MS,
                asked_s * SECOND_MS,
                user=f"u{number % 3}",
                project=f"vc{number % 2}",
                priority=chance.choice((2, 5, 5, 8)),
                deadline_ms=deadline_s * SECOND_MS,
            )
        )
    return workload_of(f"mixed {seed}", cluster(), jobs)


def placement_study(seed: int, count: int = 60) -> Workload:
    """Jobs that come one by one and never leave."""
    chance = random.Random(seed)
    jobs = [TraceJob(number, f"pod-{number}", gpu_shape(chance), number, 0, lives=True) for number in range(1, count + 1)]
    return workload_of(f"study {seed}", cluster(), jobs)
