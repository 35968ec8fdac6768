"""What is advised at present, by whom: a source says all that it advises, and followers are told what is new and what is over.

A source may call from any thread, as often as it likes: what did not change costs nothing. All else happens on the control thread.
Invariants: a hint is told as given once, and once as withdrawn, while the daemon lives; a source has at most `MOST` at a time, the
first by key, so that no source can flood the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tenure.model.hint import Hint

MOST = 100
Note = Callable[[Sequence[Hint], Sequence[Hint]], None]


class Hints:
    """``call`` has something done on the control thread; ``note`` makes given and withdrawn hints durable there."""

    def __init__(self, call: Callable[[Callable[[], None]], Any], note: Note) -> None:
        self._call = call
        self._note = note
        self._open: dict[str, Mapping[str, Hint]] = {}

    def publish(self, source: str, advised: Iterable[Hint]) -> None:
        """All that this source advises now, which replaces what it advised before. Returns at once; what cannot be told now, because
        the store fails, is told with the next call."""
        by_key = {hint.key: hint for hint in advised}
        wanted = {key: by_key[key] for key in sorted(by_key)[:MOST]}
        if wanted.keys() != self._open.get(source, {}).keys():
            self._call(lambda: self._tell(source, wanted))

    def of(self, source: str) -> list[Hint]:
        """What a source is known to advise, by key."""
        return list(self._open.get(source, {}).values())

    def _tell(self, source: str, wanted: Mapping[str, Hint]) -> None:
        known = self._open.get(source, {})
        given = [hint for key, hint in wanted.items() if key not in known]
        withdrawn = [hint for key, hint in known.items() if key not in wanted]
        if given or withdrawn:
            self._note(given, withdrawn)
            self._open[source] = wanted
