"""Who holds much more than he uses, by the peaks of the whole window; and who presses against what was left to him."""

from __future__ import annotations

import pytest

from tenure.config.monitoring import AnomalySettings, OverAskedSettings, RuleSettings, SqueezedSettings
from tenure.model.amounts import GIB, MIB
from tenure.model.anomaly import Anomaly
from tenure.model.measures import Holding, LiveTask
from tenure.monitors.anomalies import Anomalies
from tenure.monitors.holdings import LEFT_CPU, LEFT_MEMORY, Holdings, felt
from tenure.monitors.tasks import CPU, MEMORY, TaskLook

BIG = Holding(4000, 64 * GIB, 4000, 64 * GIB)
LEFT = Holding(500, 4 * GIB, 4000, 64 * GIB, is_lowered=True)


def look(cpu_percent: float | None, memory: int | None, holding: Holding | None = BIG, task: int = 0, attempt: int = 7) -> TaskLook:
    figures = {CPU: cpu_percent, MEMORY: memory}
    known = {name: float(value) for name, value in figures.items() if value is not None}
    return TaskLook(LiveTask(attempt, task, 3, holding=holding), known)


def left(*looks: TaskLook, holdings: Holdings | None = None) -> dict[str, float]:
    """What the jobs of one round should hold instead."""
    found = list((holdings or Holdings(1.25)).signs(looks))
    return {name: value for sign in found for name, value in sign.evidence.items() if name in (LEFT_CPU, LEFT_MEMORY)}


@pytest.mark.parametrize(
    ("cpu_percent", "memory", "expected"),
    [
        (40, 3 * GIB, {LEFT_CPU: 500, LEFT_MEMORY: 3840 * MIB}),
        (199, 32 * GIB, {LEFT_CPU: 2488}),
        (200, 31 * GIB, {LEFT_MEMORY: 39680 * MIB}),
        (200, 32 * GIB, {}),
        (0, 0, {LEFT_CPU: 100, LEFT_MEMORY: 64 * MIB}),
    ],
)
def test_what_is_left_is_the_peak_with_headroom(cpu_percent: float, memory: int, expected: dict[str, float]) -> None:
    assert left(look(cpu_percent, memory)) == expected


def test_nothing_is_said_of_what_would_free_next_to_nothing_or_is_left_alone() -> None:
    assert left(look(1, 10 * MIB, Holding(110, 70 * MIB, 110, 70 * MIB))) == {}
    assert left(look(1, 10 * MIB, Holding(1000, 0, 1000, 0))) == {LEFT_CPU: 100}, "who asked for no memory holds none"
    assert left(look(1, 1, None)) == {}
    assert left(look(1, None)) == {}
    assert left(look(None, 1)) == {}


def test_the_peak_of_the_window_counts_and_a_round_that_is_busy_begins_anew() -> None:
    holdings = Holdings(1.25)
    assert left(look(100, 2 * GIB), holdings=holdings)[LEFT_CPU] == 1250
    assert left(look(10, 8 * GIB), holdings=holdings) == {LEFT_CPU: 1250, LEFT_MEMORY: 10 * GIB}
    assert left(look(10, 1 * GIB), holdings=holdings) == {LEFT_CPU: 1250, LEFT_MEMORY: 10 * GIB}
    assert left(look(300, 40 * GIB), holdings=holdings) == {}
    assert left(look(10, 1 * GIB), holdings=holdings) == {LEFT_CPU: 125, LEFT_MEMORY: 1280 * MIB}


def test_of_a_gang_the_busiest_task_decides_and_all_must_be_known() -> None:
    assert left(look(10, GIB), look(100, 4 * GIB, task=1)) == {LEFT_CPU: 1250, LEFT_MEMORY: 5 * GIB}
    assert left(look(10, GIB), look(100, None, task=1)) == {}


