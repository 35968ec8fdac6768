"""Nodes, devices, queues, projects, quotas, pools, reservations and conflicts one at a time: looked at, changed, removed.

One of them is taken from the list that the caller is told, so that nobody learns here of what he may not see there; the lists are
short. Invariant: whatever is changed goes through the command that the bulk call gives, and the answer is how it is then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tenure.api import cluster, conflicts, pools, reservations, sharing
from tenure.api.context import answer, body_of, caller_from, context_of
from tenure.api.jobs import done
from tenure.api.paging import cut, key_of, page_of
from tenure.api.parameters import Cursor, Limit, Moment, Name, Named, Until
from tenure.api.problems import failure
from tenure.api.routes import Routes
from tenure.api.tags import check_match, tag_of, tagged
from tenure.model.access import Permission
from tenure.model.commands import RemoveReservation, SetNode, SetQueue
from tenure.wire import ROOT
from tenure.wire.conflict import ConflictChoice, ConflictView, ResolveReply
from tenure.wire.dto import DeviceView, NodeView, QueueView
from tenure.wire.pools import PoolView
from tenure.wire.requests import QueuePatch
from tenure.wire.reservation import ReservationView
from tenure.wire.resources import ActionRequest, DevicesPage, QuotasReply, QuotaView, UsagePage, UsageView
from tenure.wire.sharing import ProjectView

routes = Routes(ROOT)
T = TypeVar("T")
TAGGED = {"statuses": (200, 304), "headers": ("If-None-Match",)}


def one_of(entries: list[T], what: str, name: str, named: Callable[[T], str]) -> T:
    """The entry of that name. Raises ApiError."""
    for entry in entries:
        if named(entry) == name:
            return entry
    raise failure("not_found", f"there is no {what} {name}")


async def _node(request: Request, name: str) -> NodeView:
    return one_of((await cluster.all_nodes(request)).nodes, "node", name, lambda node: node.name)


@routes.get("/nodes/{name}", NodeView, needs=Permission.CLUSTER_READ, **TAGGED)
async def node(request: Request, name: Name) -> Response:
    """One node: what it has, and what is held of it."""
    return tagged(request, await _node(request, name))


@routes.post("/nodes/{name}/drain", ActionRequest, NodeView, optional=True, needs=Permission.CLUSTER_WRITE)
async def drain(request: Request, name: Name) -> Response:
    """Let nothing start on a node any more; what runs there goes on."""
    wish = await body_of(request, ActionRequest, optional=True)
    await done(context_of(request), SetNode(wish.key, caller_from(request), name, "draining", wish.why))
    return answer(await _node(request, name))


@routes.post("/nodes/{name}/resume", ActionRequest, NodeView, optional=True, needs=Permission.CLUSTER_WRITE)
async def resume(request: Request, name: Name) -> Response:
    """Let a drained node take work again."""
    wish = await body_of(request, ActionRequest, optional=True)
    await done(context_of(request), SetNode(wish.key, caller_from(request), name, "up", wish.why))
    return answer(await _node(request, name))


@routes.get("/devices", DevicesPage, errors=("bad_request",), needs=Permission.CLUSTER_READ)
async def devices(
    request: Request, node: Named = "", status: Named = "", model: Named = "", limit: Limit = 100, cursor: Cursor = ""
) -> Response:
    """A page of devices by their UUIDs: of one node, in one state such as ok or lost, of one model."""
    found = (await cluster.all_nodes(request)).devices
    wanted = [one for one in found if node in ("", one.node) and status in ("", one.status) and model in ("", one.model)]
    page, more = page_of("devices", wanted, lambda device: (device.uuid,), limit, cursor)
    return answer(DevicesPage(devices=page, next=more))


@routes.get("/devices/{uuid}", DeviceView, needs=Permission.CLUSTER_READ, **TAGGED)
async def device(request: Request, uuid: Name) -> Response:
    """One device: what it has, who holds it."""
    found = (await cluster.all_nodes(request)).devices
    return tagged(request, one_of(found, "device", uuid, lambda device: device.uuid))


async def _queue(request: Request, name: str) -> QueueView:
    return one_of((await asyncio.to_thread(context_of(request).queries.queues)).queues, "queue", name, lambda queue: queue.name)


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
    await done(context_of(request), SetQueue(wish.key, caller, name, wish.paused, wish.default_limit_ms, wish.max_limit_ms, wish.bonus))
    found = await _queue(request, name)
    return answer(found, headers={"ETag": _queue_tag(found)})


@routes.get("/projects/{name}", ProjectView, needs=Permission.CLUSTER_READ, **TAGGED)
async def project(request: Request, name: Name) -> Response:
    """One project: what it is entitled to, holds and held."""
    found = (await sharing.all_projects(request)).projects
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
async def quotas(request: Request, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of what projects may hold by their names, without borrowing and at all; -1 where nothing is said."""
    found = (await sharing.all_projects(request)).projects
    page, more = page_of("quotas", found, lambda project: (project.name,), limit, cursor)
    return answer(QuotasReply(quotas=[_quota(project) for project in page], next=more))


