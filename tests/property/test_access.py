"""Who may do what is a lattice: whoever has more may do whatever is allowed with less, and a token only ever takes away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.model.access import DEFAULT_PROJECT, LOWEST, SCHEDULER, Caller, Permission, Role, Scope

NAMES = ("p", "pp", "p1", DEFAULT_PROJECT, "")
UIDS = (1, 2)
MEMBERSHIPS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(Role), max_size=3).map(lambda found: tuple(sorted(found.items())))
SCOPES = st.builds(
    Scope,
    st.sampled_from(Role),
    st.none() | st.lists(st.sampled_from(NAMES), max_size=3).map(tuple),
    st.none() | st.frozensets(st.sampled_from(Permission)),
)


def rights(caller: Caller) -> set[tuple[str, ...]]:
    """Everything that he may, one by one."""
    found: set[tuple[str, ...]] = {("may", need) for need in Permission if caller.may(need)}
    for project in NAMES:
        found |= {("use", project)} if caller.may_use(project) else set()
        for uid in UIDS:
            found |= {("see", str(uid), project)} if caller.sees(uid, project) else set()
            found |= {("act", str(uid), project)} if caller.acts_on(uid, project) else set()
    return found


@given(st.sampled_from(Role), st.sampled_from(Role), MEMBERSHIPS)
def test_a_greater_role_may_whatever_a_smaller_one_may(one: Role, other: Role, projects: tuple[tuple[str, Role], ...]) -> None:
    low, high = sorted((one, other))
    assert rights(Caller(1, "a", low, projects)) <= rights(Caller(1, "a", high, projects))


@given(st.sampled_from(Role), MEMBERSHIPS, SCOPES)
def test_a_token_never_adds_anything(role: Role, projects: tuple[tuple[str, Role], ...], scope: Scope) -> None:
    caller = Caller(1, "a", role, projects)
    assert rights(scope.narrow(caller, 7, "token")) <= rights(caller)


@given(st.sampled_from(Role), MEMBERSHIPS, st.sampled_from(NAMES), st.sampled_from(Role))
def test_another_membership_takes_nothing_away(role: Role, projects: tuple[tuple[str, Role], ...], name: str, member: Role) -> None:
    caller = Caller(1, "a", role, projects)
    if name not in dict(projects):
        assert rights(caller) <= rights(replace(caller, projects=(*projects, (name, member))))


@given(MEMBERSHIPS, SCOPES)
def test_nobody_may_nothing(projects: tuple[tuple[str, Role], ...], scope: Scope) -> None:
    assert rights(scope.narrow(Caller(1, "a", Role.NOBODY, projects), 7, "token")) <= {("may", Permission.PUBLIC)}


def test_names_are_compared_whole() -> None:
    caller = Caller(1, "a", Role.USER, (("p", Role.OPERATOR),))
    assert caller.acts_on(2, "p")
    assert not caller.sees(2, "pp")
    assert not caller.sees(2, "")
    assert not Scope(only=("p",)).narrow(Caller(1, "a", Role.ADMIN), 1, "token").sees(2, "p1")


def test_every_permission_has_a_lowest_role_and_the_daemon_may_everything() -> None:
    assert set(LOWEST) == set(Permission)
    assert SCHEDULER.sees_all
    assert all(SCHEDULER.may(need) for need in Permission)


@pytest.mark.parametrize("word", ["", "nobody", "Admin", "root", "admin "])
def test_a_word_that_is_no_role_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="roles are viewer, user, operator, admin"):
        Role.of(word)
