"""``nodes`` and ``gpus``: what there is and who holds it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.cli.table import Column, render
from tenure.client.errors import usage
from tenure.model.amounts import format_bits, format_bytes, format_milli
from tenure.wire.dto import DeviceView, NodeView

_NODES = (
    Column("NODE"),
    Column("STATUS"),
    Column("JOBS", right=True),
    Column("CPUS", right=True),
    Column("MEMORY", right=True),
    Column("GPUS", right=True),
    Column("STORAGE", right=True, drop=3),
    Column("BANDWIDTH", right=True, drop=4),
    Column("EXECUTOR", drop=2),
    Column("LABELS", cut=True, drop=1),
    Column("REMARK", cut=True),
)
_GPUS = (
    Column("NODE"),
    Column("GPU", right=True),
    Column("MODEL", cut=True),
    Column("STATUS"),
    Column("HELD", right=True),
    Column("MEMORY", right=True),
    Column("CAPABILITY", right=True, drop=4),
    Column("UTIL", right=True),
    Column("TEMP", right=True, drop=2),
    Column("POWER", right=True, drop=3),
    Column("JOBS", cut=True),
    Column("REMARK", cut=True, drop=1),
)


def nodes(
    action: Annotated[str, typer.Argument(metavar="[list|drain|resume]", help="Default: list.", show_default=False)] = "list",
    name: Annotated[str, typer.Argument(metavar="[NODE]", help="Which node to drain or resume.", show_default=False)] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it is drained; shown to whoever waits for it.")] = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """List nodes with what is held of them; drain one (no new jobs start there, running ones go on) or let it work again.

    Examples:

        tenure nodes
        tenure nodes drain gpu3 --reason "new driver"
        tenure nodes resume gpu3
    """
    wanted = {"list": "", "drain": "draining", "resume": "up"}
    if action not in wanted:
        raise usage(f"{action!r} is nothing to do with nodes", "choose list, drain or resume")
    if bool(wanted[action]) != bool(name):
        raise usage("name the node to drain or resume" if wanted[action] else "list takes no name", "tenure nodes lists them")
    form_is_json = options.is_json(output, as_json)
    with options.client() as client:
        if name:
            node = client.admin.set_node(name, wanted[action], reason)
            if form_is_json:
                console.out_json(node)
            else:
                console.out(f"Node {node.name} is {node.status}")
            return
        reply = client.admin.nodes()
    if form_is_json:
        console.out_json(reply)
    else:
        console.out(nodes_table(reply.nodes, _width(), colour=console.has_colour()))


def gpus(output: options.Form = "table", as_json: options.Json = False) -> None:
    """List GPUs: who holds how much of each, what uses it, and why one is not offered.

    The number is the one nvidia-smi shows. "foreign" means that a process which Tenure did not start uses the GPU; it is offered
    again when that process has ended. "mig" means that it is split into MIG instances, which are not offered. A pretend GPU exists
    only in the settings, for trying things out.

    Examples:

        tenure gpus
        tenure gpus --json
    """
    with options.client() as client:
        reply = client.admin.nodes()
    if options.is_json(output, as_json):
        console.out_json({"devices": console.plain(reply.devices)})
    elif reply.devices:
        console.out(gpus_table(reply.devices, _width(), colour=console.has_colour()))
    else:
        console.out("There are no GPUs here; tenure doctor says what was looked for.")


def _width() -> int:
    return shutil.get_terminal_size((120, 40)).columns if console.is_terminal() else 0


def nodes_table(nodes: Sequence[NodeView], width: int = 0, *, colour: bool = False) -> str:
    """The table of ``nodes``: held of what is there."""
    rows = [
        (
            console.clean(node.name) + (" (pretend)" if node.pretend else ""),
            node.status,
            str(node.jobs),
            f"{format_milli(node.used_cpu_milli)}/{format_milli(node.cpu_milli)}",
            f"{format_bytes(node.used_memory_bytes)}/{format_bytes(node.memory_bytes)}",
            f"{format_milli(node.devices_used_milli)}/{node.devices}" if node.devices else "-",
            f"{format_bytes(node.used_storage_bytes)}/{format_bytes(node.storage_bytes)}" if node.storage_bytes else "-",
            f"{format_bits(node.used_bandwidth_bps)}/{format_bits(node.bandwidth_bps)}" if node.bandwidth_bps else "-",
            node.executor,
            ",".join(node.labels) or "-",
            console.clean(node.drain_reason) or "-",
        )
        for node in nodes
    ]
    return render(_NODES, rows, width=width, colour=colour)


def gpus_table(devices: Sequence[DeviceView], width: int = 0, *, colour: bool = False) -> str:
    """The table of ``gpus``."""
    return render(_GPUS, [_gpu(device) for device in devices], width=width, colour=colour)


def _gpu(device: DeviceView) -> tuple[str, ...]:
    in_use = device.memory_in_use_bytes
    memory = f"{format_bytes(in_use)}/" if in_use is not None else ""
    return (
        console.clean(device.node),
        str(device.index),
        console.clean(device.model) + (" (pretend)" if device.pretend else ""),
        device.status,
        f"{device.used_milli // 10}%",
        memory + format_bytes(device.memory_bytes),
        device.capability or "-",
        "-" if device.utilisation is None else f"{device.utilisation}%",
        "-" if device.temperature_c is None else f"{device.temperature_c}C",
        "-" if device.power_mw is None else f"{device.power_mw // 1000}W",
        ",".join(device.jobs) or "-",
        console.clean(device.why) or "-",
    )
