"""What must hold of allocations at all times, re-derived from plain values and independent of the planner's own arithmetic.

Tests apply it to every plan, the simulator to every step, ``doctor`` to the rows of a store. An empty answer is the good one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from tenure.model.allocation import Allocation, DeviceShare
from tenure.model.amounts import MILLI, RESOURCES, Amounts
from tenure.model.job import RESTS, RunningJob
from tenure.model.lifecycle import AllocationState
from tenure.model.node import Device, Node
from tenure.model.outcomes import Violation
from tenure.model.plan import Plan
from tenure.model.project import SHARED
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot

Held = tuple[str, int, tuple[int, ...], tuple[DeviceShare, ...]]
"""(who, node id, amounts in the order of `RESOURCES`, device shares)."""


def violations(snapshot: Snapshot) -> tuple[Violation, ...]:
    """Everything that is wrong with what is held in a snapshot, in a fixed order."""
    nodes = {node.id: node for node in snapshot.nodes}
    devices = {device.id: device for node in snapshot.nodes for device in node.devices}
    held, promised = list(_held(snapshot.running)), list(_promised(snapshot))
    return tuple(
        chain(
            _strangers([*held, *promised] if snapshot.claims else held, nodes, devices),
            _amounts(held, nodes),
            _devices(held, devices),
            *((_amounts(promised, nodes), _devices(promised, devices)) if snapshot.claims else ()),
            _gangs(snapshot.running, snapshot.shapes),
            _twice(snapshot),
        )
    )


def plan_violations(snapshot: Snapshot, plan: Plan) -> tuple[Violation, ...]:
    """Everything that is wrong with the starts of a plan in themselves: unknown jobs, incomplete gangs, elements started twice."""
    found: list[Violation] = []
    rows = {job.id: job for job in snapshot.pending.jobs()}
    started: set[tuple[int, int]] = set()
    for start in (start for decision in plan.decisions for start in decision.starts):
        who, job = f"job {start.job_id}", rows.get(start.job_id)
        if job is None:
            found.append(Violation("starts_what_waits", who, "it does not wait"))
            continue
        if (start.job_id, start.position) in started or (start.position >= 0) != bool(job.is_array):
            found.append(Violation("starts_once", who, f"position {start.position}"))
        started.add((start.job_id, start.position))
        tasks = snapshot.shapes[job.shape].tasks
        if [place.task for place in start.placements] != list(range(tasks)):
            found.append(Violation("gang_complete", who, f"{len(start.placements)} of {tasks} tasks are placed"))
    return (*found, *_maxima(snapshot, plan))


def _maxima(snapshot: Snapshot, plan: Plan) -> Iterator[Violation]:
    """A project that is given more than it may hold."""
    rows, shapes = {job.id: job for job in snapshot.pending.jobs()}, snapshot.shapes
    given = [rows[start.job_id] for decision in plan.decisions for start in decision.starts if start.job_id in rows]
    for project in snapshot.projects:
        held = [_of_shape(shapes[job.shape]) for job in given if job.project == project.id]
        own = [(part.amounts, part.devices) for job in snapshot.running if job.project == project.id for part in job.allocations]
        held += [(amounts.cpu_milli, amounts.memory_bytes, sum(share.milli for share in devices)) for amounts, devices in own]
        for at, bound in enumerate(project.most):
            is_given = any(_of_shape(shapes[job.shape])[at] for job in given if job.project == project.id)
            if is_given and 0 <= bound < (together := sum(amounts[at] for amounts in held)):
                yield Violation("no_project_exceeds_its_maximum", f"project {project.id}", f"{together} {SHARED[at]} held of {bound}")


def _of_shape(shape: Shape) -> tuple[int, int, int]:
    """Cpu, memory and GPUs of all tasks."""
    return shape.amounts.cpu_milli * shape.tasks, shape.amounts.memory_bytes * shape.tasks, shape.gpu_milli * shape.tasks


def _held(running: Iterable[RunningJob]) -> Iterator[Held]:
    for job in running:
        for held in job.allocations:
            yield f"job {job.id}", held.node_id, held.amounts.as_tuple(), held.devices


def _promised(snapshot: Snapshot) -> Iterator[Held]:
    """What is held once all promises are kept: by then, those that are being stopped are gone."""
    yield from _held(job for job in snapshot.running if not job.stopping)
    for claim in snapshot.claims:
        for place in claim.placements:
            yield f"claim {claim.id}", place.node_id, claim.amounts.as_tuple(), place.devices


def _strangers(held: Iterable[Held], nodes: Mapping[int, Node], devices: Mapping[int, Device]) -> Iterator[Violation]:
    """Held on a node that is not declared, or on a device that is not on that node."""
    for who, node_id, _, shares in held:
        if node_id not in nodes:
            yield Violation("node_exists", who, f"holds on node {node_id}, which is not declared")
            continue
        for share in shares:
            device = devices.get(share.device_id)
            if device is None or device.node_id != node_id:
                yield Violation("device_on_node", who, f"holds device {share.device_id}, which is not on node {node_id}")


def _amounts(held: Iterable[Held], nodes: Mapping[int, Node]) -> Iterator[Violation]:
    """More of an amount held on a node than it has."""
    used: dict[int, list[int]] = {node_id: [0] * len(RESOURCES) for node_id in nodes}
    for _, node_id, amounts, _ in held:
        if node_id in used:
            used[node_id] = [old + new for old, new in zip(used[node_id], amounts, strict=True)]
    for node_id, node in nodes.items():
        for name, amount, capacity in zip(RESOURCES, used[node_id], node.capacity.as_tuple(), strict=True):
            if amount > capacity:
                yield Violation("no_overcommit", f"node {node_id}", f"{name}: {amount} held of {capacity}")


def _devices(held: Iterable[Held], devices: Mapping[int, Device]) -> Iterator[Violation]:
    """More of a device held than it has, or a whole device held beside another holder."""
    holders: dict[int, list[tuple[str, DeviceShare]]] = {}
    for who, _, _, shares in held:
        for share in shares:
            holders.setdefault(share.device_id, []).append((who, share))
    for device_id in sorted(holders):
        device, found = devices.get(device_id), holders[device_id]
        if device is None:
            continue
        milli, memory = sum(share.milli for _, share in found), sum(share.memory_bytes for _, share in found)
        if milli > device.capacity_milli or memory > device.memory_bytes:
            detail = f"{milli} of {device.capacity_milli} thousandths and {memory} of {device.memory_bytes} bytes held"
            yield Violation("no_device_overcommit", f"device {device_id}", detail)
        if len(found) > 1 and any(share.milli >= MILLI for _, share in found):
            yield Violation("whole_device_alone", f"device {device_id}", f"held whole, and by {', '.join(who for who, _ in found)}")


def _gangs(running: Iterable[RunningJob], shapes: Mapping[int, Shape]) -> Iterator[Violation]:
    """A task twice; more or other amounts or shares than those of the shape. (Tasks that have ended may be missing.)"""
    for job in running:
        shape = shapes.get(job.shape)
        tasks = [held.task for held in job.allocations]
        if len(set(tasks)) < len(tasks):
            yield Violation("task_once", f"job {job.id}", f"tasks {tasks}")
        if shape is None:
            yield Violation("shape_known", f"job {job.id}", f"shape {job.shape} is not known")
            continue
        yield from (_wrong(job, held, shape) for held in job.allocations if _is_wrong(job, held, shape))


def _is_wrong(job: RunningJob, held: Allocation, shape: Shape) -> bool:
    fraction = shape.gpu_milli if shape.is_fraction else MILLI
    wrong_share = any(share.milli != fraction for share in held.devices)
    wrong_amounts = not _may_hold(held.amounts, shape.amounts, rests=job.rest == RESTS and held.state != AllocationState.RELEASING)
    return wrong_amounts or len(held.devices) != shape.gpu_count or wrong_share


def _may_hold(held: Amounts, asked: Amounts, *, rests: bool) -> bool:
    """Whether a task holds what was asked for it, or less cpu and memory though not none of them; no cpu while it rests."""
    cpus = held.cpu_milli == 0 if rests else min(asked.cpu_milli, 1) <= held.cpu_milli <= asked.cpu_milli
    memory = min(asked.memory_bytes, 1) <= held.memory_bytes <= asked.memory_bytes
    return cpus and memory and replace(held, cpu_milli=asked.cpu_milli, memory_bytes=asked.memory_bytes) == asked


def _wrong(job: RunningJob, held: Allocation, shape: Shape) -> Violation:
    found = f"{held.amounts.as_tuple()} and {[share.milli for share in held.devices]}"
    return Violation("holds_its_shape", f"job {job.id}", f"task {held.task} holds {found}, asked were {shape}")


def _twice(snapshot: Snapshot) -> Iterator[Violation]:
    """A job that waits and runs."""
    waiting = {job.id for job in snapshot.pending.jobs()}
    for job in snapshot.running:
        if job.id in waiting:
            yield Violation("waits_or_runs", f"job {job.id}", "it does both")
