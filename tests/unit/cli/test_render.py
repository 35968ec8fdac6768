"""What people read: tables and texts made from values of the wire, to the letter."""

from __future__ import annotations

import pytest

from tenure.cli.act import print_results
from tenure.cli.events import line_of
from tenure.cli.explain import why_text
from tenure.cli.follow import ending, exit_code_of, exit_code_of_all
from tenure.cli.nodes import gpus_table, nodes_table
from tenure.cli.ps import history_table, jobs_table
from tenure.cli.queue import queues_table
from tenure.cli.service import doctor_text, status_text
from tenure.cli.show import show_text
from tenure.cli.submit import plan_text, submitted_text
from tenure.cli.table import Column, render
from tenure.wire import dto
from tenure.wire.whatif import PlanReply

NOW = 1_769_860_800_000  # 2026-01-31 12:00:00 UTC
MINUTE, GIB = 60_000, 1024**3

pytestmark = pytest.mark.usefixtures("utc")


def job(number: int, name: str, state: str, **more: object) -> dto.JobView:
    return dto.JobView(id=str(number), number=number, name=name, state=state, cpu_milli=1000, submitted_ms=NOW - MINUTE, **more)  # type: ignore[arg-type]


JOBS = [
    job(
        14,
        "wait\x1b[2J",
        "pending",
        gpu_milli=2000,
        gpu_model="a100",
        reason=dto.ReasonView(code="capacity", cure="time", text="2 GPUs short on a"),
        eta_ms=NOW + 15 * MINUTE,
    ),
    job(12, "train.py", "running", started_ms=NOW - 65_400, limit_ms=120 * MINUTE, on_nodes=["a"], memory_bytes=8 * GIB),
    job(15, "sweep", "pending", array=dto.ArrayView(indices="0-99", size=100, waiting=97, cap=8, states={"running": 3})),
    job(13, "bad", "failed", started_ms=NOW - MINUTE, ended_ms=NOW, exit_code=3),
]


def test_ps() -> None:
    assert jobs_table(JOBS, NOW, colour=False) == (
        "ID           NAME      STATE    QUEUE    PRIO  CPUS  MEM    GPUS  TIME  LIMIT  NODE  REASON                 ETA\n"
        "12           train.py  running  default     5     1   8G       -  1m5s     2h  a     -                        -\n"
        "14           wait\N{REPLACEMENT CHARACTER}[2J  pending  default     5     1    -  a100:2     -      -  -     "
        "2 GPUs short on a      15m\n"
        "15_[0-99%8]  sweep     pending  default     5     1    -       -     -      -  -     3 running, 97 waiting    -\n"
        "13           bad       failed   default     5     1    -       -    1m      -  -     exit 3                   -"
    )


@pytest.mark.parametrize("width", [40, 60, 80, 100, 132])
def test_a_terminals_lines_fit(width: int) -> None:
    lines = jobs_table(JOBS, NOW, width=width, colour=False).splitlines()
    assert max(map(len, lines)) <= width
    assert all(lines[i].startswith(start) for i, start in enumerate(["ID", "12", "14", "15", "13"]))


def test_wide_has_more_columns() -> None:
    head = jobs_table(JOBS, NOW, wide=True, colour=False).splitlines()[0]
    assert "USER" in head
    assert "COMMAND" in head


def test_colour_goes_to_the_state() -> None:
    shown = jobs_table([job(1, "failed", "running")], NOW, colour=True)
    assert "\x1b[32mrunning\x1b[0m" in shown
    assert shown.count("\x1b[0m") == 2


