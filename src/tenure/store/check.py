"""Every invariant of the store, derived again from rows. An empty answer is what ``doctor --check-store`` and the tests want to see.

What a project may hold is a setting and not a row: who has lowered it since breaks nothing, so of each project the attempts that this
store has begun are judged, together with those that were there before and hold something still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from sqlalchemy import case, func, select

from tenure.model.amounts import RESOURCES
from tenure.model.lifecycle import ENDED_STATES, LIVE_STATES
from tenure.model.outcomes import Violation
from tenure.model.project import NO_BOUNDS, SHARED, UNLIMITED, Bundle, Project
from tenure.store import deps, resizing, resting
from tenure.store.arrays import END_COLUMNS, ENDS
from tenure.store.audit import check_audit
from tenure.store.counts import check_counts
from tenure.store.leased import check_leases
from tenure.store.schema import (
    account,
    allocation,
    allocation_device,
    attempt,
    dependency,
    device,
    event,
    job,
    meta,
    node_capacity,
)
from tenure.store.sql import Link, Statement, const, param
from tenure.store.windows import ALL, ReservationRow, past

CAPACITY = Statement(select(node_capacity.c.node_id, node_capacity.c.resource, node_capacity.c.used))
HELD = Statement(
    select(allocation.c.node_id, *(func.sum(allocation.c[name]) for name in RESOURCES))
    .where(allocation.c.released_at_ms.is_(None), allocation.c.behind == const(0))
    .group_by(allocation.c.node_id)
)
DEVICES = Statement(select(device.c.id, device.c.used_milli, device.c.used_memory))
DEVICES_HELD = Statement(
    select(allocation_device.c.device_id, func.sum(allocation_device.c.milli), func.sum(allocation_device.c.memory_bytes))
    .where(allocation_device.c.released_at_ms.is_(None))
    .group_by(allocation_device.c.device_id)
)
_OWNER = (job.c.project_id, job.c.user_id)
_OWNED = allocation.join(attempt, attempt.c.id == allocation.c.attempt_id).join(job, job.c.id == attempt.c.job_id)
OWNED = Statement(
    select(*_OWNER, func.sum(allocation.c.cpu_milli), func.sum(allocation.c.memory_bytes), const(0))
    .select_from(_OWNED)
    .where(allocation.c.released_at_ms.is_(None), allocation.c.behind == const(0))
    .group_by(*_OWNER)
)
_OWNED_DEVICES = allocation_device.join(attempt, attempt.c.id == allocation_device.c.attempt_id).join(job, job.c.id == attempt.c.job_id)
OWNED_DEVICES = Statement(
    select(*_OWNER, const(0), const(0), func.sum(allocation_device.c.milli))
    .select_from(_OWNED_DEVICES)
    .where(allocation_device.c.released_at_ms.is_(None))
    .group_by(*_OWNER)
)
_EACH = (job.c.project_id, attempt.c.id)
EACH = Statement(
    select(*_EACH, func.sum(allocation.c.cpu_milli), func.sum(allocation.c.memory_bytes), const(0))
    .select_from(_OWNED)
    .where(allocation.c.released_at_ms.is_(None), allocation.c.behind == const(0))
    .group_by(*_EACH)
)
EACH_DEVICES = Statement(
    select(*_EACH, const(0), const(0), func.sum(allocation_device.c.milli))
    .select_from(_OWNED_DEVICES)
    .where(allocation_device.c.released_at_ms.is_(None))
    .group_by(*_EACH)
)
ACCOUNTS = Statement(
    select(account.c.project_id, account.c.user_id, account.c.held_cpu_milli, account.c.held_memory_bytes, account.c.held_gpu_milli)
)
SHARE_STATES = Statement(
    select(
        allocation.c.attempt_id,
        allocation.c.task,
        allocation.c.state,
        allocation.c.released_at_ms,
        allocation.c.devices,
        func.count(allocation_device.c.device_id),
        func.sum(case((allocation_device.c.released_at_ms.is_(None), const(1)), else_=const(0))),
    )
    .select_from(
        allocation.outerjoin(
            allocation_device,
            (allocation_device.c.attempt_id == allocation.c.attempt_id) & (allocation_device.c.task == allocation.c.task),
        )
    )
    .group_by(allocation.c.attempt_id, allocation.c.task, allocation.c.state, allocation.c.released_at_ms, allocation.c.devices)
)
ROOMS = Statement(
    select(
        allocation.c.room,
        allocation.c.attempt_id,
        allocation.c.behind,
        allocation.c.devices,
        allocation.c.node_id,
        *(allocation.c[name] for name in RESOURCES),
    )
    .where(allocation.c.released_at_ms.is_(None), (allocation.c.room.is_not(None)) | (allocation.c.behind != const(0)))
    .order_by(allocation.c.room, allocation.c.attempt_id)
)
EVENTS = Statement(select(func.count(), func.min(event.c.cursor), func.max(event.c.cursor)).select_from(event))
META = Statement(select(meta.c.job_seq, meta.c.attempt_seq, meta.c.allocation_seq, meta.c.event_seq, meta.c.event_floor))
GREATEST = Statement(
    select(
        select(func.coalesce(func.max(job.c.id), const(0))).scalar_subquery(),
        select(func.coalesce(func.max(attempt.c.id), const(0))).scalar_subquery(),
        select(func.coalesce(func.max(allocation.c.id), const(0))).scalar_subquery(),
    )
)
JOBS = Statement(
    select(
        job.c.id,
        job.c.state,
        job.c.attempt_id,
        job.c.ended_ms,
        job.c.array_id,
        job.c.array_position,
        job.c.array_size,
        job.c.blocked,
        job.c.dependents,
    ).order_by(job.c.id)
)
ATTEMPTS = Statement(
    select(
        attempt.c.id,
        attempt.c.job_id,
        attempt.c.tasks,
        attempt.c.ended_ms,
        func.count(allocation.c.task),
        func.sum(case((allocation.c.released_at_ms.is_(None), const(1)), else_=const(0))),
        func.sum(case((allocation.c.ended_ms.is_(None), const(1)), else_=const(0))),
    )
    .join(allocation, allocation.c.attempt_id == attempt.c.id)
    .group_by(attempt.c.id, attempt.c.job_id, attempt.c.tasks, attempt.c.ended_ms)
    .order_by(attempt.c.id)
)
TEMPLATES = Statement(
    select(
        job.c.id,
        job.c.state,
        job.c.ended_ms,
        job.c.array_size,
        job.c.array_next,
        job.c.array_left,
        job.c.array_dropped,
        job.c.array_live,
        *(job.c[name] for name in END_COLUMNS),
    )
    .where(job.c.array_size > const(0))
    .order_by(job.c.id)
)
DEPENDENCIES = Statement(
    select(dependency.c.job_id, dependency.c.on_job, dependency.c.condition, dependency.c.satisfied).order_by(
        dependency.c.job_id, dependency.c.on_job
    )
)

STARTS_SINCE = Statement(
    select(attempt.c.id, attempt.c.committed_ms, attempt.c.limit_ms, allocation.c.node_id, job.c.project_id, job.c.user_id)
    .select_from(_OWNED)
    .where(attempt.c.id >= param("first"))
    .order_by(attempt.c.id, allocation.c.task),
    "first",
)
DEVICES_SINCE = Statement(
    select(allocation_device.c.attempt_id, allocation_device.c.device_id).where(allocation_device.c.attempt_id >= param("first")),
    "first",
)
MOST_RESERVATIONS = 100_000
"""More than can be kept."""

_LIVE = frozenset(state.value for state in LIVE_STATES)
_ENDED = frozenset(state.value for state in ENDED_STATES)
Found = Iterator[Violation]


def check(link: Link, projects: Iterable[Project] = (), known_attempts: int = 0) -> list[Violation]:
    """Every invariant that does not hold. ``projects`` have their numbers; their bounds count for attempts with a greater id than
    ``known_attempts``."""
    parts: tuple[Callable[[Link], Found], ...] = (
        _check_use,
        _check_devices,
        _check_accounts,
        _check_shares,
        _check_rooms,
        resting.violations,
        resizing.violations,
        _check_counters,
        _check_jobs,
        _check_arrays,
        _check_dependencies,
        check_leases,
        _check_reservations,
        check_audit,
        check_counts,
    )
    found = [violation for part in parts for violation in part(link)]
    return [*found, *_check_maxima(link, projects, known_attempts)]


def _check_use(link: Link) -> Found:
    held = {(row[0], name): amount for row in link.rows(HELD) for name, amount in zip(RESOURCES, row[1:], strict=True)}
    for node_id, resource, used in link.rows(CAPACITY):
        expected = held.pop((node_id, resource), 0)
        if used != expected:
            yield Violation("use_is_the_sum_of_rows", f"node {node_id} {resource}", f"{used} is written, rows hold {expected}")
    for (node_id, resource), amount in sorted(held.items()):
        if amount:
            yield Violation(
                "use_is_the_sum_of_rows", f"node {node_id} {resource}", f"rows hold {amount} of what the node does not have"
            )


def _check_devices(link: Link) -> Found:
    held = {row[0]: (row[1], row[2]) for row in link.rows(DEVICES_HELD)}
    for number, milli, memory in link.rows(DEVICES):
        if (milli, memory) != held.get(number, (0, 0)):
            yield Violation(
                "device_use_is_the_sum_of_rows", f"device {number}", f"{(milli, memory)} is written, rows hold {held.get(number)}"
            )


def _check_accounts(link: Link) -> Found:
    held: dict[tuple[int, int], list[int]] = {}
    for project, user, *amounts in (*link.rows(OWNED), *link.rows(OWNED_DEVICES)):
        own = held.setdefault((project, user), [0, 0, 0])
        held[project, user] = [old + more for old, more in zip(own, amounts, strict=True)]
    for project, user, *written in link.rows(ACCOUNTS):
        found = held.pop((project, user), [0, 0, 0])
        if found != written:
            yield Violation(
                "accounts_are_the_sum_of_rows", f"project {project} user {user}", f"{written} is written, rows hold {found}"
            )
    for (project, user), found in sorted(held.items()):
        yield Violation("accounts_are_the_sum_of_rows", f"project {project} user {user}", f"nothing is written, rows hold {found}")


def _check_maxima(link: Link, projects: Iterable[Project], known_attempts: int) -> Found:
    """What held something when an attempt began and still does held it then: it must have been within the bounds together."""
    most = {project.id: project.most for project in projects if project.most != NO_BOUNDS}
    held: dict[int, Bundle] = {}
    rows = [*link.rows(EACH), *link.rows(EACH_DEVICES)] if most else []
    for project, number, *amounts in sorted(rows):
        together = held[project] = held.get(project, Bundle()).plus(Bundle(*amounts))
        if project not in most or number <= known_attempts:
            continue
        for name, amount, own, bound in zip(SHARED, together, amounts, most[project], strict=True):
            if own and bound != UNLIMITED and amount > bound:
                yield Violation(
                    "no_project_exceeds_its_maximum", f"project {project}", f"attempt {number} made it {amount} {name} of {bound}"
                )


def _check_shares(link: Link) -> Found:
    for attempt_id, task, state, released, devices, shares, held in link.rows(SHARE_STATES):
        subject = f"attempt {attempt_id} task {task}"
        if (state == "released") != (released is not None):
            yield Violation("released_has_a_time", subject, f"state {state}, released at {released}")
        if devices != shares or (shares and held != (0 if released is not None else shares)):
            yield Violation("devices_follow_their_allocation", subject, f"{devices} devices, {shares} rows, {held} held, state {state}")


def _check_rooms(link: Link) -> Found:
    members: dict[int, list[tuple[int, ...]]] = {}
    for room, *member in link.rows(ROOMS):
        members.setdefault(room or 0, []).append(tuple(member))
    for room, held in sorted(members.items()):
        counted = [attempt_id for attempt_id, behind, *_ in held if not behind]
        if len(counted) != 1 or not room:
            yield Violation("one_of_a_room_counts", f"room {room}", f"attempts {counted} of {[member[0] for member in held]} count")
        if len({member[2:] for member in held}) != 1 or held[0][2]:
            yield Violation("a_room_stays_the_same", f"room {room}", f"its members hold {[member[2:] for member in held]}")


def _check_counters(link: Link) -> Found:
    jobs, attempts, allocations, events, floor = link.row(META) or (0, 0, 0, 0, 0)
    count, first, last = link.row(EVENTS) or (0, None, None)
    if count and (first != floor + 1 or last != events or count != last - first + 1):
        yield Violation("cursors_are_dense", "event", f"{count} events from {first} to {last}; floor {floor}, last {events}")
    if not count and events != floor:
        yield Violation("cursors_are_dense", "event", f"no events; floor {floor}, last {events}")
    greatest = link.row(GREATEST) or (0, 0, 0)
    for name, counter, found in zip(("job", "attempt", "allocation"), (jobs, attempts, allocations), greatest, strict=True):
        if found > counter:
            yield Violation("ids_come_from_counters", name, f"the counter is {counter}, a row has {found}")


def _check_jobs(link: Link) -> Found:
    attempts = {row[0]: row[1:] for row in link.rows(ATTEMPTS)}
    holding = {(row[0], number) for number, row in attempts.items() if row[4]}
    named = set()
    for number, state, attempt_id, ended_ms, _, _, array_size, _, _ in link.rows(JOBS):
        if (state in _ENDED) != (ended_ms is not None):
            yield Violation("ended_has_a_time", f"job {number}", f"state {state}, ended at {ended_ms}")
        if attempt_id:
            named.add((number, attempt_id))
        if not array_size and state in _LIVE and (attempt_id not in attempts or attempts[attempt_id][2] is not None):
            yield Violation("live_job_has_an_attempt", f"job {number}", f"state {state}, attempt {attempt_id}")
        if state not in _LIVE and attempt_id in attempts and attempts[attempt_id][2] is None:
            yield Violation("live_attempt_has_a_live_job", f"job {number}", f"state {state}, attempt {attempt_id} has not ended")
    for job_id, attempt_id in sorted(holding ^ named):
        yield Violation("job_names_what_it_holds", f"job {job_id}", f"attempt {attempt_id} is held or named, not both")
    for number, (_, tasks, ended_ms, rows, _, alive) in attempts.items():
        if rows != tasks:
            yield Violation("gang_is_whole", f"attempt {number}", f"{tasks} tasks, {rows} rows")
        if (ended_ms is not None) != (alive == 0):
            yield Violation("attempt_ends_with_its_tasks", f"attempt {number}", f"ended at {ended_ms}, {alive} tasks have not")


def _check_arrays(link: Link) -> Found:
    elements: dict[int, list[tuple[int, str]]] = {}
    for _, state, _, _, array_id, position, _, _, _ in link.rows(JOBS):
        if array_id is not None:
            elements.setdefault(array_id, []).append((position, state))
    for number, state, ended_ms, size, following, left, dropped, live, *ends in link.rows(TEMPLATES):
        rows = elements.get(number, [])
        subject = f"array {number}"
        if left + dropped + len(rows) != size or (left and dropped):
            yield Violation("elements_add_up", subject, f"{left} left, {dropped} dropped, {len(rows)} rows of {size}")
        positions = {position for position, _ in rows}
        if left and (following in positions or not positions.issuperset(range(following))):
            yield Violation("next_is_the_first_free", subject, f"next {following}, rows at {sorted(positions)[:20]}")
        if live != sum(state in _LIVE for _, state in rows):
            yield Violation("live_elements_are_counted", subject, f"{live} counted")
        counts = [sum(one == name for _, one in rows) for name in ENDS]
        counts[ENDS["cancelled"]] += dropped
        if counts != ends:
            yield Violation("ended_elements_are_counted", subject, f"{ends} counted, rows say {counts}")
        if (sum(ends) == size) != (ended_ms is not None) or (left > 0) != (state in ("held", "pending")):
            yield Violation("array_ends_with_its_elements", subject, f"{sum(ends)} of {size} ended, {left} left, state {state}")


def _check_dependencies(link: Link) -> Found:
    states = {row[0]: row[1] for row in link.rows(JOBS)}
    blocked: dict[int, int] = {}
    dependents: dict[int, int] = {}
    waits: dict[int, list[int]] = {}
    for job_id, on_job, condition, satisfied in link.rows(DEPENDENCIES):
        dependents[on_job] = dependents.get(on_job, 0) + 1
        if satisfied:
            continue
        blocked[job_id] = blocked.get(job_id, 0) + 1
        waits.setdefault(job_id, []).append(on_job)
        if states[job_id] in ("held", "pending") and deps.verdict(condition, states[on_job]) is not None:
            yield Violation("ends_are_passed_on", f"job {job_id}", f"job {on_job} is {states[on_job]}, condition {condition}")
    for number, _, _, _, _, _, _, blocked_by, named_by in link.rows(JOBS):
        if blocked_by != blocked.get(number, 0) or named_by != dependents.get(number, 0):
            yield Violation("dependencies_are_counted", f"job {number}", f"blocked {blocked_by}, dependents {named_by}")
    for number in sorted(waits):
        if any(on_job >= number for on_job in waits[number]) and deps.find_cycle(link, number, waits[number]):
            yield Violation("nobody_waits_for_himself", f"job {number}", "its dependencies form a cycle")


def _check_reservations(link: Link) -> Found:
    rows = past(link, ALL, 0, 0, MOST_RESERVATIONS)
    for number, row in enumerate(rows):
        if not row.parts:
            yield Violation("reservations_have_parts", f"reservation {row.id}", "nothing is set aside")
        for other in rows[:number]:
            if _want_the_same(row, other):
                yield Violation("reservations_exclude_each_other", f"reservation {row.id}", f"{other.name} wants the same room then")
    if rows:
        yield from _check_starts(link, rows)


def _want_the_same(row: ReservationRow, other: ReservationRow) -> bool:
    """Whether two reservations that stand want the whole or a device of one node at one time."""
    apart = row.from_ms >= other.until_ms or other.from_ms >= row.until_ms
    if apart or row.removed_ms is not None or other.removed_ms is not None:
        return False
    pairs = [(part, their) for part in row.parts for their in other.parts if part.node_id == their.node_id]
    return any(part.whole or their.whole or set(part.devices) & set(their.devices) for part, their in pairs)


def _check_starts(link: Link, rows: Sequence[ReservationRow]) -> Found:
    """What was started since a reservation was made, and is not for it, keeps out of its nodes and devices while it lasts."""
    devices: dict[int, set[int]] = {}
    first = min(row.first_attempt for row in rows)
    for attempt_id, device_id in link.rows(DEVICES_SINCE, first):
        devices.setdefault(attempt_id, set()).add(device_id)
    for attempt_id, committed_ms, limit_ms, node_id, project, user in link.rows(STARTS_SINCE, first):
        for row in rows:
            window = row.window
            knew = attempt_id >= row.first_attempt and (row.removed_ms is None or committed_ms < row.removed_ms)
            if knew and window.meets(committed_ms, limit_ms) and not window.admits(project, user):
                part = next((part for part in row.parts if part.node_id == node_id), None)
                if part is not None and (part.whole or devices.get(attempt_id, set()).intersection(part.devices)):
                    yield Violation("starts_keep_out_of_reservations", f"attempt {attempt_id}", f"it runs into {row.name}")
