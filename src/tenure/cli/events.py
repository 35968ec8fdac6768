"""``events``: what happened, in the order in which it was written down."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.text import details, moment
from tenure.client.errors import EXIT_INTERRUPTED
from tenure.wire.dto import EventView


def events(
    job: Annotated[str, typer.Argument(metavar="[JOB]", help="Only of this job.", show_default=False)] = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Stay and print what happens.")] = False,
    after: Annotated[int | None, typer.Option("--after", min=0, metavar="CURSOR", help="Only what follows this one.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, metavar="N", help="At most N. Default 500.")] = 500,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Print events: cursor, time, what, which job. With JSON, one object per line.

    With -f alone it begins now; with --after CURSOR it goes on where another reader stopped, without a gap. The kind "reset" says
    that events in between are no longer kept.

    Examples:

        tenure events -f
        tenure events 12
        tenure events -f --after 1000 --json | my-program
    """
    form_is_json = options.is_json(output, as_json)
    start = after if after is not None else -1 if follow and not job else 0
    with options.client() as client:
        try:
            for event in client.events(after=start, limit=limit, job=job, follow=follow):
                console.out(console.to_json(console.plain(event)) if form_is_json else line_of(event, present_ms()))
                console.flush()
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None


def line_of(event: EventView, now_ms: int) -> str:
    """One event as a line."""
    data = details(event.data)
    return f"{event.cursor:>8}  {moment(event.at_ms, now_ms)}  {event.kind:<16} {event.job:<8} {data}".rstrip()
