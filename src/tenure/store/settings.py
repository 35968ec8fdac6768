"""Numbers and places the store depends on; each is a setting with this default."""

from __future__ import annotations

from dataclasses import dataclass

from tenure.model.amounts import MIB
from tenure.model.project import Project
from tenure.model.settings import PlanSettings

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """``log_dir`` is where task logs go. Released allocations are kept ``keep_released_ms``, events ``keep_events_ms`` but at most
    ``max_events``, idempotency keys ``keep_keys_ms``, utilisation samples (one per node every ``sample_every_ms``) ``keep_samples_ms``;
    one `retain` removes at most ``retain_batch`` rows of each. A failed run waits ``retry_first_ms``, doubled each time up to
    ``retry_most_ms``; a launch that nodes refuse ``max_node_faults`` times in a row fails the job. ``ballast_bytes`` of disk are kept
    for recording exits when it is full. ``busy_timeout_ms`` bounds the wait for another process that writes. `changes` over more than
    ``changes_limit`` events is refused in favour of a snapshot. ``keep_steps_ms``: how long figures of tasks are
    kept in buckets of each width, the finest first. The audit log is kept
    ``keep_audit_ms``. ``projects`` are those of which something was decided, without numbers.
    """

    log_dir: str = "logs"
    keep_released_ms: int = 30 * DAY_MS
    keep_events_ms: int = 7 * DAY_MS
    max_events: int = 1_000_000
    keep_keys_ms: int = DAY_MS
    keep_samples_ms: int = 30 * DAY_MS
    sample_every_ms: int = 60_000
    retain_batch: int = 2_000
    retry_first_ms: int = 1_000
    retry_most_ms: int = 60_000
    max_node_faults: int = 3
    ballast_bytes: int = 16 * MIB
    busy_timeout_ms: int = 30_000
    changes_limit: int = 50_000
    keep_steps_ms: tuple[int, int, int] = (3_600_000, 2 * DAY_MS, 30 * DAY_MS)
    keep_audit_ms: int = 400 * DAY_MS
    seed: int = 0
    plan: PlanSettings = PlanSettings()
    projects: tuple[Project, ...] = ()