def test_history() -> None:
    ended = [
        job(13, "bad", "failed", started_ms=NOW - MINUTE, ended_ms=NOW, exit_code=3, cpu_ms=42_000, peak_memory_bytes=GIB),
        job(11, "big", "failed", started_ms=NOW - MINUTE, ended_ms=NOW - 1, signal=9, end_reason="oom"),
        job(10, "good", "succeeded", started_ms=NOW - MINUTE, ended_ms=NOW - 2, exit_code=0),
        job(9, "slow", "timed_out", started_ms=NOW - MINUTE, ended_ms=NOW - 3, limit_ms=MINUTE, signal=15),
    ]
    assert history_table(ended, NOW, colour=False) == (
        "ID  NAME  STATE      EXIT  WHY                   STARTED   TIME  CPU  PEAK-MEM  GPUS  NODE\n"
        "9   slow  timed_out     -  over its limit of 1m  11:59:00   59s    -         -     -  -\n"
        "10  good  succeeded     0  -                     11:59:00   59s    -         -     -  -\n"
        "11  big   failed        -  out of memory         11:59:00   59s    -         -     -  -\n"
        "13  bad   failed        3  -                     11:59:00    1m  42s        1G     -  -"
    )


def test_show() -> None:
    view = job(12, "train.py", "failed", started_ms=NOW - MINUTE, ended_ms=NOW, signal=9, end_reason="oom", user="ada", attempts=1)
    view.memory_bytes, view.peak_memory_bytes, view.limit_ms = GIB, GIB, 120 * MINUTE
    task = dto.TaskView(
        task=0, node="a", state="released", signal=9, end_reason="oom", log="/h/logs/12.out", devices=["GPU-1"], device_indices=[3]
    )
    detail = dto.JobDetail(
        job=view,
        argv=["python", "train.py", "a b"],
        cwd="/w",
        env={"A": "1"},
        origin={"git_commit": "0123456789abcdef", "git_dirty": "true"},
        attempts=[dto.AttemptView(number=1, attempt=1, started_ms=NOW - MINUTE, ended_ms=NOW, outcome="failed", tasks=[task])],
        events=[dto.EventView(cursor=1, kind="submitted", at_ms=NOW - MINUTE)],
    )
    assert show_text(detail, NOW) == (
        "Job 12 (train.py): failed after 1m: out of memory\n"
        "  asks for   1 cpu, 1G memory\n"
        "  limit      2h\n"
        "  queue      default, priority 5, project default\n"
        "  user       ada\n"
        "  submitted  11:59:00\n"
        "  used       1G of 1G peak memory\n"
        "  command    python train.py 'a b'\n"
        "  directory  /w\n"
        "  commit     0123456789ab (with changes)\n"
        "Run 1: failed (started 11:59:00, ended 12:00:00)\n"
        "  task 0 on a: released, out of memory\n"
        "    GPUs 3 (GPU-1)\n"
        "    log /h/logs/12.out\n"
        "History:\n"
        "  11:59:00  submitted"
    )
    assert "Environment:\n  A=1" in show_text(detail, NOW, wide=True)


def test_why_a_job_waits() -> None:
    view = dto.ExplanationView(
        id="14",
        state="pending",
        summary="it waits for 2 GPUs",
        blockers=[
            dto.ReasonView(code="capacity", cure="time", text="no node has 2 free GPUs"),
            dto.ReasonView(code="dependency", cure="time", text="waits for job 12"),
        ],
        nearest_node="a",
        nearest_lacks=["1 GPU"],
        holders=[
            dto.HolderView(job="9", text="job 9 holds 1 GPU on a"),
            dto.HolderView(job="12", name="train.py", node="a", ends_by_ms=NOW + 30 * MINUTE),
        ],
        earliest_ms=NOW + 15 * MINUTE,
        latest_ms=NOW + 30 * MINUTE,
        suggestions=[dto.SuggestionView(kind="amount", text="ask for 1 GPU: it would start now", options="--gpus 1")],
        next_step="tenure update 14 --gpus 1",
    )
    assert why_text(view, NOW) == (
        "Job 14 (pending): it waits for 2 GPUs\n"
        "Blocked by:\n"
        "  - no node has 2 free GPUs [capacity]\n"
        "  - waits for job 12 [dependency]\n"
        "Nearest fit: a, which lacks 1 GPU\n"
        "Held by:\n"
        "  - job 9 holds 1 GPU on a\n"
        "  - job 12 (train.py) on a, until 12:30:00 at the latest\n"
        "Expected start: between 12:15:00 and 12:30:00\n"
        "Cheapest change:\n"
        "  - ask for 1 GPU: it would start now\n"
        "      tenure update 14 --gpus 1\n"
        "Next: tenure update 14 --gpus 1"
    )


