"""Scores that know something of the board: made anew only when what they know has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenure.core.board import Board
from tenure.core.stages import Score

Known = TypeVar("Known")


def knowing(board: Board, name: str, known: Known, make: Callable[[Known], Score]) -> Score:
    """The score that `make` gives for what is known: the one that is kept with the board while it is the same object."""
    key = f"knowing:{name}"
    kept: tuple[object, Score] | None = board.caches.get(key)
    if kept is None or kept[0] is not known:
        kept = board.caches[key] = (known, make(known))
    return kept[1]
