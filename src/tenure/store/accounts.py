"""What each user holds and has used for each project, kept as rows: the store's part of `tenure.core.ledger`.

A row is carried forward and rewritten in the transaction in which allocations are inserted or released, once for each account however
many jobs it concerns; nothing is written while jobs merely run. Invariant: what a row says is held is the sum over that account's
allocations that are not released (checked by `tenure.store.check`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from sqlalchemy import func, select

from tenure.core.ledger import NOTHING, Account, carried
from tenure.model.plan import LockedProject
from tenure.model.project import NO_BOUNDS, Bundle, Project, Usage
from tenure.store.schema import account, project, user
from tenure.store.settings import StoreSettings
from tenure.store.sql import InList, Link, Statement, insert, param
from tenure.store.tx import Transaction

_USED = ("as_of_ms", "cpu_milli_ms", "memory_mib_ms", "gpu_milli_ms")
_HELD = ("held_cpu_milli", "held_memory_bytes", "held_gpu_milli")
_OWN = (account.c.project_id == param("project"), account.c.user_id == param("user"))
_KEY = (account.c.project_id, account.c.user_id)

READ_ACCOUNT = Statement(select(*(account.c[name] for name in (*_USED, *_HELD))).where(*_OWN), "project", "user")
INSERT_ACCOUNT = insert(account, "project_id", "user_id", *_USED, *_HELD, "revision")
WRITE_ACCOUNT = Statement(
    account.update().ordered_values(*((account.c[name], param(name)) for name in (*_USED, *_HELD, "revision"))).where(*_OWN),
    *_USED,
    *_HELD,
    "revision",
    "project",
    "user",
)
USED_ALL = Statement(select(*_KEY, *(account.c[name] for name in _USED)).order_by(*_KEY))
USED_SINCE = Statement(
    select(*_KEY, *(account.c[name] for name in _USED)).where(account.c.revision > param("since")).order_by(*_KEY), "since"
)
HELD_OF = InList(
    lambda keys: (
        select(account.c.project_id, *(func.sum(account.c[name]) for name in _HELD))
        .where(account.c.project_id.in_(keys))
        .group_by(account.c.project_id)
    )
)
PROJECT_NAMES = Statement(select(project.c.name, project.c.id))
USER_NAMES = Statement(select(user.c.id, user.c.name))


def move(tx: Transaction, changes: Mapping[Account, Bundle]) -> None:
    """From now on these accounts hold so much more, or less. To be called before the caller returns to the planner: the rows are of the
    next revision, so that whoever has seen the present one reads them."""
    link = tx.link
    half_life_ms = tx.names.plan(link, tx.settings.plan).half_life_ms if changes else 0
    for owner in sorted(changes):
        row = link.row(READ_ACCOUNT, *owner)
        usage, held = (Usage(*owner, *row[:4]), Bundle(*row[4:])) if row else (Usage(*owner, tx.now_ms), Bundle())
        usage = carried(usage, held, tx.now_ms, half_life_ms)
        values = (usage.as_of_ms, usage.cpu_milli_ms, usage.memory_mib_ms, usage.gpu_milli_ms, *held.plus(changes[owner]))
        if row is None:
            link.write(INSERT_ACCOUNT, *owner, *values, tx.event_seq + 1)
        else:
            link.write(WRITE_ACCOUNT, *values, tx.event_seq + 1, *owner)


def read_usage(link: Link, since: int = -1) -> tuple[Usage, ...]:
    """The accounts that have moved since a revision, or all, by project and user."""
    return tuple(Usage(*row) for row in (link.rows(USED_ALL) if since < 0 else link.rows(USED_SINCE, since)))


def define_projects(tx: Transaction) -> None:
    """Give a number to each project that the settings name."""
    for found in tx.settings.projects:
        tx.names.project_id(tx.link, found.name)


def read_projects(link: Link, settings: StoreSettings) -> tuple[Project, ...]:
    """The projects that the settings name, by number; those without a number are unknown to every job."""
    if not settings.projects:
        return ()
    numbers: dict[str, int] = dict(link.rows(PROJECT_NAMES))
    found = [replace(item, id=numbers[item.name]) for item in settings.projects if item.name in numbers]
    return tuple(sorted(found, key=lambda item: item.id))


def lock_projects(tx: Transaction, numbers: Collection[int]) -> dict[int, LockedProject]:
    """Those of these projects that may not hold more than so much, with what they hold."""
    bounded = {found.id: found for found in read_projects(tx.link, tx.settings) if found.most != NO_BOUNDS and found.id in numbers}
    held = {number: Bundle(*amounts) for number, *amounts in tx.link.rows_in(HELD_OF, list(bounded))}
    return {number: LockedProject(found, held.get(number, NOTHING)) for number, found in bounded.items()}
