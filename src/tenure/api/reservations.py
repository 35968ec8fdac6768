"""Routes about reservations: which there are, one more, one less.

What is set aside is decided by the store, in the transaction that writes it; here names become people, and rows become what they read.
"""

from __future__ import annotations

import asyncio
import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import Context, answer, body_of, caller_from, context_of
from tenure.api.jobs import done, refused
from tenure.api.paging import cut, number_of, page_of
from tenure.api.parameters import Cursor, History, Limit, Moment, Named, Until
from tenure.api.routes import Routes
from tenure.api.sharing import picture_of
from tenure.core.picture import Picture
from tenure.core.set_aside import reaching
from tenure.model.access import Permission
from tenure.model.commands import Caller, MakeReservation, RemoveReservation
from tenure.model.node import Device, Node
from tenure.model.window import WindowPart
from tenure.store.sql import Link
from tenure.store.windows import ALL, ReservationRow, Wanted, open_ones, past
from tenure.wire import ROOT
from tenure.wire.dto import ErrorReply, Selection
from tenure.wire.reservation import PartView, RemovalRequest, ReservationRequest, ReservationsReply, ReservationView

routes = Routes(ROOT)
State = Literal["", "planned", "active", "over", "removed"]
_REFUSALS = ("not_found", "overlap", "name_taken", "too_many", "bad_time")


@dataclass(frozen=True, slots=True)
class _Names:
    """Names by number, and the machines and jobs as they are now."""

    picture: Picture
    projects: Mapping[int, str]
    users: Mapping[int, str]
    jobs: Mapping[int, str]

    @property
    def nodes(self) -> dict[int, Node]:
        """Nodes by id."""
        return {node.id: node for node in self.picture.nodes}


Read = Callable[[Link, int], list[ReservationRow]]
"""A read of reservations as they are at a moment."""


async def all_reservations(request: Request, wanted: Wanted = ALL) -> list[ReservationView]:
    """The reservations that are not over, as the caller is told of them."""
    return await _told(request, wanted, lambda link, now_ms: open_ones(link, wanted, now_ms))


async def _told(request: Request, wanted: Wanted, read: Read) -> list[ReservationView]:
    """Some reservations as the caller is told of them; by what he is not told of them he cannot choose either."""
    context, caller = context_of(request), caller_from(request)
    hidden = (wanted.project and not caller.role_in(wanted.project)) or wanted.user not in ("", caller.user)
    if hidden and not caller.sees_all:
        return []
    views = await _views(context, read)
    if not caller.sees_all:
        inside = {word for view in views for word in view.running}
        found = await asyncio.to_thread(context.queries.jobs, Selection(ids=sorted(inside), limit=max(1, len(inside))), caller)
        shown = {job.id for job in found.jobs} if inside else set()
        views = [_narrowed(view, caller, shown) for view in views]
    return views


