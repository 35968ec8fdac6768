"""Which jobs a caller may see, as a condition of a query and as a question about rows.

Both say what `Caller.sees` says (a property holds them together), the one for pages that the database makes, the other for jobs whose
numbers are known. Who sees everything is asked nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, and_, or_, select

from tenure.model.access import Caller, Role
from tenure.store.habits import owners
from tenure.store.schema import job, project, user
from tenure.store.sql import InList, Link, Statement, param

PROJECTS_NAMED = InList(lambda keys: select(project.c.id).where(project.c.name.in_(keys)))
USER_OF = Statement(select(user.c.id).where(user.c.uid == param("uid")), "uid")
Condition = tuple[ColumnElement[bool], list[str]]


class Sight(NamedTuple):
    """All jobs of the projects ``whole``; of the user ``own`` (-1: none) all, or, where ``within`` is said, those in its projects."""

    whole: tuple[int, ...]
    own: int
    within: tuple[int, ...] | None

    @staticmethod
    def of(link: Link, caller: Caller) -> Sight | None:
        """What a caller may see; None for everything."""
        if caller.sees_all:
            return None
        names = caller.only if caller.only is not None else [name for name, _ in caller.projects]
        row = link.row(USER_OF, caller.uid) if caller.role else None
        return Sight(
            _numbers(link, [name for name in names if caller.role_in(name) >= Role.VIEWER]),
            int(row[0]) if row else -1,
            None if caller.only is None else _numbers(link, caller.only),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """How many projects its condition has room for, in each list: a power of two, so that there are few statements."""
        return _room(len(self.whole)), _room(len(self.within or ()))

    @property
    def params(self) -> tuple[int, ...]:
        """The parameters of its condition, in their order. Nothing has the number -1."""
        whole, within = self.shape
        inside = self.within or ()
        anywhere, somewhere = (self.own, -1) if self.within is None else (-1, self.own)
        return (*_filled(self.whole, whole), anywhere, somewhere, *_filled(inside, within))


def condition(shape: tuple[int, int], of_project: Column[int], of_user: Column[int]) -> Condition:
    """The condition of sights of that shape on these columns, and the names of its parameters."""
    whole, within = ([f"{part}{i}" for i in range(count)] for part, count in zip(("whole", "within"), shape, strict=True))
    clause = or_(
        of_project.in_([param(name) for name in whole]),
        of_user == param("anywhere"),
        and_(of_user == param("somewhere"), of_project.in_([param(name) for name in within])),
    )
    return clause, [*whole, "anywhere", "somewhere", *within]


class Sighted:
    """A statement with one more condition: made for each shape of a sight when it is first asked for."""

    def __init__(
        self, make: Callable[[Condition], Statement], of_project: Column[int] = job.c.project_id, of_user: Column[int] = job.c.user_id
    ) -> None:
        self._make = make
        self._columns = of_project, of_user
        self._made: dict[tuple[int, int], Statement] = {}

    def statement(self, sight: Sight) -> Statement:
        """The statement for a sight."""
        found = self._made.get(sight.shape)
        if found is None:
            found = self._made[sight.shape] = self._make(condition(sight.shape, *self._columns))
        return found


def seen(link: Link, caller: Caller, numbers: Sequence[int]) -> set[int]:
    """Those of these jobs that the caller may see."""
    if caller.sees_all:
        return set(numbers)
    return {number for number, (uid, name) in owners(link, list(set(numbers))).items() if caller.sees(uid, name)}


def _numbers(link: Link, names: Sequence[str]) -> tuple[int, ...]:
    return tuple(sorted({row[0] for row in link.rows_in(PROJECTS_NAMED, list(names))}))


def _room(count: int) -> int:
    return 1 << (max(count, 1) - 1).bit_length()


def _filled(numbers: Sequence[int], room: int) -> tuple[Any, ...]:
    return (*numbers, *[-1] * (room - len(numbers)))
