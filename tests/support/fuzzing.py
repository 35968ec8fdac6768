"""Tests by drawn input in two lengths: modest with all others, a hundred times as long where somebody has the time (``-m slow``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings

TIMES = 100
Test = Callable[..., Any]


def fuzzed(examples: int, *drawn: Any, **named: Any) -> Callable[[Test], Test]:
    """A test with so many examples; its ``longer`` is the same with `TIMES` as many."""

    def decorate(check: Test) -> Test:
        def of(count: int) -> Test:
            few = settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])
            return few(given(*drawn, **named)(check))

        test = of(examples)
        test.longer = of(examples * TIMES)  # type: ignore[attr-defined]
        return test

    return decorate


def longer(module: dict[str, Any]) -> list[Test]:
    """The long forms of the tests of a module, by name."""
    return [module[name].longer for name in sorted(module) if hasattr(module[name], "longer")]
