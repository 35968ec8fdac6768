"""Nodes, devices, queues, projects, quotas, pools, reservations and conflicts one at a time: looked at, changed, removed.

One of them is taken from the list that the caller is told, so that nobody learns here of what he may not see there; the lists are
short. Invariant: whatever is changed goes through the command that the bulk call gives, and the answer is how it is then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tenure.api import cluster, conflicts, pools, reservations, sharing
from tenure.api.context import answer, body_of, caller_from, context_of
from tenure.api.jobs import one_job, refused
from tenure.api.paging import page_of
from tenure.api.parameters import Cursor, Limit, Moment, Name, Named
from tenure.api.problems import failure
from tenure.api.routes import Routes
from tenure.api.tags import check_match, tag_of, tagged
from tenure.model.access import Permission
from tenure.model.commands import Applied, Command, Refused, RemoveReservation, ResolveConflict, SetNode, SetQueue
from tenure.model.conflict import Resolution
from tenure.wire import ROOT
from tenure.wire.conflict import ConflictsReply, ConflictView, ResolveReply
from tenure.wire.dto import DeviceView, NodesReply, NodeView, QueuesReply, QueueView
from tenure.wire.pools import PoolsReply, PoolView
from tenure.wire.requests import QueuePatch
from tenure.wire.reservation import ReservationsReply, ReservationView
from tenure.wire.resources import ActionRequest, ConflictChoice, DevicesPage, QuotasReply, QuotaView, UsagePage, UsageView
from tenure.wire.sharing import ProjectsReply, ProjectView

routes = Routes(ROOT)
T = TypeVar("T")
TAGGED = {"statuses": (200, 304), "headers": ("If-None-Match",)}


async def told(listing: Callable[[Request], Awaitable[Response]], request: Request, kind: type[T]) -> T:
    """What the caller is told of all of them."""
    return msgspec.json.decode((await listing(request)).body, type=kind)


def one_of(entries: list[T], what: str, name: str, named: Callable[[T], str]) -> T:
    """The entry of that name. Raises ApiError."""
    for entry in entries:
        if named(entry) == name:
            return entry
    raise failure("not_found", f"there is no {what} {name}")


async def done(request: Request, command: Command) -> Applied:
    """Have a command carried out. Raises ApiError when it is refused."""
    given = (await context_of(request).apply([command]))[0]
    if isinstance(given, Refused):
        raise refused(given)
    return given


async def _node(request: Request, name: str) -> NodeView:
    return one_of((await told(cluster.nodes, request, NodesReply)).nodes, "node", name, lambda node: node.name)


@routes.get("/nodes/{name}", NodeView, needs=Permission.CLUSTER_READ, **TAGGED)
async def node(request: Request, name: Name) -> Response:
    """One node: what it has, and what is held of it."""
    return tagged(request, await _node(request, name))


@routes.post("/nodes/{name}/drain", ActionRequest, NodeView, optional=True, needs=Permission.CLUSTER_WRITE)
async def drain(request: Request, name: Name) -> Response:
    """Let nothing start on a node any more; what runs there goes on."""
    wish = await body_of(request, ActionRequest, optional=True)
    await done(request, SetNode(wish.key, caller_from(request), name, "draining", wish.why))
    return answer(await _node(request, name))


@routes.post("/nodes/{name}/resume", ActionRequest, NodeView, optional=True, needs=Permission.CLUSTER_WRITE)
async def resume(request: Request, name: Name) -> Response:
    """Let a drained node take work again."""
    wish = await body_of(request, ActionRequest, optional=True)
    await done(request, SetNode(wish.key, caller_from(request), name, "up", wish.why))
    return answer(await _node(request, name))


@routes.get("/devices", DevicesPage, errors=("bad_request",), needs=Permission.CLUSTER_READ)
async def devices(request: Request, node: Named = "", status: Named = "", limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of devices by their UUIDs: of one node, or in one state such as ok or lost."""
    found = (await told(cluster.nodes, request, NodesReply)).devices
    wanted = [device for device in found if node in ("", device.node) and status in ("", device.status)]
    page, more = page_of("devices", wanted, lambda device: device.uuid, limit, cursor)
    return answer(DevicesPage(devices=page, next=more))


@routes.get("/devices/{uuid}", DeviceView, needs=Permission.CLUSTER_READ, **TAGGED)
async def device(request: Request, uuid: Name) -> Response:
    """One device: what it has, who holds it."""
    found = (await told(cluster.nodes, request, NodesReply)).devices
    return tagged(request, one_of(found, "device", uuid, lambda device: device.uuid))


async def _queue(request: Request, name: str) -> QueueView:
    return one_of((await told(cluster.queues, request, QueuesReply)).queues, "queue", name, lambda queue: queue.name)


def _queue_tag(queue: QueueView) -> str:
    """The tag of what people set of a queue; what waits and runs in it is left out."""
    return tag_of(msgspec.structs.replace(queue, pending=0, running=0))


@routes.get("/queues/{name}", QueueView, needs=Permission.CLUSTER_READ, **TAGGED)
async def queue(request: Request, name: Name) -> Response:
    """One queue; its tag is of its settings and not of what waits in it."""
    found = await _queue(request, name)
    return tagged(request, found, _queue_tag(found))


