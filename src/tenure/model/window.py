"""Room that a person has set aside for a time: for a project, for a user, or for nobody (maintenance).

A window names its nodes and, where it takes a part of a node only, the very devices and amounts: they are chosen when it is made, so
that everybody knows what they may count on. Invariant: ``from_ms`` < ``until_ms``; parts are sorted by node, one for each.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenure.model.amounts import Amounts


@dataclass(frozen=True, slots=True)
class WindowPart:
    """What is set aside of one node: all of it (``whole``), or these amounts and devices (ids, sorted)."""

    node_id: int
    whole: bool = True
    amounts: Amounts = Amounts()
    devices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """From ``from_ms`` to before ``until_ms``, these parts are for who ``admits`` says: the project or user (interned numbers), nobody
    where both are 0."""

    id: int
    from_ms: int
    until_ms: int
    parts: tuple[WindowPart, ...]
    name: str = ""
    project: int = 0
    user: int = 0

    @property
    def is_maintenance(self) -> bool:
        """Whether nobody may use it."""
        return not (self.project or self.user)

    def admits(self, project: int, user: int) -> bool:
        """Whether a job of that project and user may use it."""
        return bool((self.project and self.project == project) or (self.user and self.user == user))

    def meets(self, from_ms: int, limit_ms: int) -> bool:
        """Whether a job of that limit (0: none) which starts then would run in it."""
        return self.until_ms > from_ms and (limit_ms == 0 or self.from_ms < from_ms + limit_ms)
