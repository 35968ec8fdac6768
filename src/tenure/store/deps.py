"""Dependencies: what a job waits for, what an end lets go, and what can never be any more.

Invariant: ``job.blocked`` is the number of its dependency rows that are not satisfied, ``job.dependents`` the number of rows that
name it. A dependency that can never be satisfied cancels the job that waits for it, and says so.
"""

from __future__ import annotations

from sqlalchemy import select

from tenure.model.lifecycle import ENDED_STATES
from tenure.store.schema import dependency, job
from tenure.store.sql import InList, Link, Statement, const, insert, param

INSERT_DEPENDENCY = insert(dependency, "job_id", "on_job", "condition", "satisfied")
WAITING_ON = InList(
    lambda keys: (
        select(dependency.c.on_job, dependency.c.job_id, dependency.c.condition)
        .where(dependency.c.on_job.in_(keys), dependency.c.satisfied == const(0))
        .order_by(dependency.c.on_job, dependency.c.job_id)
    )
)
ON_JOBS = InList(
    lambda keys: (
        select(dependency.c.job_id, dependency.c.on_job, dependency.c.condition, dependency.c.satisfied, job.c.state)
        .join(job, job.c.id == dependency.c.on_job)
        .where(dependency.c.job_id.in_(keys))
        .order_by(dependency.c.job_id, dependency.c.on_job)
    )
)
SATISFY = Statement(
    dependency.update()
    .values(satisfied=const(1))
    .where(dependency.c.job_id == param("job"), dependency.c.on_job == param("on"), dependency.c.satisfied == const(0)),
    "job",
    "on",
)
UNBLOCK = Statement(job.update().values(blocked=job.c.blocked - const(1)).where(job.c.id == param("id")), "id")

CONDITIONS = ("ok", "any", "failed")
_ENDED = frozenset(state.value for state in ENDED_STATES)
_WISH = {"ok": "to succeed", "failed": "to fail"}


def verdict(condition: str, state: str) -> bool | None:
    """Whether a dependency holds, given the state of the job it names; None while that is open."""
    if state not in _ENDED:
        return None
    return condition == "any" or (condition == "ok") == (state == "succeeded")


def never_why(on_id: str, state: str, condition: str) -> str:
    """Why a dependency can never hold any more, as one sentence."""
    ended = {
        "succeeded": "succeeded",
        "failed": "failed",
        "cancelled": "was cancelled",
        "timed_out": "ran out of time",
        "lost": "was lost",
    }
    return f"job {on_id} {ended[state]}, and this job waits for it {_WISH[condition]}"


def find_cycle(link: Link, job_id: int, on_jobs: list[int]) -> list[int]:
    """The ids of a cycle that these dependencies of ``job_id`` would close, starting with it; empty when there is none."""
    parent: dict[int, int] = dict.fromkeys(on_jobs, job_id)
    front = sorted(parent)
    while front:
        if job_id in parent:
            path = [job_id]
            while (step := parent[path[-1]]) != job_id:
                path.append(step)
            return [job_id, *reversed(path[1:])]
        reached = link.rows_in(ON_JOBS, front)
        front = sorted({on for _, on, _, satisfied, _ in reached if not satisfied and on not in parent})
        for follower, on, _, satisfied, _ in reached:
            if not satisfied:
                parent.setdefault(on, follower)
    return []
