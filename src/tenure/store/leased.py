"""Leases as people and holders see them: reads alone, one statement for the lease and one for what it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import case, func, select

from tenure.model.amounts import MILLI, Amounts
from tenure.model.commands import LEASE, JobSpec
from tenure.model.lifecycle import ENDED_STATES
from tenure.model.observations import Launch
from tenure.model.outcomes import Violation
from tenure.model.shape import Shape
from tenure.model.upkeep import Upkeep, upkeep_of
from tenure.store.intern import Names
from tenure.store.schema import OPEN_LEASE, allocation, allocation_device, attempt, device, job, node, node_capacity, project, user
from tenure.store.sql import InList, Link, Statement, const

_ENDED = frozenset(state.value for state in ENDED_STATES)
_HOUR_MS = 3_600_000
_COLUMNS = (
    job.c.id,
    job.c.name,
    job.c.state,
    job.c.spec_id,
    job.c.shape_id,
    job.c.priority,
    job.c.submitted_ms,
    job.c.started_ms,
    job.c.ended_ms,
    job.c.grace_ms,
    job.c.expected_ms,
    job.c.why,
    job.c.last_attempt_id,
    func.coalesce(job.c.lease_expires_at_ms, const(0)),
    user.c.name,
    project.c.name,
    func.coalesce(attempt.c.number, const(0)),
    func.coalesce(attempt.c.wish, const(0)),
    func.coalesce(attempt.c.stop_reason, const("")),
    func.coalesce(attempt.c.stop_why, const("")),
    func.coalesce(attempt.c.limit_ms, const(0)),
    func.coalesce(allocation.c.node_id, const(0)),
    job.c.lease_warned_ms,
    job.c.uid,
)
_FROM = (
    job.join(user, user.c.id == job.c.user_id)
    .join(project, project.c.id == job.c.project_id)
    .outerjoin(attempt, attempt.c.id == job.c.last_attempt_id)
    .outerjoin(allocation, allocation.c.attempt_id == attempt.c.id)
)
LEASES = InList(lambda keys: select(*_COLUMNS).select_from(_FROM).where(job.c.id.in_(keys), job.c.kind == const("lease")))
OPEN = Statement(select(job.c.id).where(OPEN_LEASE).order_by(job.c.id))
SHARES = InList(
    lambda keys: (
        select(allocation_device.c.attempt_id, device.c.uuid, device.c.pretend, allocation_device.c.memory_bytes)
        .join(device, device.c.id == allocation_device.c.device_id)
        .where(allocation_device.c.attempt_id.in_(keys))
        .order_by(allocation_device.c.attempt_id, device.c.device_index, device.c.uuid)
    )
)
TERMS = Statement(
    select(
        job.c.id,
        job.c.kind,
        job.c.state,
        job.c.lease_expires_at_ms,
        job.c.lease_token,
        job.c.array_size,
        job.c.ended_ms,
        job.c.started_ms,
        attempt.c.started_ms,
        attempt.c.limit_ms,
    )
    .select_from(job.outerjoin(attempt, attempt.c.id == job.c.attempt_id))
    .where((job.c.kind == const(LEASE)) | (job.c.lease_token != const("")) | job.c.lease_expires_at_ms.is_not(None))
    .order_by(job.c.id)
)
_amount = node_capacity.c.capacity
NODES = InList(
    lambda keys: (
        select(
            node.c.id,
            node.c.name,
            node.c.labels,
            func.coalesce(func.max(case((node_capacity.c.resource == const("cpu_milli"), _amount))), const(0)),
            func.coalesce(func.max(case((node_capacity.c.resource == const("memory_bytes"), _amount))), const(0)),
            select(func.count()).select_from(device).where(device.c.node_id == node.c.id).scalar_subquery(),
        )
        .join(node_capacity, node_capacity.c.node_id == node.c.id)
        .where(node.c.id.in_(keys))
        .group_by(node.c.id, node.c.name, node.c.labels)
    )
)


@dataclass(frozen=True, slots=True)
class Place:
    """A node that a lease is on."""

    name: str = ""
    upkeep: Upkeep = Upkeep()
    cpu_milli: int = 0
    memory_bytes: int = 0
    devices: int = 0

    def share(self, shape: Shape) -> float:
        """The part of it that one task takes: of cpu, memory or devices, whichever is the largest."""
        parts = (
            (shape.amounts.cpu_milli, self.cpu_milli),
            (shape.amounts.memory_bytes, self.memory_bytes),
            (shape.gpu_milli, self.devices * MILLI),
        )
        return max(amount / whole if whole else 0.0 for amount, whole in parts)


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as its rows have it. ``expires_ms`` is the end of its wait while it waits.

    ``is_settled``: its executor has heard all that was asked of it; ``is_warned``: its holder was told that its end is near.
    """

    number: int
    name: str
    state: str
    spec: JobSpec
    shape: Shape
    priority: int
    asked_ms: int
    granted_ms: int
    ended_ms: int
    grace_ms: int
    expected_ms: int
    why: str
    fence: int
    expires_ms: int
    user: str
    project: str
    run: int
    is_settled: bool
    stop_reason: str
    stop_why: str
    limit_ms: int
    is_warned: bool
    uid: int
    place: Place
    devices: tuple[str, ...] = ()
    device_memory_bytes: int = 0
    pretend: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it has ended, granted or not."""
        return self.state in _ENDED

    @property
    def is_held(self) -> bool:
        """Whether its executor has confirmed it and it has not ended."""
        return self.state == "running"

    @property
    def price_micro(self) -> int:
        """What an hour of it costs, in millionths; 0 where its node has no price."""
        return round(self.place.upkeep.price_milli * 1000 * self.place.share(self.shape))

    def cost_micro(self, now_ms: int) -> int:
        """What it has cost."""
        held_ms = (self.ended_ms or now_ms) - self.granted_ms if self.granted_ms else 0
        return self.price_micro * max(0, held_ms) // _HOUR_MS

    @property
    def launch(self) -> Launch:
        """What its executor was told; the environment of the holder follows from it."""
        shape = self.shape
        memory = self.device_memory_bytes if shape.is_fraction else shape.gpu_memory_bytes
        return Launch(
            self.fence,
            self.number,
            0,
            0,
            self.place.name,
            self.name,
            self.spec,
            Amounts(*shape.amounts.as_tuple()),
            attempt_number=self.run,
            devices=self.devices,
            gpu_milli=shape.gpu_milli,
            gpu_memory_bytes=memory,
            limit_ms=self.limit_ms,
            grace_ms=self.grace_ms,
            peers=(self.place.name,),
        )


def check_leases(link: Link) -> Iterator[Violation]:
    """What must hold of every lease and of no other job."""
    for number, kind, state, expires, token, array_size, ended, started, attempt_started, limit_ms in link.rows(TERMS):
        subject = f"lease {number}"
        has_terms = expires is not None and bool(token)
        if has_terms != (kind == LEASE):
            yield Violation("a_lease_has_an_end_and_a_token", subject, f"kind {kind}, ends at {expires}, token: {bool(token)}")
        if kind == LEASE and (array_size or state == "suspended"):
            yield Violation("a_lease_is_held_or_not", subject, f"state {state}, {array_size} elements")
        if kind == LEASE and state == "running" and ended is None and attempt_started is not None and expires != started + limit_ms:
            yield Violation("a_lease_ends_at_its_limit", subject, f"said to end at {expires}, its limit ends at {started + limit_ms}")


def open_leases(link: Link) -> list[int]:
    """The leases that are not over, by id."""
    return [number for (number,) in link.rows(OPEN)]


def read_leases(link: Link, names: Names, ids: Sequence[int]) -> list[LeaseRow]:
    """These leases, by id; what is no lease is left out."""
    rows = sorted(link.rows_in(LEASES, ids))
    shares: dict[int, list[tuple[Any, ...]]] = {}
    on_devices = {row[12] for row in rows if row[12] and names.shape(link, row[4]).gpu_milli}
    for share in link.rows_in(SHARES, sorted(on_devices)):
        shares.setdefault(share[0], []).append(share)
    places = {
        number: Place(name, upkeep_of(tuple(msgspec.json.decode(labels))), cpu, memory, devices)
        for number, name, labels, cpu, memory, devices in link.rows_in(NODES, sorted({row[21] for row in rows if row[21]}))
    }
    return [_row(link, names, row, places.get(row[21], Place()), shares.get(row[12], [])) for row in rows]


def _row(link: Link, names: Names, row: tuple[Any, ...], place: Place, shares: Sequence[tuple[Any, ...]]) -> LeaseRow:
    number, name, state, spec_id, shape_id, priority, asked, granted, ended, grace, expected, why, fence = row[:13]
    expires, user_name, project_name, run, wish, stop_reason, stop_why, limit_ms, _, warned_ms, uid = row[13:]
    return LeaseRow(
        number,
        name,
        state,
        names.spec(link, spec_id),
        names.shape(link, shape_id),
        priority,
        asked,
        granted,
        ended or 0,
        grace,
        expected,
        why,
        fence,
        expires,
        user_name,
        project_name,
        run,
        not wish,
        stop_reason,
        stop_why,
        limit_ms,
        warned_ms == expires,
        uid,
        place,
        tuple(share[1] for share in shares),
        shares[0][3] if shares else 0,
        bool(shares and shares[0][2]),
    )
