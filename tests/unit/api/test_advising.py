"""Advice as hints: of a job where it speaks of that one alone, else of none, so that only those hear it who see everything."""

from __future__ import annotations

import pytest

from tenure.api.advising import hint_of
from tenure.api.hearing import may_hear
from tenure.core.advice import Advice, AdviceKind, Candidate
from tenure.core.whatif import JobRequeued
from tenure.model.access import SCHEDULER, Caller
from tenure.wire.thinking import RecommendationView

OWNER, STRANGER = Caller(1000, "ada"), Caller(1001, "ben")
ALONE = {AdviceKind.LESS_MEMORY, AdviceKind.SHORTER_LIMIT, AdviceKind.SHARED_GPU, AdviceKind.FREE_IDLE_GPU}


@pytest.mark.parametrize("kind", list(AdviceKind))
def test_who_may_not_see_a_job_hears_no_hint_of_it(kind: AdviceKind) -> None:
    change = Candidate(kind, JobRequeued(3, 0), job_id=3, beneficiary=4)
    said = RecommendationView(kind.value, "job 3", "tenure it", job="3", estimate="job 4 would", evidence={"runs": 5, "seen": "idle"})
    hint = hint_of(Advice(change, (4,), (), ()), said)
    assert (hint.key, hint.figures) == (f"advice:{kind.value}:3", {"runs": 5})
    assert "job 4" not in hint.text + hint.remedy

    def hears(caller: Caller) -> bool:
        return may_hear(caller, "hint.given", str(hint.job_id or ""), "default", OWNER.uid)

    assert (hears(OWNER), hears(STRANGER), hears(SCHEDULER)) == (kind in ALONE, False, True)