def test_why_a_job_failed() -> None:
    view = dto.ExplanationView(id="12", state="failed", summary="Out of memory.", evidence=["limit 64M, peak 64M"])
    assert why_text(view, NOW) == "Job 12 (failed): Out of memory.\nEvidence:\n  - limit 64M, peak 64M"


def test_a_lone_blocker_that_is_the_summary_is_not_said_twice() -> None:
    reason = dto.ReasonView(code="held", cure="person", text="It is held.")
    view = dto.ExplanationView(id="1", state="held", summary="It is held.", blockers=[reason], earliest_ms=NOW + MINUTE)
    assert why_text(view, NOW) == "Job 1 (held): It is held.\nExpected start: 12:01:00 (in 1m)"


@pytest.mark.parametrize(
    ("job", "change"),
    [("14", "  - wait less\n      submit it again with --begin +1h"), ("this job", "  - wait less\n      --begin +1h")],
)
def test_a_change_that_update_cannot_make_is_shown_as_an_option(job: str, change: str) -> None:
    suggestion = dto.SuggestionView(kind="later", text="wait less", options="--begin +1h")
    view = dto.ExplanationView(id=job, state="pending", summary="s", suggestions=[suggestion])
    assert change in why_text(view, NOW)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (PlanReply(verdict="starts_now", placements=["a"]), "It would start now on a."),
        (
            PlanReply(verdict="waits", explanation=dto.ExplanationView(id="", state="pending", summary="no room"), limit_ms=MINUTE),
            "It would wait: no room\nTime limit: 1m",
        ),
        (
            PlanReply(verdict="never", note="the nearest that can run is --cpus 2"),
            "It could never run here.\nthe nearest that can run is --cpus 2",
        ),
    ],
)
def test_plan(reply: PlanReply, text: str) -> None:
    assert plan_text(reply, NOW) == text


def test_submitted() -> None:
    request = dto.SubmitRequest(argv=["a"], cwd="/", key="k", name="a", limit_ms=1_800_000)
    assert submitted_text(request, dto.SubmitReply(id="12", number=12)) == "Submitted job 12 (a), limit 30m"
    array = dto.SubmitReply(id="13", number=13, name="b", elements=10, replayed=True, note="be warned")
    assert submitted_text(request, array) == "Submitted array 13 (b) of 10 elements, limit 30m (it was submitted before)\nbe warned"


def test_nodes_gpus_queues() -> None:
    amounts = {"cpu_milli": (1500, 4000), "memory_bytes": (0, 8 * GIB), "storage_bytes": (GIB, 100 * GIB)}
    amounts["bandwidth_bps"] = (2_500_000_000, 25 * 10**9)
    told = {key: value for name, (used, whole) in amounts.items() for key, value in ((f"used_{name}", used), (name, whole))}
    node = dto.NodeView(name="a", status="up", pretend=True, devices=2, devices_used_milli=500, **told)
    shown = ["a", "(pretend)", "up", "0", "1.5/4", "0/8G", "0.5/2", "1G/100G", "2.5G/25G", "local", "-", "-"]
    assert nodes_table([node]).splitlines()[1].split() == shown
    empty = nodes_table([dto.NodeView(name="a", status="up")]).splitlines()
    assert [word for word in empty[1].split() if word == "-"] == ["-"] * 5, "what is not offered is not counted"
    device = dto.DeviceView(
        node="a",
        index=1,
        uuid="GPU-1",
        model="A100",
        memory_bytes=80 * GIB,
        status="foreign",
        why="pid 7",
        used_milli=500,
        jobs=["12"],
        capability="8.0",
    )
    assert gpus_table([device]).splitlines()[1].split() == [
        "a",
        "1",
        "A100",
        "foreign",
        "50%",
        "80G",
        "8.0",
        "-",
        "-",
        "-",
        "12",
        "pid",
        "7",
    ]
    device.memory_in_use_bytes, device.utilisation, device.temperature_c, device.power_mw = GIB, 7, 40, 61_500
    assert gpus_table([device]).splitlines()[1].split()[5:10] == ["1G/80G", "8.0", "7%", "40C", "61W"]
    queue = dto.QueueView(name="q", paused=True, max_limit_ms=90 * MINUTE, pending=3)
    assert queues_table([queue]).splitlines()[1].split() == ["q", "paused", "0", "3", "-", "1h30m", "0"]