@routes.get("/quotas/{name}", QuotaView, needs=Permission.CLUSTER_READ, **TAGGED)
async def quota(request: Request, name: Name) -> Response:
    """What one project may hold."""
    found = (await sharing.all_projects(request)).projects
    return tagged(request, _quota(one_of(found, "project", name, lambda project: project.name)))


@routes.get("/pools/{name}", PoolView, needs=Permission.CLUSTER_READ, **TAGGED)
async def pool(request: Request, name: Name) -> Response:
    """One pool of nodes, and what is held of it."""
    found = await pools.all_pools(request)
    return tagged(request, one_of(found, "pool", name, lambda pool: pool.name))


@routes.get("/reservations/{name}", ReservationView, needs=Permission.CLUSTER_READ, **TAGGED)
async def reservation(request: Request, name: Name) -> Response:
    """One reservation that is not over."""
    found = await reservations.all_reservations(request)
    return tagged(request, one_of(found, "reservation", name, lambda reservation: reservation.name))


@routes.delete("/reservations/{name}", ReservationView, headers=("Idempotency-Key",), needs=Permission.CLUSTER_WRITE)
async def unreserve(request: Request, name: Name) -> Response:
    """Take a reservation back; the answer is how it was."""
    found = await reservations.all_reservations(request)
    before = one_of(found, "reservation", name, lambda reservation: reservation.name)
    await done(context_of(request), RemoveReservation(request.headers.get("idempotency-key", ""), caller_from(request), name))
    return answer(before)


@routes.get("/conflicts/{conflict}", ConflictView, needs=Permission.JOBS_READ, **TAGGED)
async def conflict(request: Request, conflict: Name) -> Response:
    """One open conflict."""
    rows, visible, _ = await conflicts.open_conflicts(request)
    row = one_of(rows, "open conflict", conflict, lambda row: row.key)
    return tagged(request, (await conflicts.views(request, [row], visible))[0])


@routes.post("/conflicts/{conflict}/resolve", ConflictChoice, ResolveReply, errors=conflicts.REFUSALS, needs=Permission.JOBS_WRITE)
async def resolve(request: Request, conflict: Name) -> Response:
    """Resolve one open conflict in the chosen way."""
    return await conflicts.resolved(request, conflict, await body_of(request, ConflictChoice))


@routes.get("/usage", UsagePage, needs=Permission.CLUSTER_READ)
async def usage(
    request: Request, node: Named = "", since_ms: Moment = 0, until_ms: Until = 0, limit: Limit = 1000, cursor: Cursor = ""
) -> Response:
    """A page of what was held of the nodes over time, minute by minute, by time and node."""
    after = key_of("usage", cursor, int, str)
    found = await asyncio.to_thread(context_of(request).queries.usage, (since_ms, until_ms), node, after, limit + 1)
    page, more = cut("usage", found, lambda one: (one.at_ms, one.node), limit)
    return answer(UsagePage(samples=[UsageView(**one._asdict()) for one in page], next=more))
