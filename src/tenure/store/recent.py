"""The latest events of this process, in memory: what `changes` needs of them, without reading them back.

A cache of rows that the same process has just written and committed; anything it does not cover is read from the event table.
Invariant: the entries are those with the cursors up to ``last``, without gaps.
"""

from __future__ import annotations

from collections.abc import Iterable

from tenure.store.tx import Touch

_KEPT = 8192


class Recent:
    """The last few thousand events."""

    def __init__(self) -> None:
        self._touches: list[Touch] = []
        self._last = 0

    def add(self, touches: list[Touch], last: int) -> None:
        """Events up to the cursor ``last`` were committed. After somebody else's events a new row begins."""
        if not touches:
            return
        if last - len(touches) != self._last:
            self._touches.clear()
        self._touches += touches
        if len(self._touches) > 2 * _KEPT:
            del self._touches[:-_KEPT]
        self._last = last

    def since(self, since: int, revision: int, uncommitted: list[Touch]) -> Iterable[Touch] | None:
        """The events after ``since`` up to ``revision``, the last of which are ``uncommitted``; None when not all are here."""
        committed = revision - len(uncommitted)
        if since >= committed:
            return uncommitted[since - committed :]
        wanted = committed - since
        if committed != self._last or wanted > len(self._touches):
            return None
        return self._touches[len(self._touches) - wanted :] + uncommitted
