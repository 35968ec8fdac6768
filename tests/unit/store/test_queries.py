"""What people read: listings and their filters, one job in full, nodes, queues, logs, events, copies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tenure.model.access import Role
from tenure.model.commands import CancelJob, DependsOn, HoldJob, JobSpec, ReleaseJob, SetQueue
from tenure.model.observations import EndReason, Launch
from tenure.model.plan import Decision, Hold, Start
from tenure.model.reasons import Capacity, WouldDelay
from tenure.ports import StoreUnavailable
from tenure.store import SqlStore, open_sqlite
from tenure.store.backup import check_copy
from tenure.store.details import REDACTED, redact
from tenure.store.queries import Queries
from tenure.testing.store_rig import ADA, BEN, ONE_CPU, ONE_GPU, StoreRig, ended, started
from tenure.wire.dto import JobView, Selection

ALL = replace(ADA, role=Role.OPERATOR)


@pytest.fixture
def queries(store: SqlStore) -> Iterator[Queries]:
    """Readers of the rig's store."""
    with closing(store.queries()) as opened:
        yield opened


def listed(queries: Queries, **selection: object) -> list[str]:
    """The ids of a listing."""
    return [job.id for job in queries.jobs(Selection(**selection), ALL).jobs]  # type: ignore[arg-type]


def one(queries: Queries, word: str) -> JobView:
    """The one job that a word names."""
    jobs = queries.jobs(Selection(ids=[word]), ALL).jobs
    assert len(jobs) == 1
    return jobs[0]


def test_the_owner_of_a_job_that_is_only_supposed(rig: StoreRig, store: SqlStore, queries: Queries) -> None:
    assert queries.owner("vision", ADA) == (0, 0)
    rig.submit(project="vision")
    rig.submit(project="speech", caller=BEN)
    vision, speech = store.snapshot(rig.now_ms).pending.jobs()
    assert queries.owner("vision", ADA) == (vision.project, vision.user)
    assert queries.owner("speech", BEN) == (speech.project, speech.user)
    assert vision.project != speech.project
    assert queries.owner("none", BEN) == (0, speech.user)


def test_a_listing_is_paged_and_filtered(rig: StoreRig, queries: Queries) -> None:
    rig.apply(SetQueue(rig.key(), ADA, "night"))
    first = rig.submit(name="fit-a", group="g")
    second = rig.submit(name="fit-b", queue="night", project="vision")
    third = rig.submit(name="100%", caller=BEN)
    array = rig.submit(name="fit-c", array=((0, 4, 1),))
    rig.record(ended(rig.run(first), 1))
    rig.now_ms += 10_000
    rig.record(ended(rig.run(array, position=0)))
    shown = [str(number) for number in (array, third, second, first)]
    assert listed(queries) == shown
    assert listed(queries, states=["active"]) == shown[:3]
    assert listed(queries, states=["ended"]) == listed(queries, states=["failed"]) == shown[3:]
    assert listed(queries, name="fit-a") == shown[3:]
    assert listed(queries, name="fit-?") == [shown[0], shown[2], shown[3]]
    assert listed(queries, name="1*%") == listed(queries, user="ben") == [shown[1]]
    assert listed(queries, mine=True) == [shown[0], shown[2], shown[3]]
    assert listed(queries, mine=True, user="ben") == listed(queries, queue="nowhere") == []
    assert listed(queries, queue="night") == listed(queries, project="vision") == [shown[2]]
    assert listed(queries, group="g") == [shown[3]]
    assert listed(queries, since_ms=rig.now_ms + 1) == shown[:3]
    page = queries.jobs(Selection(limit=3), ALL)
    assert [job.id for job in page.jobs] == shown[:3]
    rest = queries.jobs(Selection(limit=3, before=page.more), ALL)
    assert ([job.id for job in rest.jobs], rest.more) == (shown[3:], 0)
    assert rest.counts == {"failed": 1, "pending": 3} == queries.counts()
    assert queries.jobs(Selection(name="fit-*"), ALL).counts == {"failed": 1, "pending": 2}
    assert queries.jobs(Selection(mine=True), BEN).counts == {"pending": 1}
    with pytest.raises(ValueError, match="sleeping"):
        listed(queries, states=["sleeping"])


