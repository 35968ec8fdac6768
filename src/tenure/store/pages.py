"""What a selection shows: a page of jobs in the order that was asked for, or the jobs that its ids name.

Invariant: the pages of one selection, put together, are what it names, each job once, whatever was submitted meanwhile.
"""

from __future__ import annotations

from tenure.model.access import Caller
from tenure.store import details
from tenure.store.intern import Names
from tenure.store.listing import counts_by_state, filter_of, page, records, resolve
from tenure.store.ordered import ORDERS, key_in, ordered
from tenure.store.sql import Link
from tenure.store.views import job_views
from tenure.wire.cursors import cursor_of, key_after, number_after
from tenure.wire.dto import JobsReply, JobView, Selection

MAX_LISTED = 10_000
NEWEST = "newest"


def jobs_page(link: Link, names: Names, selection: Selection, caller: Caller, now_ms: int) -> JobsReply:
    """A page of jobs, whose revision is left to be said; arrays are one line unless elements are named. How many there are comes with
    the first page alone where it has to be counted. Raises ValueError for a word or a cursor that means nothing."""
    limit = max(1, min(selection.limit, MAX_LISTED))
    if selection.ids:
        return JobsReply(jobs=_named(link, names, selection, caller, limit, now_ms))
    wanted, order = filter_of(link, selection, caller), selection.order or NEWEST
    if order == NEWEST:
        wanted = wanted._replace(before=number_after("jobs", selection.cursor) or wanted.before)
        ids = page(link, wanted, limit + 1)
    else:
        parts = (int,) * len(ORDERS[order].columns)
        ids = ordered(link, wanted, order, key_after(f"jobs-{order}", selection.cursor, *parts), limit + 1)
    found = records(link, ids[:limit])
    counts = counts_by_state(link, wanted) if wanted.is_kept or not selection.cursor else {}
    reply = JobsReply(jobs=job_views(link, names, found, now_ms), counts=counts)
    if len(ids) > limit and order == NEWEST:
        reply.more, reply.next = ids[limit - 1], cursor_of("jobs", ids[limit - 1])
    elif len(ids) > limit:
        reply.next = cursor_of(f"jobs-{order}", key_in(order, found[-1]))
    return reply


def _named(link: Link, names: Names, selection: Selection, caller: Caller, limit: int, now_ms: int) -> list[JobView]:
    """The jobs that ids name, by id; an element that is no row yet as it would be."""
    rows = resolve(link, selection, caller)[:limit]
    plain = [row.job_id for row in rows if row.position < 0]
    views = {(view.number, -1): view for view in job_views(link, names, records(link, plain), now_ms)}
    for row in rows:
        found = details.detail(link, names, row.job_id, row.position, now_ms) if row.position >= 0 else None
        if found is not None:
            views[row.job_id, row.position] = found.job
    return [views[row.job_id, row.position] for row in rows if (row.job_id, row.position) in views]
