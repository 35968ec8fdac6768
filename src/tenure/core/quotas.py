"""Which project may start what: guaranteed within its quota, borrowed above it, forbidden above its maximum.

A resource is *governed* if some project has a quota of it. A job is guaranteed if with it the project holds no more than its quota of
every governed resource that the job asks for; who asks for none is as good as guaranteed. All guaranteed jobs take their turn before
the first one that borrows, whatever the order says, so nobody borrows what an owner can use. Invariant: within a cycle holdings only
grow, so what is not guaranteed, or not allowed, stays so until its end.
"""

from __future__ import annotations

from collections.abc import Mapping

from tenure.core.feasibility import Ask
from tenure.core.ledger import NOTHING, Ledger, asked_by
from tenure.model.amounts import MILLI
from tenure.model.project import NO_BOUNDS, SHARED, UNLIMITED, Bundle, Project
from tenure.model.reasons import MaximumReached, QuotaReached


def holdings(ledger: Ledger) -> dict[int, Bundle]:
    """What each project holds."""
    found: dict[int, Bundle] = {}
    for (project, _), bundle in ledger.held.items():
        found[project] = found.get(project, NOTHING).plus(bundle)
    return found


def has_bounds(projects: Mapping[int, Project]) -> bool:
    """Whether any project has a quota or a maximum."""
    return any(bound != UNLIMITED for project in projects.values() for bound in (*project.quota, *project.maximum))


def governed(projects: Mapping[int, Project]) -> tuple[bool, ...]:
    """Of which shared resources some project has a quota."""
    return tuple(any(project.quota[at] != UNLIMITED for project in projects.values()) for at in range(len(SHARED)))


def left_of_quota(project: Project, held: Bundle) -> int:
    """How much of its quota a project has left, in thousandths, by the resource of which it has least; 0 for none and for no quota."""
    shares = [
        min(MILLI, amount * MILLI // quota if quota else MILLI) for amount, quota in zip(held, project.quota, strict=True) if quota >= 0
    ]
    return MILLI - max(shares) if shares else 0


class Quotas:
    """The bounds of all projects and what they hold, this cycle's starts included."""

    def __init__(self, projects: Mapping[int, Project], held: Mapping[int, Bundle]) -> None:
        self._projects = projects
        self._held = dict(held)
        self._governed = governed(projects)

    def started(self, project: int, bundle: Bundle) -> None:
        """The project holds so much more."""
        self._held[project] = self._held.get(project, NOTHING).plus(bundle)

    def ended(self, project: int, bundle: Bundle) -> None:
        """The project holds so much less."""
        self._held[project] = self._held.get(project, NOTHING).minus(bundle)

    def is_guaranteed(self, project: int, bundle: Bundle) -> bool:
        """Whether the project is within its quota with so much more."""
        found, held = self._projects.get(project), self._held.get(project, NOTHING)
        for at, need in enumerate(bundle):
            if need and self._governed[at]:
                quota = found.quota[at] if found is not None else UNLIMITED
                if quota == UNLIMITED or held[at] + need > quota:
                    return False
        return True

    def claims_of(self, needed: Bundle, project: int, held: Bundle, going: Bundle = NOTHING) -> tuple[bool, bool]:
        """Of what is held for a project, as far as it is governed and needed: whether some is borrowed, and whether some is within the
        quota. A project borrows what it holds of a resource of which it holds more than its quota, without what is ``going``."""
        found, together = self._projects.get(project), self._held.get(project, NOTHING).minus(going)
        quotas = found.quota if found is not None else NO_BOUNDS
        shared = [at for at in range(len(SHARED)) if self._governed[at] and needed[at] and held[at]]
        borrowed = [together[at] > max(quotas[at], 0) for at in shared]
        return any(borrowed), not all(borrowed)

    def is_owned(self, project: int, held: Bundle, going: Bundle) -> bool:
        """Whether something of what is held for a project is within its quota, so that without it, and what is ``going``, the project
        would hold less than that; who holds nothing that is governed is as good as within one."""
        together = self._held.get(project, NOTHING).minus(going).minus(held)
        quotas = self._projects[project].quota if project in self._projects else NO_BOUNDS
        shared = [at for at in range(len(SHARED)) if self._governed[at] and held[at]]
        return not shared or any(together[at] < quotas[at] for at in shared)

    def bar(self, project: int, bundle: Bundle) -> MaximumReached | QuotaReached | None:
        """Why the project may not hold so much more; None when it may."""
        found, held = self._projects.get(project), self._held.get(project, NOTHING)
        if found is None:
            return None
        for reached, bounds in ((MaximumReached, found.maximum), (QuotaReached, NO_BOUNDS if found.borrow else found.quota)):
            for at, need in enumerate(bundle):
                if need and bounds[at] != UNLIMITED and held[at] + need > bounds[at]:
                    return reached(project, SHARED[at], held[at], need, bounds[at])
        return None

    def is_bounded(self, project: int) -> bool:
        """Whether there is anything that the project may not hold more of than so much."""
        return self._most(project) != NO_BOUNDS

    def could_hold(self, project: int, bundle: Bundle) -> bool:
        """Whether the project may hold so much once it holds nothing else."""
        most = self._most(project)
        return all(bound == UNLIMITED or need <= bound for need, bound in zip(bundle, most, strict=True))

    def holds_both(self, project: int, bundle: Bundle, other: Bundle) -> bool:
        """Whether the project may hold, of what both ask for, so much more of both."""
        most, held = self._most(project), self._held.get(project, NOTHING)
        both = [at for at in range(len(SHARED)) if bundle[at] and other[at]]
        return all(most[at] == UNLIMITED or held[at] + bundle[at] + other[at] <= most[at] for at in both)

    def _most(self, project: int) -> Bundle:
        found = self._projects.get(project)
        return found.most if found is not None else NO_BOUNDS

    def bar_of(self, project: int, ask: Ask) -> MaximumReached | QuotaReached | None:
        """`bar` of one run of a shape."""
        return self.bar(project, asked_by(ask))