def test_ids_name_jobs_elements_and_ranges(rig: StoreRig, queries: Queries) -> None:
    array = rig.submit(array=((0, 8, 2),))
    plain, other = rig.submit(), rig.submit(caller=BEN)
    element = rig.run(array, position=1).job_id
    assert [row.id for row in queries.resolve(Selection(ids=["last"]), ALL)] == [str(plain)]
    assert [row.id for row in queries.resolve(Selection(ids=["last~1"]), ALL)] == [str(array)]
    assert queries.resolve(Selection(ids=["last~9"]), ALL) == []
    rows = queries.resolve(Selection(ids=[f"{array}_[2,3,4,99]", f"{plain}-{other}", "77"]), ALL)
    assert [(row.job_id, row.position, row.id) for row in rows] == [
        (array, 2, f"{array}_4"),
        (plain, -1, str(plain)),
        (other, -1, str(other)),
        (element, -1, f"{array}_2"),
    ]
    assert [row.id for row in queries.resolve(Selection(ids=[f"{plain}-{other}"], mine=True), ALL)] == [str(plain)]
    assert [row.id for row in queries.resolve(Selection(ids=[f"{array}_2", str(plain)], states=["running"]), ALL)] == [f"{array}_2"]
    assert [row.job_id for row in queries.resolve(Selection(states=["active"]), ALL)] == [array, plain, other]
    waiting = one(queries, f"{array}_4")
    assert (waiting.id, waiting.state, waiting.array) == (f"{array}_4", "pending", None)
    assert one(queries, f"{array}_2").on_nodes == ["n1"]
    assert queries.resolve(Selection(ids=[f"{plain}_3"]), ALL) == []
    assert queries.ids_of([element, plain, 77]) == {element: f"{array}_2", plain: str(plain)}
    with pytest.raises(ValueError, match="does not name a job"):
        queries.resolve(Selection(ids=["first"]), ALL)


def test_an_array_is_one_line_with_counts(rig: StoreRig, queries: Queries) -> None:
    array = rig.submit(array=((0, 9, 1),), array_cap=2)
    rig.record(ended(rig.run(array, position=0), 1))
    rig.run(array, position=1)
    rig.act(HoldJob, array, position=2)
    line = one(queries, str(array))
    assert line.state == "running"
    assert line.array is not None
    assert (line.array.indices, line.array.waiting, line.array.cap) == ("0-9%2", 7, 2)
    assert line.array.states == {"failed": 1, "running": 1, "pending": 1}
    rig.act(CancelJob, array)
    line = one(queries, str(array))
    assert line.array is not None
    assert line.array.states == {"failed": 1, "running": 1, "cancelled": 8}
    dropped = one(queries, f"{array}_9")
    assert dropped.state == "cancelled"


def test_why_a_job_waits_is_told_by_its_row_or_by_the_last_plan(rig: StoreRig, queries: Queries) -> None:
    first = rig.submit()
    waits = rig.submit(after=(DependsOn(first),))
    held = rig.submit(hold=True)
    late = rig.submit(not_before_ms=2**50)
    array = rig.submit(array=((0, 3, 1),), array_cap=1)
    rig.run(array, position=0)
    rig.act(HoldJob, array, position=2)
    element = rig.store.snapshot(rig.now_ms).pending.jobs()
    number = next(job.id for job in element if job.held and job.id > array)
    rig.act(ReleaseJob, number)
    codes = {word: one(queries, str(word)).reason for word in (first, waits, held, late, array, number)}
    assert {word: reason and reason.code for word, reason in codes.items()} == {
        first: None,
        waits: "dependency",
        held: "held",
        late: "not_before",
        array: "array_cap",
        number: "array_cap",
    }
    reason = codes[waits]
    assert reason is not None
    assert (reason.text, reason.cure, reason.payload) == (
        f"it waits for job {first} (job, pending) to succeed",
        "time",
        {"on": (first,)},
    )
    shape = rig.pending(first).shape  # type: ignore[union-attr]
    behind = rig.submit()
    rig.commit(holds=(Hold(shape, 1, Capacity(1), first), Hold(shape, 1, WouldDelay(first, 5), behind)))
    assert [one(queries, str(word)).reason.code for word in (first, behind)] == ["capacity", "would_delay"]  # type: ignore[union-attr]
    rig.apply(SetQueue(rig.key(), ADA, "default", paused=True))
    assert one(queries, str(first)).reason.code == "queue_paused"  # type: ignore[union-attr]


