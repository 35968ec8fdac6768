"""The thread that looks: errors are counted, told once and backed off, and end nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenure.config.monitoring import MonitorSettings
from tenure.monitors import watch as module
from tenure.monitors.assembly import watch_of
from tenure.monitors.watch import LONGEST_PAUSE_S, Round, Watch
from tests.support.living import until


class Scripted:
    """Gives what the test put in, or raises it."""

    def __init__(self, name: str, *looks: Any) -> None:
        self.name = name
        self.looks = list(looks)
        self.closed = 0

    def sample(self, now_ms: int) -> Any:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return look

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time that only the test moves."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def made(*samplers: Scripted, sinks: Any = (), log: Any = None) -> Watch:
    return Watch(samplers, 5.0, now_ms=lambda: 42, log=log or (lambda _line: None), sinks=sinks)


def test_a_round_has_the_last_look_of_everybody(clock: Callable[[float], None]) -> None:
    watch = made(Scripted("a", 1, 2), Scripted("b", "x"))
    assert (watch.seen.at_ms, dict(watch.seen.looks)) == (0, {})
    watch.look()
    assert (watch.seen.at_ms, watch.seen.looks) == (42, {"a": 1, "b": "x"})
    before = watch.seen
    watch.look()
    assert watch.seen.looks == {"a": 2, "b": "x"}
    assert before.looks == {"a": 1, "b": "x"}  # who holds an old round is not surprised


def test_who_fails_is_told_once_asked_less_often_and_hinders_nobody(clock: Callable[[float], None]) -> None:
    told: list[str] = []
    broken, well = Scripted("broken", ValueError("no")), Scripted("well", 1, 2, 3, 4)
    watch = made(broken, well, log=told.append)
    watch.look()
    clock(5.0)
    watch.look()  # within the pause: not asked
    view = watch.views()[0]
    assert (view.errors, view.samples, view.pause_s, view.last_error) == (1, 0, 10.0, "ValueError: no")
    assert watch.seen.looks == {"well": 2}
    for _ in range(9):
        clock(LONGEST_PAUSE_S)
        watch.look()
    assert watch.views()[0].errors == 10
    assert watch.views()[0].pause_s == LONGEST_PAUSE_S
    assert len(told) == 1
    broken.looks = ["fine"]
    clock(LONGEST_PAUSE_S)
    assert watch.look().looks["broken"] == "fine"
    assert told[1] == "monitoring: broken is well again"
    assert watch.views()[0].last_error == ""


def test_old_figures_are_forgotten_after_some_failures(clock: Callable[[float], None]) -> None:
    sampler = Scripted("a", 7, ValueError("no"))
    watch = made(sampler)
    shown = []
    for _ in range(4):
        clock(LONGEST_PAUSE_S)
        shown.append(watch.look().looks.get("a"))
    assert shown == [7, 7, 7, None]


def test_sinks_get_each_round_and_their_errors_end_nothing(clock: Callable[[float], None]) -> None:
    got: list[Round] = []

    def breaks(_round: Round) -> None:
        raise OSError("disk full")

    watch = made(Scripted("a", 1), sinks=[("breaks", breaks), ("keeps", got.append)])
    watch.look()
    watch.look()
    assert [one.looks for one in got] == [{"a": 1}] * 2
    assert [(view.name, view.errors) for view in watch.views()] == [("a", 0), ("breaks", 1), ("keeps", 0)]


def test_the_thread_looks_until_it_is_stopped_and_lets_go() -> None:
    sampler = Scripted("a", ValueError("always"))
    watch = Watch([sampler], 0.001, now_ms=lambda: 42)
    watch.start()
    until(lambda: watch.views()[0].errors > 3, "some failures")
    assert watch.is_alive()
    watch.stop()
    assert not watch.is_alive()
    assert sampler.closed == 1


@pytest.mark.parametrize(("containers", "names"), [("auto", ["host", "gpus", "containers"]), ("off", ["host", "gpus"])])
def test_the_settings_say_who_looks(containers: str, names: list[str]) -> None:
    watch = watch_of(MonitorSettings(every="2s", containers=containers), "box", lambda: 1, print)
    assert [view.name for view in watch.views()] == names
    assert watch.every_s == 2.0
