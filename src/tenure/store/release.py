"""Giving back what ended tasks held: of nodes, of devices, and from the accounts of whom it was for, set by set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from tenure.core.ledger import NOTHING, Account
from tenure.model.amounts import RESOURCES
from tenure.model.project import Bundle
from tenure.store import accounts
from tenure.store.outcome import TaskRow
from tenure.store.schema import allocation_device
from tenure.store.sql import InList, Statement, param
from tenure.store.statements import GIVE_CAPACITY, GIVE_DEVICE
from tenure.store.tx import Transaction

SHARES = InList(
    lambda keys: (
        select(
            allocation_device.c.attempt_id,
            allocation_device.c.task,
            allocation_device.c.device_id,
            allocation_device.c.milli,
            allocation_device.c.memory_bytes,
        )
        .where(allocation_device.c.attempt_id.in_(keys), allocation_device.c.released_at_ms.is_(None))
        .order_by(allocation_device.c.device_id, allocation_device.c.attempt_id, allocation_device.c.task)
    )
)
RELEASE_SHARE = Statement(
    allocation_device.update()
    .values(released_at_ms=param("released"))
    .where(
        allocation_device.c.attempt_id == param("attempt"),
        allocation_device.c.task == param("task"),
        allocation_device.c.device_id == param("device"),
    ),
    "released",
    "attempt",
    "task",
    "device",
)


def give_back(tx: Transaction, freed: Sequence[TaskRow], owners: Mapping[int, Account]) -> None:
    """Give back what these tasks held. ``owners`` is whose each of their attempts is."""
    amounts: dict[tuple[int, str], int] = {}
    moved: dict[Account, Bundle] = {}
    for task in freed:
        for resource, amount in zip(RESOURCES, task.amounts, strict=True):
            if amount:
                key = (task.node_id, resource)
                amounts[key] = amounts.get(key, 0) + amount
        _less(moved, owners[task.attempt_id], Bundle(task.amounts[0], task.amounts[1]))
    tx.link.write_many(GIVE_CAPACITY, [(n, n, n, node_id, resource) for (node_id, resource), n in sorted(amounts.items())])
    with_devices = {(task.attempt_id, task.task) for task in freed if task.devices}
    if with_devices:
        for attempt_id, milli in _give_devices(tx, with_devices):
            _less(moved, owners[attempt_id], Bundle(gpu_milli=milli))
    accounts.move(tx, moved)


def _less(moved: dict[Account, Bundle], owner: Account, bundle: Bundle) -> None:
    moved[owner] = moved.get(owner, NOTHING).minus(bundle)


def _give_devices(tx: Transaction, tasks: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give the devices of these tasks back; (attempt, thousandths) of each share."""
    given: dict[int, tuple[int, int]] = {}
    gone, shares = [], []
    for attempt_id, task, device_id, milli, memory in tx.link.rows_in(SHARES, sorted({attempt_id for attempt_id, _ in tasks})):
        if (attempt_id, task) in tasks:
            old = given.get(device_id, (0, 0))
            given[device_id] = (old[0] + milli, old[1] + memory)
            gone.append((tx.now_ms, attempt_id, task, device_id))
            shares.append((attempt_id, milli))
    tx.link.write_many(RELEASE_SHARE, gone)
    tx.link.write_many(GIVE_DEVICE, [(milli, memory, memory, memory, number) for number, (milli, memory) in sorted(given.items())])
    return shares
