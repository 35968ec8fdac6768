"""Routes about nodes, devices and queues."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from tenure.api.context import Context, answer, body_of, caller_from, context_of
from tenure.api.jobs import not_found, refused
from tenure.api.schema import documents
from tenure.model.commands import Command, Refused, SetNode, SetQueue
from tenure.wire.dto import NodeRequest, NodesReply, NodeView, QueueRequest, QueuesReply, QueueView

router = APIRouter(prefix="/v1")


@router.get("/nodes", openapi_extra=documents(None, NodesReply))
async def nodes(request: Request) -> Response:
    """All nodes and devices with what is held of them."""
    context = context_of(request)
    return answer(await asyncio.to_thread(context.queries.nodes))


@router.post("/nodes", openapi_extra=documents(NodeRequest, NodeView))
async def set_node(request: Request) -> Response:
    """Drain or resume a node."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, NodeRequest)
    await _apply(context, SetNode(wish.key, caller, wish.name, wish.status, wish.reason))
    found = await asyncio.to_thread(context.queries.nodes)
    for node in found.nodes:
        if node.name == wish.name:
            return answer(node)
    raise not_found(wish.name)


@router.get("/queues", openapi_extra=documents(None, QueuesReply))
async def queues(request: Request) -> Response:
    """All queues and what waits in them."""
    context = context_of(request)
    return answer(await asyncio.to_thread(context.queries.queues))


@router.post("/queues", openapi_extra=documents(QueueRequest, QueueView))
async def set_queue(request: Request) -> Response:
    """Make or change a queue."""
    context, caller = context_of(request), caller_from(request)
    wish = await body_of(request, QueueRequest)
    command = SetQueue(wish.key, caller, wish.name, wish.paused, wish.default_limit_ms, wish.max_limit_ms, wish.bonus)
    await _apply(context, command)
    found = await asyncio.to_thread(context.queries.queues)
    for queue in found.queues:
        if queue.name == wish.name:
            return answer(queue)
    raise not_found(wish.name)


async def _apply(context: Context, command: Command) -> None:
    given = (await context.apply([command]))[0]
    if isinstance(given, Refused):
        raise refused(given)
