"""What may be spent under a token: so many GPU-hours, so many jobs and leases at a time, so long a lease.

Counted are the jobs that were submitted under it. Of GPU time one that has ended counts with what it used, any other with what it
may still come to: its time limit for each run that it may have. Invariant: no order of submissions, ends and renewals brings the sum
above the cap, because whatever would is refused before it is written; so nothing under a cap is run again or raised, only anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, func, select

from tenure.model.access import NO_CAPS, Caps
from tenure.model.amounts import format_duration_ms
from tenure.model.commands import LEASE, AcquireLease, Refused, RenewLease, RequeueJob, SubmitJob, UpdateJob
from tenure.model.shape import Shape
from tenure.store.rows import JobRow
from tenure.store.schema import job, shape
from tenure.store.sql import Statement, const, param
from tenure.store.tx import Transaction
from tenure.wire.ids import range_size

if TYPE_CHECKING:
    from tenure.store.submit import Submissions

_GPU = shape.c.gpu_milli * shape.c.tasks
_OPEN = case((job.c.ended_ms.is_(None), const(1)), else_=const(0))
_SIZE = case((job.c.array_size > const(0), job.c.array_left), else_=const(1))
_RUNS = job.c.retries - job.c.retried + const(1)
_AT_ONCE = case((job.c.array_size == const(0), const(1)), (job.c.array_cap < job.c.array_left, job.c.array_cap), else_=job.c.array_left)
SPENT = Statement(
    select(
        func.coalesce(func.sum(_GPU * (job.c.ran_ms + _OPEN * _SIZE * _RUNS * job.c.limit_ms)), const(0)),
        func.coalesce(func.sum(_OPEN * _AT_ONCE), const(0)),
    )
    .select_from(job.join(shape, shape.c.id == job.c.shape_id))
    .where(job.c.token_id == param("token"), job.c.token_id != const(0)),
    "token",
)
HOUR = 3_600_000_000
"""Thousandths of a GPU times milliseconds in a GPU-hour."""


def refuse_above(tx: Transaction, command: SubmitJob | AcquireLease, limit_ms: int, collected: Submissions) -> Refused | None:
    """Why a submission cannot be made under its caller's token."""
    caller, request = command.caller, command.request
    caps = caller.caps
    if caps == NO_CAPS:
        return None
    if request.kind == LEASE and caps.lease_ms and not 0 < limit_ms <= caps.lease_ms:
        return _over(f"a lease of {_time(limit_ms)}, where it allows {_time(caps.lease_ms)}")
    collected.write(tx)
    size = sum(range_size(item) for item in request.array) or 1
    at_once = min(size, request.array_cap) if request.array else 1
    gpu_milli = _gpus(request.shape)
    if caps.gpu_milli_ms and gpu_milli and not limit_ms:
        return _over("a job with GPUs and without a time limit; name one with --time")
    return _too_much(tx, caller.token, caps, gpu_milli * size * (request.retries + 1) * limit_ms, at_once)


def _too_much(tx: Transaction, token: int, caps: Caps, more_gpu: int, more_jobs: int) -> Refused | None:
    spent, jobs = tx.link.row(SPENT, token) or (0, 0)
    if caps.jobs and jobs + more_jobs > caps.jobs:
        return _over(f"{jobs + more_jobs} jobs and leases at a time, where it allows {caps.jobs}; wait until some have ended")
    if caps.gpu_milli_ms and more_gpu and spent + more_gpu > caps.gpu_milli_ms:
        asked, left = more_gpu / HOUR, max(0, caps.gpu_milli_ms - spent) / HOUR
        return _over(f"{asked:.2f} GPU-hours at most, of which it has {left:.2f} left; ask for less with --time or --gpus")
    return None


def refuse_renewal(tx: Transaction, command: RenewLease, row: JobRow, limit_ms: int, wanted_ms: int) -> Refused | None:
    """Why a lease cannot go on until ``wanted_ms`` after its start, under its caller's token."""
    caps = command.caller.caps
    if caps == NO_CAPS:
        return None
    if caps.lease_ms and wanted_ms > caps.lease_ms:
        return _over(f"leases of {_time(caps.lease_ms)} in all; release it and ask anew")
    return _too_much(tx, row.token_id, caps, _gpus(tx.names.shape(tx.link, row.shape_id)) * max(0, wanted_ms - limit_ms), 0)


def refuse_more(command: object, row: JobRow, present: Shape) -> Refused | None:
    """Why something under a cap cannot be run again, or raised: that would be spent without being counted."""
    caps = command.caller.caps if isinstance(command, RequeueJob | UpdateJob) else NO_CAPS
    if caps == NO_CAPS:
        return None
    if isinstance(command, RequeueJob):
        return _over("no job to be run again; submit it anew")
    assert isinstance(command, UpdateJob)
    longer = command.limit_ms is not None and not 0 < command.limit_ms <= (row.limit_ms or 2**62)
    raised = (
        longer
        or (command.retries is not None and command.retries > row.retries)
        or (command.array_cap is not None and command.array_cap > row.array_cap)
        or (command.shape is not None and _gpus(command.shape) > _gpus(present))
    )
    return _over("no job to be raised; submit it anew as it should be") if raised else None


def _gpus(value: Shape) -> int:
    return value.gpu_milli * value.tasks


def _time(value_ms: int) -> str:
    return format_duration_ms(value_ms) if value_ms else "any length"


def _over(what: str) -> Refused:
    return Refused("over_cap", f"the token does not cover this: {what}")
