"""``pools``: which nodes are for which class of work, and what is held of them."""

from __future__ import annotations

from tenure.cli import console, options
from tenure.cli.table import Column, render
from tenure.model.amounts import format_bytes
from tenure.wire.pools import PoolsReply

_COLUMNS = (
    Column("POOL"),
    Column("FOR"),
    Column("BORROW"),
    Column("NODES", right=True),
    Column("GPUS", right=True),
    Column("ACTIVE", right=True),
    Column("GPU-MEMORY", right=True),
    Column("USED", right=True),
    Column("SHARE", right=True),
    Column("RUNNING", right=True),
    Column("PENDING", right=True),
)
NO_POOLS = "There are no pools; a [pools.NAME] section of the settings makes one."


def pools(output: options.Form = "table", as_json: options.Json = False) -> None:
    """List the pools of nodes: what each is for, its GPUs and their memory, and what jobs hold of it.

    ACTIVE are GPUs of which a job holds anything, USED is the GPU memory that jobs hold, SHARE its part of all there is. PENDING are
    the jobs that wait of the classes that the pool is for.

    Examples:

        tenure pools
        tenure pools --json
    """
    with options.client() as client:
        reply = client.admin.pools()
    if options.is_json(output, as_json):
        console.out_json(reply)
    else:
        console.out(pools_text(reply, colour=console.has_colour()))


def pools_text(reply: PoolsReply, *, colour: bool = False) -> str:
    """The table, or that there are none."""
    rows = [
        (
            view.name,
            ",".join(view.classes),
            "yes" if view.borrow else "no",
            str(len(view.nodes)),
            str(view.gpus),
            str(view.active_gpus),
            format_bytes(view.gpu_memory_bytes) if view.gpus else "-",
            format_bytes(view.used_gpu_memory_bytes) if view.gpus else "-",
            f"{100 * view.used_gpu_memory_bytes / view.gpu_memory_bytes:.0f}%" if view.gpu_memory_bytes else "-",
            str(view.running),
            str(view.pending),
        )
        for view in reply.pools
    ]
    return render(_COLUMNS, rows, colour=colour) if rows else NO_POOLS
