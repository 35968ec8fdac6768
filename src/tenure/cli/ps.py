"""``ps`` and ``history``: jobs as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from msgspec.structs import replace

from tenure.cli import console, options, text
from tenure.cli.explain import present_ms
from tenure.cli.table import Column, render
from tenure.client.errors import NotFound, usage
from tenure.model.amounts import format_milli
from tenure.model.lifecycle import ENDED_STATES
from tenure.wire.dto import JobsReply, JobView, Selection
from tenure.wire.requests import JobOrder

if TYPE_CHECKING:
    from tenure.client.session import Client

ENDED_WORDS = {"ended", *ENDED_STATES}
_LIVE = ["starting", "running", "suspended", "preempted"]
_FIRST = {"running": 0, "suspended": 0, "starting": 1, "preempted": 2, "pending": 3, "held": 4}
_COLUMNS = (
    Column("ID"),
    Column("NAME", cut=True),
    Column("STATE"),
    Column("QUEUE", cut=True, drop=9),
    Column("PRIO", right=True, drop=8),
    Column("CPUS", right=True, drop=5),
    Column("MEM", right=True, drop=4),
    Column("GPUS", right=True, cut=True, drop=2),
    Column("TIME", right=True),
    Column("LIMIT", right=True, drop=7),
    Column("NODE", cut=True, drop=6),
    Column("REASON", cut=True),
    Column("ETA", right=True, drop=3),
)
_WIDE = (
    Column("USER"),
    Column("PROJECT"),
    Column("TASKS", right=True),
    Column("SUBMITTED"),
    Column("STARTED"),
    Column("COMMAND", cut=True),
)
_HISTORY = (
    Column("ID"),
    Column("NAME", cut=True),
    Column("STATE"),
    Column("EXIT", right=True),
    Column("WHY", cut=True),
    Column("STARTED", drop=2),
    Column("TIME", right=True),
    Column("CPU", right=True, drop=3),
    Column("PEAK-MEM", right=True, drop=1),
    Column("GPUS", right=True, cut=True, drop=4),
    Column("NODE", cut=True, drop=5),
)


def ps(
    jobs: options.Ids = None,
    everything: Annotated[bool, typer.Option("-a", "--all", help="Those that have ended as well.")] = False,
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Stay and redraw when something changes.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("-n", "--limit", min=1, metavar="N", help="At most N jobs. Default 200, as JSON 1000.", show_default=False),
    ] = None,
    state: options.State = "",
    name: options.Name = "",
    mine: options.Mine = False,
    queue: options.Queue = "",
    group: options.Group = "",
    order: Annotated[
        str, typer.Option("--order", metavar="ORDER", help="newest, oldest, priority (of what has not ended) or ended.")
    ] = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """List jobs: those that run, then those that wait, with the reason and the expected start.

    Examples:

        tenure ps                      what runs and what waits
        tenure ps -w                   the same, live
        tenure ps -a -n 20             the newest 20, ended ones too
        tenure ps --state pending --mine
        tenure ps --order priority     in the order of their priority, the oldest first
        tenure ps 12 -o json           one job for a program

    TIME is how long it has run, ETA when it is expected to start. A pipe gets every column; a narrow screen gets fewer.
    """
    form = "json" if as_json else output
    states = options.states_of(state) or (["all"] if everything or jobs else ["ended"] if order == "ended" else ["active"])
    most = limit or (1000 if form == "json" else 200)
    select = Selection(ids=list(jobs or ()), states=states, name=name, mine=mine, queue=queue, group=group, limit=most)
    select.order = order_of(order)
    with options.client() as client:
        if watch and form != "json":
            from tenure.cli.watch import watch_jobs

            watch_jobs(lambda: listing(client, select), lambda reply, width: screen(reply, form, width, order))
            return
        reply = listing(client, select)
    if not reply.jobs and _is_by_id(select, state):
        raise NotFound("not_found", f"there is no job {' '.join(select.ids)}", "tenure ps -a lists all jobs")
    if form == "json":
        console.out_json(reply)
        return
    console.out(screen(replace(reply, next=""), form, console.width(), order))
    if reply.next:
        console.note(remark(reply))
    if not reply.jobs and console.is_terminal():
        console.hint("no jobs here; tenure ps -a shows those that have ended")


def listing(client: Client, select: Selection) -> JobsReply:
    """The jobs selected, at most ``select.limit``, page after page. Where no order was asked for and there are more, those that run
    are not left out."""
    reply = client.jobs(select)
    while reply.next and len(reply.jobs) < select.limit:
        page = client.jobs(replace(select, cursor=reply.next, limit=select.limit - len(reply.jobs)))
        reply = replace(reply, jobs=reply.jobs + page.jobs, next=page.next, more=page.more)
    if reply.next and not select.order and select.states in (["active"], ["all"]):
        live = client.jobs(replace(select, states=_LIVE)).jobs
        listed = {job.id for job in live}
        rest = [job for job in reply.jobs if job.id not in listed]
        reply = replace(reply, jobs=[*live, *rest[: max(0, select.limit - len(live))]])
    return reply


def history(
    jobs: options.Ids = None,
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="Ended since: 2h, 1d, 14:30, 2026-01-31.")] = "",
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, metavar="N", help="At most N jobs. Default 50.")] = 50,
    state: options.State = "",
    name: options.Name = "",
    mine: options.Mine = False,
    queue: options.Queue = "",
    group: options.Group = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """List the jobs that have ended, with exit code, run time, cpu time and peak memory.

    Examples:

        tenure history
        tenure history --since 1d --state failed
        tenure history --name 'sweep*' -o json
    """
    from tenure.client.words import since_of

    states = options.states_of(state) or ["ended"]
    since_ms = since_of(since) if since else 0
    select = Selection(
        ids=list(jobs or ()), states=states, name=name, mine=mine, queue=queue, group=group, limit=limit, since_ms=since_ms
    )
    if not jobs and not set(states) - ENDED_WORDS:
        select.order = "ended"
    with options.client() as client:
        reply = listing(client, select)
    if not reply.jobs and _is_by_id(select, state):
        raise NotFound("not_found", f"no job {' '.join(select.ids)} has ended", f"tenure ps {' '.join(select.ids)} says how it stands")
    if options.is_json(output, as_json):
        console.out_json(reply)
    else:
        console.out(history_table(reply.jobs, present_ms(), console.width() if output != "wide" else 0))


def _is_by_id(select: Selection, state: str) -> bool:
    """Whether jobs were named and nothing else was asked, so that an empty answer means that there are none of them."""
    return bool(select.ids) and not state and not options.is_filter(replace(select, states=[]))


def order_of(word: str) -> JobOrder:
    """An order by its name. Raises `BadRequest`."""
    for known in get_args(JobOrder):
        if word == known:
            return known  # type: ignore[no-any-return]
    raise usage(f"{word!r} is no order", f"choose {', '.join(filter(None, get_args(JobOrder)))}")


def screen(reply: JobsReply, form: str, width: int, by: str = "") -> str:
    """The listing as it is drawn, in the order ``by`` that it came in, if it came in one; a remark below it when there are more."""
    shown = jobs_table(reply.jobs, present_ms(), wide=form == "wide", width=width if form != "wide" else 0, by=by)
    if reply.next:
        shown += f"\n{remark(reply)}"
    return shown


def remark(reply: JobsReply) -> str:
    """What is said below a listing that is not all."""
    total = sum(reply.counts.values())
    return f"({len(reply.jobs)} of {total} shown; -n {total} shows all)" if total else "(there are more; see -n)"


def order(jobs: Sequence[JobView]) -> list[JobView]:
    """Running ones first, then starting, waiting, held, ended; by id within."""
    return sorted(jobs, key=lambda job: (_FIRST.get(job.state, 9), job.number, job.id))


def jobs_table(
    jobs: Sequence[JobView], now_ms: int, *, wide: bool = False, width: int = 0, colour: bool | None = None, by: str = ""
) -> str:
    """The table of ``ps``; of jobs that came in an order ``by`` which was asked for, in that."""
    columns = _COLUMNS + _WIDE if wide else _COLUMNS
    rows = [_row(job, now_ms) + (_wide_row(job, now_ms) if wide else ()) for job in (jobs if by else order(jobs))]
    return render(columns, rows, width=width, colour=console.has_colour() if colour is None else colour)


def _row(job: JobView, now_ms: int) -> tuple[str, ...]:
    started = bool(job.started_ms) and job.state not in text.WAITING
    return (
        text.full_id(job),
        console.clean(job.name) or "-",
        job.state,
        job.queue,
        str(job.priority),
        format_milli(job.cpu_milli),
        text.memory(job.memory_bytes),
        text.gpus(job),
        text.rough(text.elapsed_ms(job, now_ms)) if started else "-",
        text.span(job.limit_ms) if job.limit_ms else "-",
        ",".join(job.on_nodes) or "-",
        text.reason(job) or "-",
        _eta(job, now_ms),
    )


def _eta(job: JobView, now_ms: int) -> str:
    if job.state not in text.WAITING or not job.eta_ms:
        return "-"
    return text.rough(max(0, job.eta_ms - now_ms))


def _wide_row(job: JobView, now_ms: int) -> tuple[str, ...]:
    return (
        job.user or "-",
        job.project,
        str(job.tasks),
        text.moment(job.submitted_ms, now_ms),
        text.moment(job.started_ms, now_ms),
        console.clean(job.command),
    )


def history_table(jobs: Sequence[JobView], now_ms: int, width: int = 0, colour: bool | None = None) -> str:
    """The table of ``history``, the newest last."""
    rows = [_history_row(job, now_ms) for job in sorted(jobs, key=lambda job: (job.ended_ms, job.number, job.id))]
    return render(_HISTORY, rows, width=width, colour=console.has_colour() if colour is None else colour)


def _history_row(job: JobView, now_ms: int) -> tuple[str, ...]:
    return (
        job.id,
        console.clean(job.name) or "-",
        job.state,
        str(job.exit_code) if job.exit_code is not None else "-",
        text.how_ended(job) if job.state != "succeeded" and not (job.exit_code and not job.why) else "-",
        text.moment(job.started_ms, now_ms),
        text.span(text.elapsed_ms(job, now_ms)) if job.started_ms else "-",
        text.span(job.cpu_ms) if job.cpu_ms else "-",
        text.memory(job.peak_memory_bytes),
        text.gpus(job),
        ",".join(job.on_nodes) or "-",
    )


def counts_of(client: Client, select: Selection) -> int:
    """How many jobs a selection names."""
    return sum(client.jobs(select).counts.values())