@routes.get("/reservations", ReservationsReply, needs=Permission.CLUSTER_READ)
async def reservations(
    request: Request,
    history: History = 0,
    state: State = "",
    node: Named = "",
    project: Named = "",
    user: Named = "",
    since_ms: Moment = 0,
    until_ms: Until = 0,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Response:
    """A page of the reservations that are not over, the first to begin first; with ``history=1`` of all that are kept, the newest
    first. Filters are joined by *and*; ``since_ms`` and ``until_ms`` leave out what ends before the one and begins after the other."""
    wanted = Wanted(state, "", project, user, node, since_ms, until_ms)
    if history:
        before = number_of("reservations-past", cursor)
        found = await _told(request, wanted, lambda link, now_ms: past(link, wanted, now_ms, before, limit + 1))
        page, more = cut("reservations-past", found, lambda one: one.id, limit)
    else:
        found = await all_reservations(request, wanted)
        page, more = page_of("reservations", found, lambda one: (one.from_ms, one.id), limit, cursor)
    return answer(ReservationsReply(reservations=page, next=more))


def _narrowed(view: ReservationView, caller: Caller, shown: set[str]) -> ReservationView:
    """A reservation as those see it who do not see everything: what is set aside and when, and of people and jobs their own."""
    return replace(
        view,
        project=view.project if caller.role_in(view.project) else "",
        user=view.user if view.user == caller.user else "",
        made_by="",
        removed_by="",
        running=[word for word in view.running if word in shown],
    )


@routes.post(
    "/reservations",
    ReservationRequest,
    ReservationView,
    statuses=(201,),
    errors=_REFUSALS,
    needs=Permission.CLUSTER_WRITE,
)
async def reserve(request: Request) -> Response:
    """Set nodes, or parts of them, aside for a time. What runs goes on; the answer names who would reach into it."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, ReservationRequest)
    command = MakeReservation(
        wish.key,
        caller,
        wish.name,
        wish.from_ms,
        wish.until_ms,
        wish.length_ms,
        tuple(dict.fromkeys(wish.nodes)),
        wish.maintenance,
        wish.project,
        user_of(wish.user) if wish.user else None,
        wish.gpus,
        wish.cpu_milli,
        wish.memory_bytes,
    )
    known, _ = await asyncio.to_thread(context.queries.sharers)
    notes = [] if wish.project in ("", *known.values()) else [f"project {wish.project} has had no job yet; its first one makes it"]
    view = await _named(context, (await done(context, command)).note)
    view.notes = notes
    return answer(view, 201)


@routes.post(
    "/reservations/remove",
    RemovalRequest,
    ReservationView,
    errors=("not_found",),
    needs=Permission.CLUSTER_WRITE,
)
async def unreserve(request: Request) -> Response:
    """Take a reservation back; what waited for its end may start at once."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, RemovalRequest)
    given = await done(context, RemoveReservation(wish.key, caller, wish.reservation))
    return answer(await _named(context, given.note))


def user_of(name: str) -> Caller:
    """A user of this machine. Raises ApiError."""
    try:
        return Caller(pwd.getpwnam(name).pw_uid, name)
    except KeyError:
        remedy = "reserve for one who has an account here, or for a project (--project)"
        raise refused(ErrorReply(code="not_found", message=f"there is no user {name!r} on this machine", remedy=remedy)) from None


async def _named(context: Context, name: str) -> ReservationView:
    """The newest reservation of a name."""
    return (await _views(context, lambda link, now_ms: past(link, Wanted(name=name), now_ms, 0, 1)))[0]


async def _views(context: Context, read: Read) -> list[ReservationView]:
    picture = await context.on_control(lambda: picture_of(context))
    return await asyncio.to_thread(_views_of, context, picture, read)


def _views_of(context: Context, picture: Picture, read: Read) -> list[ReservationView]:
    rows = context.queries.read(lambda link: read(link, picture.now_ms))
    projects, users = context.queries.sharers()
    capacity = {node.id: node.capacity for node in picture.nodes}
    inside = {row.id: reaching(row.window, picture.running, capacity, picture.now_ms) if row.removed_ms is None else () for row in rows}
    jobs = context.queries.ids_of(sorted({number for found in inside.values() for number in found}))
    names = _Names(picture, projects, users, jobs)
    return [view_of(row, inside[row.id], names) for row in rows]


def view_of(row: ReservationRow, running: Sequence[int], names: _Names) -> ReservationView:
    """A reservation as the wire shows it."""
    return ReservationView(
        id=row.id,
        name=row.name,
        state=_state(row, names.picture.now_ms),
        from_ms=row.from_ms,
        until_ms=row.until_ms,
        maintenance=row.window.is_maintenance,
        project=names.projects.get(row.project_id, ""),
        user=names.users.get(row.user_id, ""),
        parts=[_part(part, names.nodes) for part in row.parts],
        made_by=row.made_by,
        made_ms=row.made_ms,
        removed_by=row.removed_by,
        removed_ms=row.removed_ms or 0,
        running=[names.jobs.get(number, str(number)) for number in running],
    )


def _state(row: ReservationRow, now_ms: int) -> str:
    if row.removed_ms is not None:
        return "removed"
    return "over" if row.until_ms <= now_ms else "active" if row.from_ms <= now_ms else "planned"


def _part(part: WindowPart, nodes: Mapping[int, Node]) -> PartView:
    node = nodes.get(part.node_id)
    devices: tuple[Device, ...] = node.devices if node else ()
    return PartView(
        node=node.name if node else str(part.node_id),
        whole=part.whole,
        cpu_milli=part.amounts.cpu_milli,
        memory_bytes=part.amounts.memory_bytes,
        gpus=[device.index for device in devices if device.id in part.devices],
    )
