"""Statements that more than one part of the store writes with: the guarded changes of use, and a job's state."""

from __future__ import annotations

from sqlalchemy import case

from tenure.store.schema import device, job, node_capacity
from tenure.store.sql import Statement, const, param

_NODE = (node_capacity.c.node_id == param("node"), node_capacity.c.resource == param("resource"))

#: Touches no row when the amount does not fit: the caller compares counts and takes everything back.
TAKE_CAPACITY = Statement(
    node_capacity.update()
    .values(used=node_capacity.c.used + param("amount"))
    .where(*_NODE, node_capacity.c.used + param("room") <= node_capacity.c.capacity),
    "amount",
    "node",
    "resource",
    "room",
)
_left = node_capacity.c.used - param("less")
GIVE_CAPACITY = Statement(
    node_capacity.update()
    .ordered_values(
        (node_capacity.c.used, node_capacity.c.used - param("amount")),
        (node_capacity.c.over, case((_left > node_capacity.c.capacity, _left - node_capacity.c.capacity), else_=const(0))),
    )
    .where(*_NODE),
    "amount",
    "less",
    "less",
    "node",
    "resource",
)
TAKE_DEVICE = Statement(
    device.update()
    .ordered_values(
        (device.c.used_milli, device.c.used_milli + param("milli")),
        (device.c.used_memory, device.c.used_memory + param("memory")),
    )
    .where(
        device.c.id == param("id"),
        device.c.used_milli + param("room") <= device.c.capacity_milli,
        device.c.used_memory + param("space") <= device.c.memory_bytes,
    ),
    "milli",
    "memory",
    "id",
    "room",
    "space",
)
_rest = device.c.used_memory - param("less")
GIVE_DEVICE = Statement(
    device.update()
    .ordered_values(
        (device.c.used_milli, device.c.used_milli - param("milli")),
        (device.c.used_memory, device.c.used_memory - param("memory")),
        (device.c.over_memory, case((_rest > device.c.memory_bytes, _rest - device.c.memory_bytes), else_=const(0))),
    )
    .where(device.c.id == param("id")),
    "milli",
    "memory",
    "less",
    "less",
    "id",
)

SET_STATE = Statement(job.update().values(state=param("state")).where(job.c.id == param("id")), "state", "id")
CLEAR_ATTEMPT = Statement(
    job.update().values(attempt_id=const(0)).where(job.c.id == param("id"), job.c.attempt_id == param("attempt")), "id", "attempt"
)
ADD_DEPENDENT = Statement(job.update().values(dependents=job.c.dependents + param("more")).where(job.c.id == param("id")), "more", "id")
