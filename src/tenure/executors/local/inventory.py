"""What this machine offers: itself as a node, its GPUs as they stand now, and the pretend nodes of the settings.

Invariant: a pretend node or device is marked as such wherever it appears, and no real device ever belongs to a pretend node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tenure.executors.local import machine
from tenure.executors.local.devices import Devices
from tenure.executors.local.settings import LocalSettings, PretendNode
from tenure.model.amounts import Amounts
from tenure.model.observations import DeviceFound, NodeFound
from tenure.model.pool import Pool, labels_in

PRETEND_PREFIX = "PRETEND"


class Inventory:
    """The nodes of this machine."""

    def __init__(self, settings: LocalSettings, devices: Devices) -> None:
        self._settings = settings
        self._devices = devices
        self.name = settings.name or machine.host_name()

    def nodes(self) -> list[NodeFound]:
        """All nodes, devices probed afresh."""
        settings = self._settings
        devices = () if settings.gpus.strip() == "none" else tuple(self._devices.probe().values())
        own = NodeFound(self.name, self.capacity(), devices, tuple(sorted(settings.labels)))
        return [in_pools(settings.pools, node) for node in (own, *(pretended(node) for node in settings.pretend_nodes))]

    def capacity(self) -> Amounts:
        """What this machine gives: what it has or what the settings say, less the reserve."""
        settings, found = self._settings, machine.capacity()
        memory = (settings.memory_bytes or found.memory_bytes) - settings.reserve_memory_bytes
        storage = found.storage_bytes if settings.storage_bytes is None else settings.storage_bytes
        bandwidth = found.bandwidth_bps if settings.bandwidth_bps is None else settings.bandwidth_bps
        return Amounts(
            settings.cpu_milli or found.cpu_milli, max(memory, 0), max(storage - settings.reserve_storage_bytes, 0), bandwidth
        )

    def pretend_uuids(self) -> frozenset[str]:
        """Devices that nobody needs to lock."""
        return frozenset(device.uuid for node in self._settings.pretend_nodes for device in pretended(node).devices)


def in_pools(pools: Sequence[Pool], node: NodeFound) -> NodeFound:
    """The node with the labels that its pools give it."""
    return replace(node, labels=labels_in(pools, node.name, node.labels, [device.model for device in node.devices])) if pools else node


def pretended(node: PretendNode) -> NodeFound:
    """A node of the settings as if it were there."""
    devices: list[DeviceFound] = []
    for group, gpus in enumerate(node.gpus):
        for _ in range(gpus.count):
            index = len(devices)
            uuid = f"{PRETEND_PREFIX}-{node.name}-{index}"
            devices.append(DeviceFound(uuid, index, gpus.model, gpus.memory_bytes, group, pretend=True, capability=gpus.capability))
    amounts = Amounts(node.cpu_milli, node.memory_bytes, node.storage_bytes, node.bandwidth_bps)
    return NodeFound(node.name, amounts, tuple(devices), tuple(sorted(node.labels)), pretend=True)
