"""The route about pools: what is held of each now, counted on a picture of the planner's board; and why one is not for a job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import answer, context_of
from tenure.api.paging import page_of
from tenure.api.parameters import Cursor, Limit, Named
from tenure.api.routes import Routes
from tenure.api.sharing import picture_of
from tenure.core.picture import Picture
from tenure.model.access import Permission
from tenure.model.node import Node
from tenure.model.pool import MAY, POOL, Pool, told_class
from tenure.wire import ROOT
from tenure.wire.pools import PoolsReply, PoolView

routes = Routes(ROOT)


async def all_pools(request: Request) -> list[PoolView]:
    """All pools."""
    context = context_of(request)
    picture = await context.on_control(lambda: picture_of(context))
    return [pool_view(pool, picture) for pool in context.pools]


@routes.get("/pools", PoolsReply, needs=Permission.CLUSTER_READ)
async def pools(request: Request, work_class: Named = "", limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of pools by name: their nodes and GPUs, and what is held of them; with ``work_class`` those that are for such work."""
    wanted = [one for one in await all_pools(request) if not work_class or work_class in one.classes]
    page, more = page_of("pools", wanted, lambda one: (one.name,), limit, cursor)
    return answer(PoolsReply(pools=page, next=more))


def pool_view(pool: Pool, picture: Picture) -> PoolView:
    """What is held of one pool."""
    nodes = {node.id: node for node in picture.nodes if POOL + pool.name in node.labels}
    holders = [(job.id, held) for job in picture.running for held in job.allocations if held.node_id in nodes]
    shares = [share for _, held in holders for share in held.devices]
    devices = [device for node in nodes.values() for device in node.devices]
    return PoolView(
        name=pool.name,
        classes=list(pool.classes),
        borrow=pool.borrow,
        nodes=sorted(node.name for node in nodes.values()),
        gpus=len(devices),
        active_gpus=len({share.device_id for share in shares}),
        gpu_memory_bytes=sum(device.memory_bytes for device in devices),
        used_gpu_memory_bytes=sum(share.memory_bytes for share in shares),
        running=len({job_id for job_id, _ in holders}),
        pending=sum(job.array_left for job in picture.waiting if told_class(picture.shapes[job.shape].labels) in pool.classes),
    )


def forgotten_text(nodes: Iterable[Node], labels: Sequence[str]) -> str:
    """What to do about a job of a class that no node takes any more: the settings had other pools once. Else nothing."""
    kind = told_class(labels)
    if not kind or any(MAY + kind in node.labels for node in nodes):
        return ""
    return (
        f"no node takes {kind} work ({MAY}{kind}) since the pools in the settings were changed: "
        "let a pool take it, or cancel it and submit it again"
    )


def pools_text(pools: Sequence[Pool], labels: Sequence[str]) -> list[str]:
    """Which pools a waiting job may use and which it may not, in sentences; nothing where there are no pools."""
    kind = told_class(labels)
    if not kind or not pools:
        return []
    closed = [f"pool {pool.name} is for {' and '.join(pool.classes)}" for pool in pools if kind not in pool.classes and not pool.borrow]
    mine = [pool.name for pool in pools if kind in pool.classes]
    open_to = f"for which there is {', '.join(f'pool {name}' for name in mine)}" if mine else "for which there is no pool of its own"
    return [f"it is {kind} work ({MAY}{kind}), {open_to}", *closed]
