"""Jobs that hold much more cpu or memory than they use, and those that press against what was left to them.

A job over-asks while what it has used at most since that began is less than half of what it holds. What is then enough is that peak
with some headroom, a floor at least. Whoever was lowered unasked and comes close to what was left is to have his own again. Invariant:
only what could be lowered is judged, a round without all figures of a job begins anew, and nothing is suggested that would free less
than a tenth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from tenure.model.amounts import MIB, format_bytes, format_milli
from tenure.model.anomaly import Anomaly
from tenure.model.measures import Holding
from tenure.monitors.tasks import CPU, MEMORY, TaskLook
from tenure.wire.text import amounts_text

FLOOR_CPU_MILLI, FLOOR_MEMORY_BYTES = 100, 64 * MIB
LITTLE = 2
"""Who uses less than the half of something has too much of it."""
WORTH_IT = 10
"""At least a tenth must come free."""
CLOSE_PERCENT = 90
OVER_ASKED = "over_asked"
LEFT_CPU, LEFT_MEMORY = "left_cpu_milli", "left_memory_bytes"
"""The figures of the evidence that say what the job should hold instead, of what it should hold something else of."""


class _Amounts(NamedTuple):
    """Cpu and memory of each task of a job."""

    cpu_milli: int
    memory_bytes: int

    def most(self, other: _Amounts) -> _Amounts:
        """Of each the larger."""
        return _Amounts(max(self.cpu_milli, other.cpu_milli), max(self.memory_bytes, other.memory_bytes))


class Holdings:
    """Remembers the peaks of each attempt while it over-asks. ``headroom`` is what is left above a peak: 1.25 is a quarter more."""

    def __init__(self, headroom: float) -> None:
        self._headroom_percent = round(headroom * 100)
        self._peaks: dict[int, _Amounts] = {}

    def signs(self, looks: Sequence[TaskLook]) -> Iterator[Anomaly]:
        """The signs of one round, by attempt."""
        before, self._peaks = self._peaks, {}
        for attempt_id, group in groupby(looks, key=lambda look: look.task.attempt_id):
            tasks = list(group)
            held = tasks[0].task.holding
            if held is None or any(CPU not in look.figures or MEMORY not in look.figures for look in tasks):
                continue
            if held.is_lowered:
                yield from _squeezed(tasks)
                continue
            peak = before.get(attempt_id, _Amounts(0, 0))
            for look in tasks:
                peak = peak.most(_used(look))
            left = self._left(peak, held)
            if left:
                self._peaks[attempt_id] = peak
                yield _over_asked(tasks[0], held, peak, left)

    def _left(self, peak: _Amounts, held: Holding) -> dict[str, float]:
        """What would be enough, of what it has too much of."""
        found = {}
        floors = (FLOOR_CPU_MILLI, FLOOR_MEMORY_BYTES)
        for name, used, has, floor in zip((LEFT_CPU, LEFT_MEMORY), peak, held[:2], floors, strict=True):
            enough = max(floor, -(-used * self._headroom_percent // 100))
            if name == LEFT_MEMORY:
                enough = -(-enough // MIB) * MIB
            if used * LITTLE < has and (has - enough) * WORTH_IT >= has:
                found[name] = float(enough)
        return found


def felt(found: Sequence[Anomaly], anybody_waits: Callable[[], bool]) -> list[Anomaly]:
    """The signs that matter to somebody: that a job has too much does where others wait. ``anybody_waits`` is asked when it decides."""
    too_much = any(sign.kind == OVER_ASKED for sign in found)
    return [sign for sign in found if sign.kind != OVER_ASKED] if too_much and not anybody_waits() else list(found)


def _back(held: Holding, used: _Amounts) -> dict[str, float]:
    """What it should have back, of what it comes close to."""
    found = {}
    if used.cpu_milli * 100 >= held.cpu_milli * CLOSE_PERCENT and held.cpu_milli < held.asked_cpu_milli:
        found[LEFT_CPU] = float(held.asked_cpu_milli)
    if used.memory_bytes * 100 >= held.memory_bytes * CLOSE_PERCENT and held.memory_bytes < held.asked_memory_bytes:
        found[LEFT_MEMORY] = float(held.asked_memory_bytes)
    return found


def _over_asked(look: TaskLook, held: Holding, peak: _Amounts, left: dict[str, float]) -> Anomaly:
    text = f"it holds {amounts_text(held.cpu_milli, held.memory_bytes)} and uses {amounts_text(*peak)} at most"
    options = [f"--cpus {format_milli(int(left[LEFT_CPU]))}"] if LEFT_CPU in left else []
    options += [f"--memory {format_bytes(int(left[LEFT_MEMORY]))}"] if LEFT_MEMORY in left else []
    remedy = f"tenure update {look.task.job_id} {' '.join(options)} lets others have the rest; it goes on meanwhile"
    return _made(OVER_ASKED, look, text, remedy, {CPU: peak.cpu_milli / 10, MEMORY: float(peak.memory_bytes), **left})


def _used(look: TaskLook) -> _Amounts:
    return _Amounts(round(look.figures[CPU] * 10), round(look.figures[MEMORY]))


def _squeezed(tasks: Sequence[TaskLook]) -> Iterator[Anomaly]:
    """The sign of an attempt of which a task comes close to what was left to it: not all of a gang need have been left the same."""
    backs = [(look, look.task.holding, back) for look in tasks if look.task.holding and (back := _back(look.task.holding, _used(look)))]
    if not backs:
        return
    (look, held, _), used = backs[0], _used(backs[0][0])
    back = {name: amount for *_, one in backs for name, amount in one.items()}
    text = f"it uses {amounts_text(*used)} of the {amounts_text(held.cpu_milli, held.memory_bytes)} that were left to it"
    remedy = f"tenure requeue {look.task.job_id} runs it again with what it asked for; else it has that back once it is free"
    yield _made("squeezed", look, text, remedy, {CPU: used.cpu_milli / 10, MEMORY: float(used.memory_bytes), **back})


def _made(kind: str, look: TaskLook, text: str, remedy: str, evidence: dict[str, float]) -> Anomaly:
    key = f"{kind}:{look.task.job_id}:{look.task.attempt_id}"
    return Anomaly(key, kind, text, remedy, look.task.job_id, evidence=evidence)
