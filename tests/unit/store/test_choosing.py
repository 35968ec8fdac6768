"""Choosing a policy: what stands, who chose it, what it plans with, and what each policy is told to have done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tenure.model.allocation import Placement
from tenure.model.commands import Applied, Caller, Refused, SetPolicy
from tenure.model.plan import Decision, Hold, Plan, Start
from tenure.model.reasons import Capacity
from tenure.model.settings import PlanSettings
from tenure.store import SqlStore, open_sqlite
from tenure.store.queries import Queries
from tenure.store.settings import StoreSettings
from tenure.testing.store_rig import ADA, BEN, ONE_CPU, StoreRig, ended, rejected
from tenure.wire.policy import PolicyUse

DAEMON = Caller(-1, "tenure")
OWN = PlanSettings(wait_bonus=3)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[StoreRig]:
    """A rig whose settings are not the defaults."""
    path = str(tmp_path / "tenure.db")
    rig = StoreRig(lambda: open_sqlite(path, StoreSettings(ballast_bytes=0, plan=OWN)))
    yield rig
    rig.store.close()


def chosen(rig: StoreRig, policy: str, caller: Caller = ADA) -> Applied:
    answer = rig.apply(SetPolicy(rig.key(), caller, policy))
    assert isinstance(answer, Applied), answer
    return answer


def planned(rig: StoreRig) -> PlanSettings:
    return rig.store.snapshot(rig.now_ms).settings


def uses(rig: StoreRig) -> list[PolicyUse]:
    assert isinstance(rig.store, SqlStore)
    with closing(rig.store.queries()) as queries:
        return queries.policy_uses()


def test_a_choice_changes_what_is_planned_with_and_outlives_the_store(rig: StoreRig) -> None:
    assert planned(rig) == OWN
    before = rig.store.snapshot(rig.now_ms).revision
    assert chosen(rig, "sjf-easy:patience=2h").revision == before + 1
    wanted = replace(OWN, policy="sjf-easy:patience=2h", patience_ms=7_200_000)
    changes = rig.store.changes(before, rig.now_ms)
    assert changes is not None
    assert changes.settings == wanted == planned(rig)
    rig.reopen()
    assert planned(rig) == wanted
    after = rig.store.changes(changes.revision, rig.now_ms)
    assert after is None or after.settings is None


def test_what_changes_nothing_is_no_choice(rig: StoreRig) -> None:
    chosen(rig, "easy")
    again = chosen(rig, "easy", BEN)
    assert again.note == "the policy is easy already"
    events, _ = rig.store.events(0, 100)
    (event,) = [event for event in events if event.kind == "policy.changed"]
    assert event.data == '{"policy":"easy","before":"","by":"ada"}'


def test_a_policy_that_does_not_exist_is_refused_with_the_nearest_name(rig: StoreRig) -> None:
    answer = rig.apply(SetPolicy("k", ADA, "eazy"))
    assert isinstance(answer, Refused)
    assert (answer.code, "did you mean easy?" in answer.why) == ("unknown_policy", True)
    assert planned(rig) == OWN


def test_a_daemon_that_starts_leaves_a_persons_choice_alone(rig: StoreRig) -> None:
    chosen(rig, "", DAEMON)
    assert planned(rig).policy == "default"
    chosen(rig, "easy")
    assert chosen(rig, "", DAEMON).note == "ada has chosen easy"
    assert planned(rig).policy == "easy"
    chosen(rig, "")
    assert planned(rig) == OWN


def test_a_choice_that_means_nothing_any_more_falls_back(rig: StoreRig, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen(rig, "f1-easy")
    monkeypatch.delitem(__import__("tenure.policies").policies._BUILT_IN, "f1-easy")
    rig.reopen()
    assert planned(rig) == OWN


def test_each_policy_is_known_by_what_it_did(rig: StoreRig) -> None:
    chosen(rig, "easy")
    slow = rig.submit()
    rig.now_ms += 1000
    rig.record(ended(rig.run(slow)))
    chosen(rig, "sjf")
    waits = (100, 200, 300, 4000)
    for wait_ms in waits:
        job = rig.submit()
        rig.now_ms += wait_ms
        rig.record(ended(rig.run(job)))
    refused = rig.submit()
    (launch,) = rig.start(refused)
    rig.record(rejected(launch, job_fault=True))
    gone = rig.submit()
    nowhere = Start(gone, (Placement(0, 999, ()),))
    hold = Hold(rig.store.snapshot(rig.now_ms).pending.job(gone).shape, 1, Capacity(), gone)  # type: ignore[union-attr]
    rig.store.commit(Plan(0, (Decision(starts=(nowhere,)),), (hold,)), rig.epoch, rig.now_ms)
    sjf, easy = uses(rig)
    assert (sjf.policy, sjf.active, easy.policy, easy.active) == ("sjf", True, "easy", False)
    assert (easy.tried, easy.succeeded, easy.failed, easy.success_rate, easy.mean_wait_ms) == (1, 1, 0, 1.0, 1000)
    assert (sjf.tried, sjf.succeeded, sjf.failed, sjf.rejected, sjf.reasons) == (6, 4, 2, 1, 1)
    assert sjf.success_rate == round(4 / 6, 4)
    assert (sjf.mean_wait_ms, sjf.p95_wait_ms, sjf.max_wait_ms) == (920, 4000, 4000)
    chosen(rig, "easy")
    easy, sjf = uses(rig)
    assert (easy.active, easy.chosen, easy.tried, sjf.tried) == (True, 2, 1, 6)
    rig.reopen()
    assert uses(rig) == [easy, sjf]


def test_a_wait_begins_when_the_job_asked_to(rig: StoreRig) -> None:
    chosen(rig, "easy")
    job = rig.submit(not_before_ms=rig.now_ms + 5000)
    rig.now_ms += 6000
    rig.run(job)
    (easy,) = uses(rig)
    assert (easy.mean_wait_ms, easy.p95_wait_ms) == (1000, 1000)


def test_nothing_done_is_nothing_told(rig: StoreRig) -> None:
    assert uses(rig) == []
    chosen(rig, "easy")
    (easy,) = uses(rig)
    assert (easy.tried, easy.success_rate, easy.mean_wait_ms, easy.p95_wait_ms, easy.max_wait_ms) == (0, None, None, None, None)


def test_old_choices_go_with_the_runs_they_decided(rig: StoreRig) -> None:
    chosen(rig, "easy")
    rig.now_ms += 40 * 86_400_000
    chosen(rig, "sjf")
    rig.now_ms += 20 * 86_400_000
    rig.store.retain(rig.now_ms)
    assert [use.policy for use in uses(rig)] == ["sjf", "easy"]
    rig.now_ms += 20 * 86_400_000
    rig.store.retain(rig.now_ms)
    assert [use.policy for use in uses(rig)] == ["sjf"]
    assert planned(rig).policy == "sjf"


def test_the_present_choice_is_shown(rig: StoreRig) -> None:
    assert isinstance(rig.store, SqlStore)
    with closing(rig.store.queries()) as queries:
        assert isinstance(queries, Queries)
        assert queries.policy_choice() is None
        chosen(rig, "easy")
        choice = queries.policy_choice()
    assert choice is not None
    assert (choice.policy, choice.by_person, choice.user, choice.uid, choice.at_ms) == ("easy", 1, "ada", 1000, rig.now_ms)


def test_the_strategy_that_a_plan_follows_is_kept_and_told_when_it_changes(rig: StoreRig) -> None:
    chosen(rig, "adaptive")
    assert rig.store.snapshot(rig.now_ms).strategy == ""
    for strategy in ("immediate", "immediate", "delayed"):
        rig.store.commit(Plan(0, strategy=strategy), rig.epoch, rig.now_ms)
        assert rig.store.snapshot(rig.now_ms).strategy == strategy
    events, _ = rig.store.events(0, 100)
    told = [(event.cursor, event.data) for event in events if event.kind == "strategy.changed"]
    assert [data for _, data in told] == [
        '{"strategy":"immediate","before":""}',
        '{"strategy":"delayed","before":"immediate"}',
    ]
    changes = rig.store.changes(told[1][0] - 1, rig.now_ms)
    assert changes is not None
    assert changes.strategy == "delayed"
    rig.reopen()
    assert rig.store.snapshot(rig.now_ms).strategy == "delayed"
    chosen(rig, "easy")
    rig.store.commit(Plan(0), rig.epoch, rig.now_ms)
    assert rig.store.snapshot(rig.now_ms).strategy == ""


def test_a_wish_is_kept_with_the_shape(rig: StoreRig) -> None:
    plain = replace(ONE_CPU, app="web", max_per_node=1)
    shapes = [ONE_CPU, plain, replace(ONE_CPU, prefer=("nvlink", "ssd"), prefer_wait_ms=5000), replace(plain, prefer=("ssd",))]
    jobs = [rig.submit(shape) for shape in shapes]
    rig.reopen()
    snapshot = rig.store.snapshot(rig.now_ms)
    assert [snapshot.shapes[snapshot.job(job).shape] for job in jobs] == shapes  # type: ignore[union-attr]
    assert len({snapshot.job(job).shape for job in jobs}) == len(shapes)  # type: ignore[union-attr]
