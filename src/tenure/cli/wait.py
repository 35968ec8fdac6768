"""``wait``: until jobs have ended."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.cli.follow import ending, exit_code_of_all
from tenure.client.errors import EXIT_INTERRUPTED, EXIT_TIMED_OUT


def wait(
    jobs: options.Ids = None,
    timeout: Annotated[str, typer.Option("--timeout", metavar="SPAN", help="Give up after 90s, 10m, ...")] = "",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing.")] = False,
    name: options.Name = "",
    state: options.State = "",
    mine: options.Mine = False,
    group: options.Group = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Wait for jobs to end, and return their exit code.

    Of several, the code of the first that did not succeed. A job that a signal ended gives 128 + its number; one that failed without
    a known code gives 1.

    Examples:

        tenure wait last && echo done
        tenure wait 12 13 14 --timeout 2h
        tenure wait --group sweep-1

    Exit codes: the job's own, 0 when all succeeded; 3 no such job, 5 the time given is over, 130 interrupted (the jobs go on).
    """
    from tenure.client.words import span_of

    select = options.chosen(jobs, name=name, state=state, mine=mine, group=group)
    with options.client() as client:
        try:
            reply = client.wait(select, span_of(timeout) / 1000 if timeout else None)
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None
    if options.is_json(output, as_json):
        console.out_json(reply)
    elif not quiet:
        for job in sorted(reply.jobs, key=lambda job: (job.number, job.id)):
            said = ending(job)
            console.out(said[:1].upper() + said[1:])
    raise typer.Exit(exit_code_of_all(reply.jobs) if reply.done else EXIT_TIMED_OUT)
