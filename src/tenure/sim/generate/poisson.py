"""A plain model of GPU jobs: Poisson arrivals, lognormal run times, a mix of sizes, users of very different activity.

For questions that need a queue and no fidelity: a first look at a policy, a test, a load to plan for. A job has four cores and 32 GiB
a GPU (one core and 4 GiB without any); user k submits in proportion to 1/k. Invariant: the same settings give the same jobs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tenure.model.amounts import GIB, MILLI, Amounts, parse_duration_ms, parse_milli
from tenure.model.node import Node
from tenure.model.shape import Shape
from tenure.sim.formats.gangs import even_tasks
from tenure.sim.generate.settings import MAX_JOBS, MAX_SEED, within
from tenure.sim.machines import parse_nodes
from tenure.sim.workload import BadWorkload, TraceJob, Workload, workload_of

MACHINES = "16x8xGPU:80G,64c,1T"
MAX_GPUS = 100_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class PoissonSettings:
    """``rate`` is jobs an hour, ``run`` the mean run time, ``sigma`` its spread (of the logarithm), ``gpus`` sizes with their weights.

    ``estimates`` as in the Lublin-Feitelson model's settings. Raises ValueError for what is out of range.
    """

    jobs: int = 1000
    rate: float = 50.0
    run: str = "1h"
    sigma: float = 1.5
    gpus: str = "0.5:10|1:60|2:10|4:10|8:10"
    users: int = 8
    seed: int = 1
    estimates: float = 0.0

    def __post_init__(self) -> None:
        within("jobs", self.jobs, 1, MAX_JOBS)
        within("rate", self.rate, 0.001, 1_000_000)
        within("run", self.mean_ms(), 1, 365 * 24 * HOUR_MS)
        within("sigma", self.sigma, 0, 4)
        within("users", self.users, 1, 10_000)
        within("seed", self.seed, 0, MAX_SEED)
        within("estimates", self.estimates, 0, 1000)
        self.mix()

    def mean_ms(self) -> int:
        """The mean run time. Raises ValueError for a text that is no duration."""
        return parse_duration_ms(self.run)

    def mix(self) -> tuple[tuple[int, float], ...]:
        """Thousandths of GPUs and the weight of each. Raises ValueError for a mix that means nothing."""
        pairs = [part.partition(":") for part in self.gpus.split("|")]
        found = tuple((parse_milli(size), _weight(weight)) for size, _, weight in pairs)
        for milli, weight in found:
            within("a weight of gpus", weight, 0, 1_000_000)
            within("a size of gpus in thousandths", milli, 0, MAX_GPUS * MILLI)
            Shape(gpu_milli=milli)
        within("the sum of the weights of gpus", sum(weight for _, weight in found), 1e-6, 1e12)
        return found


def poisson(settings: PoissonSettings, nodes: tuple[Node, ...] = ()) -> Workload:
    """Jobs of the model on the given nodes, else on 16 of 8 GPUs. Raises BadWorkload when they cannot hold the largest job."""
    machine = nodes or parse_nodes(MACHINES)
    chance = np.random.default_rng(settings.seed)
    gaps_ms = chance.exponential(HOUR_MS / settings.rate, settings.jobs)
    submitted = np.rint(np.cumsum(gaps_ms) - gaps_ms[0]).astype(np.int64).tolist()
    log_mean = math.log(settings.mean_ms()) - settings.sigma**2 / 2
    run = chance.lognormal(log_mean, settings.sigma, settings.jobs)
    requested = run * chance.uniform(1.0, 1.0 + settings.estimates, settings.jobs)
    mix = settings.mix()
    weights = np.array([weight for _, weight in mix])
    sizes = chance.choice(len(mix), settings.jobs, p=weights / weights.sum()).tolist()
    activity = 1.0 / np.arange(1, settings.users + 1)
    users = chance.choice(settings.users, settings.jobs, p=activity / activity.sum()).tolist()
    shapes = [_shape(milli, machine) for milli, _ in mix]
    jobs = (
        TraceJob(
            index + 1, str(index + 1), shapes[sizes[index]], submitted[index], _ms(run[index]), _ms(requested[index]), user=f"u{user}"
        )
        for index, user in enumerate(users)
    )
    return workload_of("poisson", machine, jobs)


def _weight(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        raise ValueError(f"{text!r} is no weight of gpus; write sizes and weights like 1:60|8:10") from None


def _ms(value: float) -> int:
    return max(1, round(value))


def _shape(milli: int, nodes: tuple[Node, ...]) -> Shape:
    if not milli:
        return Shape(Amounts(MILLI, 4 * GIB))
    per_node = [len(node.devices) for node in nodes]
    tasks, size = even_tasks(milli // MILLI, max(1, *per_node)) if milli >= MILLI else (1, 0)
    each = size * MILLI or milli
    if tasks * max(1, size) > sum(per_node):
        raise BadWorkload(f"a job of {milli / MILLI:g} GPUs is larger than the machines, which have {sum(per_node)}")
    return Shape(Amounts(4 * each, 32 * GIB * each // MILLI), gpu_milli=each, tasks=tasks)
