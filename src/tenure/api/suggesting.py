"""A suggested change in words, and as the options of ``tenure update`` that make it.

Invariant: the options say exactly what was proved. What differs is compared by value and spelled exactly (core suggests only what can
be), also where the new value is none: a job that gives up its GPU memory needs ``--gpu-memory 0``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from tenure.model.amounts import format_bits, format_bytes, format_duration_ms, format_milli
from tenure.model.explanation import Change, Suggestion
from tenure.model.job import PendingJob
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.wire.jobs import SuggestionView
from tenure.wire.text import clock_text


def suggestion_view(item: Suggestion, job: PendingJob, snapshot: Snapshot) -> SuggestionView:
    """A suggestion for a job of that snapshot as the wire shows it."""
    options = " ".join(shlex.join(pair) for pair in _changes(item, job, snapshot))
    return SuggestionView(kind=item.change, text=_text(item, options, snapshot), options=options, start_ms=item.start_ms)


def _text(item: Suggestion, options: str, snapshot: Snapshot) -> str:
    if item.start_ms:
        return f"with {options} it would be the next in line, its start reserved for {clock_text(item.start_ms)} at the latest"
    if item.change is Change.SHORTER:
        return f"with a time limit of {format_duration_ms(item.limit_ms)} it would start now, without delaying anybody"
    if item.change is Change.OTHER_QUEUE:
        return f"in queue {_queue_name(item.queue, snapshot)} it would start now"
    return f"with {options} it would start now"


def _queue_name(queue_id: int, snapshot: Snapshot) -> str:
    return next((queue.name for queue in snapshot.queues if queue.id == queue_id), str(queue_id))


def _changes(item: Suggestion, job: PendingJob, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Option and value of everything that changes."""
    yield from _shape_changes(snapshot.shapes[job.shape], item.shape)
    if item.limit_ms != job.limit_ms:
        yield "--time", f"{item.limit_ms // 1000}s"
    if item.queue != job.queue:
        yield "--queue", _queue_name(item.queue, snapshot)
    if item.priority != job.priority:
        yield "--priority", str(item.priority)


def _shape_changes(old: Shape, new: Shape) -> Iterator[tuple[str, str]]:
    if new.amounts.cpu_milli != old.amounts.cpu_milli:
        yield "--cpus", format_milli(new.amounts.cpu_milli)
    if new.amounts.memory_bytes != old.amounts.memory_bytes:
        yield "--memory", format_bytes(new.amounts.memory_bytes)
    if new.amounts.storage_bytes != old.amounts.storage_bytes:
        yield "--storage", format_bytes(new.amounts.storage_bytes)
    if new.amounts.bandwidth_bps != old.amounts.bandwidth_bps:
        yield "--bandwidth", format_bits(new.amounts.bandwidth_bps)
    if (new.gpu_milli, new.gpu_model) != (old.gpu_milli, old.gpu_model):
        yield "--gpus", f"{new.gpu_model}:{format_milli(new.gpu_milli)}" if new.gpu_model else format_milli(new.gpu_milli)
    if new.gpu_memory_bytes != old.gpu_memory_bytes:
        yield "--gpu-memory", format_bytes(new.gpu_memory_bytes)
    if new.tasks != old.tasks:
        yield "--tasks", str(new.tasks)
    if new.nodes != old.nodes:
        yield "--nodes", str(new.nodes)
