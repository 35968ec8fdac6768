"""From rows to a `Launch`: names instead of numbers, where output goes, who the other tasks are."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from tenure.model.allocation import DeviceShare
from tenure.model.commands import JobSpec
from tenure.model.observations import Launch
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.store.rows import JobRow
from tenure.store.tx import Transaction
from tenure.wire.ids import format_id

_PATTERN = re.compile(r"%(\d*)([%jAaxt])")


def log_paths(log_dir: str, row: JobRow, spec: JobSpec, number: int, task: int, tasks: int) -> tuple[str, str]:
    """Where a task's output and errors go; an empty second path means "with the output"."""
    if spec.stdout:
        return _named(spec.stdout, spec.cwd, row, task), _named(spec.stderr, spec.cwd, row, task) if spec.stderr else ""
    name = format_id(row.id, row.array_id or 0, row.array_index)
    tail = f".{task}" if tasks > 1 else ""
    own = os.path.join(log_dir, str(row.id // 1000), f"{name}.{number}{tail}.log")
    return own, _named(spec.stderr, spec.cwd, row, task) if spec.stderr else ""


def _named(pattern: str, cwd: str, row: JobRow, task: int) -> str:
    """A path as the job named it: Slurm's patterns filled in (a number pads with zeros), relative to the job's directory."""
    values = {
        "%": "%",
        "j": str(row.id),
        "A": str(row.array_id or row.id),
        "a": str(row.array_index) if row.array_id else "4294967294",
        "x": row.name,
        "t": str(task),
    }

    def fill(match: re.Match[str]) -> str:
        width, letter = match.groups()
        value = values[letter]
        return value.zfill(min(int(width), 10)) if width and value.isdigit() else value

    return os.path.join(cwd, _PATTERN.sub(fill, pattern))


def launch_of(
    tx: Transaction,
    row: JobRow,
    shape: Shape,
    attempt_id: int,
    number: int,
    task: int,
    node: str,
    peers: tuple[str, ...],
    devices: tuple[DeviceShare, ...],
    limit_ms: int,
    paths: tuple[str, str],
) -> Launch:
    """What the executor is told about one task."""
    named = sorted((tx.names.device(tx.link, share.device_id) for share in devices), key=lambda found: (found[1], found[0]))
    fraction = devices[0] if shape.is_fraction and devices else None
    return Launch(
        attempt_id,
        row.id,
        task,
        tx.leader_epoch,
        node,
        row.name,
        tx.names.spec(tx.link, row.spec_id),
        shape.amounts,
        shape.tasks,
        row.array_id or 0,
        row.array_index,
        number,
        tuple(uuid for uuid, _ in named),
        shape.gpu_milli,
        fraction.memory_bytes if fraction else shape.gpu_memory_bytes,
        limit_ms,
        row.grace_ms,
        peers,
        *paths,
        uid=row.uid,
    )


def in_room(launch: Launch, room: int, settings: PlanSettings) -> Launch:
    """The launch of a task that shares its room. It may wait there for twice the work that is handed out at once."""
    return replace(launch, room=room, wait_ms=2 * settings.successors_ms)
