"""Who leads: one row with a lease and an epoch. The epoch grows only when the holder changes, and every write carries it."""

from __future__ import annotations

from sqlalchemy import select

from tenure.store.schema import meta
from tenure.store.sql import Statement, const, param
from tenure.store.tx import Transaction

READ_LEADER = Statement(select(meta.c.leader, meta.c.leader_epoch, meta.c.leader_expires_ms).where(meta.c.id == const(1)))
WRITE_LEADER = Statement(
    meta.update()
    .ordered_values(
        (meta.c.leader, param("holder")),
        (meta.c.leader_epoch, param("epoch")),
        (meta.c.leader_expires_ms, param("expires")),
    )
    .where(meta.c.id == const(1)),
    "holder",
    "epoch",
    "expires",
)


def elect(tx: Transaction, holder: str, lease_ms: int) -> int | None:
    """Take or renew the leadership; None while somebody else's lease runs.

    A lease of 0 never runs: the caller is kept alone by other means (a lock on the home), and only needs a fresh epoch. It is written
    as 0, so that a wall clock that jumps back does not make it look alive.
    """
    row = tx.link.row(READ_LEADER)
    if row is None:
        return None
    present, epoch, expires_ms = row
    if present != holder:
        if present and expires_ms > tx.now_ms:
            return None
        epoch += 1
    tx.link.write(WRITE_LEADER, holder, epoch, tx.now_ms + lease_ms if lease_ms else 0)
    tx.leader_epoch = epoch
    return int(epoch)
