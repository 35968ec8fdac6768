"""The part of the client that lists jobs: a page, or all of them, page after page.

Invariant: what `every_job` gives is the whole list in its order, each job once, whatever is submitted meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tenure.client.link import PAGE, Link
from tenure.client.selecting import Which, selection
from tenure.wire import dto


class Listing:
    """Part of `tenure.client.session.Client`."""

    _link: Link

    def jobs(self, which: Which = None) -> dto.JobsReply:
        """A page of jobs: those selected, by default the active ones."""
        return self._link.call("POST", "/api/v1/jobs/query", dto.JobsReply, selection(which))

    def every_job(self, which: Which = None) -> Iterator[dto.JobView]:
        """All jobs selected, by default the active ones, page after page in the order of the selection."""
        chosen = msgspec.structs.replace(selection(which), cursor="", limit=PAGE)
        while True:
            page = self.jobs(chosen)
            yield from page.jobs
            if not page.next:
                return
            chosen = msgspec.structs.replace(chosen, cursor=page.next)
