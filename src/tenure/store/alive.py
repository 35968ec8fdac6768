"""What executors must still be told and what they must still have: derived from rows, so that asking twice gives the same answer."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from tenure.model.allocation import DeviceShare
from tenure.model.lifecycle import AllocationState
from tenure.model.observations import EndReason, Launch, Observation, TaskEmptied, TaskEnded
from tenure.model.outcomes import Commands
from tenure.store import resizing, wishes
from tenure.store.attempts import read_attempts
from tenure.store.launches import in_room, launch_of
from tenure.store.rows import read_jobs
from tenure.store.schema import allocation, attempt
from tenure.store.snapshot import SHARES_BY_ATTEMPT
from tenure.store.sql import InList, Link, Statement, const
from tenure.store.tx import Transaction

LIVE = Statement(
    select(allocation.c.attempt_id, allocation.c.task)
    .where(allocation.c.released_at_ms.is_(None))
    .order_by(allocation.c.attempt_id, allocation.c.task)
)
LAUNCHING = Statement(
    select(allocation.c.attempt_id, allocation.c.task)
    .where(allocation.c.released_at_ms.is_(None), allocation.c.state == const(AllocationState.LAUNCHING.value))
    .order_by(allocation.c.attempt_id, allocation.c.task)
)
PLACES = InList(
    lambda keys: (
        select(
            allocation.c.attempt_id,
            allocation.c.task,
            allocation.c.job_id,
            allocation.c.node_id,
            allocation.c.stdout,
            allocation.c.stderr,
            attempt.c.number,
            attempt.c.limit_ms,
            allocation.c.room,
        )
        .join(attempt, attempt.c.id == allocation.c.attempt_id)
        .where(allocation.c.attempt_id.in_(keys))
        .order_by(allocation.c.attempt_id, allocation.c.task)
    )
)


def live_tasks(link: Link) -> list[tuple[int, int]]:
    """The tasks whose allocation is not released, sorted."""
    return [(attempt_id, task) for attempt_id, task in link.rows(LIVE)]


def claim_commands(tx: Transaction, *, launches: bool = True) -> Commands:
    """Launches that nobody confirmed, and signals that not every task has heard."""
    return Commands(_launches(tx) if launches else (), (*wishes.due(tx), *resizing.due(tx)))


def _launches(tx: Transaction) -> tuple[Launch, ...]:
    wanted = {(attempt_id, task) for attempt_id, task in tx.link.rows(LAUNCHING)}
    attempts = sorted({attempt_id for attempt_id, _ in wanted})
    places = tx.link.rows_in(PLACES, attempts)
    jobs = read_jobs(tx.link, sorted({row[2] for row in places}))
    peers: dict[int, list[str]] = {}
    for row in places:
        peers.setdefault(row[0], []).append(tx.names.node_name(tx.link, row[3]))
    shares: dict[tuple[int, int], list[DeviceShare]] = {}
    for attempt_id, task, device_id, milli, memory in tx.link.rows_in(SHARES_BY_ATTEMPT, attempts):
        shares.setdefault((attempt_id, task), []).append(DeviceShare(device_id, milli, memory))
    found = []
    for attempt_id, task, job_id, node_id, stdout, stderr, number, limit_ms, room in places:
        if (attempt_id, task) in wanted:
            job = jobs[job_id]
            node = tx.names.node_name(tx.link, node_id)
            devices = tuple(shares.get((attempt_id, task), ()))
            shape = tx.names.shape(tx.link, job.shape_id)
            names = tuple(peers[attempt_id])
            launch = launch_of(tx, job, shape, attempt_id, number, task, node, names, devices, limit_ms, (stdout, stderr))
            found.append(in_room(launch, room, tx.settings.plan) if room else launch)
    return tuple(found)


def ends_of_missing(tx: Transaction, keys: Sequence[tuple[int, int]]) -> tuple[list[Observation], int]:
    """Unknown ends for tasks that their executor does not know, and how many of the keys call for none."""
    attempts = read_attempts(tx.link, sorted({attempt_id for attempt_id, _ in keys}))
    tasks = {(task.attempt_id, task.task): task for entry in attempts.values() for task in entry.tasks}
    found: list[Observation] = []
    for key in sorted(set(keys)):
        task = tasks.get(key)
        if task is None or task.state in (AllocationState.LAUNCHING.value, AllocationState.RELEASED.value):
            continue
        if task.ended_ms is None:
            why = "its executor does not know it any more"
            found.append(TaskEnded(*key, task.fence, EndReason.UNKNOWN, None, ended_at_ms=tx.now_ms, why=why))
        else:
            found.append(TaskEmptied(*key, task.fence))
    return found, len(keys) - len(found)
