"""What hardly ever happens to a store, and must still be right."""

from __future__ import annotations

import json

import pytest

from tenure.model.commands import (
    Answer,
    Applied,
    Caller,
    CancelJob,
    DependsOn,
    HoldJob,
    JobRequest,
    JobSpec,
    Refused,
    ReleaseJob,
    RequeueJob,
    SetNode,
    SetQueue,
    SubmitJob,
    SuspendJob,
    UpdateJob,
)
from tenure.model.observations import EndReason
from tenure.model.shape import Shape
from tenure.store import SqlStore, intern
from tenure.store.deps import find_cycle
from tenure.testing.store_rig import ADA, ONE_CPU, ONE_GPU, SPEC, StoreRig, emptied, ended, started


def code(answer: Answer) -> str:
    """The code of a refusal, the note of what was done."""
    return answer.code if isinstance(answer, Refused) else answer.note


def test_a_deadline_that_is_over_is_refused_and_not_missed(rig: StoreRig) -> None:
    def asked(deadline_ms: int) -> Answer:
        return rig.apply(SubmitJob(rig.key(), ADA, JobRequest("a", ONE_CPU, deadline_ms=deadline_ms), SPEC))

    assert code(asked(rig.now_ms)) == "bad_time"
    job = rig.submit(deadline_ms=rig.now_ms + 60_000)
    assert code(rig.act(UpdateJob, job, deadline_ms=rig.now_ms - 1)) == "bad_time"
    assert code(rig.act(UpdateJob, job, deadline_ms=0)) == ""


def test_a_start_is_told_by_the_number_of_the_run(rig: StoreRig) -> None:
    rig.run(rig.submit())
    job = rig.submit()
    rig.run(job)
    told = [event.data for event in rig.store.events(0, 100, job)[0] if event.kind == "job.starting"]
    assert [json.loads(data)["attempt"] if isinstance(data, str | bytes) else data["attempt"] for data in told] == [1]


def test_what_has_ended_is_said_to_have(rig: StoreRig) -> None:
    job = rig.submit()
    rig.act(CancelJob, job)
    for verb, can in ((HoldJob, "waiting"), (ReleaseJob, "held"), (SuspendJob, "running")):
        refused = rig.act(verb, job)
        assert isinstance(refused, Refused)
        assert refused.why.startswith(f"job {job} has ended (cancelled); only a {can} job can be ")


def test_acts_that_change_nothing_say_so(rig: StoreRig) -> None:
    job = rig.submit(hold=True)
    assert code(rig.act(HoldJob, job)) == "it is held already"
    rig.act(ReleaseJob, job)
    assert code(rig.act(ReleaseJob, job)) == "it is not held"
    assert code(rig.act(RequeueJob, job)) == "it waits already"
    assert code(rig.act(UpdateJob, job)) == "nothing changes"
    rig.run(job)
    assert code(rig.act(SuspendJob, job, resume=True)) == "it is running already"
    rig.act(CancelJob, job)
    assert code(rig.act(CancelJob, job)) == "it is being stopped already"
    assert code(rig.act(SuspendJob, job)) == "not_running"
    assert code(rig.apply(SetNode(rig.key(), ADA, "n1", "up"))) == "it is up already"
    assert code(rig.apply(SetQueue(rig.key(), ADA, "default"))) == "nothing changes"
    assert rig.store.apply([], rig.now_ms) == []


def test_acts_that_make_no_sense_are_refused(rig: StoreRig) -> None:
    job, array = rig.submit(), rig.submit(array=((5, 7, 1),))
    assert code(rig.act(CancelJob, job, position=0)) == "not_an_array"
    assert code(rig.act(CancelJob, array, position=3)) == "not_found"
    assert code(rig.act(SuspendJob, array)) == "not_running"
    assert code(rig.act(SuspendJob, array, position=1)) == "not_running"
    assert code(rig.act(RequeueJob, array, position=1)) == "it waits already"
    assert code(rig.act(ReleaseJob, array, position=1)) == "it is not held"
    for changes, expected in (({"retries": -1}, "malformed"), ({"array_cap": 0}, "malformed"), ({"queue": "x"}, "not_found")):
        assert code(rig.act(UpdateJob, array, **changes)) == expected
    assert code(rig.apply(SetQueue(rig.key(), ADA, ""))) == "malformed"
    rig.act(CancelJob, array)
    assert code(rig.act(HoldJob, array, position=1)) == "not_waiting"
    assert code(rig.act(CancelJob, array, position=1)) == "it has ended already"
    assert code(rig.act(UpdateJob, array, priority=9)) == "ended"
    assert code(rig.act(CancelJob, array)) == "it has ended already"
    huge = JobRequest("a", ONE_CPU, array=((0, 2_000_000, 1),))
    assert code(rig.apply(SubmitJob(rig.key(), ADA, huge, SPEC))) == "malformed"
    rig.sound()


def test_a_held_array_is_requeued_held(rig: StoreRig) -> None:
    array = rig.submit(array=((0, 2, 1),))
    first = rig.run(array, position=0)
    rig.record(ended(first))
    rig.act(HoldJob, array)
    rig.act(RequeueJob, array, position=0)
    waiting = rig.pending(array)
    assert waiting is not None
    assert waiting.held == 1
    rig.act(RequeueJob, array)
    rig.sound()


