"""What each policy has done, worked out anew from attempts and choices: nothing is kept twice, so nothing can disagree.

An attempt belongs to the policy that was chosen when it was committed. Attempts are removed in time (`tenure.store.retention`), and
with them what a policy did so long ago. The wait of a job is measured at its first attempt, from its submission or from the start that
it asked for, whichever is later.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from tenure.store.chosen import Choice, choices
from tenure.store.reader import ask
from tenure.store.schema import attempt, job
from tenure.store.sql import Link
from tenure.wire.policy import PolicyUse

MOST_CHOICES = 200
"""Older choices than so many are left out: who changes the policy every minute wants to know of today."""


def policy_uses(link: Link) -> list[PolicyUse]:
    """One entry per policy that was chosen, the present one first, then by when it was chosen last."""
    kept = choices(link)[-MOST_CHOICES:]
    spans: dict[str, list[tuple[Choice, int]]] = {}
    for choice, following in zip_longest(kept, kept[1:]):
        spans.setdefault(choice.policy, []).append((choice, following.first_attempt if following else 0))
    by_last = sorted(spans, key=lambda policy: -spans[policy][-1][0].id)
    return [_use(link, policy, spans[policy], is_active=policy == by_last[0]) for policy in by_last]


def _use(link: Link, policy: str, spans: list[tuple[Choice, int]], *, is_active: bool) -> PolicyUse:
    mine = or_(*(_within(choice.first_attempt, end) for choice, end in spans))
    started = attempt.c.started_ms.is_not(None)
    failed = and_(attempt.c.started_ms.is_(None), attempt.c.ended_ms.is_not(None))
    columns = (func.count(), func.sum(case((started, 1), else_=0)), func.sum(case((failed, 1), else_=0)))
    count, succeeded, never_began = (int(value or 0) for value in ask(link, select(*columns).where(mine))[0])
    rejected = sum(choice.rejected for choice, _ in spans)
    done = succeeded + never_began + rejected
    mean_ms, p95_ms, most_ms = _waits(link, mine)
    return PolicyUse(
        policy=policy,
        active=is_active,
        chosen=len(spans),
        since_ms=spans[0][0].at_ms,
        tried=count + rejected,
        succeeded=succeeded,
        failed=never_began + rejected,
        rejected=rejected,
        success_rate=round(succeeded / done, 4) if done else None,
        reasons=sum(choice.reasons for choice, _ in spans),
        mean_wait_ms=mean_ms,
        p95_wait_ms=p95_ms,
        max_wait_ms=most_ms,
    )


def _within(first: int, end: int) -> ColumnElement[bool]:
    return and_(attempt.c.id >= first, attempt.c.id < end) if end else attempt.c.id >= first


def _waits(link: Link, mine: ColumnElement[bool]) -> tuple[int | None, int | None, int | None]:
    """Mean, 95th percentile and maximum of the waits for a first start, None where nothing was started."""
    asked = and_(job.c.eligible_ms > job.c.submitted_ms, job.c.eligible_ms <= attempt.c.committed_ms)
    wait: Any = attempt.c.committed_ms - case((asked, job.c.eligible_ms), else_=job.c.submitted_ms)
    joined = attempt.join(job, job.c.id == attempt.c.job_id)
    first = and_(mine, attempt.c.number == 1)
    count, mean, most = ask(link, select(func.count(), func.avg(wait), func.max(wait)).select_from(joined).where(first))[0]
    if not count:
        return None, None, None
    # The smallest wait that at least 95 of 100 do not exceed.
    rank = (95 * count + 99) // 100 - 1
    p95 = ask(link, select(wait).select_from(joined).where(first).order_by(wait).limit(1).offset(rank))[0][0]
    return round(mean), int(p95), int(most)