def test_status_and_doctor() -> None:
    view = dto.StatusView(
        version="1",
        protocol=1,
        pid=7,
        home="/h",
        socket="/s",
        store="sqlite:////h/t",
        started_ms=NOW - MINUTE,
        healthy=False,
        problems=["stuck"],
        counts={"running": 2, "held": 0},
    )
    assert status_text(view, NOW) == (
        "The daemon (pid 7, version 1, up 1m) IS NOT WELL.\n"
        "  stuck\n"
        "  jobs       2 running\n"
        "  home       /h\n"
        "  store      sqlite:////h/t\n"
        "  socket     /s\n"
        "  supervisor not running"
    )
    checks = [
        dto.CheckView(name="memory", level="warning", text="sampled", remedy="allow cgroups"),
        dto.CheckView(name="disk", level="problem", text="full"),
    ]
    assert (
        doctor_text(dto.DoctorReply(checks=checks))
        == "WARNING  memory: sampled\n         -> allow cgroups\nPROBLEM  disk: full\n1 problem."
    )
    assert doctor_text(dto.DoctorReply(checks=[])) == "No problems."


def test_events() -> None:
    event = dto.EventView(cursor=41, kind="job_started", at_ms=NOW, job="12", data={"node": "a", "why": ""})
    assert line_of(event, NOW) == "      41  12:00:00  job_started      12       node=a"


@pytest.mark.parametrize(
    ("view", "code"),
    [
        (job(1, "", "succeeded", exit_code=0), 0),
        (job(1, "", "failed", exit_code=7), 7),
        (job(1, "", "failed", signal=9), 137),
        (job(1, "", "cancelled", signal=15), 143),
        (job(1, "", "cancelled"), 1),
        (job(1, "", "lost"), 1),
        (job(1, "", "timed_out", exit_code=0), 1),
    ],
)
def test_exit_codes_of_jobs(view: dto.JobView, code: int) -> None:
    assert exit_code_of(view) == code
    assert exit_code_of_all([job(2, "", "succeeded"), view]) == code


def test_a_row_that_is_too_wide_keeps_its_first_column() -> None:
    columns = (Column("A"), Column("B", cut=True), Column("C", drop=1))
    assert render(columns, [["1", "x" * 30, "y" * 30]], width=12) == "A  B\n1  " + "x" * 8 + "…"


def test_results(capsys: pytest.CaptureFixture[str]) -> None:
    print_results(
        "cancel", dto.ActReply(results=[dto.ActResult(id="1", ok=True), dto.ActResult(id="2", ok=True, text="has ended")]), False
    )
    assert capsys.readouterr().out == "Job 1 cancelled\nJob 2: has ended\n"


def test_times_and_facts_that_are_rare() -> None:
    view = job(1, "x", "pending", not_before_ms=NOW + MINUTE, deadline_ms=NOW + 90_000_000, eta_ms=NOW + MINUTE, tasks=2, nodes=2)
    view.gpu_milli, view.gpu_memory_bytes = 500, GIB
    shown = show_text(dto.JobDetail(job=view, submit_dir="/s", cwd="/c", after=[dto.AfterRef(job="3")]), NOW)
    for line in (
        "asks for   2 tasks, each: 1 cpu, 0.5 GPU with 1G; on 2 nodes",
        "not before 12:01:00",
        "deadline   2026-02-01 13:00:00",
        "expected   12:01:00",
        "after      3:ok",
        "from       /s",
    ):
        assert f"\n  {line}\n" in shown + "\n"


