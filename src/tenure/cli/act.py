"""``cancel``, ``hold``, ``release``, ``requeue``, ``suspend``, ``resume``: one verb, the jobs it is meant for, one line for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.cli.ps import counts_of
from tenure.client.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_NOT_FOUND
from tenure.wire.dto import ActReply, Selection

_DONE = {
    "cancel": "cancelled",
    "hold": "held",
    "release": "released",
    "requeue": "queued again",
    "suspend": "suspended",
    "resume": "resumed",
    "update": "changed",
}
_MEANT = {"requeue": "ended", "suspend": "running", "resume": "suspended"}
"""The jobs that a filter selects where it names no state; else all that have not ended."""
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="A remark that is kept with the job.")]


def cancel(
    jobs: options.Ids = None,
    name: options.Name = "",
    state: options.State = "",
    mine: options.Mine = False,
    queue: options.Queue = "",
    group: options.Group = "",
    why: Why = "",
    yes: options.Yes = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """End jobs: waiting ones at once, running ones politely first (TERM), after their grace with everything they started (KILL).

    Examples:

        tenure cancel 12
        tenure cancel last 12-15 20_3
        tenure cancel --state pending --name 'sweep*'

    A job that has ended already is left alone, which is no error. A filter that selects several asks first, unless -y.
    Exit codes: 0, 1 when one could not be cancelled, 3 when there is no such job.
    """
    _act("cancel", options.chosen(jobs, name=name, state=state, mine=mine, queue=queue, group=group), why, yes, output, as_json)


def _verb(action: str, manual: str) -> Callable[..., None]:
    """A command that does ``action`` to the jobs that are named or filtered."""

    def command(
        jobs: options.Ids = None,
        name: options.Name = "",
        state: options.State = "",
        mine: options.Mine = False,
        queue: options.Queue = "",
        group: options.Group = "",
        yes: options.Yes = False,
        output: options.Form = "table",
        as_json: options.Json = False,
    ) -> None:
        _act(action, options.chosen(jobs, name=name, state=state, mine=mine, queue=queue, group=group), "", yes, output, as_json)

    command.__doc__ = manual
    return command


hold = _verb(
    "hold",
    """Keep waiting jobs from starting, until tenure release.

    Example:

        tenure hold 12-15
    """,
)
release = _verb(
    "release",
    """Let held jobs start when there is room.

    Examples:

        tenure release 12
        tenure release --state held --mine
    """,
)
requeue = _verb(
    "requeue",
    """Run jobs again: ended ones from the start; running ones are stopped first and then wait again.

    Examples:

        tenure requeue 12
        tenure requeue --state failed --group sweep-1
    """,
)


suspend = _verb(
    "suspend",
    """Stop the processes of running jobs where they are. They keep what they hold; their time limit stands still.

    Examples:

        tenure suspend 12
        tenure suspend --group sweep-1
    """,
)
resume = _verb(
    "resume",
    """Let suspended jobs go on where they stopped.

    Examples:

        tenure resume 12
        tenure resume --mine
    """,
)


def _act(action: str, select: Selection, why: str, yes: bool, output: str, as_json: bool) -> None:
    if options.is_filter(select) and not select.states:
        select.states = [_MEANT.get(action, "active")]
    with options.client() as client:
        if options.is_filter(select) and not yes and options.can_ask():
            count = counts_of(client, select)
            if count > 1 and not console.confirm(f"{action} {count} jobs?"):
                raise typer.Exit(EXIT_INTERRUPTED)
        reply = client.act(action, select, why=why)
    print_results(action, reply, options.is_json(output, as_json))


def print_results(action: str, reply: ActReply, as_json: bool) -> None:
    """One line per job; ends the command with 1 when one was refused, 3 when it did not exist."""
    if as_json:
        console.out_json(reply)
    else:
        for result in reply.results:
            if result.ok:
                console.out(f"Job {result.id} {_DONE[action]}" if not result.text else f"Job {result.id}: {console.clean(result.text)}")
            else:
                said = console.clean(result.text) or result.code
                console.note(f"tenure: {said}" if said.startswith("job ") else f"tenure: job {result.id}: {said}")
        if not reply.results:
            console.note("tenure: no job matches")
    refused = [result for result in reply.results if not result.ok]
    if refused:
        missing = all(result.code == "not_found" for result in refused)
        raise typer.Exit(EXIT_NOT_FOUND if missing else EXIT_ERROR)
