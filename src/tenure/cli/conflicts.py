"""``conflicts``: what waiting jobs cannot all have, in two orders, what became of it, and resolving it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.table import Column, render
from tenure.cli.text import moment
from tenure.client.errors import usage
from tenure.wire.conflict import ConflictView

_COLUMNS = (
    Column("CONFLICT"),
    Column("SEVERITY", right=True),
    Column("SINCE"),
    Column("WHAT", cut=True),
)
_PAST = (*_COLUMNS[:3], Column("UNTIL"), Column("WHAT", cut=True), Column("RESOLVED", cut=True, drop=1))


def conflicts(
    action: Annotated[str, typer.Argument(metavar="[list|resolve]", help="Default: list.", show_default=False)] = "list",
    conflict: Annotated[str, typer.Argument(metavar="[CONFLICT]", help="The conflict to resolve.", show_default=False)] = "",
    by: Annotated[
        str,
        typer.Option("--by", metavar="HOW", help="List by age or severity; resolve by priority, fair or time-slicing."),
    ] = "",
    favour: Annotated[str, typer.Option("--favour", metavar="JOB", help="The job that goes first by priority.")] = "",
    history: Annotated[bool, typer.Option("--history", help="Those that are over, too, the newest first.")] = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """List what waiting jobs cannot all have: room, what jobs of a lower priority hold, a deadline. Resolve it.

    By priority: one contender (--favour, else the one of the highest priority) gets a higher priority than the others. By fair: each
    project and user that holds more than another comes a step of priority after it. Who resolved what, when and how is kept.

    Examples:

        tenure conflicts
        tenure conflicts --by severity
        tenure conflicts resolve resource-gpu --by fair
        tenure conflicts resolve resource-gpu --by priority --favour 12
        tenure conflicts --history

    Exit codes: 0, 1 when it could not be resolved, 3 when there is no such conflict.
    """
    form_is_json = options.is_json(output, as_json)
    if action == "resolve":
        _resolve(conflict, by, favour, form_is_json)
        return
    if action != "list" or conflict or favour:
        raise usage(
            "conflicts are listed, or one is resolved", "write tenure conflicts, or tenure conflicts resolve CONFLICT --by fair"
        )
    if by not in ("", "age", "severity"):
        raise usage(f"conflicts are not listed by {by}", "choose --by age or --by severity")
    with options.client() as client:
        reply = client.conflicts.history() if history else client.conflicts.queue(by=by or "age")
    if form_is_json:
        console.out_json(reply)
    else:
        console.out(conflicts_table(reply.conflicts, present_ms(), history=history, colour=console.has_colour()))


def _resolve(conflict: str, by: str, favour: str, form_is_json: bool) -> None:
    if not conflict or not by:
        raise usage("say which conflict to resolve, and how", "tenure conflicts resolve resource-gpu --by priority")
    with options.client() as client:
        reply = client.conflicts.resolve(conflict, by, favour=favour)
    if form_is_json:
        console.out_json(reply)
    else:
        console.out(f"Conflict {console.clean(reply.conflict)} resolved by {console.clean(reply.text)}")


def conflicts_table(found: Sequence[ConflictView], now_ms: int, *, history: bool = False, colour: bool = False) -> str:
    """The conflicts as a table, a sentence when there are none."""
    if not found:
        return "There are no conflicts." if not history else "There were no conflicts."
    rows: list[tuple[str, ...]] = []
    for item in found:
        head = (item.id, str(item.severity), moment(item.opened_ms, now_ms))
        text = console.clean(item.text)
        if history:
            done = f"{item.resolution} (by {item.resolved_by})" if item.resolved_ms else "-"
            rows.append((*head, moment(item.closed_ms, now_ms) if item.closed_ms else "-", text, console.clean(done)))
        else:
            rows.append((*head, text))
    return render(_PAST if history else _COLUMNS, rows, colour=colour)
