"""From names to alterations: what a what-if request means, what it is told in words, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tenure.api.context import ApiError, Context
from tenure.api.supposing import Supposed, supposed
from tenure.api.whatif import compared, planned
from tenure.control.admission import Admission
from tenure.core.whatif import JobAdded, JobCancelled, NodeRemoved, NodesAdded, NodeTurned, PriorityChanged, altered
from tenure.model.access import Role
from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import Caller
from tenure.model.lifecycle import NodeStatus
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.store.queries import JobRow
from tenure.testing.builders import NOW_MS, Cluster
from tenure.wire.dto import AfterRef, JobsReply, JobView, Selection, SubmitRequest
from tenure.wire.ids import parse_ref
from tenure.wire.whatif import MachineSpec, PriorityWish, WhatIfRequest

CPU = Shape(Amounts(1000))
ME = Caller(1000, "me", Role.ADMIN)


@dataclass(slots=True)
class QueriesDouble:
    """Knows these jobs: what people type for each number; an element that has not started by its position."""

    shown: dict[int, str]
    waiting_elements: dict[str, tuple[int, int]] = field(default_factory=dict)

    def resolve(self, selection: Selection, _caller: Caller) -> list[JobRow]:
        word = selection.ids[0]
        if word in self.waiting_elements:
            return [JobRow(*self.waiting_elements[word], word)]
        numbers = {name: number for number, name in self.shown.items()}
        if word in numbers:
            return [JobRow(numbers[word], -1, word)]
        return [JobRow(ref.number, -1, str(ref.number)) for ref in parse_ref(word) if str(ref.number) in numbers]

    def ids_of(self, numbers: Sequence[int]) -> dict[int, str]:
        return {number: self.shown[number] for number in numbers if number in self.shown}

    def owner(self, project: str, caller: Caller) -> tuple[int, int]:
        return {"default": 1, "vision": 7}[project], caller.uid

    def seen(self, _caller: Caller, numbers: Sequence[int]) -> set[int]:
        return set(numbers)

    def jobs(self, selection: Selection, _caller: Caller) -> JobsReply:
        return JobsReply(jobs=[JobView(id=self.shown[int(n)], number=int(n), name=f"name-{n}", state="pending") for n in selection.ids])


def busy() -> Cluster:
    """Node a (1 cpu) runs job 1 until 50; 2 and 3 wait; 4 is an array that waits, 5 (4_0) runs on b, 6 (4_1) waits as a job."""
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    cluster.node("b", Amounts(1000))
    cluster.run("r", CPU, ["a"], ends_ms=50)
    cluster.wait("j", CPU, limit_ms=100)
    cluster.wait("k", CPU, limit_ms=100, priority=3)
    cluster.wait("array", CPU, limit_ms=100, is_array=1, array_next=2, array_left=8, array_room=0)
    cluster.run("element", CPU, ["b"], ends_ms=70, array_id=4)
    cluster.wait("waiting-element", CPU, limit_ms=100, held=1)
    return cluster


def context_of(snapshot: Snapshot) -> Context:
    loop: Any = SimpleNamespace(ports=SimpleNamespace(policy=policy_by_name("default")))
    shown = {1: "1", 2: "2", 3: "3", 4: "4", 5: "4_0", 6: "4_1", 9: "9"}
    queries: Any = QueriesDouble(shown, {"4_5": (4, 5)})
    return Context(loop, queries, None, Path("/srv/t"), Path("/srv/t/s"))  # type: ignore[arg-type]


def read(wish: WhatIfRequest, snapshot: Snapshot | None = None) -> Supposed:
    snapshot = snapshot or busy().snapshot()
    return supposed(context_of(snapshot), snapshot, wish, ME)


def job(**more: Any) -> SubmitRequest:
    return SubmitRequest(argv=["true"], cwd="/", key="k", **more)


def test_nodes_get_new_ids_and_are_said() -> None:
    specs = [
        MachineSpec(
            count=2, cpu_milli=8000, memory_bytes=64 * GIB, gpus=2, gpu_model="A100", gpu_memory_bytes=80 * GIB, labels=["ssd"]
        ),
        MachineSpec(cpu_milli=1000),
    ]
    found = read(WhatIfRequest(add_nodes=specs, drain_nodes=["a"], remove_nodes=["b"]))
    two, one, *others = found.alterations
    assert isinstance(two, NodesAdded)
    assert isinstance(one, NodesAdded)
    assert [(node.id, node.name, [device.id for device in node.devices]) for node in (*two.nodes, *one.nodes)] == [
        (3, "new-1", [1, 2]),
        (4, "new-2", [3, 4]),
        (5, "new-3", []),
    ]
    assert others == [NodeTurned(1, NodeStatus.DRAINING), NodeRemoved(2)]
    assert found.sentences == [
        "2 more nodes, each with 2 GPUs (A100, 80G), 8 cpus, 64G of memory and labels ssd",
        "one more node, with 1 cpu",
        "node a takes nothing new",
        "node b is gone; job 4_0 that runs there would wait again, from the beginning",
    ]


def test_cancelling_takes_an_array_with_its_elements() -> None:
    found = read(WhatIfRequest(cancel=["4", "2-3", "4_5"]))
    assert found.alterations == [JobCancelled(4), JobCancelled(6), JobCancelled(2), JobCancelled(3), JobCancelled(4, 5)]
    assert found.sentences == ["job 4 is cancelled", "jobs 2 and 3 are cancelled", "job 4_5 is cancelled"]
    assert len(found.notes) == 1


def test_many_jobs_are_not_all_named() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    for number in range(9):
        cluster.wait(str(number), CPU)
    snapshot = cluster.snapshot()
    context = context_of(snapshot)
    context.queries.shown.update({number: str(number) for number in range(1, 10)})  # type: ignore[attr-defined]
    assert supposed(context, snapshot, WhatIfRequest(cancel=["1-9"]), ME).sentences == ["jobs 1, 2, 3, 4, 5 and 4 more are cancelled"]


def test_priorities() -> None:
    wishes = [PriorityWish(job="3", priority=8), PriorityWish(job="1", priority=8), PriorityWish(job="4", priority=9)]
    found = read(WhatIfRequest(priorities=wishes))
    assert found.alterations == [PriorityChanged(3, 8), PriorityChanged(4, 9), PriorityChanged(6, 9)]
    assert found.sentences == ["job 3 has priority 8 instead of 3", "job 4 has priority 9 instead of 5"]
    assert found.notes == ["job 1 runs already: its priority decides nothing any more"]


def test_jobs_that_are_added() -> None:
    requests = [
        job(name="first", limit_ms=60_000, after=[AfterRef(job="2"), AfterRef(job="9", condition="any")]),
        job(array="0-9%2", cpu_milli=500, project="vision", after=[AfterRef(job="9")]),
    ]
    found = read(WhatIfRequest(add_jobs=requests))
    first, second = found.alterations
    assert isinstance(first, JobAdded)
    assert isinstance(second, JobAdded)
    assert (first.job.id, first.job.blocked, first.job.limit_ms, first.job.submitted_ms) == (7, 1, 60_000, NOW_MS)
    assert (second.job.id, second.job.blocked, second.job.array_left, second.job.array_room) == (8, 0, 10, 2)
    assert [(alteration.job.project, alteration.job.user) for alteration in (first, second)] == [(1, 1000), (7, 1000)]
    assert found.added == {7: ("new-1", "first"), 8: ("new-2", "")}
    assert found.sentences == [
        "one more job, new-1 (--cpus 1, limit 1m)",
        "one more job, new-2 (an array of 10, --cpus 0.5, no time limit)",
    ]


def test_another_policy() -> None:
    found = read(WhatIfRequest(policy="easy"))
    assert found.policy is not None
    assert found.policy.stages == policy_by_name("easy").stages
    assert found.sentences == ["the policy is easy instead of default"]


def test_other_settings_of_a_policy() -> None:
    snapshot = busy().snapshot()
    found = read(WhatIfRequest(policy="default:wait_bonus=500"), snapshot)
    assert found.policy is not None
    assert found.policy.stages == policy_by_name("default").stages
    after = altered(snapshot, found.alterations).settings
    assert (after.wait_bonus, after.policy) == (500, "default:wait_bonus=500")
    assert found.sentences == ["the policy is default:wait_bonus=500 instead of default"]


def test_a_node_that_takes_work_again() -> None:
    cluster = busy()
    cluster.node("c", CPU.amounts, status=NodeStatus.DRAINING)
    cluster.node("d", CPU.amounts, status=NodeStatus.DOWN)
    found = read(WhatIfRequest(resume_nodes=["a", "c", "d"]), cluster.snapshot())
    assert {node.status for node in altered(cluster.snapshot(), found.alterations).nodes} == {NodeStatus.UP}
    assert found.sentences == [f"node {name} takes work again" for name in ("a", "c", "d")]
    assert found.notes == [
        "node a takes work already: to resume it changes nothing",
        "node d is down: it is supposed to be back as it was",
    ]


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        (WhatIfRequest(limit=0), 422, "bad_request"),
        (WhatIfRequest(policy="none"), 422, "unknown_policy"),
        (WhatIfRequest(policy="easy:pace=3"), 422, "unknown_policy"),
        (WhatIfRequest(resume_nodes=["z"]), 404, "not_found"),
        (WhatIfRequest(add_nodes=[MachineSpec(cpu_milli=1, count=3000)]), 422, "bad_request"),
        (WhatIfRequest(add_nodes=[MachineSpec()]), 422, "bad_request"),
        (WhatIfRequest(add_nodes=[MachineSpec(cpu_milli=1, gpus=-1)]), 422, "bad_request"),
        (WhatIfRequest(remove_nodes=["z"]), 404, "not_found"),
        (WhatIfRequest(cancel=["77"]), 404, "not_found"),
        (WhatIfRequest(cancel=["9"]), 409, "ended"),
        (WhatIfRequest(cancel=["x"]), 422, "bad_request"),
        (WhatIfRequest(priorities=[PriorityWish(job="2", priority=0)]), 422, "bad_request"),
        (WhatIfRequest(priorities=[PriorityWish(job="4_5", priority=5)]), 422, "bad_request"),
        (WhatIfRequest(add_jobs=[job(queue="z")]), 404, "not_found"),
        (WhatIfRequest(add_jobs=[job(queue="short")]), 422, "limit_too_long"),
        (WhatIfRequest(add_jobs=[job(cpu_milli=9000)]), 422, "never_fits"),
        (WhatIfRequest(add_jobs=[job(after=[AfterRef(job="77")])]), 404, "not_found"),
        (WhatIfRequest(add_jobs=[job()] * 101), 422, "bad_request"),
    ],
)
def test_what_means_nothing_is_refused(wish: WhatIfRequest, status: int, code: str) -> None:
    cluster = busy()
    cluster.queue("short", max_limit_ms=1000)
    with pytest.raises(ApiError) as refused:
        read(wish, cluster.snapshot())
    assert (refused.value.status, refused.value.reply.code) == (status, code)
    assert refused.value.reply.message


def test_the_answer_to_a_what_if() -> None:
    snapshot = busy().snapshot()
    reply = compared(context_of(snapshot), snapshot, WhatIfRequest(add_nodes=[MachineSpec(cpu_milli=1000)], add_jobs=[job()]), ME)
    since = {view.id: (view.before_ms - NOW_MS, view.after_ms - NOW_MS, view.effect) for view in reply.jobs if view.before_ms}
    assert since == {"2": (50, 0, "sooner"), "3": (150, 100, "sooner"), "4": (70, 70, "same")}
    assert [(view.id, view.name, view.effect) for view in reply.jobs][-2:] == [("4_1", "name-6", "same"), ("new", "", "added")]
    assert (reply.waiting, reply.compared, reply.sooner, reply.later) == (4, 4, 2, 0)
    assert (reply.foreseen, reply.mean_change_ms) == (3, -33)
    assert reply.starts_now == ["2"]
    assert reply.endless == ["new"]
    few = compared(context_of(snapshot), snapshot, WhatIfRequest(limit=1, cancel=["1"]), ME)
    assert any("compared are 1 of 4" in note for note in few.notes)


def test_the_answer_under_another_profile() -> None:
    snapshot = busy().snapshot()
    reply = compared(context_of(snapshot), snapshot, WhatIfRequest(policy="portfolio:profile=fair"), ME)
    assert reply.supposed == ["the policy is portfolio:profile=fair instead of default"]
    assert {view.id: view.after_ms - NOW_MS for view in reply.jobs if view.after_ms}.keys() == {"2", "3", "4"}


def test_the_horizon_of_a_plan() -> None:
    snapshot = busy().snapshot()
    context = context_of(snapshot)
    admission = Admission(snapshot.nodes, lambda _word: 0)
    urgent = planned(context, snapshot, admission.command(job(priority=8, limit_ms=1000), ME))
    assert (urgent.verdict, urgent.start_ms, urgent.compared, urgent.waiting) == ("waits", NOW_MS + 50, 4, 4)
    assert {view.id: view.change_ms for view in urgent.delayed}.keys() == {"2", "3", "4"}
    assert [view.change_ms for view in urgent.delayed] == sorted((view.change_ms or 0 for view in urgent.delayed), reverse=True)
    last = planned(context, snapshot, admission.command(job(priority=1, limit_ms=10), ME))
    assert last.delayed == []
    held = planned(context, snapshot, admission.command(job(hold=True), ME))
    assert (held.start_ms, held.start_unknown) == (0, "not_ready")
