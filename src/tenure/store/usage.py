"""Use over time: one small row per node and minute, written when the store is tidied, read for charts and reports.

A sample is what capacity rows said at that moment; the truth of use stays with the allocation rows.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import case, func, or_, select

from tenure.store.schema import allocation, device, node, node_capacity, usage_sample
from tenure.store.sql import Link, Statement, const, insert, param
from tenure.store.tx import Transaction
from tenure.wire.base import MOST
from tenure.wire.cursors import Key

LAST_SAMPLE = Statement(select(func.coalesce(func.max(usage_sample.c.at_ms), const(0))))


def _used(resource: str) -> object:
    return func.sum(case((node_capacity.c.resource == const(resource), node_capacity.c.used), else_=const(0)))


USED_NOW = Statement(
    select(node.c.id, _used("cpu_milli"), _used("memory_bytes"))  # type: ignore[call-overload]
    .join(node_capacity, node_capacity.c.node_id == node.c.id)
    .group_by(node.c.id)
    .order_by(node.c.id)
)
GPUS_NOW = Statement(select(device.c.node_id, func.sum(device.c.used_milli)).group_by(device.c.node_id))
JOBS_NOW = Statement(
    select(allocation.c.node_id, func.count(func.distinct(allocation.c.job_id)))
    .where(allocation.c.released_at_ms.is_(None), allocation.c.behind == const(0))
    .group_by(allocation.c.node_id)
)
INSERT_SAMPLE = insert(usage_sample, "at_ms", "node_id", "cpu_milli", "memory_bytes", "gpu_milli", "jobs")
SAMPLES = Statement(
    select(
        usage_sample.c.at_ms,
        node.c.name,
        usage_sample.c.cpu_milli,
        usage_sample.c.memory_bytes,
        usage_sample.c.gpu_milli,
        usage_sample.c.jobs,
    )
    .join(node, node.c.id == usage_sample.c.node_id)
    .where(
        usage_sample.c.at_ms >= param("since"),
        usage_sample.c.at_ms < param("until"),
        or_(usage_sample.c.at_ms > param("after"), node.c.name > param("after_node")),
        or_(param("node") == const(""), node.c.name == param("node2")),
    )
    .order_by(usage_sample.c.at_ms, node.c.name)
    .limit(param("limit"))
    .offset(const(0)),
    *("since", "until", "after", "after_node", "node", "node2", "limit"),
)


class UsageSample(NamedTuple):
    """What was held of one node at one moment."""

    at_ms: int
    node: str
    cpu_milli: int
    memory_bytes: int
    gpu_milli: int
    jobs: int


def sample(tx: Transaction) -> None:
    """Keep what is held now, unless the last sample is younger than the setting says."""
    last = (tx.link.row(LAST_SAMPLE) or (0,))[0]
    if tx.now_ms - last < tx.settings.sample_every_ms:
        return
    gpus: dict[int, int] = dict(tx.link.rows(GPUS_NOW))
    jobs: dict[int, int] = dict(tx.link.rows(JOBS_NOW))
    rows = [
        (tx.now_ms, number, cpu, memory, gpus.get(number, 0), jobs.get(number, 0)) for number, cpu, memory in tx.link.rows(USED_NOW)
    ]
    tx.link.write_many(INSERT_SAMPLE, rows)


def read_samples(link: Link, span: tuple[int, int], node: str, after: Key, limit: int) -> list[UsageSample]:
    """Samples from a moment on to before another (0: no matter), by time and node: of one node, if one is named, and after a key."""
    since_ms, until_ms = span
    at_ms, name = after or (-1, "")
    given = (max(since_ms, at_ms), until_ms or MOST, at_ms, name, node, node, limit)
    return [UsageSample(*row) for row in link.rows(SAMPLES, *given)]
