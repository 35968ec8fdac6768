"""Amounts of divisible resources, and how people write them.

Truth is integers: milli-cpu, bytes, bits per second, thousandths of a GPU. Parsing refuses what it does not understand, because a
silently misread amount is a job that is killed tomorrow. Invariant: no float ever holds an
amount; formatting is for tables and may round, parsing never does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

MILLI = 1000
KIB = 1024
MIB = 1024**2
GIB = 1024**3
MAX_AMOUNT = 2**62
MIN_MEMORY_BYTES = 8 * MIB
"""A limit on memory below this would stop any program before it begins; nobody may ask for less, nobody is told to."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """A vector of divisible resources on one node. All fields are integers >= 0; a difference may be negative."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    storage_bytes: int = 0
    bandwidth_bps: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.cpu_milli + other.cpu_milli,
            self.memory_bytes + other.memory_bytes,
            self.storage_bytes + other.storage_bytes,
            self.bandwidth_bps + other.bandwidth_bps,
        )

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.cpu_milli - other.cpu_milli,
            self.memory_bytes - other.memory_bytes,
            self.storage_bytes - other.storage_bytes,
            self.bandwidth_bps - other.bandwidth_bps,
        )

    def times(self, count: int) -> Amounts:
        """These amounts ``count`` times over."""
        return Amounts(
            self.cpu_milli * count,
            self.memory_bytes * count,
            self.storage_bytes * count,
            self.bandwidth_bps * count,
        )

    def fits_in(self, room: Amounts) -> bool:
        """Whether every amount is at most the one in ``room``."""
        return (
            self.cpu_milli <= room.cpu_milli
            and self.memory_bytes <= room.memory_bytes
            and self.storage_bytes <= room.storage_bytes
            and self.bandwidth_bps <= room.bandwidth_bps
        )

    def as_tuple(self) -> tuple[int, int, int, int]:
        """The amounts in the order of `RESOURCES`."""
        return (self.cpu_milli, self.memory_bytes, self.storage_bytes, self.bandwidth_bps)


