"""When guidance is looked at: at once, at the first end, and when somebody gives some."""

from __future__ import annotations

from typing import Any, cast

from tenure.control.guiding import GuidanceWatch
from tenure.model.commands import EndGuidance, Guide
from tenure.ports import Store
from tenure.testing.store_rig import ADA


class Noted:
    """Stands in for the store: says when to look again."""

    def __init__(self, next_ms: int) -> None:
        self.next_ms = next_ms
        self.looks: list[int] = []

    def expire_guidance(self, now_ms: int) -> tuple[int, int]:
        self.looks.append(now_ms)
        return self.next_ms, int(now_ms >= self.next_ms)


def test_it_looks_when_it_must_and_not_before() -> None:
    noted: Any = Noted(500)
    store, watch = cast("Store", noted), GuidanceWatch()
    assert not watch.look(store, 100)
    assert not watch.look(store, 499)
    watch.note([EndGuidance("k", ADA, 1)])
    assert not watch.look(store, 499)
    watch.note([Guide("k", ADA, 1, name="x")])
    assert not watch.look(store, 499)
    assert watch.look(store, 500)
    assert noted.looks == [100, 499, 500]
