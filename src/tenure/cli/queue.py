"""``queue``: the queues, and the few things one can do to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.cli import console, options
from tenure.cli.table import Column, render
from tenure.cli.text import span
from tenure.client.errors import NotFound, usage
from tenure.client.words import span_of
from tenure.wire.dto import QueueView

if TYPE_CHECKING:
    from tenure.client.session import Client

_COLUMNS = (
    Column("QUEUE"),
    Column("STATUS"),
    Column("RUNNING", right=True),
    Column("PENDING", right=True),
    Column("DEFAULT-TIME", right=True),
    Column("MAX-TIME", right=True),
    Column("BONUS", right=True),
)


def queue(
    action: Annotated[str, typer.Argument(metavar="[list|pause|resume|set]", help="Default: list.", show_default=False)] = "list",
    name: Annotated[str, typer.Argument(metavar="[QUEUE]", help="Which queue.", show_default=False)] = "",
    default_time: Annotated[str, typer.Option("--default-time", metavar="SPAN", help="Limit of jobs that name none; 0: none.")] = "",
    max_time: Annotated[str, typer.Option("--max-time", metavar="SPAN", help="The longest limit a job may have; 0: any.")] = "",
    bonus: Annotated[int | None, typer.Option("--bonus", metavar="N", help="Points that are added to its jobs' priority.")] = None,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """List queues; pause one (its jobs wait, running ones go on), resume it, or set its limits, which makes it when it is new.

    Examples:

        tenure queue
        tenure queue pause default
        tenure queue set night --max-time 12h --bonus -50
    """
    if action not in ("list", "pause", "resume", "set"):
        raise usage(f"{action!r} is nothing to do with queues", "choose list, pause, resume or set")
    if (action == "list") == bool(name):
        raise usage("list takes no name" if name else "name the queue", "tenure queue lists them")
    changes: dict[str, Any] = {"pause": {"paused": True}, "resume": {"paused": False}}.get(action, {})
    if action == "set":
        changes = settings_of(default_time, max_time, bonus)
    form_is_json = options.is_json(output, as_json)
    with options.client() as client:
        if name:
            if action != "set":
                _known(client, name)
            view = client.admin.set_queue(name, **changes)
            if form_is_json:
                console.out_json(view)
            else:
                console.out(queues_table([view]))
            return
        reply = client.admin.queues()
    if form_is_json:
        console.out_json(reply)
    else:
        console.out(queues_table(reply.queues, colour=console.has_colour()))


def _known(client: Client, name: str) -> None:
    """Refuse a name that no queue has: to set one makes it, and a slip of the pen would pause a queue that nobody uses."""
    if all(view.name != name for view in client.admin.queues().queues):
        raise NotFound("not_found", f"there is no queue {name!r}", f"see tenure queue, or make it with tenure queue set {name}")


def settings_of(default_time: str, max_time: str, bonus: int | None) -> dict[str, Any]:
    """The settings that were given, in the wire's units."""
    changes: dict[str, Any] = {}
    if default_time:
        changes["default_limit_ms"] = span_of(default_time)
    if max_time:
        changes["max_limit_ms"] = span_of(max_time)
    if bonus is not None:
        changes["bonus"] = bonus
    return changes


def queues_table(queues: Sequence[QueueView], *, colour: bool = False) -> str:
    """The table of ``queue``."""
    rows = [
        (
            console.clean(view.name),
            "paused" if view.paused else "open",
            str(view.running),
            str(view.pending),
            span(view.default_limit_ms) if view.default_limit_ms else "-",
            span(view.max_limit_ms) if view.max_limit_ms else "-",
            str(view.bonus),
        )
        for view in queues
    ]
    return render(_COLUMNS, rows, colour=colour)
