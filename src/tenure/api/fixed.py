"""What cannot be changed of a job that runs, because of the executor under which it runs.

Invariant: what waits or has ended is never refused here: nothing but its row is to change.
"""

from __future__ import annotations

from collections.abc import Sequence

from tenure.model.lifecycle import LIVE_STATES
from tenure.model.observations import Capabilities
from tenure.wire.dto import ErrorReply, JobView
from tenure.wire.requests import JobPatch


def may_be_fixed(wish: JobPatch, able: Capabilities) -> bool:
    """Whether a change may concern what this executor cannot change, so that one must look whether the jobs run."""
    return _limit(wish, able) or _amounts(wish, able)


def fixed(wish: JobPatch, jobs: Sequence[JobView], able: Capabilities) -> ErrorReply | None:
    """Why these jobs cannot be changed so; None where they can."""
    return (fixed_limit(jobs) if _limit(wish, able) else None) or (fixed_amounts(jobs) if _amounts(wish, able) else None)


def _limit(wish: JobPatch, able: Capabilities) -> bool:
    return wish.limit_ms is not None and not able.limit


def _amounts(wish: JobPatch, able: Capabilities) -> bool:
    return (wish.cpu_milli is not None or wish.memory_bytes is not None) and not able.resize


def fixed_limit(jobs: Sequence[JobView]) -> ErrorReply | None:
    """Why these jobs cannot get another time limit where the executor cannot change that of a job that runs."""
    for job in jobs:
        states = {job.state} if job.array is None else {state for state, count in job.array.states.items() if count}
        if states & LIVE_STATES:
            message = (
                f"job {job.id} runs, and its executor is of an earlier version, which cannot change a time limit that is under way"
            )
            remedy = f"tenure requeue {job.id} stops it and runs it again; while it waits its limit can be changed"
            return ErrorReply(code="limit_fixed", message=message, remedy=remedy)
    return None


def fixed_amounts(jobs: Sequence[JobView]) -> ErrorReply | None:
    """Why these jobs cannot hold other amounts where the executor cannot keep a job that runs to them. Of an array only what waits
    would change."""
    for job in jobs:
        if job.array is None and job.state in LIVE_STATES:
            message = f"job {job.id} runs where cpu and memory are not enforced by control groups, so what it holds cannot be changed"
            remedy = f"tenure doctor says why; tenure requeue {job.id} stops it and runs it again, and while it waits it can be changed"
            return ErrorReply(code="resize_fixed", message=message, remedy=remedy)
    return None
