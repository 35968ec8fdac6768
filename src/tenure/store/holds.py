"""Why jobs wait, as the last plan found it: only what changed is written, an event only when a reason comes or goes.

A reason's payload (until when, how much is short) moves with every cycle; the row follows it, the stream does not. A plan that was
cut short has not looked at everything, so it takes no reason away.
"""

from __future__ import annotations

from sqlalchemy import select

from tenure.model.plan import Hold, Plan
from tenure.model.reasons import reason_to_dict
from tenure.store.plan_schema import hold
from tenure.store.sql import Link, Statement, insert, param
from tenure.store.tx import Transaction, to_json

Key = tuple[int, int, str, int]
"""Shape, queue, code, and the project that the reason concerns (0: all)."""

HOLDS = Statement(select(hold.c.shape_id, hold.c.queue_id, hold.c.code, hold.c.project_id, hold.c.reason, hold.c.first_job))
INSERT_HOLD = insert(hold, "shape_id", "queue_id", "code", "project_id", "reason", "first_job", "since_ms")
_KEY = (
    hold.c.shape_id == param("shape"),
    hold.c.queue_id == param("queue"),
    hold.c.code == param("code"),
    hold.c.project_id == param("project"),
)
UPDATE_HOLD = Statement(
    hold.update().ordered_values((hold.c.reason, param("reason")), (hold.c.first_job, param("first"))).where(*_KEY),
    "reason",
    "first",
    "shape",
    "queue",
    "code",
    "project",
)
DELETE_HOLD = Statement(hold.delete().where(*_KEY), "shape", "queue", "code", "project")


class KnownHolds:
    """The stored holds as this leader last wrote them; read again whenever the epoch changes or a transaction was undone."""

    def __init__(self) -> None:
        self._epoch = -1
        self._rows: dict[Key, tuple[str, int]] = {}
        self._reasons: dict[Key, Hold] = {}

    def forget(self) -> None:
        """Read the rows again before the next write."""
        self._epoch = -1

    def _load(self, link: Link, epoch: int) -> None:
        if epoch != self._epoch:
            self._rows = {row[:4]: row[4:] for row in map(tuple, link.rows(HOLDS))}
            self._reasons = {}
            self._epoch = epoch

    def write(self, tx: Transaction, plan: Plan) -> int:
        """Make the stored holds those of a plan; how many are new."""
        self._load(tx.link, tx.leader_epoch)
        fresh = 0
        wanted = {(item.shape, item.queue, item.reason.code, item.project): item for item in plan.holds}
        for key in sorted(wanted):
            item = wanted[key]
            if self._reasons.get(key) == item:
                continue
            content = (to_json(reason_to_dict(item.reason)), item.first_job)
            known = self._rows.get(key)
            if known is None:
                tx.link.write(INSERT_HOLD, *key, *content, tx.now_ms)
                tx.emit("hold.changed", item.first_job, data=f'{{"code":"{item.reason.code}"}}')
                fresh += 1
            elif known != content:
                tx.link.write(UPDATE_HOLD, *content, *key)
            self._rows[key] = content
            self._reasons[key] = item
        if plan.truncated_at is None and len(self._rows) > len(wanted):
            for key in sorted(self._rows.keys() - wanted.keys()):
                tx.link.write(DELETE_HOLD, *key)
                tx.emit("hold.changed", data=f'{{"gone":"{key[2]}"}}')
                del self._rows[key]
                self._reasons.pop(key, None)
        return fresh
