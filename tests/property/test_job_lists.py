"""After any history: the pages of a list of jobs, in whatever order and however narrowed, are what a plain sort gives, and the counts
that are kept are those of the rows."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.model.access import SCHEDULER, Caller, Role
from tenure.model.commands import CancelJob, HoldJob, ReleaseJob, RequeueJob, SetQueue, SuspendJob, UpdateJob
from tenure.model.lifecycle import ENDED_STATES, JobState
from tenure.model.observations import EndReason
from tenure.store import StoreSettings, open_sqlite
from tenure.store.queries import Queries
from tenure.testing.store_rig import StoreRig, emptied, ended, node
from tenure.wire.dto import JobView, Selection
from tests.support.examples import examples

PEOPLE = (Caller(1, "ada"), Caller(2, "bob", Role.VIEWER, (("p", Role.VIEWER),)))
ACTS = {"cancel": CancelJob, "hold": HoldJob, "release": ReleaseJob, "requeue": RequeueJob, "suspend": SuspendJob}
QUEUES = ("default", "night")
ENDED = [state.value for state in ENDED_STATES]
STEPS = st.tuples(st.sampled_from(("submit", "array", "run", "fail", "end", "queue", *ACTS)), st.integers(0, 30), st.integers(1, 10))
KEYS: dict[str, Callable[[JobView], tuple[int, ...]]] = {
    "newest": lambda job: (-job.number,),
    "oldest": lambda job: (job.number,),
    "priority": lambda job: (-job.priority, job.number),
    "ended": lambda job: (-job.ended_ms, -job.number),
}


def history(rig: StoreRig, steps: list[tuple[str, int, int]]) -> None:
    """Let it happen, as far as each step means anything."""
    rig.apply(SetQueue(rig.key(), SCHEDULER, "night"))
    jobs: list[int] = []
    running = {}
    for what, pick, priority in steps:
        rig.now_ms += pick % 3  # several end in one moment
        if what in ("submit", "array"):
            array = ((0, 2, 1),) if what == "array" else ()
            project = ("default", "p")[pick % 2]
            jobs.append(
                rig.submit(
                    caller=PEOPLE[pick % 2],
                    project=project,
                    queue=QUEUES[priority % 2],
                    priority=priority,
                    array=array,
                    array_cap=1 if array else 0,
                )
            )
            continue
        if not jobs:
            continue
        job = jobs[pick % len(jobs)]
        if what in ACTS:
            rig.act(ACTS[what], job, caller=SCHEDULER)
        elif what == "queue":
            rig.act(UpdateJob, job, caller=SCHEDULER, queue=QUEUES[priority % 2])
        elif what == "run":
            rejection, launches = rig.try_start(job)
            if rejection is None:
                running[job] = launches[0]
        elif job in running:
            launch = running.pop(job)
            reason = EndReason.EXIT if what == "end" else EndReason.TIMEOUT
            rig.record(ended(launch, 0 if what == "end" else 1, reason), emptied(launch))


def pages(queries: Queries, selection: Selection, caller: Caller) -> Iterator[JobView]:
    """All of a list, page after page."""
    while True:
        page = queries.jobs(selection, caller)
        assert len(page.jobs) <= selection.limit
        yield from page.jobs
        if not page.next:
            return
        selection.cursor = page.next


@settings(max_examples=examples(12), deadline=None)
@given(
    steps=st.lists(STEPS, max_size=40),
    limit=st.integers(1, 4),
    caller=st.sampled_from((SCHEDULER, *PEOPLE)),
    states=st.lists(st.sampled_from([state.value for state in JobState]), max_size=3, unique=True),
    user=st.sampled_from(("", "ada", "nobody")),
    project=st.sampled_from(("", "p")),
    queue=st.sampled_from(("", "night")),
)
def test_pages_are_a_plain_sort_and_counts_are_those_of_the_rows(
    steps: list[tuple[str, int, int]], limit: int, caller: Caller, states: list[str], user: str, project: str, queue: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rig = StoreRig(lambda: open_sqlite(str(Path(folder) / "tenure.db"), StoreSettings(ballast_bytes=0)), [node("n1", cpus=3)])
        history(rig, steps)
        queries = rig.store.queries()  # type: ignore[attr-defined]
        rig.sound()
        others = {"user": user, "project": project, "queue": queue}
        for order, key in KEYS.items():
            fits = {"priority": [one.value for one in JobState if one.value not in ENDED], "ended": ENDED}.get(order)
            wanted = [state for state in states if fits is None or state in fits]
            everything = queries.jobs(Selection(states=wanted or fits or [], limit=1000, **others), caller)
            selection = Selection(states=wanted, order=order, limit=limit, **others)  # type: ignore[arg-type]
            found = list(pages(queries, selection, caller))
            assert [job.id for job in found] == [job.id for job in sorted(everything.jobs, key=key)]
        whole = queries.jobs(Selection(states=states, limit=1, **others), caller)
        real = {
            state: len(queries.jobs(Selection(states=[state], limit=1000, **others), caller).jobs)
            for state in states or [state.value for state in JobState]
        }
        assert whole.counts == +Counter(real)
        queries.close()
        rig.store.close()
