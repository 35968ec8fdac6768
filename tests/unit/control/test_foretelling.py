"""Something is foretold soon after jobs came, and nobody looks where none did."""

from __future__ import annotations

from tenure.control.foretelling import AFTER_MS, NEVER_MS, ForecastWatch
from tenure.model.commands import CancelJob, JobRequest, JobSpec, SubmitJob
from tenure.testing.store_rig import ADA, ONE_CPU


class Looked:
    """A store that counts the looks, and has more to say at first."""

    def __init__(self) -> None:
        self.looks = 0

    def foretell(self, _now_ms: int) -> bool:
        self.looks += 1
        return self.looks == 1


def test_a_look_comes_after_submissions_and_goes_on_while_there_is_more() -> None:
    store, watch = Looked(), ForecastWatch()
    for now_ms in (0, 1, AFTER_MS, 10 * AFTER_MS):
        watch.look(store, now_ms)  # type: ignore[arg-type]
    assert (store.looks, watch.next_ms) == (2, NEVER_MS)
    watch.note([CancelJob("k", ADA, 1)], 5)
    assert watch.next_ms == NEVER_MS
    watch.note([SubmitJob("k", ADA, JobRequest("job", ONE_CPU), JobSpec(("true",), "/"))], 5)
    assert watch.next_ms == 5 + AFTER_MS
