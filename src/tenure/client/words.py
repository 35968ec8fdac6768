"""What people write for GPUs, dependencies, priorities and moments, read into the values of the wire.

Slurm's spellings stand beside ours where the meaning is the same. Invariant: what is not understood is refused with one sentence that
says how to write it; nothing is guessed.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import NamedTuple

from tenure.client.errors import usage
from tenure.model.amounts import MILLI, is_whole, parse_bits, parse_bytes, parse_duration_ms, parse_milli
from tenure.wire.dto import AfterRef
from tenure.wire.ids import parse_ref

PRIORITIES = {"low": 2, "normal": 5, "medium": 5, "high": 7, "critical": 9}
CONDITIONS = ("ok", "any", "failed")
_SLURM_CONDITIONS = {"afterok": "ok", "afterany": "any", "afternotok": "failed"}
_N = r"(\d+(?:\.\d+)?m?)"
_MODEL = r"(\d{1,3}\.\d\+|[a-z0-9][\w. -]*)"
_GPUS = re.compile(rf"(?:gpu:)?(?:{_MODEL}:{_N}|{_N}|{_MODEL})", re.IGNORECASE)
_NOW = re.compile(r"(?:now)?\+(.+)")
_SLURM_SPAN = re.compile(r"(\d+)\s*(second|minute|hour|day|week)s?")
_UNIT_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}


class Gpus(NamedTuple):
    """GPUs per task: thousandths, and the kind: a model's name or part of it, or a least compute capability (empty: any)."""

    milli: int
    model: str = ""


def gpus_of(text: str | float) -> Gpus:
    """``2``, ``0.5``, ``a100:2``, ``a100``, ``8.0+:2`` (a least compute capability), and Slurm's ``gpu:2`` and ``gpu:a100:2``."""
    match = _GPUS.fullmatch(str(text).strip())
    if match is None:
        raise usage(f"{text!r} does not say how many GPUs", "write --gpus 2, --gpus a100:2 or --gpus 0.5")
    model, count = match[1] or match[4] or "", match[2] or match[3]
    milli = milli_of(count) if count else MILLI
    if milli > MILLI and milli % MILLI:
        raise usage(f"{text!r} GPUs cannot be given", "ask for a whole number of GPUs, or for one fraction of one, such as 0.5")
    return Gpus(milli, model if milli and model.lower() != "gpu" else "")


@lru_cache(maxsize=256)
def milli_of(value: str | float) -> int:
    """A count in thousandths: ``4``, ``0.5``, ``250m``, or a number."""
    try:
        return parse_milli(value if isinstance(value, str) else f"{value:.10g}")
    except ValueError as error:
        raise usage(str(error)) from error


def bytes_of(value: str | int, default_unit: str = "") -> int:
    """A size: ``8G``, ``512M``, or a number of bytes. A bare number in text is in ``default_unit``."""
    if isinstance(value, int):
        return value
    try:
        return parse_bytes(value, default_unit)
    except ValueError as error:
        raise usage(str(error)) from error


def bits_of(value: str | float) -> int:
    """A bandwidth in bits per second: ``10G``, ``2.5Gbit/s``, or a number of them."""
    if not isinstance(value, str):
        return int(value)
    try:
        return parse_bits(value)
    except ValueError as error:
        raise usage(str(error)) from error


def span_of(value: str | float) -> int:
    """A duration in milliseconds: ``90s``, ``2h30m``, ``2:00:00``; a bare number in text is minutes, a number is seconds."""
    if not isinstance(value, str):
        return int(value * 1000)
    try:
        return parse_duration_ms(value)
    except ValueError as error:
        raise usage(str(error)) from error


def limit_of(value: str | float) -> int:
    """A time limit in milliseconds, at least one second."""
    if isinstance(value, str) and value.strip().lower() in ("unlimited", "infinite", "0"):
        raise usage("a job cannot ask for no time limit", "leave --time out to get the queue's default")
    limit_ms = span_of(value)
    if limit_ms < 1000:
        raise usage(f"a time limit of {value!r} is too short", "give at least one second, such as --time 90s")
    return limit_ms


