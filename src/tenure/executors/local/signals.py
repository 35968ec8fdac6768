"""What the supervisor is asked to do to tasks, and what its answer says became of that.

Invariant: a report says only what the supervisor answered; what it could not be asked is reported as not done, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tenure.executors.local.link import Reply
from tenure.model.observations import Capabilities, Resized, Signal, SignalAction, SignalDone

_ACTIONS = {
    SignalAction.STOP: "stop",
    SignalAction.SUSPEND: "suspend",
    SignalAction.RESUME: "resume",
    SignalAction.LIMIT: "limit",
    SignalAction.RESIZE: "resize",
}
UNABLE = "cpu and memory are not enforced by control groups here, or the supervisor is of an earlier version"


def item_of(signal: Signal, capabilities: Capabilities) -> dict[str, Any] | None:
    """A signal as the supervisor takes it; None where it, or the machine, cannot do that."""
    if signal.action not in _ACTIONS:
        return None
    item = {"attempt": signal.attempt_id, "task": signal.task, "action": _ACTIONS[signal.action]}
    if signal.action is SignalAction.LIMIT:
        limit = {"left_ms": signal.left_ms} if signal.left_ms else {"limit_ms": signal.limit_ms}
        return item | limit if capabilities.limit else None
    if signal.action is SignalAction.RESIZE:
        return {**item, "cpu_milli": signal.cpu_milli, "memory_bytes": signal.memory_bytes} if capabilities.resize else None
    return {**item, "grace_ms": signal.grace_ms, "reason": signal.reason[:200]}


def unable(signal: Signal) -> Resized:
    """The report that a task cannot be kept to other amounts here."""
    return Resized(signal.attempt_id, signal.task, signal.fence, signal.number, None, None, UNABLE)


def reports_of(asked: Sequence[Signal], reply: Reply) -> Iterator[SignalDone | Resized]:
    """What an answer says of the numbered signals it is the answer to."""
    kept = {item[:2]: item[2:] for item in reply.resized}
    for signal in asked:
        key = (signal.attempt_id, signal.task)
        if reply.reply == "error" or key in reply.missing:
            continue
        if signal.action is not SignalAction.RESIZE:
            yield SignalDone(*key, signal.fence, signal.number)
        elif key in kept:
            cpu_milli, memory_bytes, why = kept[key]
            yield Resized(*key, signal.fence, signal.number, cpu_milli, memory_bytes, why)
