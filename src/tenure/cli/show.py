"""``show`` and ``why``: one job, and why it is where it is."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from tenure.cli import console, options, text
from tenure.cli.explain import present_ms, why_text
from tenure.cli.table import Column, render
from tenure.model.amounts import format_bytes, format_duration_ms
from tenure.wire.dto import AttemptView, EventView, JobDetail, JobView, TaskView
from tenure.wire.text import amounts_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure.wire.forecasts import ForecastsReply, ForecastView
    from tenure.wire.monitoring import MetricsReply

_EVENTS_SHOWN = 12
_FORECASTS = (Column("MODEL"), Column("SAID"), Column("HALF", right=True), Column("NINE-OF-TEN", right=True), Column("RAN", right=True))


def show(
    job: options.OneId = "last",
    metrics: Annotated[bool, typer.Option("--metrics", help="Its figures over time: what it used and what it reported.")] = False,
    forecasts: Annotated[bool, typer.Option("--forecasts", help="What was said of how long it will run, and what came.")] = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Show everything about one job: what it asked for, what it got, how it went, its environment and history.

    Examples:

        tenure show 12
        tenure show last -o json
        tenure show 12_3 -o wide        with the environment
        tenure show last --metrics      cpu, memory, GPU and what the job reports, over time
        tenure show last --forecasts    how long it was thought to run, by which model

    Secrets in the environment are not shown. Exit codes: 0, 3 when there is no such job.
    """
    options.chosen([job])
    with options.client() as client:
        if forecasts:
            _show_forecasts(client.monitor.forecasts(job=job), as_json=options.is_json(output, as_json))
            return
        if metrics:
            _show_metrics(client.monitor.metrics(job), as_json=options.is_json(output, as_json))
            return
        detail = client.show(job)
    if options.is_json(output, as_json):
        console.out_json(detail)
    else:
        console.out(show_text(detail, present_ms(), wide=output == "wide"))


def _show_forecasts(reply: ForecastsReply, *, as_json: bool) -> None:
    if as_json:
        console.out_json(reply)
    elif not reply.forecasts:
        console.out("Nothing was said of how long it will run: nothing like it had ended, it was over too soon, or it is an array.")
    else:
        console.out(forecasts_table(reply.forecasts, present_ms(), colour=console.has_colour()))


def forecasts_table(views: Sequence[ForecastView], now_ms: int, *, colour: bool = False) -> str:
    """What each model said: half of such jobs run for so long at most, nine of ten for so long; and how long it ran."""
    rows = [
        (
            view.model,
            text.moment(view.as_of_ms, now_ms),
            text.span(view.p50_ms),
            text.span(view.p90_ms),
            text.span(view.ran_ms) if view.ran_ms else "-",
        )
        for view in views
    ]
    return render(_FORECASTS, rows, colour=colour)


def _show_metrics(reply: MetricsReply, *, as_json: bool) -> None:
    if as_json:
        console.out_json(reply)
        return
    from tenure.cli.metrics import metrics_text

    console.out(metrics_text(reply))


def why(job: options.OneId = "last", output: options.Form = "table", as_json: options.Json = False) -> None:
    """Say why a job is where it is: what blocks it, who holds what it needs, when it should start, and the cheapest change that
    would let it start sooner; of a job that ended, what became of it and on what evidence.

    Examples:

        tenure why last
        tenure why 12 --json
    """
    options.chosen([job])
    with options.client() as client:
        view = client.why(job)
    if options.is_json(output, as_json):
        console.out_json(view)
    else:
        console.out(why_text(view, present_ms()))


def show_text(detail: JobDetail, now_ms: int, *, wide: bool = False) -> str:
    """One job as text: a heading, facts, attempts, history."""
    job = detail.job
    kind = "Array" if job.array else "Job"
    lines = [f"{kind} {text.full_id(job)} ({console.clean(job.name)}): {_standing(job, now_ms)}"]
    lines += [f"  {name:<11}{value}" for name, value in _facts(detail, now_ms) if value]
    for attempt in detail.attempts:
        lines += _attempt(attempt, now_ms)
    if wide and detail.env:
        lines += ["Environment:", *(f"  {name}={console.clean(value)}" for name, value in sorted(detail.env.items()))]
    if detail.events:
        shown = detail.events if wide else detail.events[-_EVENTS_SHOWN:]
        lines += ["History:", *(_event(event, now_ms) for event in shown)]
    return "\n".join(lines)


def _event(event: EventView, now_ms: int) -> str:
    """One line of the history; of an end, which; of amounts that were not changed as they should have been, why."""
    why = event.data.get("why", "") if event.kind == "job.resized" else ""
    state = str(event.data.get("state", "") or why).replace("_", " ")
    line = f"  {text.moment(event.at_ms, now_ms)}  {event.kind}"
    return f"{line:<30}  {console.clean(state)}" if state else line