@pytest.mark.parametrize(
    ("cpu_percent", "memory", "expected"),
    [
        (45, GIB, {LEFT_CPU: 4000}),
        (44, GIB, {}),
        (10, 3687 * MIB, {LEFT_MEMORY: 64 * GIB}),
        (50, 4 * GIB, {LEFT_CPU: 4000, LEFT_MEMORY: 64 * GIB}),
    ],
)
def test_who_comes_close_to_what_was_left_is_to_have_his_own_again(cpu_percent: float, memory: int, expected: dict[str, float]) -> None:
    (sign,) = list(Holdings(1.25).signs([look(cpu_percent, memory, LEFT)])) or [None]
    assert (sign.evidence if sign else {}) | {CPU: 0, MEMORY: 0} == expected | {CPU: 0, MEMORY: 0}
    assert sign is None or (sign.kind, sign.job_id) == ("squeezed", 3)


def test_of_a_gang_each_is_measured_by_what_was_left_to_it() -> None:
    whole = LEFT._replace(cpu_milli=4000, memory_bytes=64 * GIB)
    assert left(look(10, GIB, LEFT), look(350, 50 * GIB, whole, task=1)) == {}, "what the other uses was left to the other"
    assert left(look(350, 50 * GIB, whole), look(10, 4 * GIB, LEFT, task=1)) == {LEFT_MEMORY: 64 * GIB}
    assert left(look(50, GIB, LEFT), look(10, 4 * GIB, LEFT, task=1)) == {LEFT_CPU: 4000, LEFT_MEMORY: 64 * GIB}


def test_who_has_all_of_it_again_is_left_alone() -> None:
    assert left(look(400, 64 * GIB, Holding(4000, 64 * GIB, 4000, 64 * GIB, is_lowered=True))) == {}


def rounds(settings: AnomalySettings, holding: Holding, count: int, hindrance: str = "") -> tuple[list[Anomaly], list[Anomaly]]:
    """What was done, and what is open, after so many rounds of ten seconds of a job that does nothing."""
    done: list[Anomaly] = []
    holdings = Holdings(settings.over_asked.headroom)
    troubles = Anomalies(settings, lambda _changed: None, done.append, hindrance=lambda action: hindrance if action != "warn" else "")
    for number in range(count):
        used = look(50, 4 * GIB, holding) if holding.is_lowered else look(1, MIB, holding)
        troubles.round(holdings.signs([used]), 10_000 * number)
    return done, troubles.open


def test_nothing_is_lowered_unless_the_settings_say_so_and_then_once() -> None:
    assert rounds(AnomalySettings(), BIG, 200)[0] == []
    done, found = rounds(AnomalySettings(over_asked=OverAskedSettings("1m", "shrink", 2.0)), BIG, 30)
    assert [(one.kind, one.action, one.evidence[LEFT_CPU]) for one in done] == [("over_asked", "shrink", 100)]
    assert "tenure update 3 --cpus 0.1 --memory 64" in found[0].remedy


def test_what_was_left_is_given_back_until_that_has_worked() -> None:
    done, _ = rounds(AnomalySettings(), LEFT, 10)
    assert len(done) > 3
    assert {one.action for one in done} == {"restore"}
    assert rounds(AnomalySettings(squeezed=SqueezedSettings(action="warn")), LEFT, 10)[0] == []


def test_what_cannot_be_done_here_is_told_with_the_reason() -> None:
    settings = AnomalySettings(over_asked=OverAskedSettings("1m", "shrink"))
    done, (found,) = rounds(settings, BIG, 30, "no control groups")
    assert done == []
    assert (found.action, "no control groups" in found.remedy) == ("warn", True)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (AnomalySettings(over_asked=OverAskedSettings(action="kill")), "off, warn, shrink"),
        (AnomalySettings(squeezed=SqueezedSettings(action="shrink")), "off, warn, restore"),
        (AnomalySettings(hung=RuleSettings(action="shrink")), "requeue, kill"),
        (AnomalySettings(over_asked=OverAskedSettings(headroom=1.1)), "headroom"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: AnomalySettings, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        settings.check()


def test_too_much_is_only_too_much_while_somebody_waits_and_who_is_squeezed_counts_anyway() -> None:
    both = list(Holdings(1.25).signs([look(1, 1), look(50, 4 * GIB, LEFT, attempt=8)]))
    assert [sign.kind for sign in felt(both, lambda: True)] == ["over_asked", "squeezed"]
    assert [sign.kind for sign in felt(both, lambda: False)] == ["squeezed"]
    asked: list[bool] = []
    assert felt(both[1:], lambda: bool(asked.append(True))) == both[1:]
    assert not asked, "the store is not asked for nothing"
