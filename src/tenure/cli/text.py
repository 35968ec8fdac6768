"""Words and figures of jobs, as tables and sentences show them. Pure: the present moment is an argument."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tenure.cli.console import clean
from tenure.model.amounts import format_bits, format_bytes, format_duration_ms, format_milli
from tenure.wire.dto import JobView
from tenure.wire.elements import elements_text

ENDED = frozenset({"succeeded", "failed", "cancelled", "timed_out", "lost"})
WAITING = frozenset({"held", "pending"})
_OOM = ("oom", "oom_sampled")


def span(amount_ms: int) -> str:
    """A duration in one word: ``2h30m``."""
    return format_duration_ms(amount_ms).replace(" ", "") if amount_ms else "0s"


def details(found: Mapping[str, object], prefix: str = "") -> str:
    """What goes with an event or a record, ``name=value`` by name; lists by commas, what is within by dots, the empty left out."""
    parts = []
    for name, value in found.items():
        if isinstance(value, Mapping):
            parts.append(details(value, f"{prefix}{name}."))
        elif isinstance(value, list):
            parts.append(f"{prefix}{name}={clean(','.join(map(str, value)))}" if value else "")
        elif value not in ("", None):
            parts.append(f"{prefix}{name}={clean(str(value))}")
    return " ".join(filter(None, parts))


def rough(amount_ms: int) -> str:
    """A duration in whole seconds at least; nobody reads the milliseconds of a running clock."""
    return span(amount_ms // 1000 * 1000) if amount_ms >= 1000 else "0s"


def moment(at_ms: int, now_ms: int) -> str:
    """A moment in local time; the date only when it is not today."""
    if not at_ms:
        return "-"
    at, now = time.localtime(at_ms / 1000), time.localtime(now_ms / 1000)
    return time.strftime("%H:%M:%S" if at[:3] == now[:3] else "%Y-%m-%d %H:%M:%S", at)


def gpus(job: JobView) -> str:
    """GPUs per task: ``2``, ``a100:2``, ``0.5``."""
    if not job.gpu_milli:
        return "-"
    count = format_milli(job.gpu_milli)
    return f"{clean(job.gpu_model)}:{count}" if job.gpu_model else count


def memory(amount: int) -> str:
    """A size, ``-`` for none."""
    return format_bytes(amount) if amount else "-"


def ask(job: JobView) -> str:
    """What a job asks for, in one line."""
    parts = [f"{format_milli(job.cpu_milli)} cpu"]
    if job.memory_bytes:
        parts.append(f"{format_bytes(job.memory_bytes)} memory")
    if job.gpu_milli:
        parts.append(f"{gpus(job)} GPU" + (f" with {format_bytes(job.gpu_memory_bytes)}" if job.gpu_memory_bytes else ""))
    if job.storage_bytes:
        parts.append(f"{format_bytes(job.storage_bytes)} storage")
    if job.bandwidth_bps:
        parts.append(f"{format_bits(job.bandwidth_bps)}bit/s bandwidth")
    text = ", ".join(parts)
    if job.tasks > 1:
        text = f"{job.tasks} tasks, each: {text}" + (f"; on {job.nodes} nodes" if job.nodes else "")
    if job.prefer:
        text += f"; if possible: {clean(job.prefer).replace(',', ', ')} (for which it may wait {span(job.prefer_wait_ms)})"
    if job.max_per_node:
        text += f"; at most {job.max_per_node} of {clean(job.app)} on a node"
    return text


def elapsed_ms(job: JobView, now_ms: int) -> int:
    """How long the present or last run took so far."""
    if not job.started_ms:
        return 0
    return max(0, (job.ended_ms or now_ms) - job.started_ms)


def full_id(job: JobView) -> str:
    """The id; the waiting rest of an array shows its indices too."""
    if job.array is None:
        return job.id
    indices = job.array.indices if len(job.array.indices) <= 16 else f"{job.array.indices[:15]}…"
    cap = f"%{job.array.cap}" if job.array.cap and "%" not in indices else ""
    return f"{job.id}_[{indices}{cap}]"


def reason(job: JobView) -> str:
    """The REASON column: why it waits, or how it ended when that needs saying."""
    parts = []
    if job.array is not None:
        parts.append(elements_text(job.array.states, job.array.waiting))
    if job.stopping and job.state not in ENDED:
        parts.append("stopping")
    if job.state in WAITING and job.reason is not None:
        parts.append(clean(job.reason.text))
    if job.state in ENDED and job.state != "succeeded":
        parts.append(how_ended(job))
    return "; ".join(part for part in parts if part)


def how_ended(job: JobView) -> str:
    """In a few words: ``exit 3``, ``out of memory``, ``signal 9 (KILL)``."""
    if job.state == "cancelled":
        return clean(job.why)
    if job.end_reason in _OOM:
        return "out of memory" + (" (sampled)" if job.end_reason == "oom_sampled" else "")
    if job.state == "timed_out":
        return f"over its limit of {span(job.limit_ms)}"
    if job.signal:
        return f"signal {job.signal} ({signal_name(job.signal)})"
    if job.exit_code and job.end_reason in ("", "exit"):
        return f"exit {job.exit_code}"
    unknown = job.state in ("failed", "lost") and job.attempts and not job.why
    return "exit unknown" if unknown else clean(job.why)


def signal_name(number: int) -> str:
    """KILL for 9."""
    import signal

    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return "?"


def ended_text(job: JobView) -> str:
    """How a job ended, as the end of a sentence: ``succeeded after 2m 5s``."""
    if job.state not in ENDED:
        return f"is {job.state}" + (f": {elements_text(job.array.states, job.array.waiting)}" if job.array is not None else "")
    how = how_ended(job) if job.state != "succeeded" else ""
    if job.array is not None:
        how = elements_text(job.array.states, job.array.waiting)
    after = f" after {format_duration_ms(elapsed_ms(job, job.ended_ms))}" if job.started_ms else ""
    return f"{job.state.replace('_', ' ')}{after}" + (f": {how}" if how else "")
