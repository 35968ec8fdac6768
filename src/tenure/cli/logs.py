"""``logs``: what a job wrote."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.cli.follow import detach, write_bytes
from tenure.client.errors import usage


def logs(
    job: Annotated[str, typer.Argument(metavar="[JOB]", help="An id, an element (12_3), last or last~2. Default: last.")] = "last",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Stay and print what is added, until the job ends.")] = False,
    tail: Annotated[int, typer.Option("-n", "--tail", min=0, metavar="N", help="Only the last N lines.")] = 0,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="Only what was written since: 10m, 14:30, 2026-01-31T16:00.")
    ] = "",
    from_byte: Annotated[
        int | None, typer.Option("--from-byte", min=0, metavar="N", help="Only what follows the first N bytes.")
    ] = None,
    task: Annotated[int, typer.Option("--task", "--rank", min=0, metavar="N", help="Which task of a gang. Default 0.")] = 0,
    attempt: Annotated[int, typer.Option("--attempt", min=0, metavar="N", help="Which run, from 1. Default: the last.")] = 0,
    err: Annotated[bool, typer.Option("--err", help="The error output, when it is kept apart.")] = False,
    path: Annotated[bool, typer.Option("--path", help="Print where the log is kept and nothing else.")] = False,
) -> None:
    """Print a job's output.

    With -f it waits for a job that has not started, and goes on until it ends; Ctrl-C leaves the job alone. Lines carry no time: what
    --since prints begins at most five seconds too early (more where a run has lasted for days), and never too late.

    Examples:

        tenure logs last
        tenure logs -f 12
        tenure logs -n 20 12_3           the last 20 lines of element 3
        tenure logs --since 10m -f 12
        tenure logs --task 1 --attempt 2 12

    Exit codes: 0, 3 when there is no such job, 1 when it has written nothing yet.
    """
    from tenure.client.words import since_of

    options.chosen([job])
    since_ms = since_of(since) if since else 0
    with options.client() as client:
        detail = client.show(job)
        if detail.job.array is not None:
            ids = detail.job.array.indices.partition("%")[0]
            first = ids.partition(",")[0].partition("-")[0]
            raise usage(f"{job} is an array and has a log per element ({ids})", f"name one: tenure logs {detail.job.id}_{first}")
        if path:
            console.out("\n".join(t.stderr if err else t.log for a in detail.attempts[-1:] for t in a.tasks if t.task == task))
            return
        try:
            for piece in client.logs(
                detail.job.id,
                attempt=attempt,
                task=task,
                stream="err" if err else "out",
                offset=from_byte,
                since_ms=since_ms,
                tail=tail,
                follow=follow,
            ):
                write_bytes(piece)
        except KeyboardInterrupt:
            raise typer.Exit(detach(detail.job.id) if follow else 130) from None
