"""Guidance in the store: what it makes of waiting jobs, whichever way they are read; its bounds, its end, and who may give it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as run
from hypothesis import strategies as st

from tenure.model.access import SCHEDULER, Caller, Role
from tenure.model.commands import Answer, Applied, EndGuidance, Guide, Refused, SetPolicy, SetQueue, UpdateJob
from tenure.model.guidance import HIGHEST, HOUR_MS, LONGEST_MS, MOST_OPEN, MOST_STEPS, ClassGuidance, guided
from tenure.model.settings import PlanSettings
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.store.guided import GuidanceRow, Wanted, past_to
from tenure.testing.store_rig import ADA, BEN, StoreRig
from tests.support.examples import examples

BOSS = Caller(7, "boss", Role.OPERATOR)


@contextmanager
def fresh() -> Iterator[StoreRig]:
    with TemporaryDirectory() as folder:
        rig = StoreRig(lambda: open_sqlite(f"{folder}/tenure.db", StoreSettings(ballast_bytes=0, plan=PlanSettings(policy="easy"))))
        rig.apply(SetQueue(rig.key(), BOSS, "night"))
        rig.apply(SetPolicy("", Caller(-1, "tenure", Role.ADMIN)))
        yield rig
        rig.store.close()


@pytest.fixture
def rig() -> Iterator[StoreRig]:
    with fresh() as found:
        yield found


def give(rig: StoreRig, caller: Caller = BOSS, **what: object) -> Answer:
    return rig.apply(Guide(rig.key(), caller, **what))  # type: ignore[arg-type]


def number(answer: Answer) -> int:
    assert isinstance(answer, Applied), answer
    return int(answer.note)


def counts(rig: StoreRig, *jobs: int) -> list[int]:
    """The priorities with which jobs count."""
    found = [rig.pending(job) for job in jobs]
    return [job.priority for job in found if job is not None]


def test_a_class_is_raised_for_those_who_wait_and_those_who_come(rig: StoreRig) -> None:
    before, other = rig.submit(project="p"), rig.submit(project="q")
    first = number(give(rig, steps=2, project="p"))
    after = rig.submit(project="p", priority=4)
    assert counts(rig, before, other, after) == [7, 5, 6]
    lower = number(give(rig, steps=-3, name="job*"))
    assert counts(rig, before, other, after) == [4, 2, 3]
    for one in (first, lower):
        assert isinstance(rig.apply(EndGuidance(rig.key(), BOSS, one)), Applied)
    assert counts(rig, before, other, after) == [5, 5, 4]
    assert isinstance(rig.apply(EndGuidance(rig.key(), BOSS, one)), Applied)
    assert rig.kinds().count("guidance.made") == rig.kinds().count("guidance.ended") == 2


def test_nothing_becomes_critical_and_nothing_falls_below_the_lowest() -> None:
    assert [guided(priority, [3]) for priority in range(1, 11)] == [4, 5, 6, 7, 7, 7, 7, 8, 9, 10]
    assert [guided(priority, [-3]) for priority in (1, 3, 5, 10)] == [1, 1, 2, 7]
    assert guided(5, [3, 3, 3]) == HIGHEST
    assert guided(5, [3, -1]) == 7
    assert guided(5, []) == 5


def test_it_ends_by_itself_and_a_daemon_that_starts_anew_knows(rig: StoreRig) -> None:
    job = rig.submit(project="p")
    give(rig, steps=1, project="p")
    give(rig, steps=1, project="p", length_ms=2 * HOUR_MS)
    assert counts(rig, job) == [7]
    assert rig.store.expire_guidance(rig.now_ms) == (rig.now_ms + HOUR_MS, 0)
    rig.reopen()
    assert counts(rig, job) == [7]
    rig.now_ms += HOUR_MS
    assert rig.store.expire_guidance(rig.now_ms) == (rig.now_ms + HOUR_MS, 1)
    assert counts(rig, job) == [6]
    rig.now_ms += HOUR_MS
    rig.store.expire_guidance(rig.now_ms)
    assert counts(rig, job) == [5]
    rig.sound()


def test_people_guide_their_own_work_alone(rig: StoreRig) -> None:
    ada, ben = rig.submit(caller=ADA, project="p"), rig.submit(caller=BEN, project="p")
    mine = number(give(rig, ADA, steps=2, project="p"))
    assert counts(rig, ada, ben) == [7, 5]
    refused = give(rig, ADA, steps=1, user="ben")
    assert isinstance(refused, Refused)
    assert refused.code == "forbidden"
    taken = rig.apply(EndGuidance(rig.key(), BEN, mine))
    assert isinstance(taken, Refused)
    assert taken.code == "not_yours"
    lead = replace(BEN, projects=(("p", Role.OPERATOR),))
    assert isinstance(give(rig, lead, steps=-1, project="p"), Applied)
    assert counts(rig, ada, ben) == [6, 4]
    assert isinstance(rig.apply(EndGuidance(rig.key(), lead, mine)), Applied)
    policy = give(rig, ADA, policy="fifo")
    assert isinstance(policy, Refused)
    assert policy.code == "forbidden"


def policy_of(rig: StoreRig) -> str:
    return rig.store.snapshot(rig.now_ms).settings.policy


def test_a_policy_decides_for_a_while_and_gives_way_to_the_one_before(rig: StoreRig) -> None:
    assert policy_of(rig) == "easy"
    give(rig, policy="fifo")
    assert policy_of(rig) == "fifo"
    second = give(rig, policy="greedy")
    assert isinstance(second, Refused)
    assert second.code == "name_taken"
    rig.now_ms += HOUR_MS
    rig.store.expire_guidance(rig.now_ms)
    assert policy_of(rig) == "easy"
    rig.apply(SetPolicy(rig.key(), BOSS, "greedy"))
    one = number(give(rig, policy="portfolio:profile=fast"))
    rig.apply(EndGuidance(rig.key(), BOSS, one))
    assert policy_of(rig) == "greedy"
    one = number(give(rig, policy="fifo"))
    rig.apply(SetPolicy(rig.key(), BOSS, "points"))
    rig.apply(EndGuidance(rig.key(), BOSS, one))
    assert policy_of(rig) == "points"


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({}, "bad_request"),
        ({"steps": 1, "policy": "fifo"}, "bad_request"),
        ({"steps": 1}, "bad_request"),
        ({"steps": MOST_STEPS + 1, "name": "x"}, "bad_request"),
        ({"steps": 1, "name": "x", "length_ms": LONGEST_MS + 1}, "bad_request"),
        ({"steps": 1, "name": "x", "length_ms": -1}, "bad_request"),
        ({"steps": 1, "project": "nobody's"}, "not_found"),
        ({"steps": 1, "queue": "nowhere"}, "not_found"),
        ({"steps": 1, "user": "nobody"}, "not_found"),
        ({"policy": "wishful"}, "unknown_policy"),
    ],
)
def test_what_means_nothing_is_refused(rig: StoreRig, what: dict[str, object], code: str) -> None:
    refused = give(rig, **what)
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert refused.why
    assert isinstance(rig.apply(EndGuidance(rig.key(), BOSS, 99)), Refused)


def kept(store: SqlStore) -> list[GuidanceRow]:
    return store.queries().read(lambda link: past_to(link, SCHEDULER, Wanted(), 0, 1000))


def test_it_is_bounded_in_number_and_leaves_in_time(rig: StoreRig) -> None:
    for _ in range(MOST_OPEN):
        give(rig, steps=1, name="x", length_ms=1)
    too_many = give(rig, steps=1, name="x")
    assert isinstance(too_many, Refused)
    assert too_many.code == "too_many"
    rig.now_ms += HOUR_MS
    rig.store.expire_guidance(rig.now_ms)
    assert isinstance(rig.store, SqlStore)
    assert len(kept(rig.store)) == MOST_OPEN
    assert rig.store.queries().guidance() == []
    rig.now_ms += 30 * 24 * HOUR_MS
    rig.store.retain(rig.now_ms)
    assert kept(rig.store) == []


CLASSES = st.builds(
    dict,
    steps=st.integers(-3, 3).filter(bool),
    project=st.sampled_from(["", "p", "q"]),
    queue=st.sampled_from(["", "night"]),
    user=st.sampled_from(["", "ada", "ben"]),
    name=st.sampled_from(["", "a*", "b", "?"]),
).filter(lambda one: any(value for name, value in one.items() if name != "steps"))


@run(max_examples=examples(20), deadline=None)
@given(
    given_classes=st.lists(CLASSES, max_size=4),
    jobs=st.lists(
        st.tuples(
            st.sampled_from(["p", "q"]),
            st.sampled_from(["default", "night"]),
            st.sampled_from([ADA, BEN]),
            st.sampled_from(["a", "ab", "b"]),
            st.integers(1, 10),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_a_board_that_follows_sees_what_one_made_anew_sees(given_classes: list[dict[str, object]], jobs: list[tuple]) -> None:  # type: ignore[type-arg]
    with fresh() as rig:
        made = [rig.submit(project=p, queue=q, caller=c, name=n, priority=priority) for p, q, c, n, priority in jobs]
        taken = [one for one in given_classes if isinstance(give(rig, **one), Applied)]
        since = rig.store.snapshot(rig.now_ms).revision
        for job in made:
            rig.act(UpdateJob, job, caller=BOSS, limit_ms=60_000)
        changes = rig.store.changes(since, rig.now_ms)
        assert changes is not None
        for job, (project, queue, caller, name, priority) in zip(made, jobs, strict=True):
            steps = [
                one["steps"]
                for one in taken
                if one["project"] in ("", project)
                and one["queue"] in ("", queue)
                and one["user"] in ("", caller.user)
                and ClassGuidance(1, 1, name=str(one["name"])).concerns(0, 0, 0, name)
            ]
            expected = guided(priority, steps)  # type: ignore[arg-type]
            assert counts(rig, job) == [expected]
            assert changes.pending[job].priority == expected
