"""``top``: machines, GPUs and running jobs at a glance, redrawn in place.

Invariant: a figure that is not known is a dash; off a terminal, or with ``--once``, one picture is printed and that is all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.table import Column, render
from tenure.cli.text import rough
from tenure.client.errors import usage
from tenure.model.amounts import format_bytes, format_milli
from tenure.wire.dto import JobView, Selection

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tenure.client.session import Client
    from tenure.wire.monitoring import ContainerSample, GpuSample, HostSample, ResourcesReply

_LEAST_S = 0.5
_MOST_JOBS = 200
_HOSTS = (
    Column("MACHINE"),
    Column("STATE"),
    Column("CPU", right=True),
    Column("CORES", right=True, drop=2),
    Column("LOAD", right=True, drop=3),
    Column("MEMORY", right=True),
    Column("DISK R/W", right=True, drop=1),
    Column("NET IN/OUT", right=True, drop=1),
    Column("TEMP", right=True, drop=4),
)
_GPUS = (
    Column("GPU", right=True),
    Column("NODE"),
    Column("MODEL", cut=True),
    Column("STATE"),
    Column("UTIL", right=True),
    Column("MEMORY", right=True),
    Column("TEMP", right=True),
    Column("POWER", right=True, drop=1),
    Column("JOBS", cut=True),
)
_JOBS = (
    Column("JOB", right=True),
    Column("NAME", cut=True),
    Column("STATE"),
    Column("CPUS", right=True),
    Column("MEMORY", right=True),
    Column("GPUS", right=True),
    Column("RUNS", right=True),
    Column("NODES", cut=True),
)
_CONTAINERS = (
    Column("CONTAINER", cut=True),
    Column("IMAGE", cut=True, drop=1),
    Column("STATE"),
    Column("CPU", right=True),
    Column("MEMORY", right=True),
    Column("NET IN/OUT", right=True, drop=2),
    Column("DISK R/W", right=True, drop=3),
)


def top(
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
    every: Annotated[str, typer.Option("--every", metavar="TIME", help="How often to redraw.")] = "2s",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Watch machines, GPUs, containers and running jobs, live; Ctrl-C ends it.

    The figures are those of the daemon's last look, every 5 s by default ([monitor] every in the settings).

    Examples:

        tenure top
        tenure top --once
        tenure top --json            one picture, for a program
    """
    pause_s = max(_LEAST_S, _seconds(every))
    with options.client() as client:
        if options.is_json(output, as_json):
            resources, jobs = picture(client)
            console.out_json({**console.plain(resources), "jobs": console.plain(jobs)})
        elif once or not console.is_terminal():
            console.out("\n\n".join(tables(*picture(client), console.width(), present_ms(), colour=console.has_colour())))
        else:
            _live(client, pause_s)


def _seconds(text: str) -> float:
    from tenure.model.amounts import parse_duration_ms

    try:
        return parse_duration_ms(text) / 1000
    except ValueError as error:
        raise usage(f"--every: {error}") from None


def picture(client: Client) -> tuple[ResourcesReply, list[JobView]]:
    """What is to be shown."""
    running = client.jobs(Selection(states=["running", "starting", "suspended"], limit=_MOST_JOBS))
    return client.monitor.resources(), sorted(running.jobs, key=lambda job: (job.started_ms, job.number))


def _live(client: Client, pause_s: float) -> None:
    """Redraw until Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    with Live(_drawn(client), console=Console(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(_drawn(client), refresh=True)
                time.sleep(pause_s)
        except KeyboardInterrupt:
            return


def _drawn(client: Client) -> RenderableType:
    """The picture in panels, as wide as the terminal."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    parts = tables(*picture(client), max(20, console.width() - 4), present_ms(), colour=console.has_colour())
    stamp = time.strftime("%H:%M:%S")
    return Group(*(Panel(Text.from_ansi(part), title=stamp if not index else None) for index, part in enumerate(parts)))


def tables(resources: ResourcesReply, jobs: Sequence[JobView], width: int, now_ms: int, *, colour: bool = False) -> list[str]:
    """The picture as tables of text: machines, GPUs, containers, jobs; those without a row are left out, machines never."""
    parts: list[tuple[Sequence[Column], list[tuple[str, ...]]]] = [
        (_HOSTS, [_host(host) for host in resources.hosts]),
        (_GPUS, [_gpu(gpu) for gpu in resources.gpus]),
        (_CONTAINERS, [_container(one) for one in resources.containers if one.state == "running"]),
        (_JOBS, [_job(job, now_ms) for job in jobs]),
    ]
    shown = [render(columns, rows, width=width, colour=colour) for columns, rows in parts if rows or columns is _HOSTS]
    if not jobs:
        shown.append("No job runs.")
    return shown + [f"{one.name}: {console.clean(one.last_error)}" for one in resources.samplers if one.last_error]


def _host(host: HostSample) -> tuple[str, ...]:
    return (
        console.clean(host.node),
        host.state,
        _figure(host.utilisation_percent, "%"),
        _figure(host.cores),
        _figure(host.load_1m),
        _of(host.memory_used_bytes, host.memory_bytes),
        _pair(host.disk_read_bytes_per_s, host.disk_written_bytes_per_s, "/s"),
        _pair(host.network_received_bytes_per_s, host.network_sent_bytes_per_s, "/s"),
        _figure(host.temperature_c, "C"),
    )


def _gpu(gpu: GpuSample) -> tuple[str, ...]:
    return (
        str(gpu.index),
        console.clean(gpu.node),
        console.clean(gpu.model) + (" (pretend)" if gpu.pretend else ""),
        gpu.state,
        _figure(gpu.utilisation_percent, "%"),
        _of(gpu.memory_used_bytes, gpu.memory_bytes),
        _figure(gpu.temperature_c, "C"),
        "-" if gpu.power_mw is None else f"{gpu.power_mw // 1000}W",
        ",".join(gpu.jobs) or "-",
    )


def _container(one: ContainerSample) -> tuple[str, ...]:
    return (
        console.clean(one.name),
        console.clean(one.image),
        one.state,
        _figure(one.cpu_percent, "%"),
        _of(one.memory_bytes, one.memory_limit_bytes),
        _pair(one.network_received_bytes, one.network_sent_bytes, ""),
        _pair(one.read_bytes, one.written_bytes, ""),
    )


def _job(job: JobView, now_ms: int) -> tuple[str, ...]:
    return (
        job.id,
        console.clean(job.name),
        job.state,
        format_milli(job.cpu_milli),
        format_bytes(job.memory_bytes) if job.memory_bytes else "-",
        format_milli(job.gpu_milli) if job.gpu_milli else "-",
        rough(max(0, now_ms - job.started_ms)) if job.started_ms else "-",
        ",".join(map(console.clean, job.on_nodes)) or "-",
    )


def _figure(value: Any, unit: str = "") -> str:
    return "-" if value is None else f"{value:g}{unit}"


def _of(used: int | None, whole: int | None) -> str:
    if used is None:
        return "-" if whole is None else f"-/{format_bytes(whole)}"
    return format_bytes(used) + ("" if whole is None else f"/{format_bytes(whole)}")


def _pair(one: int | None, other: int | None, unit: str) -> str:
    if one is None or other is None:
        return "-"
    return f"{format_bytes(one)}/{format_bytes(other)}{unit}"
