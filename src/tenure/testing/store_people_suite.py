"""The contract of a store about people as tests: users, memberships, tokens and their caps, and the audit log."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from tenure.model.access import READING, Caller, Caps, Permission, Role, Scope
from tenure.model.commands import (
    AcquireLease,
    Answer,
    Applied,
    CancelJob,
    Command,
    JobRequest,
    JobSpec,
    Refused,
    RenewLease,
    RequeueJob,
    SetQueue,
    SubmitJob,
    UpdateJob,
)
from tenure.model.people import CreateToken, Note, RemoveUser, RevokeToken, SetMember, SetUser
from tenure.store.store import SqlStore
from tenure.testing.store_rig import ADA, BEN, ONE_CPU, ONE_GPU, SPEC, StoreRig, ended
from tenure.testing.store_suite import OpenStore
from tenure.wire.chain import SOUND, Chain

ROOT = Caller(0, "root", Role.ADMIN)
HOUR = 3_600_000
GPU_HOUR = 1000 * HOUR


def refused(answer: Answer, code: str) -> None:
    """The answer must be a refusal of that code."""
    assert isinstance(answer, Refused), answer
    assert answer.code == code


class StorePeopleSuite:
    """Where a suite is run, the fixture ``open_store`` is defined."""

    @pytest.fixture
    def rig(self, open_store: OpenStore) -> StoreRig:
        """A store with one node."""
        return StoreRig(open_store)

    def done(self, rig: StoreRig, command: Command) -> Applied:
        """Have a command carried out that must be."""
        answer = rig.apply(command)
        assert isinstance(answer, Applied), answer
        return answer

    def token(self, rig: StoreRig, scope: Scope, caller: Caller = ADA, **more: Any) -> Caller:
        """A caller who comes with a new token."""
        digest = f"{rig.key():0>64}"
        self.done(rig, CreateToken("", caller, digest, digest[-8:], scope, **more))
        assert isinstance(rig.store, SqlStore)
        found = rig.store.queries().token(digest)
        assert found is not None
        row, person = found
        return row.scope.narrow(Caller(person.uid, person.name, caller.role), row.id, row.kind)

    # --- users

    def test_a_user_without_an_account_has_a_number_that_no_kernel_knows(self, rig: StoreRig) -> None:
        self.done(rig, SetUser("", ROOT, "amy", role=Role.VIEWER))
        self.done(rig, SetUser("", ROOT, "bot", role=Role.USER))
        self.done(rig, SetUser("", ROOT, "carl", uid=77, role=Role.OPERATOR))
        people = {person.name: person for person in rig.store.queries().people()}  # type: ignore[attr-defined]
        assert people["amy"].uid >= 2**32
        assert people["amy"].uid != people["bot"].uid
        assert (people["carl"].uid, people["carl"].role, people["bot"].role) == (77, Role.OPERATOR, Role.USER)

    def test_nobody_gives_or_takes_a_role_above_his_own(self, rig: StoreRig) -> None:
        self.done(rig, SetUser("", ROOT, "boss", role=Role.ADMIN))
        lesser = Caller(5, "op", Role.OPERATOR)
        refused(rig.apply(SetUser("", lesser, "x", role=Role.ADMIN)), "forbidden")
        refused(rig.apply(SetUser("", lesser, "boss", disabled=True)), "forbidden")
        people = {person.name: (person.role, person.disabled) for person in rig.store.queries().people()}  # type: ignore[attr-defined]
        assert (people["boss"], "x" in people) == ((Role.ADMIN, False), False)

    def test_two_users_are_not_mistaken_for_one(self, rig: StoreRig) -> None:
        self.done(rig, SetUser("", ROOT, "amy", uid=70, role=Role.USER))
        refused(rig.apply(SetUser("", ROOT, "amy", uid=71, role=Role.USER)), "name_taken")
        refused(rig.apply(RemoveUser("", ROOT, "nobody")), "not_found")
        refused(rig.apply(SetUser("", ROOT, "typo", disabled=False)), "not_found")
        refused(rig.apply(SetUser("", ROOT, "a\nb", role=Role.USER)), "malformed")
        people = rig.store.queries().people()  # type: ignore[attr-defined]
        assert [(person.name, person.uid) for person in people if person.name in ("amy", "nobody", "typo", "a\nb")] == [("amy", 70)]

    def test_who_is_removed_has_no_token_and_no_membership(self, rig: StoreRig) -> None:
        self.done(rig, SetUser("", ROOT, "amy", role=Role.USER))
        self.done(rig, SetMember("", ROOT, "amy", "vision", Role.OPERATOR))
        self.token(rig, Scope(), ROOT, user="amy")
        self.done(rig, RemoveUser("", ROOT, "amy"))
        queries = rig.store.queries()  # type: ignore[attr-defined]
        person = next(person for person in queries.people() if person.name == "amy")
        assert (person.disabled, person.projects, person.role) == (True, (), Role.NOBODY)
        assert [row.is_valid(rig.now_ms) for row in queries.tokens()] == [False]
        refused(rig.apply(CreateToken("", ROOT, rig.key(), "p", Scope(), user="amy", expires_ms=rig.now_ms + HOUR)), "forbidden")
        refused(rig.apply(RemoveUser("", ROOT, "root")), "not_found")

    def test_a_membership_is_up_to_operator_and_of_one_role(self, rig: StoreRig) -> None:
        self.done(rig, SetUser("", ROOT, "amy", role=Role.USER))
        for role in (Role.VIEWER, Role.OPERATOR):
            self.done(rig, SetMember("", ROOT, "amy", "vision", role))
        refused(rig.apply(SetMember("", ROOT, "amy", "vision", Role.ADMIN)), "malformed")
        person = rig.store.queries().people()[0]  # type: ignore[attr-defined]
        assert person.projects == (("vision", Role.OPERATOR),)
        self.done(rig, SetMember("", ROOT, "amy", "vision", Role.NOBODY))
        assert rig.store.queries().people()[0].projects == ()  # type: ignore[attr-defined]

    # --- tokens

    def test_a_token_ends_and_is_revoked_once(self, rig: StoreRig) -> None:
        self.token(rig, Scope(), expires_ms=rig.now_ms + 1000)
        row = rig.store.queries().tokens()[0]  # type: ignore[attr-defined]
        assert (row.is_valid(rig.now_ms), row.is_valid(rig.now_ms + 1000)) == (True, False)
        refused(rig.apply(RevokeToken("", BEN, row.prefix)), "not_found")
        self.done(rig, RevokeToken("", ADA, row.prefix))
        refused(rig.apply(RevokeToken("", ADA, str(row.id))), "revoked")
        assert not rig.store.queries().tokens()[0].is_valid(rig.now_ms)  # type: ignore[attr-defined]

    def test_a_token_makes_none_that_may_more_than_itself(self, rig: StoreRig) -> None:
        scope = Scope(Role.USER, ("a", "b"), READING | {Permission.TOKENS_WRITE}, Caps(GPU_HOUR, 5, HOUR))
        narrow = self.token(rig, scope, expires_ms=rig.now_ms + HOUR)
        caps = Caps(GPU_HOUR, 5, HOUR)
        less = Scope(Role.VIEWER, ("a",), READING, caps)
        wider = (
            replace(less, role=Role.OPERATOR),
            replace(less, only=None),
            replace(less, only=("a", "c")),
            replace(less, verbs=None),
            replace(less, verbs=READING | {Permission.JOBS_WRITE}),
            replace(less, caps=replace(caps, jobs=0)),
            replace(less, caps=replace(caps, gpu_milli_ms=GPU_HOUR + 1)),
        )
        for scope in wider:
            refused(rig.apply(CreateToken("", narrow, rig.key(), "p", scope, expires_ms=rig.now_ms + 1000)), "forbidden")
        for expires_ms in (0, rig.now_ms + HOUR + 1):
            refused(rig.apply(CreateToken("", narrow, rig.key(), "p", less, expires_ms=expires_ms)), "forbidden")
        refused(rig.apply(CreateToken("", narrow, rig.key(), "p", less, user="root", expires_ms=rig.now_ms + 1)), "forbidden")
        self.done(rig, CreateToken("", narrow, rig.key(), "p", less, expires_ms=rig.now_ms + 1000))
        made = rig.store.queries().tokens()  # type: ignore[attr-defined]
        assert sorted(row.expires_ms - rig.now_ms for row in made) == [1000, HOUR], "what is refused leaves no token"

    # --- caps

    def submitted(self, rig: StoreRig, caller: Caller, shape: Any = ONE_CPU, **request: Any) -> Answer:
        """The answer to a submission."""
        return rig.apply(SubmitJob(rig.key(), caller, JobRequest("job", shape, **request), SPEC))

    def test_only_so_many_jobs_at_a_time(self, rig: StoreRig) -> None:
        agent = self.token(rig, Scope(caps=Caps(jobs=3)))
        first = self.submitted(rig, agent)
        assert isinstance(first, Applied)
        assert isinstance(self.submitted(rig, agent, array=((0, 9, 1),), array_cap=2), Applied)
        refused(self.submitted(rig, agent), "over_cap")
        assert isinstance(self.submitted(rig, ADA), Applied)
        rig.act(CancelJob, first.job_id)
        assert isinstance(self.submitted(rig, agent), Applied)
        both = [SubmitJob(rig.key(), agent, JobRequest("job", ONE_CPU), SPEC) for _ in range(2)]
        assert [type(answer) for answer in rig.store.apply(both, rig.now_ms)] == [Refused, Refused]

    def test_gpu_time_counts_as_it_may_become_and_then_as_it_was(self, rig: StoreRig) -> None:
        agent = self.token(rig, Scope(caps=Caps(gpu_milli_ms=2 * GPU_HOUR)))
        refused(self.submitted(rig, agent, ONE_GPU), "over_cap")
        refused(self.submitted(rig, agent, ONE_GPU, limit_ms=HOUR, retries=2), "over_cap")
        refused(self.submitted(rig, agent, ONE_GPU, limit_ms=HOUR, array=((0, 2, 1),)), "over_cap")
        job = self.submitted(rig, agent, ONE_GPU, limit_ms=2 * HOUR)
        assert isinstance(job, Applied)
        refused(self.submitted(rig, agent, ONE_GPU, limit_ms=1), "over_cap")
        assert isinstance(self.submitted(rig, agent), Applied)
        launch = rig.run(job.job_id, ONE_GPU, devices=((1,),))
        rig.now_ms += HOUR // 2
        rig.record(ended(launch))
        assert isinstance(self.submitted(rig, agent, ONE_GPU, limit_ms=HOUR), Applied)
        refused(self.submitted(rig, agent, ONE_GPU, limit_ms=HOUR), "over_cap")

    def test_what_was_submitted_under_a_cap_is_neither_raised_nor_run_again(self, rig: StoreRig) -> None:
        agent = self.token(rig, Scope(caps=Caps(gpu_milli_ms=2 * GPU_HOUR)))
        job = self.submitted(rig, agent, ONE_GPU, limit_ms=HOUR)
        assert isinstance(job, Applied)
        for changes in ({"limit_ms": 2 * HOUR}, {"limit_ms": 0}, {"retries": 1}, {"shape": replace(ONE_GPU, tasks=2)}):
            refused(rig.act(UpdateJob, job.job_id, agent, **changes), "over_cap")
        assert isinstance(rig.act(UpdateJob, job.job_id, agent, limit_ms=HOUR // 2, priority=9), Applied)
        refused(rig.act(RequeueJob, job.job_id, agent), "over_cap")

    def test_a_lease_under_a_cap_is_short_and_stays_so(self, rig: StoreRig) -> None:
        agent = self.token(rig, Scope(caps=Caps(lease_ms=60_000)))

        def lease(limit_ms: int) -> Answer:
            wish = JobRequest("tool", ONE_CPU, kind="lease", limit_ms=limit_ms)
            return rig.apply(AcquireLease(rig.key(), agent, wish, JobSpec(("tool",), "/"), "s" * 64, 1000))

        refused(lease(60_001), "over_cap")
        held = lease(40_000)
        assert isinstance(held, Applied)
        rig.run(held.job_id)
        rig.now_ms += 30_000
        refused(rig.apply(RenewLease("", agent, held.job_id, "s" * 64, 30_001)), "over_cap")
        self.done(rig, RenewLease("", agent, held.job_id, "s" * 64, 30_000))

    # --- the audit log

    def test_what_is_done_and_what_is_refused_is_kept(self, rig: StoreRig) -> None:
        for _ in range(3):
            rig.submit(name="train", spec=JobSpec(("python", "secret-word"), "/", {"KEY": "secret-word"}))
        rig.act(CancelJob, 2, BEN)
        self.done(rig, SetQueue("", ROOT, "default", max_limit_ms=5000))
        self.done(rig, Note("", ROOT, "backup", "/copy"))
        rig.apply(Note("", BEN, "POST /nodes", outcome="forbidden"))
        rows = rig.store.queries().audit()  # type: ignore[attr-defined]
        assert [(row.user, row.what, row.target, row.outcome) for row in rows] == [
            *(("ada", "submit", str(number), "ok") for number in (1, 2, 3)),
            ("ben", "cancel job", "2", "not_yours"),
            ("root", "set queue", "default", "ok"),
            ("root", "backup", "/copy", "ok"),
            ("ben", "POST /nodes", "", "forbidden"),
        ]
        assert '"before"' in rows[4].detail
        assert not any("secret-word" in row.detail for row in rows)
        assert rig.store.check() == []

    def test_what_is_submitted_together_is_one_row(self, rig: StoreRig) -> None:
        commands = [SubmitJob(rig.key(), ADA, JobRequest("a", ONE_CPU), SPEC) for _ in range(5)]
        rig.store.apply(commands, rig.now_ms)
        rig.store.apply(commands, rig.now_ms)
        (row,) = rig.store.queries().audit()  # type: ignore[attr-defined]
        assert (row.what, row.calls, row.target) == ("submit", 5, "1-5")

    def test_neither_the_change_nor_its_row_is_there_without_the_other(self, rig: StoreRig) -> None:
        with contextlib.suppress(ZeroDivisionError), rig.store.group():
            self.done(rig, SetUser("", ROOT, "amy", role=Role.USER))
            raise ZeroDivisionError
        queries = rig.store.queries()  # type: ignore[attr-defined]
        assert (queries.people(), queries.audit()) == ([], [])
        self.done(rig, SetUser("", ROOT, "amy", role=Role.USER))
        assert len(queries.audit()) == 1
        assert rig.store.check() == []

    def test_what_is_too_old_goes_and_the_chain_holds(self, rig: StoreRig) -> None:
        for _ in range(5):
            self.done(rig, Note("", ROOT, "backup"))
        rig.now_ms += 500 * 24 * HOUR
        self.done(rig, Note("", ROOT, "backup"))
        rig.store.retain(rig.now_ms)
        queries = rig.store.queries()  # type: ignore[attr-defined]
        assert [row.seq for row in queries.audit()] == [6]
        rows, ends = queries.audit_page(0, 9)
        assert (len(rows), ends.floor, ends.last, ends.last_hash) == (1, 5, 6, rows[0].hash)
        assert Chain(ends.floor, ends.floor_hash).follow(rows[0][:-1], rows[0].hash) == SOUND
        self.done(rig, Note("", ROOT, "backup"))
        assert rig.store.check() == []
