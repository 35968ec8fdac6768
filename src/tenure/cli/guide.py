"""``guide``: raise or lower a class of work, or let another policy decide, for a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.table import Column, render
from tenure.cli.text import moment
from tenure.client.errors import usage
from tenure.client.words import span_of
from tenure.wire.guidance import GuidanceRequest, GuidanceView

_COLUMNS = (Column("ID", right=True), Column("GUIDANCE"), Column("BY"), Column("SINCE"), Column("UNTIL"), Column("NOTE", cut=True))
_OF = "Of which work"
ACTIONS = ("list", "raise", "lower", "policy", "profile", "end")


def guide(
    action: Annotated[
        str, typer.Argument(metavar="[list|raise|lower|policy|profile|end]", help="Default: list.", show_default=False)
    ] = "list",
    what: Annotated[str, typer.Argument(metavar="[STEPS|NAME|ID]", help="By how much, which one.", show_default=False)] = "",
    project: Annotated[str, typer.Option("--project", metavar="NAME", rich_help_panel=_OF, help="Jobs of a project.")] = "",
    queue: Annotated[str, typer.Option("--queue", "-p", metavar="NAME", rich_help_panel=_OF, help="Jobs of a queue.")] = "",
    user: Annotated[
        str, typer.Option("--user", metavar="NAME", rich_help_panel=_OF, help="Jobs of a user; your own unless told.")
    ] = "",
    name: Annotated[str, typer.Option("--name", "-J", metavar="GLOB", rich_help_panel=_OF, help="Jobs with such a name.")] = "",
    length: Annotated[str, typer.Option("--for", metavar="SPAN", help="For how long; 24h at most.")] = "1h",
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for whoever reads it.")] = "",
    past: Annotated[bool, typer.Option("--all", help="List what is over, too.")] = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Raise or lower a class of work by up to 3 steps of priority, or let another policy decide, for a while.

    Guidance ends by itself, after an hour unless told, and can be taken back at once. It never makes work critical (above 7), and
    changes nothing of what fits, of quotas or of what was promised. You may guide your own jobs; those of others, and the policy,
    take an operator. tenure why says where it has an effect; tenure reserve sets room aside for a time.

    Examples:

        tenure guide raise 2 --project thesis --for 3h --note "the deadline is tonight"
        tenure guide lower --name 'sweep*'
        tenure guide profile fast --for 2h
        tenure guide policy easy
        tenure guide
        tenure guide end 3
    """
    if action not in ACTIONS:
        raise usage(f"{action!r} is nothing to do with guidance", f"choose {', '.join(ACTIONS)}")
    with options.client() as client:
        if action == "list":
            found = client.thinking.guidance(history=past)
            if options.is_json(output, as_json):
                console.out_json(found)
            else:
                console.out(guidance_table(found.guidance, present_ms(), colour=console.has_colour()))
            return
        if action == "end":
            if not what.isdigit():
                raise usage("name the guidance by its number", "tenure guide lists it")
            view = client.thinking.end_guidance(int(what))
        else:
            request = _request(action, what)
            request.project, request.queue, request.user, request.name = project, queue, user, name
            request.length_ms, request.note = span_of(length), note
            view = client.thinking.guide(request)
    if options.is_json(output, as_json):
        console.out_json(view)
    else:
        console.out(sentence(view, present_ms()))


def _request(action: str, what: str) -> GuidanceRequest:
    """What the first words ask for."""
    if action in ("policy", "profile"):
        if not what:
            raise usage(f"name the {action}", "tenure policy list has all of them")
        return GuidanceRequest(policy=f"portfolio:profile={what}" if action == "profile" else what)
    if what and not what.isdigit():
        raise usage(f"{what!r} is no number of steps", "write tenure guide raise 2 --project NAME")
    steps = int(what or 1)
    return GuidanceRequest(steps=steps if action == "raise" else -steps)


def sentence(view: GuidanceView, now_ms: int) -> str:
    """What was done, in a line."""
    if view.ended_ms:
        return f"Guidance {view.id} is over: {console.clean(view.text)}"
    return f"Guidance {view.id}: {console.clean(view.text)}, until {moment(view.until_ms, now_ms)}"


def guidance_table(found: Sequence[GuidanceView], now_ms: int, *, colour: bool = False) -> str:
    """What stands, or that nothing does."""
    if not found:
        return "No guidance stands."
    rows = [
        (
            str(view.id),
            console.clean(view.text),
            console.clean(view.made_by),
            moment(view.made_ms, now_ms),
            f"{moment(view.ended_ms, now_ms)} ({console.clean(view.ended_by)})" if view.ended_ms else moment(view.until_ms, now_ms),
            console.clean(view.note) or "-",
        )
        for view in found
    ]
    return render(_COLUMNS, rows, colour=colour)
