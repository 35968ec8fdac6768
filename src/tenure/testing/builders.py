"""Small clusters in a line or two, for tests, scenarios and examples.

A `Cluster` gives names to what snapshots know by number and fills in what a test does not care about. Times are milliseconds after
the cluster's ``now``. Invariant: the same calls give the same snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tenure.core.feasibility import ask_of, node_room, pick_devices, take
from tenure.core.ledger import window_ms
from tenure.model.allocation import Allocation, Claim, DeviceShare, Eviction, Placement
from tenure.model.amounts import GIB, MIB, MILLI, Amounts
from tenure.model.job import RESTS, JobTable, PendingJob, RunningJob
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.node import Device, Node
from tenure.model.project import Bundle, Project, Usage
from tenure.model.queue import Queue
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.model.window import TimeWindow, WindowPart

NOW_MS = 1_000_000_000
"""When a cluster's snapshot is taken unless it says otherwise: late enough that every job may be old."""

NODE_AMOUNTS = Amounts(cpu_milli=64 * MILLI, memory_bytes=512 * GIB, storage_bytes=1024 * GIB, bandwidth_bps=10**10)
NOTHING = Amounts()
DEFAULT_QUEUE = "default"


@dataclass(slots=True)
class Cluster:
    """Nodes, queues and jobs under construction; `snapshot` reads them."""

    now_ms: int = NOW_MS
    revision: int = 1
    settings: PlanSettings = PlanSettings()
    nodes: dict[str, Node] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=lambda: {DEFAULT_QUEUE: Queue(1, DEFAULT_QUEUE)})
    shapes: dict[Shape, int] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    pending: dict[int, PendingJob] = field(default_factory=dict)
    running: dict[int, RunningJob] = field(default_factory=dict)
    touched: dict[int, tuple[int, ...]] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    usage: dict[tuple[int, int], Usage] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    evictions: list[Eviction] = field(default_factory=list)
    windows: list[TimeWindow] = field(default_factory=list)

    def node(
        self,
        name: str,
        amounts: Amounts = NODE_AMOUNTS,
        gpus: int = 0,
        *,
        model: str = "NVIDIA A100-SXM4-80GB",
        gpu_memory_bytes: int = 80 * GIB,
        capability: int = 0,
        per_group: int = 0,
        labels: Sequence[str] = (),
        status: NodeStatus = NodeStatus.UP,
        device_status: Mapping[int, DeviceStatus] | None = None,
    ) -> Node:
        """A node. ``per_group`` devices share an NVLink group (0: all do); ``device_status`` by index, ok where it says nothing."""
        node_id = len(self.nodes) + 1
        states = device_status or {}
        first = sum(len(node.devices) for node in self.nodes.values()) + 1
        devices = tuple(
            Device(
                id=first + index,
                node_id=node_id,
                index=index,
                uuid=f"GPU-{name}-{index}",
                model=model,
                memory_bytes=gpu_memory_bytes,
                group=index // per_group if per_group else 0,
                status=states.get(index, DeviceStatus.OK),
                capability=capability,
            )
            for index in range(gpus)
        )
        node = Node(node_id, name, amounts, devices, status, tuple(sorted(labels)))
        self.nodes[name] = node
        return node

    def queue(self, name: str, *, paused: bool = False, bonus: int = 0, max_limit_ms: int = 0) -> Queue:
        """A queue, or other properties for one that exists."""
        known = self.queues.get(name)
        queue = Queue(known.id if known else len(self.queues) + 1, name, paused, 0, max_limit_ms, bonus)
        self.queues[name] = queue
        return queue

    def project(self, name: str, **properties: Any) -> Project:
        """A project, or other ``properties`` (those of `Project`) for one that exists."""
        known = self.projects.get(name) or Project(len(self.projects) + 1, name)
        self.projects[name] = replace(known, **properties)
        return self.projects[name]

    def user(self, name: str) -> int:
        """The number of a user."""
        return self.users.setdefault(name, len(self.users) + 1)

    def used(self, project: str, user: str, held: Bundle) -> Usage:
        """A user has held so much for a project on average of late."""
        window = window_ms(self.settings.half_life_ms)
        account = self.project(project).id, self.user(user)
        parts = (held.cpu_milli, held.memory_bytes // MIB, held.gpu_milli)
        self.usage[account] = Usage(*account, self.now_ms, *(part * window for part in parts))
        return self.usage[account]

    def window(
        self,
        name: str,
        on: Sequence[str],
        from_ms: int,
        until_ms: int,
        *,
        project: str = "",
        amounts: Amounts = NOTHING,
        devices: Sequence[int] | None = None,
    ) -> TimeWindow:
        """A window, times after now, for a project or nobody: of whole nodes, or of these amounts and devices (by index) of each."""
        parts = []
        for place in on:
            node = self.nodes[place]
            chosen = tuple(device.id for device in node.devices if device.index in (devices or ()))
            parts.append(WindowPart(node.id, devices is None and amounts == NOTHING, amounts, chosen))
        window = TimeWindow(
            len(self.windows) + 1,
            self.now_ms + from_ms,
            self.now_ms + until_ms,
            tuple(sorted(parts, key=lambda part: part.node_id)),
            name,
            self.project(project).id if project else 0,
        )
        self.windows.append(window)
        return window

    def shape(self, shape: Shape) -> int:
        """The number of a shape."""
        return self.shapes.setdefault(shape, len(self.shapes) + 1)

    def wait(self, name: str, shape: Shape, *, queue: str = DEFAULT_QUEUE, age_ms: int = 0, **columns: int) -> PendingJob:
        """A waiting job; ``columns`` are those of `PendingJob`."""
        if queue not in self.queues:
            self.queue(queue)
        job = PendingJob(
            id=self._name(name),
            shape=self.shape(shape),
            queue=self.queues[queue].id,
            submitted_ms=self.now_ms - age_ms,
            **columns,
        )
        self.pending[job.id] = job
        return job

    def run(
        self,
        name: str,
        shape: Shape,
        on: Sequence[str],
        *,
        ends_ms: int | None = None,
        devices: Sequence[int] | None = None,
        stopping: bool = False,
        array_id: int = 0,
        project: int = 0,
        user: int = 0,
        priority: int = 5,
        age_ms: int = 1,
        grace_ms: int = 0,
        rests_ms: int = 0,
        saved_ms: int = 0,
    ) -> RunningJob:
        """A running job: one node name per task, or one for all. ``ends_ms`` after now (None: no limit); ``devices`` by index.

        ``age_ms`` is since its start. ``rests_ms``: it has rested so long while others have their turn, 0 for not at all; ``saved_ms``:
        it told so long ago of a checkpoint, 0 for never.
        """
        places = [on[0]] * shape.tasks if len(on) == 1 else list(on)
        job_id = self._name(name)
        amounts = replace(shape.amounts, cpu_milli=0) if rests_ms else shape.amounts
        allocations = tuple(
            Allocation(job_id * 1000 + task, job_id, job_id, task, self.nodes[place].id, amounts, shares)
            for task, (place, shares) in enumerate(self._shares(shape, places, devices))
        )
        job = RunningJob(
            id=job_id,
            attempt_id=job_id,
            shape=self.shape(shape),
            queue=1,
            project=project,
            user=user,
            priority=priority,
            started_ms=self.now_ms - age_ms,
            ends_by_ms=0 if ends_ms is None else self.now_ms + ends_ms,
            allocations=allocations,
            array_id=array_id,
            stopping=int(stopping),
            grace_ms=grace_ms,
            rest=RESTS if rests_ms else 0,
            slice_ms=self.now_ms - (rests_ms or age_ms),
            checkpoint_ms=self.now_ms - saved_ms if saved_ms else 0,
        )
        self.running[job_id] = job
        return job

    def promise(self, name: str, on: Sequence[str], until_ms: int, leaving: Sequence[str] = ()) -> Claim:
        """Room for a waiting job, one node name per task or one for all, until so long after now; these jobs were displaced for it."""
        job = self.pending[self.jobs[name]]
        shape = next(shape for shape, number in self.shapes.items() if number == job.shape)
        places = [on[0]] * shape.tasks if len(on) == 1 else list(on)
        dealt = enumerate(self._shares(shape, places, None, gone=[self.jobs[victim] for victim in leaving]))
        placements = tuple(Placement(task, self.nodes[place].id, shares) for task, (place, shares) in dealt)
        victims = tuple(self.jobs[victim] for victim in leaving)
        claim = Claim(len(self.claims) + 1, job.id, placements, shape.amounts, self.now_ms + until_ms, victims)
        self.claims.append(claim)
        return claim

    def evicted(self, name: str, ago_ms: int) -> None:
        """A running job was displaced so long ago, and has started again since."""
        self.evictions.append(Eviction(self.now_ms - ago_ms, self.jobs[name], 0))

    def _shares(
        self, shape: Shape, places: Sequence[str], devices: Sequence[int] | None, gone: Sequence[int] = ()
    ) -> list[tuple[str, tuple[DeviceShare, ...]]]:
        """The devices each task holds: the named ones, else those a planner would pick with those jobs gone."""
        ask = ask_of(shape)
        rooms = {place: node_room(self.nodes[place]) for place in places}
        for room in rooms.values():
            for job in self.running.values():
                for held in job.allocations:
                    if held.node_id == room.id and job.id not in gone:
                        take(room, held.amounts.as_tuple(), held.devices)
        dealt = []
        for place in places:
            node = self.nodes[place]
            if devices is not None:
                chosen = [device for device in node.devices if device.index in devices]
                shares = tuple(DeviceShare(device.id, *shape.device_share(device.memory_bytes)) for device in chosen)
            else:
                shares = pick_devices(ask, rooms[place])
            take(rooms[place], ask.need, shares)
            dealt.append((place, shares))
        return dealt

    def _name(self, name: str) -> int:
        if name in self.jobs:
            raise ValueError(f"two jobs are called {name!r}")
        self.jobs[name] = len(self.jobs) + 1
        return self.jobs[name]

    def snapshot(self) -> Snapshot:
        """The snapshot of all this."""
        return Snapshot(
            revision=self.revision,
            now_ms=self.now_ms,
            nodes=tuple(self.nodes.values()),
            shapes={number: shape for shape, number in self.shapes.items()},
            pending=JobTable.of(self.pending.values()),
            running=tuple(self.running[job_id] for job_id in sorted(self.running)),
            queues=tuple(self.queues.values()),
            projects=tuple(self.projects.values()),
            usage=tuple(self.usage[account] for account in sorted(self.usage)),
            settings=self.settings,
            claims=tuple(self.claims),
            evictions=tuple(sorted(self.evictions)),
            touched=dict(self.touched),
            reservations=tuple(self.windows),
        )
