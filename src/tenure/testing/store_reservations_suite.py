"""The contract of `ports.Store` as tests: what a person sets aside for a time, who is kept out of it, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import Answer, Applied, Caller, MakeReservation, Refused, RemoveReservation, UpdateJob
from tenure.model.plan import Decision, Start
from tenure.model.shape import Shape
from tenure.model.window import TimeWindow
from tenure.testing.store_rig import ADA, BEN, ONE_CPU, ONE_GPU, StoreRig, node
from tenure.testing.store_suite import StoreSuiteBase

MINUTE_MS = 60_000


def made(rig: StoreRig, after_ms: int = 0, length_ms: int = 10 * MINUTE_MS, caller: Caller = ADA, **what: Any) -> Answer:
    """Set something aside; maintenance unless it is said for whom."""
    what.setdefault("name", "")
    from_ms = what.pop("from_ms", rig.now_ms + after_ms)
    what.setdefault("maintenance", not (what.get("project") or what.get("user")))
    return rig.apply(MakeReservation(rig.key(), caller, from_ms=from_ms, until_ms=from_ms + length_ms, **what))


def windows(rig: StoreRig) -> tuple[TimeWindow, ...]:
    """Those that the next plan would see."""
    return rig.store.snapshot(rig.now_ms).reservations


class StoreReservationsSuite(StoreSuiteBase):
    """Reservations and maintenance."""

    def test_what_is_set_aside_is_part_of_a_snapshot_until_it_is_over(self, rig: StoreRig) -> None:
        before = rig.store.snapshot(rig.now_ms)
        assert made(rig, MINUTE_MS, name="kernel") == Applied(0, before.revision + 1, note="kernel")
        (window,) = windows(rig)
        assert (window.id, window.name, window.from_ms, window.until_ms) == (1, "kernel", rig.now_ms + 60_000, rig.now_ms + 660_000)
        assert [(part.node_id, part.whole) for part in window.parts] == [(1, True)]
        assert window.is_maintenance
        changes = rig.store.changes(before.revision, rig.now_ms)
        assert changes is not None
        assert changes.reservations == (window,)
        rig.reopen()
        assert windows(rig) == (window,)
        rig.now_ms += 11 * MINUTE_MS
        assert windows(rig) == ()
        assert [kind for kind in rig.kinds() if kind.startswith("reservation")] == ["reservation.made"]
        rig.sound()

    def test_a_start_that_would_run_into_it_is_rejected_whoever_planned_it(self, rig: StoreRig) -> None:
        made(rig, 5 * MINUTE_MS)
        long, short, endless = rig.submit(limit_ms=5 * MINUTE_MS + 1), rig.submit(limit_ms=5 * MINUTE_MS), rig.submit()
        for job in (long, endless):
            rejection, launches = rig.try_start(job)
            assert rejection is not None
            assert (rejection.code, rejection.subject, launches) == ("reserved", 1, ())
        rig.start(short)
        rig.now_ms += 16 * MINUTE_MS
        rig.start(long)
        rig.start(endless)
        rig.sound()

    def test_successors_count_with_the_first(self, rig: StoreRig) -> None:
        made(rig, 2 * MINUTE_MS)
        array = rig.submit(array=((0, 4, 1),), limit_ms=MINUTE_MS)
        where = rig.placements(ONE_CPU, (1,))
        late, both = (Decision((Start(array, where, 0, successors=behind),)) for behind in ((1, 2), (1,)))
        assert rig.commit(late).rejections[0].code == "reserved"  # type: ignore[union-attr]
        assert rig.commit(both).rejections[0] is None
        rig.sound()

    def test_those_at_different_times_take_their_amounts_one_after_another(self, rig: StoreRig) -> None:
        what: dict[str, Any] = {"project": "default", "devices": 1, "cpu_milli": 4000}
        for after_ms in (0, 2 * MINUTE_MS):
            assert isinstance(made(rig, after_ms, MINUTE_MS, **what), Applied)
        assert isinstance(made(rig, 0, 3 * MINUTE_MS, **what), Applied), "one of two devices and half of the rest are free all the time"
        refused = made(rig, 0, 3 * MINUTE_MS, project="default", cpu_milli=1)
        assert isinstance(refused, Refused)
        assert isinstance(made(rig, MINUTE_MS, MINUTE_MS, **what), Applied)
        rig.sound()

    def test_whom_it_is_for_goes_in_and_nobody_else(self, rig: StoreRig) -> None:
        made(rig, project="course", name="course")
        made(rig, 20 * MINUTE_MS, user=BEN, name="ben")
        rejection, _ = rig.try_start(rig.submit(project="course"))
        assert rejection is not None, "without a limit it would run into the next one"
        assert rejection.subject == 2
        rig.start(rig.submit(project="course", limit_ms=MINUTE_MS))
        rejection, _ = rig.try_start(rig.submit(limit_ms=MINUTE_MS))
        assert rejection is not None
        assert rejection.subject == 1
        rig.now_ms += 20 * MINUTE_MS
        rig.start(rig.submit(caller=BEN))
        assert rig.try_start(rig.submit(caller=ADA))[0] is not None
        rig.sound()

    def test_what_was_taken_back_is_free_at_once(self, rig: StoreRig) -> None:
        made(rig, name="course", project="course", caller=ADA)
        job = rig.submit()
        assert rig.try_start(job)[0] is not None
        refused = rig.apply(RemoveReservation(rig.key(), BEN, "course"))
        assert isinstance(refused, Refused)
        assert refused.code == "not_yours"
        seen = rig.store.snapshot(rig.now_ms).revision
        assert isinstance(rig.apply(RemoveReservation(rig.key(), ADA, "1")), Applied)
        changes = rig.store.changes(seen, rig.now_ms)
        assert changes is not None
        assert changes.reservations == ()
        rig.start(job)
        again = rig.apply(RemoveReservation(rig.key(), ADA, "course"))
        assert isinstance(again, Refused)
        assert again.code == "not_found"
        assert isinstance(made(rig, name="course", project="course"), Applied), "its name is free again"
        rig.now_ms += 60 * MINUTE_MS
        over = rig.apply(RemoveReservation(rig.key(), ADA, "course"))
        assert isinstance(over, Refused)
        assert over.code == "ended"
        rig.sound()

    @pytest.mark.parametrize(
        ("what", "code", "said"),
        [
            ({"name": "7"}, "bad_request", "at least one letter"),
            ({"name": "a b"}, "bad_request", "letters, digits"),
            ({"name": "first"}, "name_taken", "tenure unreserve first"),
            ({"project": "p", "maintenance": True}, "bad_request", "one of the two"),
            ({"maintenance": False}, "bad_request", "say whom it is for"),
            ({"devices": 1}, "bad_request", "whole nodes"),
            ({"project": "p", "devices": -1}, "bad_request", "not negative"),
            ({"length_ms": 0}, "bad_time", "ends after it begins"),
            ({"after_ms": -2 * MINUTE_MS}, "bad_time", "--from now"),
            ({"after_ms": -60 * MINUTE_MS, "length_ms": 1}, "bad_time", "is past"),
            ({"nodes": ("n1", "n9")}, "not_found", "no node 'n9'; see tenure nodes"),
            ({"after_ms": 61 * MINUTE_MS}, "overlap", "exclude each other"),
            ({"after_ms": 61 * MINUTE_MS, "project": "p", "devices": 1}, "overlap", "tenure unreserve first"),
            ({"project": "p", "devices": 3}, "never_fits", "node n1 has 2 GPUs"),
            ({"project": "p", "cpu_milli": 8_001}, "never_fits", "8 cpus"),
        ],
    )
    def test_what_makes_no_sense_is_refused_with_the_way_out(self, rig: StoreRig, what: dict[str, Any], code: str, said: str) -> None:
        made(rig, 60 * MINUTE_MS, name="first")
        before = rig.store.snapshot(rig.now_ms)
        answer = made(rig, **what)
        assert isinstance(answer, Refused)
        assert answer.code == code
        assert said in answer.why
        assert rig.store.snapshot(rig.now_ms) == before

    def test_a_part_of_a_node_is_kept_free_and_the_rest_is_for_all(self, rig: StoreRig) -> None:
        """Half of its GPUs, with their share of the cpus, from in a minute on."""
        made(rig, MINUTE_MS, name="half", project="course", devices=1)
        (window,) = windows(rig)
        (part,) = window.parts
        assert (part.whole, part.devices, part.amounts) == (False, (2,), Amounts(4_000, 32 * GIB))
        three, gpu = Shape(Amounts(cpu_milli=3_000)), rig.submit(ONE_GPU)
        assert rig.try_start(gpu, ONE_GPU, devices=[[2]])[0].code == "reserved"  # type: ignore[union-attr]
        rig.start(gpu, ONE_GPU, devices=[[1]])
        rig.start(rig.submit(three), three)
        full = rig.submit(limit_ms=2 * MINUTE_MS)
        assert rig.try_start(full)[0].code == "reserved"  # type: ignore[union-attr]
        rig.start(rig.submit(three, limit_ms=MINUTE_MS), three)
        own = rig.submit(ONE_GPU, project="course")
        rig.start(own, ONE_GPU, devices=[[2]])
        assert rig.try_start(full)[0] is not None
        rig.sound()

    def test_what_its_people_hold_counts_as_theirs_within_one_commit_too(self, rig: StoreRig) -> None:
        made(rig, name="half", project="course", cpu_milli=4_000)
        two = Shape(Amounts(cpu_milli=2_000))
        jobs = [rig.submit(two, project=project) for project in ("course", "course", "else", "else", "else")]
        done = rig.commit(*(Decision((Start(job, rig.placements(two, (1,))),)) for job in jobs))
        assert [rejection and rejection.code for rejection in done.rejections] == [None, None, None, None, "no_room"]
        assert rig.try_start(rig.submit(), ONE_CPU)[0] is not None
        rig.sound()

    def test_others_may_not_have_what_is_left_for_its_people(self, rig: StoreRig) -> None:
        made(rig, name="half", project="course", cpu_milli=4_000)
        two = Shape(Amounts(cpu_milli=2_000))
        jobs = [rig.submit(two) for _ in range(3)]
        done = rig.commit(*(Decision((Start(job, rig.placements(two, (1,))),)) for job in jobs))
        assert [rejection and rejection.code for rejection in done.rejections] == [None, None, "reserved"]

    def test_parts_of_a_node_are_set_aside_beside_each_other(self, rig: StoreRig) -> None:
        made(rig, name="one", project="p", devices=1)
        made(rig, name="two", project="q", devices=1)
        assert [part.devices for window in windows(rig) for part in window.parts] == [(2,), (1,)]
        for devices, cpu_milli in ((1, 0), (0, 1)):
            full = made(rig, name="three", project="r", devices=devices, cpu_milli=cpu_milli)
            assert isinstance(full, Refused)
            assert full.code == "overlap"
        rig.sound()

    def test_devices_are_chosen_that_will_be_free(self, rig: StoreRig) -> None:
        rig.start(rig.submit(ONE_GPU), ONE_GPU, devices=[[2]])
        made(rig, MINUTE_MS, name="later", project="p", devices=1)
        assert windows(rig)[0].parts[0].devices == (1,)

    def test_what_runs_goes_on_but_gets_no_longer_limit(self, rig: StoreRig) -> None:
        job = rig.submit(limit_ms=MINUTE_MS)
        rig.run(job)
        beyond = rig.submit(limit_ms=5 * MINUTE_MS)
        rig.run(beyond)
        made(rig, 2 * MINUTE_MS, name="kernel")
        assert isinstance(rig.act(UpdateJob, job, limit_ms=2 * MINUTE_MS), Applied)
        refused = rig.act(UpdateJob, job, limit_ms=3 * MINUTE_MS)
        assert isinstance(refused, Refused)
        assert refused.code == "reserved"
        assert "kernel" in refused.why
        assert isinstance(rig.act(UpdateJob, beyond, limit_ms=30 * MINUTE_MS), Applied), "it would have run into it anyway"
        rig.sound()

    def test_what_is_long_over_is_forgotten_but_no_number_is_given_twice(self, rig: StoreRig) -> None:
        for number in range(3):
            made(rig, 20 * number * MINUTE_MS)
        rig.apply(RemoveReservation(rig.key(), ADA, "maintenance-3"))
        rig.now_ms += 8 * 24 * 60 * MINUTE_MS
        rig.store.retain(rig.now_ms)
        answer = made(rig)
        assert isinstance(answer, Applied)
        assert answer.note == "maintenance-4"
        rig.sound()

    def test_the_same_key_sets_aside_once(self, rig: StoreRig) -> None:
        command = MakeReservation("k", ADA, "once", rig.now_ms, rig.now_ms + MINUTE_MS, maintenance=True)
        first = rig.apply(command)
        assert isinstance(first, Applied)
        rig.reopen()
        assert rig.apply(command) == replace(first, replayed=True)
        assert len(windows(rig)) == 1

    def test_now_and_so_long(self, rig: StoreRig) -> None:
        command = MakeReservation("k", ADA, "course", length_ms=MINUTE_MS, project="course")
        first = rig.apply(command)
        assert isinstance(first, Applied)
        assert [(window.from_ms, window.until_ms) for window in windows(rig)] == [(rig.now_ms, rig.now_ms + MINUTE_MS)]
        rig.now_ms += 1
        assert rig.apply(command) == replace(first, replayed=True)
        for unclear in (replace(command, key="l", length_ms=0), replace(command, key="m", until_ms=rig.now_ms + 1)):
            refused = rig.apply(unclear)
            assert isinstance(refused, Refused)
            assert refused.code == "bad_time"

    def test_all_nodes_that_are_there(self, rig: StoreRig) -> None:
        rig.define(node("n1", gpus=2), node("n2"))
        rig.define(node("n1", gpus=2))
        made(rig)
        assert [part.node_id for part in windows(rig)[0].parts] == [1]
