"""Alibaba's openb pods (GPU cluster 2023), replayed in time or as a placement study.

Q. Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC 2023. The
study ignores time: pods arrive one by one in a shuffled order and never leave, until what arrived is a given share of the GPUs.

``gpu_spec`` names a *set* of device models, a shape knows one model. All devices of an openb node are alike, so a label for the set
on every node whose model is in it says exactly the same, and nothing that decides has to learn what a set of models is.
Invariant: the arrivals follow from pods, capacity, ratio and seed alone; the order of the file plays no part.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tenure.model.amounts import MIB, MILLI, Amounts
from tenure.model.node import Node
from tenure.model.shape import Shape
from tenure.sim.formats.text import MAX_RECORDS, milliseconds, shown, table, whole
from tenure.sim.machines import MAX_GPUS
from tenure.sim.workload import BadWorkload, TraceJob, Workload, workload_of

WANTED = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
OPTIONAL = ("gpu_spec", "creation_time", "deletion_time", "scheduled_time")
LABEL = "gpu_spec:"
MAX_RATIO = 1000.0
_MAX_SPEC = 500


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. Times are milliseconds of the log; ``run_ms`` is None when it was never scheduled or the list has no times."""

    name: str
    shape: Shape
    created_ms: int = 0
    run_ms: int | None = None


def read_pods(path: str) -> tuple[tuple[Pod, ...], dict[str, int]]:
    """The pods of a list in the order of the file, and what was skipped by reason. Raises BadWorkload with file, line and reason."""
    skipped: dict[str, int] = {}
    pods = []
    for pod in table(path, WANTED, _pod, OPTIONAL):
        if isinstance(pod, str):
            skipped[pod] = skipped.get(pod, 0) + 1
        else:
            pods.append(pod)
    return tuple(pods), skipped


def study(
    name: str, pods: Sequence[Pod], nodes: Sequence[Node], ratio: float, seed: int, skipped: dict[str, int] | None = None
) -> Workload:
    """The published protocol as a workload: `arrivals` on the nodes, which carry the labels that the pods ask for."""
    return workload_of(name, labelled(nodes, pods), arrivals(pods, nodes, ratio, seed), skipped)


def replayed(name: str, pods: Sequence[Pod], nodes: Sequence[Node], skipped: dict[str, int] | None = None) -> Workload:
    """The pods at the times of the log. Those that were never scheduled are skipped; a list without times lives on, one pod a ms."""
    ran = sorted((pod for pod in pods if pod.run_ms is not None), key=lambda pod: (pod.created_ms, pod.name))
    if not ran:
        ran = sorted(pods, key=lambda pod: pod.name)
        return workload_of(name, labelled(nodes, ran), _one_by_one((pod.name, pod) for pod in ran), skipped)
    counts = dict(skipped or {})
    if len(ran) < len(pods):
        counts["never scheduled"] = len(pods) - len(ran)
    jobs = [
        TraceJob(number, pod.name, pod.shape, pod.created_ms - ran[0].created_ms, pod.run_ms or 0) for number, pod in enumerate(ran, 1)
    ]
    return workload_of(name, labelled(nodes, ran), jobs, counts)


def arrivals(pods: Sequence[Pod], nodes: Iterable[Node], ratio: float, seed: int) -> tuple[TraceJob, ...]:
    """Jobs that arrive one per millisecond and stay: the pods by name, shuffled with the seed, then uniform draws with replacement.

    They end before the first that would bring what has arrived above ``ratio`` times the nodes' GPUs. The first draw of a pod has its
    name, the k-th repeat ``#k`` behind it. Raises BadWorkload for a ratio that no number of pods reaches.
    """
    if not 0 < ratio <= MAX_RATIO:
        raise BadWorkload(f"the share of arrivals is {ratio:g}; it must be above 0 and at most {MAX_RATIO:g}, such as 1.3")
    limit = round(ratio * sum(device.capacity_milli for node in nodes for device in node.devices))
    if not limit or not any(pod.shape.gpu_milli for pod in pods):
        raise BadWorkload("arrivals are measured in GPUs, and the nodes or the pods have none; leave the share of arrivals away")
    draws: Counter[str] = Counter()
    arrived = 0
    named: list[tuple[str, Pod]] = []
    for pod in _draws(pods, seed):
        arrived += pod.shape.gpu_milli
        if arrived > limit:
            break
        if len(named) == MAX_RECORDS:
            raise BadWorkload(f"the share of arrivals takes more than {MAX_RECORDS:,} pods; make it smaller")
        repeat = draws[pod.name]
        draws[pod.name] += 1
        named.append((f"{pod.name}#{repeat}" if repeat else pod.name, pod))
    return tuple(_one_by_one(named))


def labelled(nodes: Iterable[Node], pods: Iterable[Pod]) -> tuple[Node, ...]:
    """The nodes, each with a label for every set of models that some pod asks for and that its devices are in."""
    asked = sorted({label for pod in pods for label in pod.shape.labels if label.startswith(LABEL)})
    sets = [(label, frozenset(label.removeprefix(LABEL).split("|"))) for label in asked]
    return tuple(
        _with_labels(node, [label for label, models in sets if node.devices and node.devices[0].model in models]) for node in nodes
    )


def _with_labels(node: Node, labels: list[str]) -> Node:
    return replace(node, labels=tuple(sorted({*node.labels, *labels}))) if labels else node


def _draws(pods: Sequence[Pod], seed: int) -> Iterator[Pod]:
    """Every pod once in a shuffled order, then any pod again and again."""
    chance = random.Random(seed)
    once = sorted(pods, key=lambda pod: pod.name)
    chance.shuffle(once)
    yield from once
    while True:
        yield once[chance.randrange(len(once))]


def _one_by_one(named: Iterable[tuple[str, Pod]]) -> Iterator[TraceJob]:
    for number, (name, pod) in enumerate(named, 1):
        yield TraceJob(number, name, pod.shape, submitted_ms=number - 1, run_ms=0, lives=True)


def _pod(row: Sequence[str]) -> Pod | str:
    """One row as a pod, or the reason why it is left out."""
    name, cpu, memory, gpus, milli, spec, created, deleted, scheduled = row
    if not name:
        raise ValueError("the pod has no name")
    count = whole(gpus, "num_gpu", most=MAX_GPUS)
    share = whole(milli, "gpu_milli", 1, MILLI) if count else 0
    if count > 1 and share < MILLI:
        return "parts of several GPUs"
    amounts = Amounts(whole(cpu, "cpu_milli"), whole(memory, "memory_mib") * MIB)
    shape = Shape(amounts, gpu_milli=count * share, labels=_labels(spec) if count else ())
    return Pod(name, shape, milliseconds(created or "0", "creation_time"), _run_ms(scheduled, deleted))


def _labels(spec: str) -> tuple[str, ...]:
    """The set of models as a label: one spelling, whatever the order and however often the list names a model."""
    if len(spec) > _MAX_SPEC:
        raise ValueError(f"gpu_spec is {shown(spec)}, longer than any list of models")
    models = sorted({model.strip() for model in spec.split("|")} - {""})
    return (LABEL + "|".join(models),) if models else ()


def _run_ms(scheduled: str, deleted: str) -> int | None:
    if not scheduled or not deleted:
        return None
    run_ms = milliseconds(deleted, "deletion_time") - milliseconds(scheduled, "scheduled_time")
    if run_ms < 0:
        raise ValueError(f"deletion_time {shown(deleted)} is before scheduled_time {shown(scheduled)}")
    return run_ms
