"""Conservative backfilling as simple as it can be, to compare the real one with (`tenure.core.promises`).

A list of uses, each with its node, amounts and time; every question is answered by adding up the list anew at every moment that could
matter. Obviously right and very slow. Promises, decisions and the head are compared; reasons are not made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf

from tenure.core.feasibility import Ask, NodeRoom, ask_of, count_tasks, lack, node_room, pick_devices, take
from tenure.core.placement import Layout, Option, arrange, deal
from tenure.core.possible import obstacle
from tenure.core.rooms import FOREVER
from tenure.core.stages import Stages
from tenure.model.allocation import Placement
from tenure.model.job import PendingJob
from tenure.model.plan import Decision, Plan, Reservation, Start
from tenure.model.snapshot import Snapshot
from tenure.testing.naive_orders import score_of
from tenure.testing.naive_parts import Use, is_guarded, is_ready, positions, uses_of


@dataclass(slots=True)
class _Naive:
    snapshot: Snapshot
    stages: Stages
    uses: list[Use] = field(default_factory=list)
    promised: dict[tuple[int, int], tuple[int, Reservation, list[Use]]] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    head: tuple[int, int] | None = None

    def run(self) -> Plan:
        self.uses = list(uses_of(self.snapshot))
        ready = sorted((job for job in self.snapshot.pending.jobs() if is_ready(self.snapshot, job)), key=self._turn)
        elements = {job.id: list(positions(self.snapshot, job)) for job in ready}
        for old in sorted(self.snapshot.promises, key=lambda item: (item.start_ms or FOREVER, item.job_id, item.position)):
            job = next((job for job in ready if job.id == old.job_id), None)
            if job is not None and old.position in elements[job.id]:
                self._keep(job, old)
        for job in ready:
            if obstacle(self._ask(job), self.snapshot.nodes) is None:
                self._consider(job, elements[job.id])
        promised = [self.promised[key][1] for key in sorted(self.promised)]
        return Plan(
            base_revision=self.snapshot.revision,
            decisions=tuple(Decision(starts=(start,)) for start in self.starts),
            reservation=next((item for item in promised if (item.job_id, item.position) == self.head), None),
            promises=tuple(promised),
        )

    def _turn(self, job: PendingJob) -> tuple[float, int, int]:
        """Its place in the order: smaller goes first."""
        score = inf if is_guarded(self.snapshot, job) else score_of(self.stages.order.name, job, self.snapshot)
        return (-score, job.submitted_ms, job.id)

    def _ask(self, job: PendingJob) -> Ask:
        return ask_of(self.snapshot.shapes[job.shape])

    def _keep(self, job: PendingJob, old: Reservation) -> None:
        start_ms = max(old.start_ms, self.snapshot.now_ms) if old.start_ms else FOREVER
        rooms = self._over(start_ms, job.limit_ms)
        if _are_places(self._ask(job), old.placements, rooms):
            self._promise(job, start_ms, old.placements, old.position)
        else:
            self._promise_first(job, old.position)

    def _consider(self, job: PendingJob, positions: list[int]) -> None:
        for position in positions:
            key = job.id, position
            old = self.promised.pop(key, None)
            if old is not None:
                self.uses = [use for use in self.uses if not any(use is mine for mine in old[2])]
            if old is not None and old[0] <= self.snapshot.now_ms and not self._start(job, position):
                self.starts.append(Start(job.id, old[1].placements, position))
                self.uses += self._uses_of(job, self.snapshot.now_ms, old[1].placements)
            elif (old is None or old[0] > self.snapshot.now_ms) and not self._start(job, position):
                self._promise_first(job, position)
                new = self.promised.get(key)
                if old is not None and (new is None or new[0] >= old[0]):
                    self.uses = [use for use in self.uses if new is None or not any(use is mine for mine in new[2])] + old[2]
                    self.promised[key] = old
                if key not in self.promised:
                    return
                self.head = self.head or key

    def _start(self, job: PendingJob, position: int) -> bool:
        """Start a job that has room now for as long as it may run; ranked by the score on the node as it is now."""
        ask, now_ms = self._ask(job), self.snapshot.now_ms
        over = self._over(now_ms, job.limit_ms)
        plain = {node_id: self._at(node_id, now_ms) for node_id in over}
        options = [
            Option(self.stages.score.score(ask, plain[node_id]), node_id, count)
            for node_id in sorted(over)
            if (count := count_tasks(ask, over[node_id], ask.tasks))
        ]
        layout = arrange(ask, options)
        if layout is None:
            return False
        placements = deal(ask, layout, over)
        self.starts.append(Start(job.id, placements, position))
        self.uses += self._uses_of(job, now_ms, placements)
        return True

    def _promise_first(self, job: PendingJob, position: int) -> None:
        """The first start there is; unknown ones only for who has waited long."""
        ask = self._ask(job)
        for at_ms in self._moments(job.limit_ms):
            rooms = self._over(at_ms, job.limit_ms)
            layout = self._layout(ask, rooms, at_ms)
            if layout is None:
                continue
            waited = self.snapshot.now_ms - job.submitted_ms >= self.snapshot.settings.wait_full_ms
            if at_ms < FOREVER or waited or is_guarded(self.snapshot, job):
                self._promise(job, at_ms, deal(ask, layout, rooms), position)
            return

    def _layout(self, ask: Ask, rooms: dict[int, NodeRoom], at_ms: int) -> Layout | None:
        options = []
        for node_id in sorted(rooms):
            count = count_tasks(ask, rooms[node_id], ask.tasks)
            if count:
                known = at_ms < FOREVER
                rank = self.stages.score.score(ask, rooms[node_id]) if known else lack(ask, self._at(node_id, self.snapshot.now_ms))
                options.append(Option(rank, node_id, count))
        return arrange(ask, options)

    def _promise(self, job: PendingJob, start_ms: int, placements: tuple[Placement, ...], position: int) -> None:
        uses = [replace(use, most=self._ask(job).max_per_node) for use in self._uses_of(job, start_ms, placements)]
        self.uses += uses
        said_ms = start_ms if start_ms < FOREVER else 0
        self.promised[job.id, position] = (start_ms, Reservation(job.id, said_ms, placements, position), uses)

    def _uses_of(self, job: PendingJob, start_ms: int, placements: tuple[Placement, ...]) -> list[Use]:
        end_ms = start_ms + job.limit_ms if job.limit_ms and start_ms < FOREVER else FOREVER
        ask = self._ask(job)
        return [Use(place.node_id, end_ms, ask.need, place.devices, ask.app, start_ms) for place in placements]

    def _moments(self, limit_ms: int) -> Iterator[int]:
        """Every start at which the room may be another than a millisecond earlier."""
        now_ms = self.snapshot.now_ms
        edges = {max(edge, now_ms + 1) for use in self.uses for edge in (use.start_ms, use.end_ms)}
        edges |= {edge - limit_ms + 1 for edge in edges if limit_ms and edge < FOREVER}
        yield from sorted({now_ms} | {edge for edge in edges if edge > now_ms})

    def _over(self, from_ms: int, limit_ms: int) -> dict[int, NodeRoom]:
        """What is free of each node at every moment of a run, and at the end of all things where somebody is promised that."""
        until_ms = from_ms + limit_ms if limit_ms and from_ms < FOREVER else FOREVER
        found = {}
        for node in self.snapshot.nodes:
            moments = {from_ms} | {use.start_ms for use in self.uses if use.node_id == node.id and from_ms < use.start_ms < until_ms}
            if any(use.node_id == node.id and use.start_ms >= FOREVER for use in self.uses):
                moments.add(FOREVER)
            room, *rest = rooms = [self._at(node.id, at_ms) for at_ms in sorted(moments)]
            left = {app: min(one.caps[app] - one.apps[app] for one in rooms if app in one.caps) for one in rooms for app in one.caps}
            for other in rest:
                room.free = [min(pair) for pair in zip(room.free, other.free, strict=True)]
                room.apps = {app: max(room.apps.get(app, 0), other.apps.get(app, 0)) for app in sorted({*room.apps, *other.apps})}
                for device, same in zip(room.devices, other.devices, strict=True):
                    device.free_milli = min(device.free_milli, same.free_milli)
                    device.free_memory_bytes = min(device.free_memory_bytes, same.free_memory_bytes)
            room.recount()
            room.caps = {app: places + room.apps[app] for app, places in left.items()}
            found[node.id] = room
        return found

    def _at(self, node_id: int, at_ms: int) -> NodeRoom:
        """A node at one moment; what is overdue ends in the next millisecond."""
        room = next(node_room(node) for node in self.snapshot.nodes if node.id == node_id)
        for use in self.uses:
            ends_ms = max(use.end_ms, self.snapshot.now_ms + 1)
            is_on = use.start_ms >= FOREVER if at_ms >= FOREVER else use.start_ms <= at_ms < ends_ms
            if use.node_id == node_id and is_on:
                take(room, use.need, use.devices, use.app)
                if use.most:
                    room.caps = {**room.caps, use.app: min(use.most, room.caps.get(use.app, use.most))}
        return room


def _are_places(ask: Ask, placements: tuple[Placement, ...], rooms: dict[int, NodeRoom]) -> bool:
    """Whether a job of that ask could be placed just so."""
    if len(placements) != ask.tasks:
        return False
    for place in placements:
        room = rooms.get(place.node_id)
        if room is None or not count_tasks(ask, room, 1):
            return False
        wanted = {share.device_id for share in place.devices}
        others = [device for device in room.devices if device.id not in wanted]
        room.devices = [device for device in room.devices if device.id in wanted]
        room.recount()
        if not count_tasks(ask, room, 1) or pick_devices(ask, room) != place.devices:
            return False
        take(room, ask.need, place.devices, ask.app)
        room.devices = sorted([*room.devices, *others], key=lambda device: device.id)
        room.recount()
    return True


def naive_promises(snapshot: Snapshot, stages: Stages) -> Plan:
    """The plan of a snapshot under a policy that promises everybody a start: decisions, promises and the head."""
    return _Naive(snapshot, stages).run()