def _standing(job: JobView, now_ms: int) -> str:
    if job.state in text.ENDED:
        return text.ended_text(job)
    if job.state in text.WAITING:
        return f"{job.state}" + (f": {text.reason(job)}" if text.reason(job) else "")
    said = f"{job.state} for {format_duration_ms(text.elapsed_ms(job, now_ms) // 1000 * 1000)}" if job.started_ms else job.state
    return said + (" (stopping)" if job.stopping else "")


def _facts(detail: JobDetail, now_ms: int) -> list[tuple[str, str]]:
    job = detail.job
    after = ", ".join(f"{item.job}:{item.condition}" for item in detail.after)
    origin = detail.origin
    commit = origin.get("git_commit", "")[:12]
    return [
        ("asks for", text.ask(job)),
        ("holds", _held(detail)),
        ("limit", format_duration_ms(job.limit_ms) if job.limit_ms else ""),
        ("queue", f"{job.queue}, priority {job.priority}, project {job.project}"),
        ("user", job.user),
        ("group", job.group),
        ("after", after),
        ("submitted", text.moment(job.submitted_ms, now_ms)),
        ("not before", text.moment(job.not_before_ms, now_ms) if job.not_before_ms > now_ms else ""),
        ("deadline", text.moment(job.deadline_ms, now_ms) if job.deadline_ms else ""),
        ("expected", text.moment(job.eta_ms, now_ms) if job.eta_ms and job.state in text.WAITING else ""),
        ("used", _used(job)),
        ("command", console.clean(shlex.join(detail.argv))),
        ("directory", console.clean(detail.cwd)),
        ("from", console.clean(detail.submit_dir) if detail.submit_dir not in ("", detail.cwd) else ""),
        ("commit", f"{commit} ({'with changes' if origin.get('git_dirty') == 'true' else 'clean'})" if commit else ""),
        ("comment", console.clean(origin.get("comment", ""))),
    ]


def _held(detail: JobDetail) -> str:
    """What each task holds now, where that is not what the job asked for."""
    job = detail.job
    tasks = [task for task in detail.attempts[-1].tasks if task.state == "active"] if detail.attempts else []
    found = dict.fromkeys((task.cpu_milli, task.memory_bytes) for task in tasks if task.cpu_milli or not job.cpu_milli)
    lowered = [amounts for amounts in found if amounts != (job.cpu_milli, job.memory_bytes)]
    return ", ".join(amounts_text(*amounts) for amounts in lowered)


def _used(job: JobView) -> str:
    parts = []
    if job.cpu_ms:
        parts.append(f"{format_duration_ms(job.cpu_ms)} cpu")
    if job.peak_memory_bytes:
        of = f" of {format_bytes(job.memory_bytes)}" if job.memory_bytes else ""
        parts.append(f"{format_bytes(job.peak_memory_bytes)}{of} peak memory")
    return ", ".join(parts)


def _attempt(attempt: AttemptView, now_ms: int) -> list[str]:
    began = f"started {text.moment(attempt.started_ms, now_ms)}" if attempt.started_ms else "not started"
    ended = f", ended {text.moment(attempt.ended_ms, now_ms)}" if attempt.ended_ms else ""
    outcome = f": {attempt.outcome}" if attempt.outcome else ""
    why = f": {console.clean(attempt.why)}" if attempt.why else ""
    lines = [f"Run {attempt.number}{outcome} ({began}{ended}){why}"]
    if attempt.checkpoint_ms:
        lines.append(f"  last checkpoint {text.moment(attempt.checkpoint_ms, now_ms)}")
    for task in attempt.tasks:
        lines.append(f"  task {task.task} on {task.node}: {_task_state(task)}")
        if task.devices:
            pretend = ", pretend" if task.pretend else ""
            lines.append(
                f"    GPUs {', '.join(map(str, task.device_indices)) or len(task.devices)} ({', '.join(task.devices)}{pretend})"
            )
        if task.log:
            lines.append(f"    log {console.clean(task.log)}" + (f", errors {console.clean(task.stderr)}" if task.stderr else ""))
    return lines


def _task_state(task: TaskView) -> str:
    parts = [task.state]
    if task.end_reason in ("oom", "oom_sampled"):
        parts.append("out of memory")
    elif task.end_reason == "stopped":
        parts.append("stopped")
    elif task.signal:
        parts.append(f"signal {task.signal} ({text.signal_name(task.signal)})")
    elif task.exit_code is not None:
        parts.append(f"exit {task.exit_code}")
    if task.pid and task.exit_code is None and not task.ended_ms:
        parts.append(f"pid {task.pid}")
    return ", ".join(parts)
