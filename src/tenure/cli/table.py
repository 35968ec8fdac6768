"""Tables: aligned columns for a pipe, the same fitted to the width with colour for a person. Pure.

Invariant: a pipe gets every column, uncut, whatever the terminal; on a terminal a line is never wider than the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_GAP = "  "
_LEAST, _COMFORT = 6, 16
_STATES = ("STATE", "STATUS")
_COLOURS = {
    "running": "32",
    "starting": "32",
    "up": "32",
    "ok": "32",
    "pending": "33",
    "held": "33",
    "suspended": "33",
    "preempted": "33",
    "draining": "33",
    "warning": "33",
    "failed": "31",
    "timed_out": "31",
    "lost": "31",
    "problem": "31",
    "down": "31",
    "foreign": "31",
    "cancelled": "2",
    "succeeded": "2",
}


class Column(NamedTuple):
    """A column. ``right`` aligns figures; ``cut`` may be shortened to fit; ``drop`` > 0 may be left out to fit, the highest first."""

    title: str
    right: bool = False
    cut: bool = False
    drop: int = 0


def render(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, width: int = 0, colour: bool = False) -> str:
    """The table as text. ``width`` 0 is a pipe."""
    kept = list(range(len(columns)))
    widths = [max(len(columns[i].title), *(len(row[i]) for row in rows), 0) for i in kept]
    if width:
        empty = {i for i in kept if all(row[i] == "-" for row in rows)}
        kept = _fit(columns, widths, width, empty)
    shown = [columns[i] for i in kept]
    sizes = [widths[i] for i in kept]
    head, *body = [_line([cells[i] for i in kept], shown, sizes, width) for cells in ([column.title for column in columns], *rows)]
    if not colour:
        return "\n".join([head, *body])
    state = next((at for at, column in enumerate(shown) if column.title in _STATES), None)
    if state is not None:
        start = sum(sizes[:state]) + len(_GAP) * state
        body = [_coloured(line, start, rows[n][kept[state]]) for n, line in enumerate(body)]
    return "\n".join([f"\x1b[1m{head}\x1b[0m", *body])


def _fit(columns: Sequence[Column], widths: list[int], width: int, empty: set[int]) -> list[int]:
    """Which columns to keep, empty ones leaving first; shortens ``widths`` of those that may be cut."""

    def excess(kept: list[int]) -> int:
        return sum(widths[i] for i in kept) + len(_GAP) * (len(kept) - 1) - width

    kept = list(range(len(columns)))
    while excess(kept) > 0:
        spare = {i: widths[i] - max(_COMFORT, len(columns[i].title)) for i in kept if columns[i].cut}
        if sum(max(0, room) for room in spare.values()) >= excess(kept):
            break
        droppable = [i for i in kept if columns[i].drop]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda i: (i in empty, columns[i].drop, i)))
    while excess(kept) > 0:
        widest = max((i for i in kept if columns[i].cut and widths[i] > _LEAST), key=lambda i: (widths[i], i), default=None)
        if widest is None:
            break
        widths[widest] -= 1
    return kept


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int], screen: int) -> str:
    parts = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        shown = cell if len(cell) <= width else cell[: max(1, width - 1)] + "…"
        parts.append(shown.rjust(width) if column.right else shown.ljust(width))
    line = _GAP.join(parts).rstrip()
    return line if not screen else line[:screen]


def _coloured(line: str, start: int, state: str) -> str:
    """The line with the state, which begins at ``start``, in its colour."""
    end = start + len(state)
    code = _COLOURS.get(state)
    if code is None or line[start:end] != state:
        return line
    return f"{line[:start]}\x1b[{code}m{state}\x1b[0m{line[end:]}"
