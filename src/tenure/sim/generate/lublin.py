"""The Lublin-Feitelson model of rigid parallel jobs: how many nodes, how long, and when.

U. Lublin and D. G. Feitelson, "The workload on parallel supercomputers: modeling the characteristics of rigid jobs", Journal of
Parallel and Distributed Computing 63(11), 2003. Written from the paper, with its parameters for batch jobs, interactive jobs and all
jobs together:

- size: one node with some probability, else 2**x with x from two uniform ranges, mostly rounded to a power of two;
- run time: its natural logarithm is a mixture of two gamma distributions; the larger the job, the likelier the longer of the two;
- arrival: the logarithm of the gap is gamma distributed, and gaps are stretched and compressed by a daily cycle of half-hours.

The model knows neither users nor estimates. ``estimates=f`` adds the f-model (uniform between the run time and f + 1 times it);
with 0 the request is the run time. ``load`` scales the gaps before the daily cycle, so that the cycle stays a day long.
Invariant: the same settings give the same jobs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tenure.model.amounts import MILLI, Amounts
from tenure.model.node import Node
from tenure.model.shape import Shape
from tenure.sim.formats.gangs import even_tasks
from tenure.sim.generate.settings import MAX_JOBS, MAX_SEED, within
from tenure.sim.machines import Machine, nodes_of
from tenure.sim.workload import BadWorkload, TraceJob, Workload, workload_of

Floats = npt.NDArray[np.float64]

SLOTS = 48
SLOT_S = 1800.0
_FIRST_SLOT = 11
"""The fitted day begins at five in the morning, when least arrives; the model's half-hours are numbered from 1."""
_LONGEST_LOG_RUN, _LONGEST_LOG_GAP = 12.0, 13.0
"""Natural logarithms of seconds: runs of at most two days, gaps of at most five; what is larger is drawn again."""
_STEPS = 64


@dataclass(frozen=True, slots=True)
class Kind:
    """The published parameters for one kind of job. Sizes are exponents of two; ``high`` and ``middle`` lie below the machine's."""

    serial: float
    power_of_two: float
    low: float
    high_below: float
    middle_below: float
    lower_part: float
    short: tuple[float, float]
    long: tuple[float, float]
    slope: float
    intercept: float
    gap: tuple[float, float]
    day: tuple[float, float]
    rush_ratio: float


KINDS = {
    "batch": Kind(
        *(0.2927, 0.6686, 1.2, 0.0, 2.0, 0.875),
        *((6.57, 0.823), (639.1, 0.0156), -0.003, 0.6986),
        *((6.0415, 0.8531), (6.1271, 5.2740), 1.0519),
    ),
    "interactive": Kind(
        *(0.1541, 0.625, 1.0, 1.5, 4.0, 0.705),
        *((3.8351, 0.6605), (7.073, 0.6856), -0.0118, 0.9156),
        *((6.5510, 0.6621), (8.9186, 3.6680), 0.9797),
    ),
    "all": Kind(
        *(0.244, 0.576, 0.8, 0.0, 2.5, 0.86),
        *((4.2, 0.94), (312.0, 0.03), -0.0054, 0.78),
        *((10.2303, 0.4871), (8.1737, 3.9631), 1.0225),
    ),
}


@dataclass(frozen=True, slots=True)
class LublinSettings:
    """``nodes`` is the size of the machine. ``load`` 0 leaves the arrivals as published. Raises ValueError for what is out of range."""

    jobs: int = 5000
    nodes: int = 256
    seed: int = 1
    kind: str = "batch"
    load: float = 0.0
    estimates: float = 0.0

    def __post_init__(self) -> None:
        within("jobs", self.jobs, 1, MAX_JOBS)
        within("nodes", self.nodes, 2, 1_000_000)
        within("seed", self.seed, 0, MAX_SEED)
        within("load", self.load, 0, 100)
        within("estimates", self.estimates, 0, 1000)
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}, and must be one of {', '.join(KINDS)}")


def lublin(settings: LublinSettings, nodes: tuple[Node, ...] = ()) -> Workload:
    """Jobs of the model on one pool of ``settings.nodes`` processors, or on the given nodes, which must have as many cores."""
    chance = np.random.default_rng(settings.seed)
    kind = KINDS[settings.kind]
    sizes = _sizes(chance, kind, settings)
    run_s = _run_s(chance, kind, sizes)
    submitted_s = _arrivals_s(chance, kind, settings, float(np.dot(sizes, run_s)))
    requested_s = run_s * chance.uniform(1.0, 1.0 + settings.estimates, settings.jobs)
    machine = nodes or nodes_of([Machine("pool", Amounts(cpu_milli=settings.nodes * MILLI))])
    shapes = _shapes(sizes, machine, settings.nodes)
    rows = zip(sizes.tolist(), _ms(submitted_s - submitted_s[0]), _ms(run_s), _ms(requested_s), strict=True)
    jobs = (
        TraceJob(number, str(number), shapes[int(size)], submitted, max(1, run), max(1, requested))
        for number, (size, submitted, run, requested) in enumerate(rows, 1)
    )
    return workload_of("lublin", machine, jobs)