def test_one_job_in_full(rig: StoreRig, queries: Queries) -> None:
    spec = JobSpec(("sh", "-c", "echo hi"), "/data", {"HF_TOKEN": "s3cret", "LANG": "C"}, stderr="err-%j", origin={"git": "abc"})
    before = rig.submit()
    job = rig.submit(ONE_GPU, spec, retries=1, after=(DependsOn(before, "any"),))
    rig.record(ended(rig.run(before), 1))
    first = rig.run(job, ONE_GPU, devices=[[2]])
    rig.record(ended(first, 4, cpu_ms=30, peak_memory_bytes=99))
    rig.now_ms += 60_000
    second = rig.run(job, ONE_GPU, devices=[[1]])
    detail = queries.detail(job)
    assert detail is not None
    assert (detail.argv, detail.env) == (["sh", "-c", "echo hi"], {"HF_TOKEN": REDACTED, "LANG": "C"})
    assert [(ref.job, ref.condition, ref.name, ref.is_met) for ref in detail.after] == [(str(before), "any", "job", True)]
    assert [(one.number, one.outcome, one.tasks[0].devices) for one in detail.attempts] == [
        (1, "failed", ["GPU-n1-1"]),
        (2, "", ["GPU-n1-0"]),
    ]
    assert (detail.attempts[0].tasks[0].exit_code, detail.attempts[0].tasks[0].cpu_ms) == (4, 30)
    kinds = [event.kind for event in detail.events]
    assert kinds == ["job.submitted", "job.ready", "job.starting", "job.running", "job.requeued", "job.starting", "job.running"]
    assert detail.job.command == "sh -c 'echo hi'"
    log = queries.log_file(job, -1)
    assert log is not None
    assert (log.path, log.attempt_id) == (f"/logs/0/{job}.2.log", second.attempt_id)
    assert queries.log_file(job, -1, 1, 0, "err").path == f"/data/err-{job}"  # type: ignore[union-attr]
    assert queries.log_file(job, 3) is None
    assert queries.log_file(before + 77, -1) is None
    assert queries.log_file(job, -1, 1, 5) is None
    assert [queries.task_ended(one.attempt_id, 0) for one in (first, second)] == [True, False]
    rig.act(CancelJob, job)
    assert one(queries, str(job)).stopping
    rig.record(ended(second, None, EndReason.STOPPED, signal=15, stop_reason="cancelled"))
    ended_job = one(queries, str(job))
    assert (ended_job.state, ended_job.signal, ended_job.on_nodes, ended_job.attempts) == ("cancelled", 15, ["n1"], 2)
    assert queries.shapes([job, 99]) == {job: ONE_GPU}
    assert queries.unfinished([job, before]) == []
    assert queries.detail(99) is None


def test_secrets_are_hidden_and_harmless_names_are_not() -> None:
    env = {"AWS_SECRET_ACCESS_KEY": "x", "github_token": "x", "DB_PASSWORD": "x", "SSH_AUTH_SOCK": "/s", "PATH": "/bin", "API_KEY": ""}
    hidden = dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "github_token", "DB_PASSWORD"), REDACTED)
    assert redact(env) == env | hidden


def test_nodes_queues_and_devices_show_who_holds_what(rig: StoreRig, queries: Queries) -> None:
    array = rig.submit(ONE_GPU, array=((0, 5, 1),))
    rig.run(array, ONE_GPU, position=0, devices=[[2]])
    rig.submit()
    view = queries.nodes()
    assert (view.nodes[0].used_cpu_milli, view.nodes[0].jobs, view.nodes[0].devices_used_milli) == (1000, 1, 1000)
    assert [(device.index, device.jobs) for device in view.devices] == [(0, []), (1, [f"{array}_0"])]
    assert [(queue.name, queue.pending, queue.running) for queue in queries.queues().queues] == [("default", 6, 1)]


