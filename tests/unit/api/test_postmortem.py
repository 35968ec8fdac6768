"""What is said of a job that runs or has ended: a cause, its evidence, a next step; for every state there is."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.api.postmortem import account
from tenure.model.lifecycle import WAITING_STATES, JobState
from tenure.wire.dto import ArrayView, AttemptView, JobDetail, JobView, TaskView


def detail(state: str, **facts: Any) -> JobDetail:
    task = TaskView(task=0, node="box", state="released", end_reason=facts.get("end_reason", ""), exit_code=facts.get("exit_code"))
    view = JobView(id="7", number=7, name="train", state=state, on_nodes=["box"], **facts)
    return JobDetail(job=view, attempts=[AttemptView(number=1, attempt=1, tasks=[task])])


@pytest.mark.parametrize("state", sorted(set(JobState) - WAITING_STATES))
def test_every_state_that_does_not_wait_has_a_sentence_and_a_next_step(state: str) -> None:
    said = account(detail(state))
    assert said.summary
    assert said.next_step
    assert said.evidence[0].startswith("task 0 on box")


@pytest.mark.parametrize(
    ("state", "facts", "words"),
    [
        (
            "failed",
            {"end_reason": "oom", "memory_bytes": 64 << 20, "peak_memory_bytes": 64 << 20},
            ["out of memory", "64M", "submit it again with --memory 128M"],
        ),
        ("failed", {"end_reason": "oom_sampled", "memory_bytes": 64 << 20}, ["(sampled)"]),
        ("failed", {"end_reason": "oom"}, ["what the machine has"]),
        ("failed", {"exit_code": 3, "started_ms": 1000, "ended_ms": 3000}, ["code 3", "2s"]),
        ("failed", {"signal": 11}, ["SIGSEGV"]),
        ("failed", {"signal": 250}, ["250"]),
        ("failed", {"why": "there is no program /x"}, ["/x"]),
        ("failed", {}, ["it failed"]),
        ("timed_out", {"limit_ms": 60_000}, ["1m", "requeue 7, then tenure update 7 --time"]),
        ("cancelled", {"why": "job 3 failed"}, ["job 3 failed"]),
        ("lost", {"why": "the machine restarted"}, ["restarted", "requeue"]),
        ("running", {"stopping": True}, ["being stopped"]),
        ("running", {"limit_ms": 3_600_000}, ["1h"]),
        ("suspended", {}, ["resume 7"]),
        ("succeeded", {}, ["logs 7"]),
    ],
)
def test_the_words_name_the_cause(state: str, facts: dict[str, Any], words: list[str]) -> None:
    said = account(detail(state, **facts))
    text = f"{said.summary} {said.next_step}"
    for word in words:
        assert word in text


def test_who_takes_over_a_room_waits_for_an_end() -> None:
    made = detail("starting")
    assert account(made).summary == "it is starting on box"
    made.attempts[0].tasks[0].behind = "12_5"
    assert account(made).summary == "it starts on box as soon as job 12_5 has ended, whose room it takes over"


def test_a_cancelled_job_was_cancelled_and_not_ended_by_a_signal() -> None:
    made = detail("cancelled", why="a person cancelled it", signal=15, end_reason="stopped")
    task = made.attempts[0].tasks[0]
    task.signal, task.why = 15, "cancelled"
    said = account(made)
    assert said.summary == "a person cancelled it"
    assert said.evidence == ["task 0 on box: stopped, because it was cancelled"]


def test_an_array_is_told_by_its_elements() -> None:
    made = detail("failed")
    made.job.array = ArrayView(indices="0-9%2", size=10, waiting=0, states={"succeeded": 9, "failed": 1})
    said = account(made)
    assert said.is_array
    assert said.summary == "of its 10 elements 9 succeeded, 1 failed"
    assert said.next_step == "tenure ps 7_0-9 lists them"


def test_a_success_that_came_near_its_memory_says_so() -> None:
    assert "97% of the 100M" in account(detail("succeeded", memory_bytes=100 << 20, peak_memory_bytes=97 << 20)).evidence[0]


def test_the_evidence_has_what_was_measured() -> None:
    made = detail("failed", exit_code=1, why="it broke")
    task = made.attempts[0].tasks[0]
    task.signal, task.peak_memory_bytes, task.cpu_ms, task.why = 9, 1 << 30, 1500, "the kernel ended it"
    line = account(made).evidence[1]
    for word in ("exit code 1", "signal 9", "1G", "1s", "the kernel ended it"):
        assert word in line


def test_who_ran_out_of_the_memory_that_was_left_to_it_may_have_all_of_it_again() -> None:
    made = detail("failed", end_reason="oom", memory_bytes=4 << 30)
    made.attempts[0].tasks[0].memory_bytes = 1 << 30
    said = account(made)
    assert "more than the 1G that were left to it of 4G" in said.summary
    assert said.next_step == "tenure requeue 7 runs it again with 4G"