def priority_of(value: str | int) -> int:
    """1 to 10, or low, normal, high, critical."""
    word = str(value).strip().lower()
    if word in PRIORITIES:
        return PRIORITIES[word]
    if is_whole(word) and 1 <= int(word) <= 10:
        return int(word)
    raise usage(f"{value!r} is not a priority", "write 1 to 10, or low, normal, high, critical")


def after_of(text: str) -> list[AfterRef]:
    """``12``, ``12:any``, several joined by commas; Slurm's ``afterok:1:2,afterany:3`` as well."""
    return [item for part in text.split(",") for item in _after_one(part.strip(), text)]


def _after_one(part: str, text: str) -> list[AfterRef]:
    head, *rest = part.split(":")
    if head in _SLURM_CONDITIONS and rest:
        return [_after(job, _SLURM_CONDITIONS[head]) for job in rest]
    if head in ("after", "aftercorr", "afterburstbuffer", "singleton") or "?" in text:
        raise usage(f"the dependency {part!r} is not supported", "use ok, any or failed, as in --after 12:ok (Slurm: afterok:12)")
    if len(rest) > 1 or (rest and rest[0] not in CONDITIONS):
        raise usage(f"{part!r} is not a dependency", "write --after 12, or 12:ok, 12:any, 12:failed")
    return [_after(head, rest[0] if rest else "ok")]


def _after(job: str, condition: str) -> AfterRef:
    try:
        parse_ref(job)
    except ValueError as error:
        raise usage(str(error)) from error
    return AfterRef(job=job, condition=condition)


def moment_of(text: str, now_s: float | None = None) -> int:
    """A moment in milliseconds since the epoch: ``+2h``, ``now+1hour`` (Slurm), ``16:00``, ``2026-01-31``, ``2026-01-31T16:00``.

    Local time where no zone is given; a time of day that is past means tomorrow.
    """
    now = time.time() if now_s is None else now_s
    word = text.strip()
    if match := _NOW.fullmatch(word):
        return int(now * 1000) + _ahead_ms(match[1], word.startswith("now"))
    from datetime import datetime, timedelta

    here = datetime.fromtimestamp(now).astimezone()
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", word):
            hour, minute, *second = (int(item) for item in word.split(":"))
            at = here.replace(hour=hour, minute=minute, second=second[0] if second else 0, microsecond=0)
            at = at if at > here else at + timedelta(days=1)
        else:
            at = datetime.fromisoformat(word)
            at = at if at.tzinfo else at.astimezone()
    except ValueError as error:
        raise usage(f"{text!r} is not a moment", "write +2h, 16:00 or 2026-01-31T16:00") from error
    return int(at.timestamp() * 1000)


def since_of(text: str, now_s: float | None = None) -> int:
    """A moment that is past, in milliseconds since the epoch: ``10m`` (that long ago), ``14:30`` (today, or yesterday if that is yet to
    come), ``2026-01-31T16:00``. Local time where no zone is given."""
    now = time.time() if now_s is None else now_s
    word = text.strip()
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", word):
        at_ms = moment_of(word, now)
        return at_ms if at_ms <= now * 1000 else at_ms - _UNIT_S["day"] * 1000
    if re.match(r"\d{4}-\d{2}-\d{2}", word):
        return moment_of(word, now)
    try:
        return int(now * 1000) - parse_duration_ms(word)
    except ValueError as error:
        raise usage(f"{text!r} is neither a span nor a moment", "write 10m, 14:30 or 2026-01-31T16:00") from error


def _ahead_ms(text: str, slurm: bool) -> int:
    if match := _SLURM_SPAN.fullmatch(text):
        return int(match[1]) * _UNIT_S[match[2]] * 1000
    if slurm and is_whole(text):  # Slurm counts seconds here
        return int(text) * 1000
    return span_of(text)
