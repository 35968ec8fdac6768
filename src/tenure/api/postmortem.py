"""What is said of a job that runs or has ended: the cause, the evidence for it in the record, and what to do next."""

from __future__ import annotations

import signal as signals
from collections.abc import Sequence

from tenure.api.particulars import memory_note
from tenure.model.amounts import format_bytes, format_duration_ms
from tenure.wire.dto import ArrayView, AttemptView, ExplanationView, JobDetail, JobView
from tenure.wire.elements import elements_text

_OUT_OF_MEMORY = ("oom", "oom_sampled")


def account(detail: JobDetail) -> ExplanationView:
    """The explanation of a job that does not wait."""
    job = detail.job
    explain = _of_lease if job.kind == "lease" else _cause
    summary, next_step = explain(job, detail.attempts[-1:]) if job.array is None else _of_array(job, job.array)
    return ExplanationView(
        id=job.id,
        state=job.state,
        summary=summary,
        evidence=_evidence(detail),
        next_step=next_step,
        is_array=job.array is not None,
    )


def _of_array(job: JobView, array: ArrayView) -> tuple[str, str]:
    counts = elements_text(array.states, array.waiting)
    elements = f"{job.id}_{array.indices.partition('%')[0]}"
    return f"of its {array.size} elements {counts or 'none is left'}", f"tenure ps {elements} lists them"


def _cause(job: JobView, last: Sequence[AttemptView]) -> tuple[str, str]:
    """One sentence on where the job is, and one on what to do about it. ``last`` is its last attempt, if there is one."""
    if job.state in ("starting", "running", "suspended", "preempted"):
        return _of_live(job, last)
    if job.state == "succeeded":
        return f"it succeeded{_after(job)}", f"tenure logs {job.id}"
    if job.state == "cancelled":
        return job.why or "it was cancelled", f"tenure requeue {job.id} runs it again"
    if job.state == "timed_out":
        limit = format_duration_ms(job.limit_ms) if job.limit_ms else "its time limit"
        return (
            f"it was ended at its time limit of {limit}",
            f"run it again, and give it more: tenure requeue {job.id}, then tenure update {job.id} --time 2h",
        )
    if job.state == "lost":
        return (
            job.why or "it ended while nobody could see how; its exit is unknown",
            f"look at tenure logs {job.id}, then tenure requeue {job.id}",
        )
    return _of_failure(job, last)


def _of_lease(job: JobView, last: Sequence[AttemptView]) -> tuple[str, str]:
    """A lease is held or over; whoever wants one again asks anew."""
    where = ", ".join(job.on_nodes) or "a node"
    if job.state == "starting":
        return f"it is about to be held on {where}", "tenure lease list"
    if job.state == "running" and job.stopping:
        why = next((attempt.why for attempt in last if attempt.why), "")
        return f"it is being taken back on {where}" + (f": {why}" if why else ""), "it is over after its grace"
    if job.state == "running":
        return f"it is held on {where}", f"tenure lease list says until when; tenure cancel {job.id} takes it back"
    again = "tenure lease acquires a new one"
    if job.state == "timed_out":
        return f"it was not renewed in time{_after(job)}", again
    if job.state == "succeeded":
        return f"its holder gave it back{_after(job)}", again
    return job.why or f"it is {job.state}", again


def _of_live(job: JobView, last: Sequence[AttemptView]) -> tuple[str, str]:
    stopped_for = next((attempt.why for attempt in last), "")
    behind = next((task.behind for attempt in last for task in attempt.tasks), "")
    where = ", ".join(job.on_nodes) or "a node"
    if job.stopping:
        why = f": {stopped_for}" if stopped_for else ""
        return f"it is being stopped on {where}{why}", "after its grace time it is killed"
    if job.state == "running":
        limit = f"; its time limit is {format_duration_ms(job.limit_ms)}" if job.limit_ms else ""
        return f"it runs on {where}{limit}", f"tenure logs -f {job.id}"
    if job.state == "suspended" and any(attempt.rests_ms for attempt in last):
        has = f"it has had its turn on {where} and rests while others have theirs; it keeps everything but its cpus"
        return has, "it goes on by itself, where it was, when its turn comes"
    if job.state == "suspended":
        return f"it is suspended on {where} and keeps what it holds", f"tenure resume {job.id}"
    if job.state == "starting" and behind:
        return f"it starts on {where} as soon as job {behind} has ended, whose room it takes over", f"tenure logs -f {job.id}"
    return f"it is {job.state} on {where}", f"tenure logs -f {job.id}"


def _of_failure(job: JobView, last: Sequence[AttemptView] = ()) -> tuple[str, str]:
    if job.end_reason in _OUT_OF_MEMORY:
        return _of_memory(job, min((task.memory_bytes for attempt in last for task in attempt.tasks), default=0))
    if job.signal:
        name = signals.Signals(job.signal).name if job.signal in signals.valid_signals() else str(job.signal)
        return f"a signal ended it ({name}){_after(job)}", f"tenure logs {job.id}"
    if job.exit_code is not None and job.exit_code:
        return f"its command exited with code {job.exit_code}{_after(job)}", f"tenure logs {job.id}"
    return job.why or "it failed", f"tenure show {job.id}"


def _of_memory(job: JobView, held_bytes: int) -> tuple[str, str]:
    """``held_bytes`` is what its last run held of memory."""
    limit = format_bytes(job.memory_bytes) if job.memory_bytes else "what the machine has"
    how = " (sampled)" if job.end_reason == "oom_sampled" else ""
    peak = f", its peak was {format_bytes(job.peak_memory_bytes)}" if job.peak_memory_bytes else ""
    if 0 < held_bytes < job.memory_bytes:
        text = f"out of memory{how}: it needed more than the {format_bytes(held_bytes)} that were left to it of {limit}{peak}"
        return text, f"tenure requeue {job.id} runs it again with {limit}"
    wanted = format_bytes(max(job.memory_bytes, job.peak_memory_bytes) * 2) if job.memory_bytes else "more"
    return (
        f"out of memory{how}: it needed more than {limit}{peak}",
        f"submit it again with --memory {wanted}",
    )


def _after(job: JobView) -> str:
    if not (job.started_ms and job.ended_ms):
        return ""
    return f" after {format_duration_ms(max(0, job.ended_ms - job.started_ms))}"


def _evidence(detail: JobDetail) -> list[str]:
    """What the record holds of the last attempt, task by task."""
    lines = []
    if detail.job.why and detail.job.state != "cancelled":
        lines.append(detail.job.why)
    if detail.job.end_reason not in _OUT_OF_MEMORY and (note := memory_note(detail.job)):
        lines.append(note)
    for task in detail.attempts[-1].tasks if detail.attempts else []:
        facts = [f"task {task.task} on {task.node}: {task.end_reason or task.state}"]
        if task.exit_code is not None:
            facts.append(f"exit code {task.exit_code}")
        if task.signal and task.end_reason != "stopped":  # of a task that was stopped, the signal is only how
            facts.append(f"signal {task.signal}")
        if task.peak_memory_bytes:
            facts.append(f"peak memory {format_bytes(task.peak_memory_bytes)}")
        if task.cpu_ms:
            facts.append(f"cpu time {format_duration_ms(task.cpu_ms)}")
        if task.why and task.why != detail.job.why:
            facts.append(f"because it was {task.why}" if task.end_reason == "stopped" else task.why)
        lines.append(", ".join(facts))
    return lines