def _shapes(sizes: Floats, nodes: tuple[Node, ...], processors: int) -> dict[int, Shape]:
    cores = [node.capacity.cpu_milli // MILLI for node in nodes]
    if sum(cores) < processors:
        raise BadWorkload(f"the machines have {sum(cores):,} cores and the model is set for {processors:,}; make nodes= smaller")
    found = {}
    for size in sorted({int(size) for size in sizes.tolist()}):
        tasks, each = even_tasks(size, max(1, *cores))
        found[size] = Shape(Amounts(cpu_milli=each * MILLI), tasks=tasks)
    return found


def _ms(seconds: Floats) -> list[int]:
    whole: list[int] = np.rint(seconds * 1000).astype(np.int64).tolist()
    return whole


def _sizes(chance: np.random.Generator, kind: Kind, settings: LublinSettings) -> Floats:
    """How many nodes each job takes: whole numbers from 1 to the size of the machine."""
    top = math.log2(settings.nodes)
    high = max(top - kind.high_below, kind.low)
    middle = min(max(top - kind.middle_below, kind.low), high)
    lower = chance.random(settings.jobs) <= kind.lower_part
    exponent = np.where(lower, chance.uniform(kind.low, middle, settings.jobs), chance.uniform(middle, high, settings.jobs))
    form = chance.random(settings.jobs)
    exponent = np.where(form <= kind.serial + kind.power_of_two, np.floor(exponent + 0.5), exponent)
    return np.where(form <= kind.serial, 1.0, np.minimum(np.floor(2.0**exponent + 0.5), settings.nodes))


def _run_s(chance: np.random.Generator, kind: Kind, sizes: Floats) -> Floats:
    """How long each job runs, in seconds."""
    short = chance.random(len(sizes)) <= np.clip(kind.slope * sizes + kind.intercept, 0.0, 1.0)
    shape, scale = (np.where(short, one, other) for one, other in zip(kind.short, kind.long, strict=True))
    seconds: Floats = np.exp(_gamma_below(chance, shape, scale, _LONGEST_LOG_RUN))
    return seconds


def _gamma_below(chance: np.random.Generator, shape: Floats, scale: Floats, most: float) -> Floats:
    """Gamma variates, each drawn again while it is above ``most``."""
    found = chance.gamma(shape, scale)
    while (high := found > most).any():
        found[high] = chance.gamma(shape[high], scale[high])
    return found


def _arrivals_s(chance: np.random.Generator, kind: Kind, settings: LublinSettings, work_s: float) -> Floats:
    """When each job arrives, in seconds since midnight of the first day.

    Gaps are seconds of an average half-hour; a busy half-hour passes more of them than it has, a quiet one fewer. So the arrivals are
    the running sum of the gaps, read backwards through the running sum of the day's weights (1 on average).
    """
    shape = np.full(settings.jobs, kind.gap[0] * kind.rush_ratio)
    gaps = np.exp(_gamma_below(chance, shape, np.full(settings.jobs, kind.gap[1]), _LONGEST_LOG_GAP))
    if settings.load and settings.jobs > 1:
        gaps *= work_s / (settings.nodes * settings.load) / float(gaps[1:].sum())
    passed = np.cumsum(gaps) / SLOT_S
    within_day = np.concatenate(([0.0], np.cumsum(day_weights(kind))))
    days, rest = np.divmod(passed, SLOTS)
    slots: Floats = days * SLOTS + np.interp(rest, within_day, np.arange(SLOTS + 1.0))
    return slots * SLOT_S


def day_weights(kind: Kind) -> Floats:
    """How busy each half-hour from midnight is, 1 on average: the gamma density over a day that begins at five in the morning."""
    shape, scale = kind.day
    offsets = (np.arange(_STEPS) + 0.5) / _STEPS - 0.5
    numbers = np.arange(_FIRST_SLOT, _FIRST_SLOT + SLOTS)
    at = numbers[:, None] + offsets[None, :]
    density = np.exp((shape - 1) * np.log(at) - at / scale).sum(axis=1)
    weights = np.empty(SLOTS)
    weights[(numbers - 1) % SLOTS] = density / density.mean()
    return weights