def test_a_store_without_anything_inside_a_group(rig: StoreRig) -> None:
    with rig.store.group(), rig.store.group():
        pass
    with rig.store.group():
        revision = rig.store.snapshot(rig.now_ms).revision
        job = rig.submit()
        changes = rig.store.changes(revision, rig.now_ms)
        assert changes is not None
        assert list(changes.pending) == [job]
        old = rig.store.changes(0, rig.now_ms)
        assert old is not None
        assert list(old.pending) == [job]
        assert rig.store.snapshot(rig.now_ms).job(job) is not None
        assert rig.store.live_tasks() == []


def test_an_end_may_tell_of_its_start(rig: StoreRig) -> None:
    job = rig.submit()
    launch = rig.start(job)[0]
    rig.record(ended(launch, started_at_ms=70, ended_at_ms=90))
    kinds = [event for event in rig.store.events(0, 100, job)[0] if event.kind == "job.ended"]
    assert len(kinds) == 1


def test_a_stop_that_nobody_asked_for_is_a_failure(rig: StoreRig) -> None:
    job = rig.submit()
    rig.record(ended(rig.run(job), None, EndReason.STOPPED, signal=15, stop_reason="shutdown"))
    data = rig.store.events(0, 100, job)[0][-1].data
    assert "its executor stopped it (shutdown)" in data


def test_every_task_of_a_gang_that_moves_is_an_event(rig: StoreRig) -> None:
    gang = Shape(ONE_CPU.amounts, tasks=2)
    job = rig.submit(gang)
    first, second = rig.start(job, gang, nodes=(1, 1))
    rig.record(started(first))
    rig.record(started(second))
    rig.record(ended(first, empty=False))
    assert rig.kinds(job)[-3:] == ["job.running", "job.task", "job.task"]
    assert rig.store.missing([(first.attempt_id, 0)], rig.epoch, rig.now_ms).ignored == 0
    assert rig.store.live_tasks() == [(second.attempt_id, 1)]
    assert rig.record(emptied(first)).ignored == 1
    rig.sound()


def test_unconfirmed_launches_name_their_devices_again(rig: StoreRig) -> None:
    launch = rig.start(rig.submit(ONE_GPU), ONE_GPU, devices=[[2]])[0]
    assert rig.store.claim_commands(rig.epoch, rig.now_ms).launches == (launch,)


def test_interned_values_survive_small_caches(rig: StoreRig, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intern, "_MAX_DIGESTS", 2)
    monkeypatch.setattr(intern, "_MAX_BODIES", 2)
    specs = [JobSpec(("run", str(number)), "/data", {"N": str(number % 4)}) for number in range(8)]
    jobs = [rig.submit(spec=spec) for spec in specs * 2]
    rig.reopen()
    assert [rig.start(job)[0].spec for job in jobs] == specs * 2
    link = store.database.link
    link.cursor.execute("SELECT (SELECT count(*) FROM job_spec), (SELECT count(*) FROM job_context)")
    assert link.cursor.fetchone() == (8, 4)
    for call in (rig.store._names.spec, rig.store._names.node_name, rig.store._names.device, rig.store._names.shape):  # type: ignore[attr-defined]
        with pytest.raises(KeyError):
            call(rig.store.database.link, 99)  # type: ignore[attr-defined]


def test_a_person_may_change_names(rig: StoreRig, store: SqlStore) -> None:
    rig.submit()
    rig.submit(caller=Caller(ADA.uid, "ada.l"))
    cursor = store.database.link.cursor
    cursor.execute("SELECT name FROM user_account")
    assert cursor.fetchall() == [("ada.l",)]


def test_a_cycle_of_dependencies_is_found_and_named(rig: StoreRig, store: SqlStore) -> None:
    first = rig.submit()
    second = rig.submit(after=(DependsOn(first),))
    third = rig.submit(after=(DependsOn(second), DependsOn(first)))
    link = store.database.link
    assert find_cycle(link, first, [third]) == [first, third]
    assert find_cycle(link, first, [second]) == [first, second]
    assert find_cycle(link, first, [first]) == [first]
    assert find_cycle(link, 99, [third]) == []
    link.cursor.execute("UPDATE meta SET job_seq = ? WHERE id = 1", (first - 1,))
    refused = rig.apply(SubmitJob(rig.key(), ADA, JobRequest("x", ONE_CPU, after=(DependsOn(third),)), SPEC))
    assert isinstance(refused, Refused)
    assert refused.code == "dependency_cycle"
    assert str(third) in refused.why


def test_much_that_is_old_goes_in_bounded_batches(rig: StoreRig) -> None:
    alive = rig.run(rig.submit())
    for _ in range(6):
        rig.record(ended(rig.run(rig.submit())))
    object.__setattr__(rig.store.settings, "retain_batch", 2)  # type: ignore[attr-defined]
    rig.now_ms += 400 * 86_400_000
    gone = [rig.store.retain(rig.now_ms) for _ in range(20)]
    assert max(gone) <= 2 * 2 + 2 + 2 + 2
    assert gone[-1] == 0
    assert rig.store.live_tasks() == [(alive.attempt_id, 0)]
    assert isinstance(rig.act(CancelJob, alive.job_id), Applied)
    rig.sound()
