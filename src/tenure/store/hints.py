"""Hints as events: given and withdrawn. They are advice and no state, so the event stream is all that keeps them."""

from __future__ import annotations

from collections.abc import Sequence

from tenure.model.hint import Hint
from tenure.store.rows import read_jobs
from tenure.store.tx import Transaction, to_json


def tell(tx: Transaction, given: Sequence[Hint], withdrawn: Sequence[Hint]) -> None:
    """Make an event of each, of its job and the job's project where it has one."""
    job_ids = sorted({one.job_id for one in (*given, *withdrawn) if one.job_id})
    jobs = read_jobs(tx.link, job_ids) if job_ids else {}
    for kind, several in (("hint.given", given), ("hint.withdrawn", withdrawn)):
        for one in several:
            project = jobs[one.job_id].project_id if one.job_id in jobs else 0
            told = {
                "key": one.key,
                "kind": one.kind,
                "text": one.text,
                "remedy": one.remedy,
                "subject": one.subject,
                "figures": dict(one.figures),
            }
            tx.emit(kind, one.job_id, project, to_json(told))
