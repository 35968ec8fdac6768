"""A job's figures over time as a table, each with a line of bars. Pure."""

from __future__ import annotations

from itertools import pairwise

from tenure.cli import console
from tenure.cli.table import Column, render
from tenure.model.amounts import format_bytes
from tenure.wire.monitoring import MetricsReply, SeriesView

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 40
_COLUMNS = (
    Column("FIGURE"),
    Column("TASK", right=True),
    Column("LAST", right=True),
    Column("MEAN", right=True),
    Column("LOW", right=True),
    Column("HIGH", right=True),
    Column("STEP", right=True),
    Column("OVER TIME"),
)


def metrics_text(reply: MetricsReply) -> str:
    """The table; a sentence where nothing is known."""
    shown = [one for one in reply.series if one.points]
    note = f"\n{reply.note}" if reply.note else ""
    if not shown:
        return f"Nothing was measured of job {reply.id}: figures begin with the second look at it, and are kept for a time only.{note}"
    return render(_COLUMNS, [_row(one) for one in shown]) + note


def _row(one: SeriesView) -> tuple[str, ...]:
    counted = sum(point.count for point in one.points)
    mean = sum(point.mean * point.count for point in one.points) / counted
    figures = (one.points[-1].last, mean, min(point.low for point in one.points), max(point.high for point in one.points))
    as_text = _bytes if not one.reported and "bytes" in one.name else _plain
    step = f"{one.step_ms // 1000}s" if one.step_ms < 60_000 else f"{one.step_ms // 60_000}m"
    return (console.clean(one.name), str(one.task), *map(as_text, figures), step, bars([point.mean for point in one.points]))


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _bytes(value: float) -> str:
    return format_bytes(round(value))


def bars(values: list[float], width: int = _WIDTH) -> str:
    """The values as bars between their lowest and highest, gathered into ``width`` of them at most."""
    if len(values) > width:
        edges = [len(values) * n // width for n in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(values), max(values)
    if high == low:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(len(_BARS) - 1, int((value - low) / (high - low) * len(_BARS)))] for value in values)
