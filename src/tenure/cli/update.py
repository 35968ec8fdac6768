"""``update``: change jobs that are queued, and a little of those that run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tenure.cli import options
from tenure.cli.act import print_results
from tenure.client import words
from tenure.client.errors import usage

_WHAT = "What to change"


def update(
    jobs: options.Ids = None,
    priority: Annotated[
        str, typer.Option("--priority", metavar="P", rich_help_panel=_WHAT, help="1 to 10, or low, normal, high, critical.")
    ] = "",
    time: Annotated[str, typer.Option("--time", "-t", metavar="SPAN", rich_help_panel=_WHAT, help="Time limit: 90s, 2h30m, 1d.")] = "",
    rename: Annotated[str, typer.Option("--name", "-J", metavar="NAME", rich_help_panel=_WHAT, help="A new name.")] = "",
    queue: Annotated[str, typer.Option("--queue", "-p", metavar="QUEUE", rich_help_panel=_WHAT, help="Another queue.")] = "",
    deadline: Annotated[
        str, typer.Option("--deadline", metavar="WHEN", rich_help_panel=_WHAT, help="It should have ended by then.")
    ] = "",
    retries: Annotated[int, typer.Option("--retries", metavar="N", rich_help_panel=_WHAT, help="Run it again up to N times.")] = -1,
    array_cap: Annotated[
        int, typer.Option("--array-cap", metavar="N", rich_help_panel=_WHAT, help="How many elements may run at once.")
    ] = 0,
    cpus: Annotated[str, typer.Option("--cpus", "-c", metavar="N", rich_help_panel=_WHAT, help="Cpus per task.")] = "",
    memory: Annotated[str, typer.Option("--memory", "--mem", metavar="SIZE", rich_help_panel=_WHAT, help="Memory per task.")] = "",
    gpus: Annotated[str, typer.Option("--gpus", "-G", metavar="N", rich_help_panel=_WHAT, help="GPUs per task: 2, a100:2, 0.5.")] = "",
    gpu_memory: Annotated[
        str, typer.Option("--gpu-memory", "--vram", metavar="SIZE", rich_help_panel=_WHAT, help="Memory of each GPU.")
    ] = "",
    storage: Annotated[
        str, typer.Option("--storage", "--tmp", metavar="SIZE", rich_help_panel=_WHAT, help="Scratch space per task.")
    ] = "",
    tasks: Annotated[int, typer.Option("--tasks", "-n", metavar="N", rich_help_panel=_WHAT, help="Tasks that start together.")] = 0,
    nodes: Annotated[
        int, typer.Option("--nodes", "-N", metavar="N", rich_help_panel=_WHAT, help="Deal the tasks evenly over N nodes, 0: over any.")
    ] = -1,
    state: options.State = "",
    mine: options.Mine = False,
    group: options.Group = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Change jobs: all of it while they wait; priority, name, time limit, and how much cpu and memory they hold also while they run.

    A time limit counts from the start: one that is shorter than what a job has used already ends it as timed out. A job that runs may
    hold less cpu and memory than it asked for, or that again if it is free; others have the rest as soon as it is kept to less. It is
    never left less memory than it uses.

    Examples:

        tenure update 12 --priority high
        tenure update 12-15 --time 4h
        tenure update last --gpus 1            so that it starts sooner
        tenure update 12 --array-cap 16
        tenure update 12 --memory 4G           it runs, and needs no more than that

    Exit codes: 0, 1 when one could not be changed, 3 when there is no such job.
    """
    changes: dict[str, Any] = {}
    changes.update({"priority": words.priority_of(priority)} if priority else {})
    changes.update({"limit_ms": words.limit_of(time)} if time else {})
    changes.update({"name": rename} if rename else {})
    changes.update({"queue": queue} if queue else {})
    changes.update({"deadline_ms": words.moment_of(deadline)} if deadline else {})
    changes.update({"retries": retries} if retries >= 0 else {})
    changes.update({"array_cap": array_cap} if array_cap else {})
    changes.update({"tasks": tasks} if tasks else {})
    changes.update({"nodes": nodes} if nodes >= 0 else {})
    changes.update({"storage_bytes": words.bytes_of(storage)} if storage else {})
    changes.update(amounts_of(cpus, memory, gpus, gpu_memory))
    if not changes:
        raise usage("there is nothing to change", "say what: --priority, --time, --queue, --memory, ...")
    select = options.chosen(jobs, state=state, mine=mine, group=group)
    with options.client() as client:
        reply = client.update(select, **changes)
    print_results("update", reply, options.is_json(output, as_json))


def amounts_of(cpus: str, memory: str, gpus: str, gpu_memory: str) -> dict[str, Any]:
    """The amounts that were given, in the wire's units."""
    found: dict[str, Any] = {}
    if cpus:
        found["cpu_milli"] = words.milli_of(cpus)
    if memory:
        found["memory_bytes"] = words.bytes_of(memory, "m")
    if gpus:
        asked = words.gpus_of(gpus)
        found |= {"gpu_milli": asked.milli, "gpu_model": asked.model}
    if gpu_memory:
        found["gpu_memory_bytes"] = words.bytes_of(gpu_memory, "m")
    return found
