"""Hints: told when they are new and when they are over, and not in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tenure.control.hinting import MOST, Hints
from tenure.model.hint import Hint


class Told:
    """A store that may fail, on a control thread that is always free."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.withdrawn: list[str] = []
        self.calls = 0
        self.works = True
        self.hints = Hints(self.call, self.note)

    def call(self, function: Callable[[], None]) -> None:
        self.calls += 1
        if self.works:
            function()

    def note(self, given: Sequence[Hint], withdrawn: Sequence[Hint]) -> None:
        self.given += [hint.key for hint in given]
        self.withdrawn += [hint.key for hint in withdrawn]


def hint(key: str, text: str = "so it is") -> Hint:
    return Hint(key, "idle_gpu", text)


def test_a_hint_is_told_once_and_withdrawn_once() -> None:
    told = Told()
    for advised in (["a", "b"], ["b", "a"], ["b"], ["b"], []):
        told.hints.publish("one", map(hint, advised))
    assert (told.given, told.withdrawn) == (["a", "b"], ["a", "b"])
    assert told.calls == 3


def test_other_figures_are_no_other_hint() -> None:
    told = Told()
    told.hints.publish("one", [hint("a", "5 %")])
    told.hints.publish("one", [hint("a", "6 %")])
    assert told.given == ["a"]


def test_sources_do_not_withdraw_each_others_hints() -> None:
    told = Told()
    told.hints.publish("one", [hint("a")])
    told.hints.publish("two", [])
    assert told.withdrawn == []
    assert [one.key for one in told.hints.of("one")] == ["a"]


def test_what_could_not_be_told_is_told_with_the_next_round() -> None:
    told = Told()
    told.works = False
    told.hints.publish("one", [hint("a")])
    assert told.given == []
    told.works = True
    told.hints.publish("one", [hint("a")])
    assert told.given == ["a"]


@pytest.mark.parametrize("count", [MOST, MOST + 50])
def test_a_source_does_not_flood_the_stream(count: int) -> None:
    told = Told()
    told.hints.publish("one", [hint(f"{at:04}") for at in reversed(range(count))])
    assert told.given == [f"{at:04}" for at in range(MOST)]
