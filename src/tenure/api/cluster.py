"""Routes about nodes, devices and queues."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import answer, body_of, caller_from, context_of
from tenure.api.jobs import done, not_found
from tenure.api.monitoring import with_readings
from tenure.api.paging import page_of
from tenure.api.parameters import Cursor, Limit, Named
from tenure.api.routes import Routes
from tenure.model.access import Permission
from tenure.model.commands import SetNode, SetQueue
from tenure.wire import ROOT
from tenure.wire.dto import NodeRequest, NodesReply, NodeView, QueueRequest, QueuesReply, QueueView

routes = Routes(ROOT)


async def all_nodes(request: Request) -> NodesReply:
    """All nodes and devices, with what is held of them and what was last seen of them."""
    context = context_of(request)
    reply = await asyncio.to_thread(context.queries.nodes, caller_from(request))
    return reply if context.watch is None else with_readings(reply, context.watch.seen.looks.get("gpus", ()))


@routes.get("/nodes", NodesReply, needs=Permission.CLUSTER_READ)
async def nodes(request: Request, status: Named = "", limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of nodes by name, with their devices and what is held of them; with ``status`` only those that are up, draining, ..."""
    found = await all_nodes(request)
    page, more = page_of("nodes", [one for one in found.nodes if status in ("", one.status)], lambda one: (one.name,), limit, cursor)
    names = {one.name for one in page}
    return answer(NodesReply(nodes=page, devices=[one for one in found.devices if one.node in names], next=more))


@routes.post("/nodes", NodeRequest, NodeView, errors=("not_found",), needs=Permission.CLUSTER_WRITE)
async def set_node(request: Request) -> Response:
    """Drain or resume a node."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, NodeRequest)
    await done(context, SetNode(wish.key, caller, wish.name, wish.status, wish.reason))
    found = await asyncio.to_thread(context.queries.nodes)
    for node in found.nodes:
        if node.name == wish.name:
            return answer(node)
    raise not_found(wish.name)


@routes.get("/queues", QueuesReply, needs=Permission.CLUSTER_READ)
async def queues(request: Request, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of queues by name, and what waits in them."""
    found = (await asyncio.to_thread(context_of(request).queries.queues)).queues
    page, more = page_of("queues", found, lambda one: (one.name,), limit, cursor)
    return answer(QueuesReply(queues=page, next=more))


@routes.post("/queues", QueueRequest, QueueView, errors=("not_found",), needs=Permission.CLUSTER_WRITE)
async def set_queue(request: Request) -> Response:
    """Make or change a queue."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, QueueRequest)
    command = SetQueue(wish.key, caller, wish.name, wish.paused, wish.default_limit_ms, wish.max_limit_ms, wish.bonus)
    await done(context, command)
    found = await asyncio.to_thread(context.queries.queues)
    for queue in found.queues:
        if queue.name == wish.name:
            return answer(queue)
    raise not_found(wish.name)
