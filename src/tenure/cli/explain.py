"""What ``why`` and ``plan`` print: the sentence first, then what stands in the way, and what would help. Pure."""

from __future__ import annotations

import time

from tenure.cli.console import clean
from tenure.cli.text import moment, span
from tenure.wire.dto import ExplanationView, HolderView

_UPDATABLE = {
    "--cpus",
    "--memory",
    "--gpus",
    "--gpu-memory",
    "--storage",
    "--bandwidth",
    "--time",
    "--queue",
    "--priority",
    "--tasks",
    "--nodes",
}


def present_ms() -> int:
    """Now, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def why_text(view: ExplanationView, now_ms: int) -> str:
    """The whole explanation of one job."""
    lines = [
        f"{'Array' if view.is_array else 'Job'} {view.id} ({view.state.replace('_', ' ')}): {clean(view.summary)}",
        *explanation_lines(view, now_ms),
    ]
    if view.evidence:
        lines += ["Evidence:", *(f"  - {clean(item)}" for item in view.evidence)]
    if view.next_step:
        lines.append(f"Next: {clean(view.next_step)}")
    return "\n".join(lines)


def explanation_lines(view: ExplanationView, now_ms: int) -> list[str]:
    """Everything below the summary that concerns waiting."""
    lines: list[str] = []
    blockers = [f"  - {clean(item.text)} [{item.code}]" for item in view.blockers]
    if blockers and not (len(blockers) == 1 and clean(view.blockers[0].text) == clean(view.summary)):
        lines += ["Blocked by:", *blockers]
    if view.nearest_node:
        lacks = ", ".join(clean(item) for item in view.nearest_lacks)
        lines.append(f"Nearest fit: {clean(view.nearest_node)}" + (f", which lacks {lacks}" if lacks else ""))
    if view.holders:
        lines.append("Held by:")
        lines += [f"  - {_holder(item, now_ms)}" for item in view.holders]
    expected = expected_start(view, now_ms)
    if expected:
        lines.append(f"Expected start: {expected}")
    if view.suggestions:
        lines.append("Cheapest change:")
        for item in view.suggestions:
            when = f" (start {moment(item.start_ms, now_ms)})" if item.start_ms else ""
            lines.append(f"  - {clean(item.text)}{when}" + (f"\n      {_change(view.id, clean(item.options))}" if item.options else ""))
    return lines


def _holder(item: HolderView, now_ms: int) -> str:
    if item.text:
        return clean(item.text)
    said = f"job {item.job}" + (f" ({clean(item.name)})" if item.name else "") + (f" on {clean(item.node)}" if item.node else "")
    return f"{said}, until {moment(item.ends_by_ms, now_ms)} at the latest" if item.ends_by_ms else said


def _change(job: str, options: str) -> str:
    """The change as one types it: of a queued job with ``update`` where that can do it, else as options of another submission."""
    if not job[:1].isdigit():
        return options
    flags = [word for word in options.split() if word.startswith("--")]
    return f"tenure update {job} {options}" if flags and set(flags) <= _UPDATABLE else f"submit it again with {options}"


def expected_start(view: ExplanationView, now_ms: int) -> str:
    """The expected start in words, empty when there is nothing to say."""
    if view.eta_text:
        return clean(view.eta_text)
    if not view.earliest_ms and not view.latest_ms:
        return ""
    if view.latest_ms and view.latest_ms != view.earliest_ms and view.earliest_ms:
        return f"between {moment(view.earliest_ms, now_ms)} and {moment(view.latest_ms, now_ms)}"
    at_ms = view.earliest_ms or view.latest_ms
    return f"{moment(at_ms, now_ms)} (in {span(max(0, at_ms - now_ms) // 1000 * 1000)})"