@routes.put("/queues/{name}", QueuePatch, QueueView, headers=("If-Match",), errors=("changed",), needs=Permission.CLUSTER_WRITE)
async def set_queue(request: Request, name: Name) -> Response:
    """Make or change a queue; an absent field is left alone."""
    wish = await body_of(request, QueuePatch)
    if "if-match" in request.headers:
        check_match(request, _queue_tag(await _queue(request, name)))
    caller = caller_from(request)
    await done(request, SetQueue(wish.key, caller, name, wish.paused, wish.default_limit_ms, wish.max_limit_ms, wish.bonus))
    found = await _queue(request, name)
    return answer(found, headers={"ETag": _queue_tag(found)})


@routes.get("/projects/{name}", ProjectView, needs=Permission.CLUSTER_READ, **TAGGED)
async def project(request: Request, name: Name) -> Response:
    """One project: what it is entitled to, holds and held."""
    found = (await told(sharing.projects, request, ProjectsReply)).projects
    return tagged(request, one_of(found, "project", name, lambda project: project.name))


def _quota(project: ProjectView) -> QuotaView:
    return QuotaView(
        project=project.name,
        quota=project.quota,
        maximum=project.maximum,
        held=project.held,
        borrow=project.borrow,
        weight_milli=project.weight_milli,
    )


@routes.get("/quotas", QuotasReply, needs=Permission.CLUSTER_READ)
async def quotas(request: Request) -> Response:
    """What projects may hold, without borrowing and at all; -1 where nothing is said."""
    found = (await told(sharing.projects, request, ProjectsReply)).projects
    return answer(QuotasReply(quotas=[_quota(project) for project in found]))


@routes.get("/quotas/{name}", QuotaView, needs=Permission.CLUSTER_READ, **TAGGED)
async def quota(request: Request, name: Name) -> Response:
    """What one project may hold."""
    found = (await told(sharing.projects, request, ProjectsReply)).projects
    return tagged(request, _quota(one_of(found, "project", name, lambda project: project.name)))


@routes.get("/pools/{name}", PoolView, needs=Permission.CLUSTER_READ, **TAGGED)
async def pool(request: Request, name: Name) -> Response:
    """One pool of nodes, and what is held of it."""
    found = (await told(pools.pools, request, PoolsReply)).pools
    return tagged(request, one_of(found, "pool", name, lambda pool: pool.name))


@routes.get("/reservations/{name}", ReservationView, needs=Permission.CLUSTER_READ, **TAGGED)
async def reservation(request: Request, name: Name) -> Response:
    """One reservation that is not over."""
    found = (await told(reservations.reservations, request, ReservationsReply)).reservations
    return tagged(request, one_of(found, "reservation", name, lambda reservation: reservation.name))


@routes.delete("/reservations/{name}", ReservationView, headers=("Idempotency-Key",), needs=Permission.CLUSTER_WRITE)
async def unreserve(request: Request, name: Name) -> Response:
    """Take a reservation back; the answer is how it was."""
    found = (await told(reservations.reservations, request, ReservationsReply)).reservations
    before = one_of(found, "reservation", name, lambda reservation: reservation.name)
    await done(request, RemoveReservation(request.headers.get("idempotency-key", ""), caller_from(request), name))
    return answer(before)


@routes.get("/conflicts/{conflict}", ConflictView, needs=Permission.JOBS_READ, **TAGGED)
async def conflict(request: Request, conflict: Name) -> Response:
    """One open conflict."""
    found = (await told(conflicts.conflicts, request, ConflictsReply)).conflicts
    return tagged(request, one_of(found, "open conflict", conflict, lambda view: view.id))


@routes.post("/conflicts/{conflict}/resolve", ConflictChoice, ResolveReply, errors=conflicts.REFUSALS, needs=Permission.JOBS_WRITE)
async def resolve(request: Request, conflict: Name) -> Response:
    """Resolve one open conflict in the chosen way."""
    wish = await body_of(request, ConflictChoice)
    if wish.by not in list(Resolution):
        raise failure("bad_request", f"a conflict is resolved by {', '.join(Resolution)}, not by {wish.by!r}")
    if wish.favour and wish.by != Resolution.PRIORITY:
        raise failure("bad_request", "only a resolution by priority favours a job", "leave favour out")
    caller = caller_from(request)
    favour = (await one_job(context_of(request), wish.favour, caller)).job_id if wish.favour else 0
    given = await done(request, ResolveConflict(wish.key, caller, conflict, wish.by, favour))
    return answer(ResolveReply(conflict=conflict, text=given.note))


@routes.get("/usage", UsagePage, needs=Permission.CLUSTER_READ)
async def usage(request: Request, since_ms: Moment = 0, limit: Limit = 1000) -> Response:
    """What was held of the nodes over time, minute by minute."""
    found = await asyncio.to_thread(context_of(request).queries.usage, since_ms, limit + 1)
    views = [UsageView(**one._asdict()) for one in found]
    return answer(UsagePage(samples=views[:limit], next_ms=views[limit].at_ms if len(views) > limit else 0))
