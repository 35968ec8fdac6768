"""Routes of leases: ask for one and wait for it, renew it, give it back, look.

Who waits follows the one job that a lease is, and reads its rows whenever something became of it. A call waits `MAX_POLL_MS` at most;
the wait itself is bounded in the store, so it ends whoever asks, dies or restarts. Invariant: what is answered is true in the store:
a grant was confirmed by the executor, a renewal was heard by it, a release has freed the room.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.bus import Follower
from tenure.api.context import ApiError, Context, answer, body_of, caller_from, context_of
from tenure.api.jobs import done, refused
from tenure.api.paging import page_of
from tenure.api.parameters import Cursor, Limit, Named, Number, Seen, Wait
from tenure.api.peer import PEER_PID
from tenure.api.routes import Routes
from tenure.control.admission import Inadmissible
from tenure.control.granting import check_ttl, digest_of, lease_command
from tenure.model.access import Permission
from tenure.model.commands import Answer, Applied, Caller, Holder, Refused, ReleaseLease, RenewLease, UpdateJob
from tenure.model.shape import Shape
from tenure.store.leased import LeaseRow
from tenure.wire import ROOT
from tenure.wire.dto import ErrorReply
from tenure.wire.leases import ENDING, EXPIRING, HELD, OVER, WAITING, LeaseRequest, LeasesReply, LeaseView, ReleaseRequest, RenewRequest

routes = Routes(ROOT)
MAX_POLL_MS = 30_000
_REFUSALS = ("not_found", "wrong_token", "timed_out_waiting", "not_granted", "no_leases", "key_reused", "never_fits", "no_pool")
LOOK_AGAIN_S = 5.0
"""So often somebody who waits looks although nobody told him to: it bounds the damage of a wake-up that is lost."""
TIMED_OUT = "timed out waiting"


@routes.post("/leases", LeaseRequest, LeaseView, statuses=(201, 202), errors=_REFUSALS, needs=Permission.JOBS_WRITE)
async def acquire(request: Request) -> Response:
    """Ask for a lease, and wait for it for a while; a repetition waits on."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, LeaseRequest)
    if not context.loop.ports.executor.capabilities().leases:
        why = "the supervisor that runs is of an earlier version, which cannot hold leases; it goes when its jobs have ended"
        raise ApiError(409, ErrorReply(code="no_leases", message=why, remedy="tenure down && tenure up, once nothing runs"))
    holder = context.holder_of(request.scope.get(PEER_PID, 0)) if wish.bound else Holder()
    with _admitted():
        command, smaller = lease_command(context.admission(caller), wish, caller, holder, context.max_ttl_ms)
    with context.bus.follow() as told:
        given = await done(context, command, lambda answers: _named(told, answers))
        await _go_down(context, given, smaller[-1:] if given.replayed else smaller, caller)
        is_new = not given.replayed and not smaller
        wait_ms = min(wish.poll_ms, MAX_POLL_MS)
        row = await _until(context, told, lambda row: row.is_held or row.is_over, wait_ms, is_new=is_new)
    if row.is_over and not row.granted_ms:
        raise _not_granted(row)
    return answer(view_of(context, row, is_holder=True), 201 if row.is_held else 202)


@routes.post(
    "/leases/{number}/renew",
    RenewRequest,
    LeaseView,
    errors=("wrong_token", "not_held", "lease_ending", "lease_over"),
    needs=Permission.JOBS_WRITE,
)
async def renew(request: Request, number: Number) -> Response:
    """Let a lease end later than it would; answered once its executor keeps the new end."""
    context = context_of(request)
    wish = await body_of(request, RenewRequest)
    with _admitted():
        check_ttl(wish.ttl_ms, context.max_ttl_ms)
    await done(context, RenewLease("", caller_from(request), number, digest_of(wish.token), wish.ttl_ms))
    with context.bus.follow(number) as told:
        row = await _until(context, told, lambda row: row.is_settled or row.is_over, MAX_POLL_MS)
    if row.is_over:
        raise _over(row)
    return answer(view_of(context, row, is_holder=True))


@routes.post("/leases/{number}/release", ReleaseRequest, LeaseView, errors=("wrong_token",), needs=Permission.JOBS_WRITE)
async def release(request: Request, number: Number) -> Response:
    """Give a lease back, or withdraw one that waits; answered once others can have what it held."""
    context = context_of(request)
    wish = await body_of(request, ReleaseRequest)
    await done(context, ReleaseLease("", caller_from(request), number, digest_of(wish.token)))
    return answer(view_of(context, _lease(context, number)))


@routes.get("/leases", LeasesReply, needs=Permission.JOBS_READ)
async def listing(
    request: Request, phase: Seen = "", user: Named = "", project: Named = "", node: Named = "", limit: Limit = 100, cursor: Cursor = ""
) -> Response:
    """A page of the leases that are held or waited for, by number; filters are joined by *and*."""
    context = context_of(request)
    caller, rows = caller_from(request), await asyncio.to_thread(context.queries.open_leases)
    wanted = [
        row
        for row in rows
        if caller.sees(row.uid, row.project)
        and phase in ("", phase_of(row))
        and (user in ("", row.user) and project in ("", row.project) and node in ("", row.place.name))
    ]
    page, more = page_of("leases", wanted, lambda row: (row.number,), limit, cursor)
    return answer(LeasesReply(leases=[view_of(context, row) for row in page], next=more))


