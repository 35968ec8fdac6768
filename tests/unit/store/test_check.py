"""The invariant check finds what is wrong: each kind of damage, done by hand, is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenure.model.commands import LEASE, AcquireLease, DependsOn, Holder, JobRequest, JobSpec
from tenure.model.plan import Decision, Start
from tenure.model.project import Bundle, Project
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.testing.store_reservations_suite import made
from tenure.testing.store_rig import ADA, ONE_CPU, ONE_GPU, StoreRig, ended, node


@pytest.mark.parametrize(
    ("damage", "invariant"),
    [
        ("UPDATE node_capacity SET used = used + 1 WHERE resource = 'cpu_milli'", "use_is_the_sum_of_rows"),
        ("UPDATE allocation SET bandwidth_bps = 5", "use_is_the_sum_of_rows"),
        ("UPDATE device SET used_milli = 0", "device_use_is_the_sum_of_rows"),
        ("UPDATE allocation SET state = 'released' WHERE released_at_ms IS NULL", "released_has_a_time"),
        ("UPDATE allocation SET devices = 2 WHERE devices = 1", "devices_follow_their_allocation"),
        ("DELETE FROM event WHERE cursor = 3", "cursors_are_dense"),
        ("UPDATE meta SET event_seq = 1000", "cursors_are_dense"),
        ("DELETE FROM event", "cursors_are_dense"),
        ("UPDATE meta SET attempt_seq = 0", "ids_come_from_counters"),
        ("UPDATE job SET ended_ms = NULL WHERE state = 'succeeded'", "ended_has_a_time"),
        ("UPDATE job SET attempt_id = 0", "job_names_what_it_holds"),
        ("UPDATE job SET state = 'running' WHERE array_size = 0 AND state = 'pending'", "live_job_has_an_attempt"),
        ("UPDATE job SET state = 'pending' WHERE state = 'running'", "live_attempt_has_a_live_job"),
        ("UPDATE attempt SET tasks = 2", "gang_is_whole"),
        ("UPDATE attempt SET ended_ms = 5 WHERE ended_ms IS NULL", "attempt_ends_with_its_tasks"),
        ("UPDATE job SET array_left = 1 WHERE array_size > 0", "elements_add_up"),
        ("UPDATE job SET array_next = 2 WHERE array_size > 0", "next_is_the_first_free"),
        ("UPDATE job SET array_live = 3 WHERE array_size > 0", "live_elements_are_counted"),
        ("UPDATE job SET array_failed = 1 WHERE array_size > 0", "ended_elements_are_counted"),
        ("UPDATE job SET ended_ms = 5 WHERE array_size > 0", "array_ends_with_its_elements"),
        ("UPDATE job SET blocked = 2 WHERE blocked = 1", "dependencies_are_counted"),
        ("UPDATE dependency SET satisfied = 0", "ends_are_passed_on"),
        ("UPDATE allocation SET behind = 0 WHERE behind = 1", "one_of_a_room_counts"),
        ("UPDATE allocation SET behind = 1 WHERE room IS NOT NULL", "one_of_a_room_counts"),
        ("UPDATE allocation SET behind = 1 WHERE room IS NULL AND devices = 0", "one_of_a_room_counts"),
        ("UPDATE allocation SET cpu_milli = 7 WHERE behind = 1", "a_room_stays_the_same"),
        ("UPDATE allocation SET devices = 1 WHERE room IS NOT NULL", "a_room_stays_the_same"),
        ("UPDATE attempt SET rest = 2 WHERE ended_ms IS NULL", "who_rests_is_suspended"),
        ("UPDATE allocation SET cpu_milli = 0 WHERE room IS NULL", "who_rests_holds_no_cpus"),
        ("UPDATE attempt SET resize_cpu_milli = 1001", "who_rests_holds_no_cpus"),
        ("UPDATE shape SET cpu_milli = 999", "nobody_holds_more_than_asked"),
        ("UPDATE shape SET memory_bytes = memory_bytes + 1", "nobody_holds_less_than_left"),
        ("UPDATE line_count SET lines = lines + 1 WHERE state = 'pending'", "lines_are_counted"),
        ("DELETE FROM line_count", "lines_are_counted"),
        ("UPDATE account SET held_cpu_milli = held_cpu_milli + 1", "accounts_are_the_sum_of_rows"),
        ("UPDATE audit SET outcome = 'refused' WHERE id = 2", "audit_is_whole"),
        ("DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)", "audit_is_whole"),
        ("INSERT INTO dependency (job_id, on_job, condition) VALUES (1, 6, 'ok')", "nobody_waits_for_himself"),
    ],
)
def test_damage_is_found(rig: StoreRig, store: SqlStore, damage: str, invariant: str) -> None:
    first = rig.submit(array=((0, 3, 1),))
    assert first == 1
    rig.record(ended(rig.run(rig.submit())))
    rig.run(rig.submit(ONE_GPU), ONE_GPU, devices=[[1]])
    rig.run(first, position=0)
    last = rig.submit(after=(DependsOn(first), DependsOn(2)))
    assert last == 5
    rig.submit(after=(DependsOn(last),))
    rig.commit(Decision((Start(rig.submit(array=((0, 1, 1),)), rig.placements(ONE_CPU, (1,)), 0, successors=(1,)),)))
    rig.sound()
    cursor = store.database.link.cursor
    if "satisfied" in damage:
        cursor.execute("UPDATE job SET blocked = 2 WHERE id = 5")
    cursor.execute(damage)
    assert invariant in {violation.invariant for violation in store.check()}


@pytest.mark.parametrize(
    ("damage", "invariant"),
    [
        ("UPDATE job SET lease_token = '' WHERE kind = 'lease'", "a_lease_has_an_end_and_a_token"),
        ("UPDATE job SET lease_expires_at_ms = 5, lease_token = 't' WHERE kind = 'batch'", "a_lease_has_an_end_and_a_token"),
        ("UPDATE job SET state = 'suspended' WHERE kind = 'lease'", "a_lease_is_held_or_not"),
        ("UPDATE job SET lease_expires_at_ms = 5 WHERE kind = 'lease'", "a_lease_ends_at_its_limit"),
        ("DELETE FROM reservation_part WHERE reservation_id = 1", "reservations_have_parts"),
        ("UPDATE reservation SET from_ms = 0 WHERE id = 2", "reservations_exclude_each_other"),
        ("UPDATE reservation SET from_ms = 0, first_attempt = 0 WHERE id = 1", "starts_keep_out_of_reservations"),
    ],
)
def test_damage_to_leases_and_reservations_is_found(rig: StoreRig, store: SqlStore, damage: str, invariant: str) -> None:
    spec = JobSpec(("tool",), "/", holder=Holder(41, 7))
    rig.apply(AcquireLease(rig.key(), ADA, JobRequest("l", ONE_CPU, kind=LEASE, limit_ms=60_000), spec, "token", 60_000))
    rig.run(1)
    rig.run(rig.submit(limit_ms=60_000))
    made(rig, 600_000)
    made(rig, 6_000_000)
    rig.sound()
    store.database.link.cursor.execute(damage)
    assert invariant in {violation.invariant for violation in store.check()}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE node_capacity SET used = capacity + 1 WHERE resource = 'cpu_milli'",
        "UPDATE node_capacity SET used = -1",
        "UPDATE device SET used_milli = 1001",
        "UPDATE device SET used_memory = memory_bytes + 1",
        "UPDATE job SET array_left = -1",
    ],
)
def test_the_database_itself_refuses_too_much(rig: StoreRig, store: SqlStore, damage: str) -> None:
    rig.submit()
    with pytest.raises(Exception, match="CHECK constraint failed"):
        store.database.link.cursor.execute(damage)


def test_a_project_above_its_maximum_is_found_if_this_store_has_made_it_so(tmp_path: Path) -> None:
    opened: list[SqlStore] = []

    def open_it(cpu_milli: int) -> SqlStore:
        projects = (Project(0, "capped", maximum=Bundle(cpu_milli, -1, -1)),)
        opened.append(open_sqlite(str(tmp_path / "capped.db"), StoreSettings(log_dir="/logs", ballast_bytes=0, projects=projects)))
        return opened[-1]

    rig = StoreRig(lambda: open_it(2_000), [node("n1", cpus=8)])
    launches = [rig.run(rig.submit(project="capped")) for _ in range(2)]
    rig.sound()
    first = opened[-1].database.link.cursor
    rig.run(rig.submit())
    first.execute("UPDATE job SET project_id = (SELECT id FROM project WHERE name = 'capped')")
    found = [one for one in rig.store.check() if one.invariant == "no_project_exceeds_its_maximum"]
    assert [one.detail for one in found] == ["attempt 3 made it 3000 cpu_milli of 2000"]
    first.execute("UPDATE job SET project_id = (SELECT id FROM project WHERE name = 'default') WHERE id = 3")
    rig.sound()
    rig.store.close()
    rig.store = open_it(1_000)  # the maximum was lowered: who runs has done no wrong, and nobody more begins
    rig.sound()
    rig.record(ended(launches[0]))
    assert rig.try_start(rig.submit(project="capped"))[0] is not None
    rig.sound()
    for store in opened:
        store.close()
