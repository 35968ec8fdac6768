"""``logs``: what a job wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tenure.cli import console, options
from tenure.cli.follow import detach, write_bytes
from tenure.client.errors import NotFound, usage

if TYPE_CHECKING:
    from tenure.wire.jobs import AttemptView, JobDetail


def _run_of(detail: JobDetail, attempt: int) -> AttemptView | None:
    """A run by its number, 0 for the last; None when it is not on record."""
    return next((run for run in reversed(detail.attempts) if attempt in (0, run.number)), None)


def _check_run(detail: JobDetail, attempt: int, task: int) -> None:
    """Refuse a run or a task that the job has not; of one that has not run, or is on record no more, nothing is known yet."""
    job = detail.job
    if attempt > job.attempts:
        ran = f"{job.attempts} run{'s' if job.attempts != 1 else ''}" if job.attempts else "not run yet"
        raise NotFound("not_found", f"job {job.id} has {ran}, so there is no run {attempt}", "leave --attempt out for the last")
    if task >= job.tasks:
        raise NotFound(
            "not_found", f"job {job.id} has no task {task}", f"its tasks are 0 to {job.tasks - 1}" if job.tasks > 1 else "it has one, 0"
        )


def _path(detail: JobDetail, attempt: int, task: int, *, err: bool) -> str:
    """Where a log is kept. Raises `NotFound` when there is none."""
    run = _run_of(detail, attempt)
    for view in run.tasks if run is not None else ():
        if view.task == task and (found := view.stderr if err else view.log):
            return found
    apart = " of its own for errors" if err else ""
    raise NotFound("no_log", f"job {detail.job.id} has no log{apart}", f"tenure why {detail.job.id}")


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
        _check_run(detail, 0 if follow else attempt, task)
        if path:
            console.out(_path(detail, attempt, task, err=err))
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