@routes.get("/leases/{number}", LeaseView, needs=Permission.JOBS_READ)
async def show(request: Request, number: Number, seen: Seen = "", wait_ms: Wait = 0) -> Response:
    """One lease, at once or when its phase is another one than ``seen``."""
    context, caller = context_of(request), caller_from(request)
    if not caller.sees((row := _lease(context, number)).uid, row.project):
        raise _no_lease(number)
    with context.bus.follow(number) as told:
        row = await _until(context, told, lambda row: phase_of(row) != seen, min(max(0, wait_ms), MAX_POLL_MS))
    return answer(view_of(context, row))


def phase_of(row: LeaseRow) -> str:
    """Where a lease stands, as its holder sees it."""
    if row.is_over:
        return OVER
    if not row.is_held:
        return WAITING
    if row.stop_reason:
        return ENDING
    return EXPIRING if row.is_warned else HELD


def view_of(context: Context, row: LeaseRow, *, is_holder: bool = False) -> LeaseView:
    """A lease as the wire shows it."""
    amounts, holder = row.shape.amounts, row.spec.holder
    phase, now_ms = phase_of(row), context.loop.clock.now_ms()
    return LeaseView(
        id=str(row.number),
        number=row.number,
        phase=phase,
        state=row.state,
        name=row.name,
        user=row.user,
        project=row.project,
        purpose=" ".join(row.spec.argv)[:200],
        why=_why(row),
        fence=row.fence if row.granted_ms else 0,
        node=row.place.name,
        devices=list(row.devices),
        pretend=row.pretend,
        cpu_milli=amounts.cpu_milli,
        memory_bytes=amounts.memory_bytes,
        storage_bytes=amounts.storage_bytes,
        bandwidth_bps=amounts.bandwidth_bps,
        gpu_milli=row.shape.gpu_milli,
        gpu_memory_bytes=row.launch.gpu_memory_bytes,
        priority=row.priority,
        pid=holder.pid if holder is not None else 0,
        asked_ms=row.asked_ms,
        granted_ms=row.granted_ms,
        expires_ms=row.expires_ms,
        left_ms=0 if row.is_over else max(0, row.expires_ms - now_ms),
        ended_ms=row.ended_ms,
        grace_ms=row.grace_ms,
        expected_ms=row.expected_ms,
        has_price=row.place.upkeep.has_price,
        price_micro=row.price_micro,
        cost_micro=row.cost_micro(now_ms),
        env=_environment(context, row) if is_holder and row.is_held else {},
    )


def _environment(context: Context, row: LeaseRow) -> dict[str, str]:
    own = {"TENURE_LEASE": str(row.number), "TENURE_LEASE_FENCE": str(row.fence)}
    return {**context.environment_of(row.launch), **own}


def _why(row: LeaseRow) -> str:
    """Why it ends or is over."""
    if row.is_over:
        return row.why or row.stop_why
    if row.stop_reason:
        return row.stop_why
    return "its time to live is nearly over; renew it" if row.is_warned else ""


async def _go_down(context: Context, given: Applied, shapes: Sequence[Shape], caller: Caller) -> None:
    """While the lease does not start, ask for less: each shape has a plan of its own, whatever the policy. The last waits."""
    for shape in shapes:
        await context.on_control(_nothing)  # the turn that took in the shape before has planned
        row = context.queries.lease(given.job_id)
        if row is None or row.state not in ("held", "pending") or row.shape == shape:
            return
        await context.apply([UpdateJob("", caller, given.job_id, shape=shape)])


def _named(told: Follower, answers: Sequence[Answer]) -> None:
    """Let it follow the lease that was asked for."""
    for given in answers:
        if isinstance(given, Applied):
            told.name(given.job_id)


def _nothing() -> None:
    """To be called between two turns."""


async def _until(
    context: Context, told: Follower, holds: Callable[[LeaseRow], bool], poll_ms: int, *, is_new: bool = False
) -> LeaseRow:
    """The lease that is followed once this holds, or as it is when the time is over. Raises ApiError when there is none.

    ``is_new``: it has been followed since it was asked for, so whatever became of it has rung, and nobody need look before that."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + max(0, poll_ms) / 1000
    while True:
        if not is_new:
            told.clear()
            row = _lease(context, told.job_id)
            if holds(row) or clock.time() >= deadline:
                return row
        is_new = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(deadline - clock.time(), LOOK_AGAIN_S)):
                await told.wait()


def _lease(context: Context, number: int) -> LeaseRow:
    """The lease as it is. Raises ApiError when there is none."""
    row = context.queries.lease(number)
    if row is None:
        raise _no_lease(number)
    return row


def _no_lease(number: int) -> ApiError:
    return refused(Refused("not_found", f"there is no lease {number}; see tenure lease list"))


def _not_granted(row: LeaseRow) -> ApiError:
    """The error for a lease that ended before it was held."""
    reply = ErrorReply(code="not_granted", message=f"lease {row.number} was not granted: {row.why or row.state}")
    if row.why.startswith(TIMED_OUT):
        reply = ErrorReply(
            code="timed_out_waiting", message=f"lease {row.number} {row.why}", remedy="ask for less, or wait longer with --wait"
        )
        return ApiError(408, reply)
    return ApiError(409, reply)


def _over(row: LeaseRow) -> ApiError:
    return refused(Refused("lease_over", f"lease {row.number} is over: {_why(row) or row.state}"))


@contextlib.contextmanager
def _admitted() -> Iterator[None]:
    try:
        yield
    except Inadmissible as error:
        raise refused(error.reply) from None
