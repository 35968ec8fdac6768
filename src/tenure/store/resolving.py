"""Resolving a conflict: who goes first is written as priorities, with who decided it and when.

By priority, one contender goes before the others. By fair sharing, contenders are put in the order of what their projects' and users'
jobs hold now, least first. The jobs are changed as by an update of the same caller: what they may not change refuses all of it.
Invariant: a resolution either changes all that it says or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import func, select

from tenure.model.commands import Answer, Applied, Refused, ResolveConflict, UpdateJob
from tenure.model.conflict import Resolution
from tenure.store.conflicts import RESOLVE, open_conflicts
from tenure.store.rows import JobRow, read_jobs
from tenure.store.schema import allocation, allocation_device, job
from tenure.store.sql import Statement, const
from tenure.store.tx import Transaction, to_json
from tenure.store.update import update

HIGHEST, LOWEST = 10, 1
_ACCOUNT = (job.c.project_id, job.c.user_id)
GPUS_HELD = Statement(
    select(*_ACCOUNT, func.sum(allocation_device.c.milli))
    .select_from(
        allocation.join(job, job.c.id == allocation.c.job_id).join(
            allocation_device,
            (allocation_device.c.attempt_id == allocation.c.attempt_id) & (allocation_device.c.task == allocation.c.task),
        )
    )
    .where(allocation.c.released_at_ms.is_(None))
    .group_by(*_ACCOUNT)
)
TASKS_HELD = Statement(
    select(*_ACCOUNT, func.count())
    .select_from(allocation.join(job, job.c.id == allocation.c.job_id))
    .where(allocation.c.released_at_ms.is_(None), allocation.c.behind == const(0))
    .group_by(*_ACCOUNT)
)


def resolve(tx: Transaction, command: ResolveConflict) -> Answer:
    """Resolve an open conflict in the chosen way."""
    row = next((row for row in open_conflicts(tx.link) if row.key == command.conflict and not row.resolved_ms), None)
    if row is None:
        return Refused("not_found", f"there is no open conflict {command.conflict}; see tenure conflicts")
    if command.way == Resolution.TIME_SLICING:
        return Refused("not_available", "no policy here takes turns by time slicing; resolve by priority or by fair sharing")
    waiting = {number: found for number, found in read_jobs(tx.link, row.contenders).items() if found.state in ("held", "pending")}
    if not waiting:
        return Refused("not_waiting", f"no contender of {command.conflict} waits any more; it closes by itself")
    if command.way == Resolution.PRIORITY:
        wanted = _by_priority(waiting, command.favour)
    elif command.way == Resolution.FAIR:
        wanted = _by_fairness(tx, waiting)
    else:
        return Refused("malformed", f"{command.way!r} is no way to resolve a conflict; choose {', '.join(Resolution)}")
    if isinstance(wanted, Refused):
        return wanted
    return _written(tx, command, row.id, {waiting[number].id: priority for number, priority in wanted.items()}, waiting)


def _by_priority(waiting: Mapping[int, JobRow], favour: int) -> dict[int, int] | Refused:
    """One job above all others; at the end of the scale the others come down."""
    if favour and favour not in waiting:
        return Refused("not_a_contender", f"job {favour} is no contender that waits; choose from {_named(waiting)}")
    first = favour or min(waiting, key=lambda number: (-waiting[number].priority, number))
    others = [number for number in sorted(waiting) if number != first]
    top = max([waiting[number].priority for number in others], default=waiting[first].priority)
    wanted = {first: min(max(top + 1, waiting[first].priority), HIGHEST)}
    return wanted | {number: HIGHEST - 1 for number in others if waiting[number].priority >= wanted[first]}


def _by_fairness(tx: Transaction, waiting: Mapping[int, JobRow]) -> dict[int, int] | Refused:
    """One step of priority less for each project and user that holds more."""
    if len(waiting) < 2:
        return Refused("one_contender", "one job alone cannot share; resolve by priority")
    gpus = {(project, user): held for project, user, held in tx.link.rows(GPUS_HELD)}
    tasks = {(project, user): held for project, user, held in tx.link.rows(TASKS_HELD)}
    first = {account: min(jobs) for account, jobs in _accounts(waiting).items()}
    ranked = sorted(first, key=lambda account: (gpus.get(account, 0), tasks.get(account, 0), first[account]))
    if len(ranked) < 2:
        return Refused("one_contender", "all contenders are of one user of one project; resolve by priority")
    top = min(max(row.priority for row in waiting.values()) + 1, HIGHEST)
    jobs = _accounts(waiting)
    return {number: max(top - rank, LOWEST) for rank, account in enumerate(ranked) for number in jobs[account]}


def _accounts(waiting: Mapping[int, JobRow]) -> dict[tuple[int, int], list[int]]:
    found: dict[tuple[int, int], list[int]] = {}
    for number in sorted(waiting):
        found.setdefault((waiting[number].project_id, waiting[number].user_id), []).append(number)
    return found


def _written(
    tx: Transaction, command: ResolveConflict, number: int, wanted: Mapping[int, int], waiting: Mapping[int, JobRow]
) -> Answer:
    changed = {job_id: priority for job_id, priority in wanted.items() if waiting[job_id].priority != priority}
    names, acts_on = tx.names, command.caller.acts_on
    foreign = [
        job_id
        for job_id in sorted(changed)
        if not acts_on(waiting[job_id].uid, names.project_name(tx.link, waiting[job_id].project_id))
    ]
    if foreign:
        return Refused("not_yours", f"job {foreign[0]} belongs to another user; ask them, or an operator")
    for job_id in sorted(changed):
        update(tx, UpdateJob("", command.caller, job_id, priority=changed[job_id]), waiting[job_id])
    said = ", ".join(f"job {job_id} has priority {changed[job_id]}" for job_id in sorted(changed)) or "the order is so already"
    said = f"{command.way}: {said}"
    tx.link.write(RESOLVE, said, command.caller.user, tx.now_ms, number)
    told = {"id": command.conflict, "way": command.way, "by": command.caller.user, "what": said}
    return Applied(0, tx.emit("conflict.resolved", data=to_json(told)), note=said)


def _named(waiting: Iterable[int]) -> str:
    return ", ".join(str(number) for number in sorted(waiting))
