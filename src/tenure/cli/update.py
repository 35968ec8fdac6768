"""``update``: change jobs that are queued, and a little of those that run.

What can be changed is one table: how it is spelt, what the help says of it, and what it is in the wire's words.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any, NamedTuple

import typer

from tenure.cli import options
from tenure.cli.act import print_results
from tenure.cli.tabled import with_parameters
from tenure.client import words
from tenure.client.errors import usage


class _Change(NamedTuple):
    """One thing to change; ``read`` makes the fields of the wire of what was written."""

    name: str
    flags: tuple[str, ...]
    metavar: str
    help: str
    read: Callable[[Any], dict[str, Any]]
    kind: type = str

    @property
    def parameter(self) -> Parameter:
        """The option."""
        option = typer.Option(*self.flags, metavar=self.metavar, rich_help_panel="What to change", help=self.help)
        return Parameter(self.name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[self.kind | None, option])


def _to(field: str, read: Callable[[Any], Any] = lambda value: value) -> Callable[[Any], dict[str, Any]]:
    """What is written is one field, as ``read`` reads it."""
    return lambda value: {field: read(value)}


def _gpus(text: str) -> dict[str, Any]:
    asked = words.gpus_of(text)
    return {"gpu_milli": asked.milli, "gpu_model": asked.model}


def _mebibytes(text: str) -> int:
    """A size of memory: a bare number is MiB."""
    return words.bytes_of(text, "m")


_CHANGES = (
    _Change(
        "priority",
        ("--priority",),
        "P",
        "1 to 10, or low, normal, high, critical.",
        _to("priority", words.priority_of),
    ),
    _Change("time", ("--time", "-t"), "SPAN", "Time limit: 90s, 2h30m, 1d.", _to("limit_ms", words.limit_of)),
    _Change("rename", ("--name", "-J"), "NAME", "A new name.", _to("name")),
    _Change("queue", ("--queue", "-p"), "QUEUE", "Another queue.", _to("queue")),
    _Change("deadline", ("--deadline",), "WHEN", "It should have ended by then.", _to("deadline_ms", words.moment_of)),
    _Change("retries", ("--retries",), "N", "Run it again up to N times.", _to("retries"), int),
    _Change("array_cap", ("--array-cap",), "N", "How many elements may run at once.", _to("array_cap"), int),
    _Change("cpus", ("--cpus", "-c"), "N", "Cpus per task.", _to("cpu_milli", words.milli_of)),
    _Change("memory", ("--memory", "--mem"), "SIZE", "Memory per task.", _to("memory_bytes", _mebibytes)),
    _Change("gpus", ("--gpus", "-G"), "N", "GPUs per task: 2, a100:2, 0.5.", _gpus),
    _Change("gpu_memory", ("--gpu-memory", "--vram"), "SIZE", "Memory of each GPU.", _to("gpu_memory_bytes", _mebibytes)),
    _Change("storage", ("--storage", "--tmp"), "SIZE", "Scratch space per task.", _to("storage_bytes", words.bytes_of)),
    _Change("bandwidth", ("--bandwidth",), "RATE", "Bandwidth per task, in bits per second.", _to("bandwidth_bps", words.bits_of)),
    _Change("tasks", ("--tasks", "-n"), "N", "Tasks that start together.", _to("tasks"), int),
    _Change("nodes", ("--nodes", "-N"), "N", "Deal the tasks evenly over N nodes, 0: over any.", _to("nodes"), int),
)


def _with_changes(function: Callable[..., None]) -> Callable[..., None]:
    return with_parameters(function, [change.parameter for change in _CHANGES])


@_with_changes
def update(
    given: dict[str, Any],
    jobs: options.Ids = None,
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
    for change in _CHANGES:
        if given[change.name] not in (None, ""):
            changes |= change.read(given[change.name])
    if not changes:
        raise usage("there is nothing to change", "say what: --priority, --time, --queue, --memory, ...")
    select = options.chosen(jobs, state=state, mine=mine, group=group)
    with options.client() as client:
        reply = client.update(select, **changes)
    print_results("update", reply, options.is_json(output, as_json))