RESOURCES: tuple[str, ...] = tuple(f.name for f in fields(Amounts))
"""Names of the divisible resources, in the one order used everywhere (rows, arrays, locks)."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?b?)", re.IGNORECASE)
_STEPS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SIZES = (("P", KIB**5), ("T", KIB**4), ("G", GIB), ("M", MIB), ("K", KIB))
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:bit/s|bits|bit|bps)?", re.IGNORECASE)
_RATES = (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3))
_SPAN = re.compile(r"(?:(\d+)d)? ?(?:(\d+)h)? ?(?:(\d+)m(?!s))? ?(?:(\d+(?:\.\d+)?)s)? ?(?:(\d+)ms)?", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


def is_whole(text: str) -> bool:
    """Whether a text is a whole number as people type it: digits that everybody knows, and not more than an integer can hold."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def parse_bytes(text: str, default_unit: str = "") -> int:
    """Read a size: ``8G``, ``512MiB``, ``1.5T``. Units are powers of 1024. A bare number is in ``default_unit`` (``m`` for Slurm).

    Raises ValueError with one sentence for anything else.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like 512M, 8G or 1.5T")
    number, unit, tail = match.groups()
    step = _STEPS[(unit or ("" if tail else default_unit)).lower()]
    return _bounded(_scaled(number, 1024**step), text)


def spelled_bytes(amount: int) -> int:
    """The largest size up to ``amount`` that `format_bytes` spells exactly, 0 below 1K: a size to suggest is one people can type."""
    return next((amount * 10 // size * size // 10 for _, size in _SIZES if amount >= size), 0)


def format_bytes(amount: int) -> str:
    """The shortest exact spelling with at most one decimal, else the rounded one: ``8G``, ``1.5G``, ``0``."""
    for unit, size in _SIZES:
        if abs(amount) >= size:
            return f"{round(amount / size, 1):g}{unit}"
    return str(amount)


def parse_bits(text: str) -> int:
    """Read a rate in bits per second: ``10G``, ``2.5Gbit/s``, ``100M``. Units are powers of 1000, as on network cards.

    Raises ValueError with one sentence for anything else.
    """
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a bandwidth; write it in bits per second, like 100M, 10G or 2.5G")
    number, unit = match.groups()
    return _bounded(_scaled(number, 1000 ** _STEPS[unit.lower()]), text)


def format_bits(amount: int) -> str:
    """Bits per second with at most one decimal: ``10G``, ``2.5G``, ``0``."""
    for unit, size in _RATES:
        if abs(amount) >= size:
            return f"{round(amount / size, 1):g}{unit}"
    return str(amount)


def parse_milli(text: str) -> int:
    """Read a count of cpus or GPUs in thousandths: ``2`` is 2000, ``0.5`` is 500, ``250m`` is 250.

    Raises ValueError for anything else, also for more than three decimals.
    """
    match = re.fullmatch(r"(\d+)(?:\.(\d{1,3}))?(m?)", text.strip())
    if match is None or (match.group(2) and match.group(3)):
        raise ValueError(f"{text!r} is not a count; write it like 4, 0.5 or 250m")
    whole, part, milli = match.groups()
    amount = int(whole) if milli else int(whole) * MILLI + int((part or "").ljust(3, "0"))
    return _bounded(amount, text)


def format_milli(amount: int) -> str:
    """Thousandths as people write them: 2000 is ``2``, 500 is ``0.5``."""
    return f"{amount // MILLI}" if amount % MILLI == 0 else f"{amount / MILLI:.3f}".rstrip("0")


def parse_duration_ms(text: str) -> int:
    """Read a duration as ``90s``, ``2h30m``, ``2h 30m``, ``1d`` or as Slurm does: minutes, ``M:S``, ``H:M:S``, ``D-H[:M[:S]]``.

    A bare number is minutes, as in Slurm. Raises ValueError for anything else.
    """
    plain = text.strip().lower()
    span = _SPAN.fullmatch(plain)
    if span is not None and plain:
        days, hours, minutes, seconds, millis = span.groups()
        total = (int(days or 0) * 24 + int(hours or 0)) * 3_600_000 + int(minutes or 0) * 60_000
        return _bounded(total + _scaled(seconds or "0", 1000) + int(millis or 0), text)
    clock = _CLOCK.fullmatch(plain)
    if clock is None:
        raise ValueError(f"{text!r} is not a duration; write it like 90s, 2h30m, 1d or 2:00:00 (a bare number is minutes)")
    return _bounded(_clock_ms(*clock.groups()) * 1000, text)


def _clock_ms(days: str | None, first: str, second: str | None, third: str | None) -> int:
    """Seconds of Slurm's clock spelling; its meaning shifts with the number of parts and with a day count."""
    a, b, c = int(first), int(second or 0), int(third or 0)
    if days is not None:
        return int(days) * 86_400 + a * 3600 + b * 60 + c
    if third is not None:
        return a * 3600 + b * 60 + c
    return a * 60 + b


def format_duration_ms(amount_ms: int) -> str:
    """Two units at most, the way a table shows it: ``1d 4h``, ``2h 30m``, ``42s``, ``350ms``."""
    if abs(amount_ms) < 1000:
        return f"{amount_ms}ms" if amount_ms else "0s"
    seconds = amount_ms // 1000
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def _scaled(number: str, factor: int) -> int:
    """``number`` (a decimal in text) times ``factor`` in exact integer arithmetic."""
    whole, _, part = number.partition(".")
    return int(whole) * factor + (int(part) * factor // 10 ** len(part) if part else 0)


def _bounded(amount: int, text: str) -> int:
    if amount > MAX_AMOUNT:
        raise ValueError(f"{text!r} is larger than anything Tenure can count")
    return amount
