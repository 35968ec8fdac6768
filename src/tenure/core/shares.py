"""Dominant shares of projects and of the users in them: whose turn it is.

The share of a bundle is its largest part of what all nodes have of a resource, the dominant share of A. Ghodsi et al., "Dominant
Resource Fairness", NSDI 2011; shares are compared divided by the weight. What counts of an account is what it holds and, on top, what
it held of late on average (`tenure.core.ledger`). Projects come first, then the users of a project, as in A. Bhattacharya et al.,
"Hierarchical Scheduling for Diverse Datacenter Workloads", SoCC 2013. Of that paper the rescaling of siblings is left out on purpose:
with it a project that holds most of the cluster goes first as soon as one of its users holds little, so new users would be a way
around the project's share. A project's share here is that of all it holds.

Invariant: shares are integers and follow from sums, so no order of jobs, users or nodes changes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tenure.core.ledger import NOTHING, Account, Ledger, mean_held
from tenure.model.amounts import MILLI
from tenure.model.node import Node
from tenure.model.project import Bundle, Project

WHOLE = 10**9
"""Shares count in parts of so many of the cluster."""


def capacity_of(nodes: tuple[Node, ...]) -> Bundle:
    """What all nodes have together, whether they are up or not: who drains one changes nobody's share."""
    return Bundle(
        sum(node.capacity.cpu_milli for node in nodes),
        sum(node.capacity.memory_bytes for node in nodes),
        sum(device.capacity_milli for node in nodes for device in node.devices),
    )


def dominant(bundle: Bundle, capacity: Bundle) -> int:
    """The largest share of a resource, in parts of `WHOLE`."""
    return max(amount * WHOLE // whole if whole else 0 for amount, whole in zip(bundle, capacity, strict=True))


@dataclass(frozen=True, slots=True)
class Part:
    """What somebody holds, and held of late on average."""

    held: Bundle = NOTHING
    mean: Bundle = NOTHING

    @property
    def counted(self) -> Bundle:
        """Both together."""
        return self.held.plus(self.mean)

    def plus(self, other: Part) -> Part:
        """The sum."""
        return Part(self.held.plus(other.held), self.mean.plus(other.mean))


def parts_of(ledger: Ledger, now_ms: int) -> tuple[dict[int, Part], dict[Account, Part]]:
    """What every project, and every user in it, holds and held."""
    projects: dict[int, Part] = {}
    users: dict[Account, Part] = {}
    for account in sorted(ledger.used.keys() | ledger.held.keys()):
        mean = mean_held(ledger.at(account, now_ms), ledger.half_life_ms)
        part = users[account] = Part(ledger.held.get(account, NOTHING), mean)
        projects[account[0]] = projects.get(account[0], Part()).plus(part)
    return projects, users


class Shares:
    """What counts of every project and user, this cycle's starts included. Lower goes first."""

    def __init__(self, ledger: Ledger, projects: Mapping[int, Project], capacity: Bundle, now_ms: int) -> None:
        self._weights = {number: max(project.weight_milli, 1) for number, project in projects.items()}
        self._capacity = capacity
        projects_parts, users_parts = parts_of(ledger, now_ms)
        self._users = {account: part.counted for account, part in users_parts.items()}
        self._projects = {project: part.counted for project, part in projects_parts.items()}

    def started(self, project: int, user: int, bundle: Bundle) -> None:
        """A user holds so much more for a project."""
        self._users[project, user] = self._users.get((project, user), NOTHING).plus(bundle)
        self._projects[project] = self._projects.get(project, NOTHING).plus(bundle)

    def of_project(self, project: int) -> int:
        """The project's share by its weight."""
        return dominant(self._projects.get(project, NOTHING), self._capacity) * MILLI // self._weights.get(project, MILLI)

    def of_user(self, project: int, user: int) -> int:
        """The user's share within a project, where all users weigh the same."""
        return dominant(self._users.get((project, user), NOTHING), self._capacity)
