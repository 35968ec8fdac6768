"""What listings show is what the rule allows: the condition in the database and the rule about one job, for any caller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.model.access import DEFAULT_PROJECT, Caller, Role, Scope
from tenure.store import StoreSettings, open_sqlite
from tenure.store.queries import Queries
from tenure.testing.store_rig import StoreRig
from tenure.wire.dto import Selection
from tests.support.examples import examples

PROJECTS = ("p", "pp", "p%", DEFAULT_PROJECT)
OWNERS = (1, 2, 2**32 + 5)
STRANGE = ("none", "P", "")
CALLERS = st.builds(
    Caller,
    st.sampled_from((*OWNERS, 9)),
    st.just("somebody"),
    st.sampled_from(Role),
    st.dictionaries(st.sampled_from(PROJECTS + STRANGE), st.sampled_from(Role), max_size=4).map(lambda found: tuple(found.items())),
    st.none() | st.lists(st.sampled_from(PROJECTS + STRANGE), max_size=4).map(tuple),
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Queries, dict[int, tuple[int, str]]]]:
    """A store with jobs and an array of each owner in each project, and whose each is."""
    path = tmp_path_factory.mktemp("sight") / "tenure.db"
    rig = StoreRig(lambda: open_sqlite(str(path), StoreSettings(ballast_bytes=0)))
    owners: dict[int, tuple[int, str]] = {}
    for uid in OWNERS:
        for project in PROJECTS:
            caller = Caller(uid, f"user-{uid}")
            for more in ({}, {"array": ((0, 3, 1),)}):
                owners[rig.submit(caller=caller, project=project, name="job", **more)] = (uid, project)
    queries = rig.store.queries()  # type: ignore[attr-defined]
    yield queries, owners
    queries.close()
    rig.store.close()
    assert isinstance(path, Path)


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(caller=CALLERS, scope=st.builds(Scope, st.sampled_from(Role), st.none() | st.just(("p", DEFAULT_PROJECT))))
def test_every_way_to_name_jobs_shows_what_the_rule_allows(
    stored: tuple[Queries, dict[int, tuple[int, str]]], caller: Caller, scope: Scope
) -> None:
    queries, owners = stored
    for who in (caller, scope.narrow(caller, 1, "token")):
        allowed = {number for number, owner in owners.items() if who.sees(*owner)}
        page = queries.jobs(Selection(states=["all"]), who)
        assert {job.number for job in page.jobs} == allowed
        assert sum(page.counts.values()) == len(allowed)
        assert {row.job_id for row in queries.resolve(Selection(), who)} == allowed
        named = Selection(ids=[str(number) for number in owners])
        assert {row.job_id for row in queries.resolve(named, who)} == allowed
        assert {job.number for job in queries.jobs(named, who).jobs} == allowed
        assert queries.seen(who, list(owners)) == allowed
        elements = Selection(ids=[f"{number}_1" for number in owners if number % 2 == 0])
        assert {row.job_id for row in queries.resolve(elements, who)} == {number for number in allowed if number % 2 == 0}
        assert {job.number for job in queries.jobs(Selection(project="p", name="j*"), who).jobs} == {
            number for number in allowed if owners[number][1] == "p"
        }
        last = queries.resolve(Selection(ids=["last"]), who)
        own = [number for number in allowed if owners[number][0] == who.uid]
        assert [row.job_id for row in last] == ([max(own)] if own else [])
