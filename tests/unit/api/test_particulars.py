"""What a job's own record adds to an explanation: the jobs it waits for, and a word on memory."""

from __future__ import annotations

import pytest

from tenure.api.particulars import memory_note, with_particulars
from tenure.wire.dto import AfterView, ArrayView, ExplanationView, JobDetail, JobView, ReasonView

MIB = 1 << 20


def waiting(**facts: int) -> JobView:
    return JobView(id="7", number=7, name="train", state="pending", **facts)  # type: ignore[arg-type]


def blocked(*reasons: ReasonView) -> ExplanationView:
    return ExplanationView(id="7", state="pending", summary=reasons[0].text if reasons else "s", blockers=list(reasons))


DEPENDENCY = ReasonView(code="dependency", cure="time", text="it waits for another job")


def test_the_job_that_is_waited_for_is_named_with_its_state() -> None:
    after = [AfterView(job="2", name="done", state="succeeded", is_met=True), AfterView(job="3", name="prepare", state="running")]
    view = with_particulars(blocked(DEPENDENCY), JobDetail(job=waiting(), after=after))
    assert view.summary == view.blockers[0].text == "it waits for job 3 (prepare, running) to succeed"
    held = ReasonView(code="held", cure="person", text="it is held")
    both = with_particulars(blocked(held, DEPENDENCY), JobDetail(job=waiting(), after=after))
    assert (both.summary, both.blockers[1].text) == ("it is held", view.summary)
    assert with_particulars(blocked(DEPENDENCY), JobDetail(job=waiting())).summary == "it waits for another job"


def test_an_array_is_called_one() -> None:
    detail = JobDetail(job=waiting())
    detail.job.array = ArrayView(indices="0-1", size=2, waiting=2)
    assert with_particulars(blocked(), detail).is_array


@pytest.mark.parametrize(
    ("limit", "peak", "words"),
    [
        (100 * MIB, 89 * MIB, ""),
        (100 * MIB, 90 * MIB, "90% of the 100M"),
        (100 * MIB, 100 * MIB, "100% of the 100M"),
        (100 * MIB, 120 * MIB, "peaked at 120M, above the 100M"),
        (0, 120 * MIB, ""),
        (100 * MIB, 0, ""),
    ],
)
def test_a_peak_near_the_limit_is_worth_a_word(limit: int, peak: int, words: str) -> None:
    note = memory_note(waiting(memory_bytes=limit, peak_memory_bytes=peak))
    assert words in note
    assert bool(note) == bool(words)


def test_a_job_that_waits_to_run_again_hears_of_its_last_run() -> None:
    view = with_particulars(blocked(), JobDetail(job=waiting(memory_bytes=100 * MIB, peak_memory_bytes=99 * MIB)))
    assert view.evidence == ["of its last run: its memory, file cache included, peaked at 99M, 99% of the 100M it asks for"]
