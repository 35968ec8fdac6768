"""``projects``: who is entitled to what, holds what and held what, and whose turn that makes it."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.cli.table import Column, render
from tenure.cli.text import span
from tenure.model.amounts import format_bytes, format_milli
from tenure.wire.sharing import Portion, ProjectsReply, ProjectView

_COLUMNS = (
    Column("PROJECT"),
    Column("WEIGHT", right=True),
    Column("QUOTA"),
    Column("MAX"),
    Column("HOLDS"),
    Column("HELD-OF-LATE"),
    Column("SHARE", right=True),
    Column("ENTITLED", right=True),
    Column("FACTOR", right=True),
    Column("RUNNING", right=True),
    Column("PENDING", right=True),
)


def projects(
    users: Annotated[bool, typer.Option("--users", "-u", help="Show the users of each project, too.")] = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Say how projects stand: weight, quota, maximum, what they hold now and held of late on average, and what share that is.

    SHARE is the largest part of any resource that a project holds and held of late, together; ENTITLED its weight among all; FACTOR
    the first by the second. Under the policy fair the lowest factor goes first.

    Quotas, maxima and weights are settings: a section [projects.NAME], for as long as it stands there.

    Examples:

        tenure projects
        tenure projects --users
        tenure projects --json
    """
    with options.client() as client:
        reply = client.admin.projects()
    if options.is_json(output, as_json):
        console.out_json(reply)
    else:
        console.out(projects_text(reply, with_users=users or output == "wide", colour=console.has_colour()))


def projects_text(reply: ProjectsReply, *, with_users: bool = False, colour: bool = False) -> str:
    """The table of ``projects`` and the line that says of what the shares are."""
    rows = []
    for view in reply.projects:
        rows.append(_row(view))
        for user in view.users if with_users else ():
            parts = (amounts(user.held), amounts(user.held_of_late), percent(user.share_millionths))
            rows.append((f"  {console.clean(user.user)}", "", "", "", *parts, "", "", "", ""))
    late = f"of a past use half is forgotten every {span(reply.half_life_ms)}" if reply.half_life_ms else "past use is not counted"
    return f"{render(_COLUMNS, rows, colour=colour)}\nShares are of {amounts(reply.capacity)}; {late}."


def _row(view: ProjectView) -> tuple[str, ...]:
    quota = amounts(view.quota) + (" alone" if not view.borrow and amounts(view.quota) != "-" else "")
    return (
        console.clean(view.name),
        format_milli(view.weight_milli),
        quota,
        amounts(view.maximum),
        amounts(view.held),
        amounts(view.held_of_late),
        percent(view.share_millionths),
        percent(view.entitled_millionths),
        f"{view.factor_milli / 1000:.2f}",
        str(view.running),
        str(view.pending),
    )


def amounts(portion: Portion) -> str:
    """What there is of each resource, in short: ``4gpu 8cpu 16G``; a bound of -1 is none."""
    parts = []
    if portion.gpu_milli > 0 or (portion.gpu_milli == 0 and _is_bound(portion)):
        parts.append(f"{format_milli(portion.gpu_milli)}gpu")
    if portion.cpu_milli > 0 or (portion.cpu_milli == 0 and _is_bound(portion)):
        parts.append(f"{format_milli(portion.cpu_milli)}cpu")
    if portion.memory_bytes > 0 or (portion.memory_bytes == 0 and _is_bound(portion)):
        parts.append(format_bytes(portion.memory_bytes))
    return " ".join(parts) or "-"


def _is_bound(portion: Portion) -> bool:
    """Whether it is a quota or a maximum that says nothing of some resource: then a 0 means something."""
    return -1 in (portion.cpu_milli, portion.memory_bytes, portion.gpu_milli)


def percent(millionths: int) -> str:
    """A share in per cent."""
    return f"{millionths / 10_000:.1f}%"