def test_use_is_kept_over_time(rig: StoreRig, queries: Queries) -> None:
    rig.run(rig.submit(ONE_GPU), ONE_GPU, devices=[[2]])
    first = rig.now_ms
    rig.store.retain(rig.now_ms)
    rig.store.retain(rig.now_ms + 59_999)
    rig.store.retain(rig.now_ms + 60_000)
    assert [(one.at_ms - first, one.node, one.cpu_milli, one.gpu_milli, one.jobs) for one in queries.usage((0, 0), "", (), 99)] == [
        (0, "n1", 1000, 1000, 1),
        (60_000, "n1", 1000, 1000, 1),
    ]
    assert len(queries.usage((first + 1, 0), "", (), 99)) == 1
    rig.store.retain(first + 40 * 86_400_000)
    assert [one.at_ms - first for one in queries.usage((0, 0), "", (), 99)] == [40 * 86_400_000]


def test_events_are_read_by_cursor_and_name_jobs_as_people_do(rig: StoreRig, queries: Queries) -> None:
    array = rig.submit(array=((3, 3, 1),))
    rig.run(array, position=0)
    events, reset = queries.events(0, 100)
    assert not reset
    assert [(event.kind, event.job) for event in events[1:]] == [
        ("job.submitted", str(array)),
        ("job.starting", f"{array}_3"),
        ("job.running", f"{array}_3"),
    ]
    assert events[2].data["nodes"] == ["n1"]
    assert queries.last_cursor() == events[-1].cursor
    assert [event.kind for event in queries.events(0, 100, array)[0]] == ["job.submitted"]


def test_a_copy_is_consistent_and_checked_before_it_is_used(rig: StoreRig, queries: Queries, tmp_path: Path) -> None:
    rig.run(rig.submit())
    copy = tmp_path / "copy.db"
    assert queries.backup(copy) == 1 == check_copy(copy)
    rig.submit()
    with closing(open_sqlite(str(copy))) as restored:
        assert restored.check() == []
        assert len(restored.live_tasks()) == 1
    with pytest.raises(FileExistsError):
        queries.backup(copy)
    assert check_copy(copy) == 1
    with pytest.raises(OSError, match="unable to open"):
        queries.backup(tmp_path / "missing" / "copy.db")
    for content, code in ((None, "unreadable"), (b"", "foreign_database"), (b"no database" * 500, "foreign_database")):
        odd = tmp_path / "odd.db"
        if content is not None:
            odd.write_bytes(content)
        with pytest.raises(StoreUnavailable) as refused:
            check_copy(odd)
        assert refused.value.code == code
    size = os.path.getsize(copy)
    with copy.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 2))
    with pytest.raises(StoreUnavailable):
        check_copy(copy)


def test_elements_that_take_over_a_room_are_told_apart(rig: StoreRig, queries: Queries) -> None:
    array = rig.submit(array=((0, 9, 1),))
    places = rig.placements(ONE_CPU, (1,))
    first, second, third = rig.commit(Decision((Start(array, places, 0, successors=(1, 2)),))).launches
    rig.start(array, position=3)

    def behind(launch: Launch) -> str:
        detail = queries.detail(launch.job_id, -1)
        assert detail is not None
        return detail.attempts[-1].tasks[0].behind

    view = one(queries, str(array)).array
    assert view is not None
    assert view.states == {"running": 2, "starting": 2}
    assert queries.nodes().nodes[0].jobs == 2
    assert [behind(launch) for launch in (first, second, third)] == ["", f"{array}_0", f"{array}_0"]
    rig.record(started(first), ended(first))
    assert [behind(launch) for launch in (first, second, third)] == ["", "", f"{array}_1"]
    rig.record(started(second), ended(second), started(third))
    view = one(queries, str(array)).array
    assert view is not None
    assert view.states == {"succeeded": 2, "running": 2}