@pytest.mark.parametrize(
    ("state", "more", "heading"),
    [
        ("running", {"started_ms": NOW - 65_400}, "running for 1m 5s"),
        ("running", {"started_ms": NOW - 65_400, "stopping": True}, "running for 1m 5s (stopping)"),
        ("starting", {}, "starting"),
        ("held", {"reason": dto.ReasonView(code="held", cure="person", text="a person holds it")}, "held: a person holds it"),
        ("lost", {"attempts": 1}, "lost: exit unknown"),
        ("failed", {"why": "no such program", "exit_code": 127, "end_reason": "unknown"}, "failed: no such program"),
        ("cancelled", {"signal": 15, "why": "a person cancelled it"}, "cancelled: a person cancelled it"),
        ("failed", {"end_reason": "oom_sampled", "signal": 9}, "failed: out of memory (sampled)"),
        ("failed", {"signal": 99}, "failed: signal 99 (?)"),
    ],
)
def test_how_a_job_stands(state: str, more: dict[str, object], heading: str) -> None:
    assert show_text(dto.JobDetail(job=job(1, "x", state, **more)), NOW).splitlines()[0] == f"Job 1 (x): {heading}"


def test_the_history_says_what_an_end_was() -> None:
    events = [
        dto.EventView(cursor=1, kind="job.running", at_ms=NOW),
        dto.EventView(cursor=2, kind="job.ended", at_ms=NOW, data={"state": "timed_out", "signal": 15}),
    ]
    shown = show_text(dto.JobDetail(job=job(1, "x", "timed_out"), events=events), NOW)
    assert shown.splitlines()[-3:] == ["History:", "  12:00:00  job.running", "  12:00:00  job.ended           timed out"]


def test_an_array_is_told_by_its_elements() -> None:
    counts = dto.ArrayView(indices="0-99", size=100, waiting=0, states={"succeeded": 97, "timed_out": 1, "cancelled": 2})
    over = job(3, "x", "failed", started_ms=NOW, ended_ms=NOW + MINUTE, array=counts)
    assert ending(over) == "array 3 failed after 1m: 97 succeeded, 1 timed out, 2 cancelled"
    going = dto.ArrayView(indices="0-9", size=10, waiting=4, states={"succeeded": 5, "pending": 1})
    assert ending(job(3, "x", "pending", array=going)) == "array 3 is pending: 5 succeeded, 5 waiting"
    said = why_text(dto.ExplanationView(id="3", state="failed", summary="s", is_array=True), NOW)
    assert said.startswith("Array 3 (failed)")


def test_tasks_as_they_stand() -> None:
    tasks = [
        dto.TaskView(task=0, node="a", state="active", pid=77, log="/l", stderr="/e", devices=["GPU-1"], pretend=True),
        dto.TaskView(task=1, node="b", state="released", signal=15, end_reason="exit"),
        dto.TaskView(task=2, node="b", state="released", signal=15, end_reason="stopped"),
    ]
    shown = show_text(dto.JobDetail(job=job(1, "x", "running"), attempts=[dto.AttemptView(number=2, attempt=5, tasks=tasks)]), NOW)
    assert shown.splitlines()[-6:] == [
        "Run 2 (not started)",
        "  task 0 on a: active, pid 77",
        "    GPUs 1 (GPU-1, pretend)",
        "    log /l, errors /e",
        "  task 1 on b: released, signal 15 (TERM)",
        "  task 2 on b: released, stopped",
    ]


def test_the_history_says_why_amounts_stayed_as_they_were() -> None:
    view = job(1, "x", "running", started_ms=NOW)
    data = {"memory_bytes": 1 << 30, "why": "it uses 203M of memory, so it keeps at least 229M"}
    told = dto.EventView(cursor=1, kind="job.resized", at_ms=NOW, data=data)
    assert "job.resized" in (line := show_text(dto.JobDetail(job=view, events=[told]), NOW).splitlines()[-1])
    assert line.endswith("  it uses 203M of memory, so it keeps at least 229M")
