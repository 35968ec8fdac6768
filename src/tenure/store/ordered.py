"""Jobs in other orders than the newest first: the oldest first, by priority, or by when they ended.

Each order ends in the job's id and is read from where a key says. Invariant: what a page reads grows neither with the number of ended
jobs nor with that of waiting ones. That is why ``priority`` is an order of jobs that have not ended, and ``ended`` one of those that
have, and why what waits is read by one priority after the other: each is a run of an index, as far as the page goes.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, or_, select

from tenure.store.listing import ENDED, FILTER_NAMES, OF_USER, OWN_LINE, Filter, filters
from tenure.store.schema import ENDED_LINE, WAITING, job
from tenure.store.sight import Condition, Sighted
from tenure.store.sql import Link, Statement, const, param
from tenure.wire.cursors import Key

_BEYOND = 2**62
_STATES = [f"state{number}" for number in range(len(ENDED))]
_WAITING = ("held", "pending")
LEVELS = range(10, 0, -1)
"""The scale of priorities, from its top."""


class Read(NamedTuple):
    """A statement of a page for those who see everything, and for others."""

    whole: Statement
    seen: Sighted

    def rows(self, link: Link, wanted: Filter, keys: Sequence[Any], limit: int) -> list[tuple[int, ...]]:
        """The next keys of what is wanted; ``keys`` are the parameters of the statement's own conditions."""
        given = (*keys, *wanted.of_user, *wanted.others)
        if wanted.sight is None:
            return link.rows(self.whole, *given, limit)
        return link.rows(self.seen.statement(wanted.sight), *given, *wanted.sight.params, limit)


def _read(columns: Sequence[str], ups: Sequence[bool], own: ColumnElement[bool], *names: str) -> Read:
    by = [job.c[name] if up else job.c[name].desc() for name, up in zip(columns, ups, strict=True)]

    def made(seen: Condition | None) -> Statement:
        conditions = [own, OF_USER, filters(), *([seen[0]] if seen is not None else [])]
        clause = select(*(job.c[name] for name in columns)).where(*conditions).order_by(*by).limit(param("limit")).offset(const(0))
        return Statement(clause, *names, "user", "user2", *FILTER_NAMES, *(seen[1] if seen is not None else ()), "limit")

    return Read(made(None), Sighted(made))


class Order(NamedTuple):
    """An order: the columns of its key and whether each goes up, the key before all others, and the statement of a page after a key.

    ``by_state``: each state is read by itself."""

    columns: tuple[str, ...]
    ups: tuple[bool, ...]
    start: tuple[int, ...]
    by_state: bool
    read: Read

    def rank(self, key: Sequence[int]) -> tuple[int, ...]:
        """What keys are compared by."""
        return tuple(part if up else -part for part, up in zip(key, self.ups, strict=True))

    def rows(self, link: Link, wanted: Filter, states: Sequence[str], after: Key, limit: int) -> list[tuple[int, ...]]:
        """The keys of the jobs in these states that come next."""
        head, last = (after or self.start)[:-1], (after or self.start)[-1]
        return self.read.rows(link, wanted, (*states, *(part for part in head for _ in range(3)), last), limit)


def _order(columns: tuple[str, ...], ups: tuple[bool, ...], *, by_state: bool) -> Order:
    if by_state:
        own, names = and_(*OWN_LINE), ["state"]
    else:  # the state as an expression, so that the index by time is read and not that by state
        own, names = and_(ENDED_LINE, job.c.state.concat(const("")).in_([param(name) for name in _STATES])), _STATES
    after, more = _after(columns, ups)
    start = tuple(-1 if up else _BEYOND for up in ups)
    return Order(columns, ups, start, by_state, _read(columns, ups, and_(own, after), *names, *more))


def _after(columns: tuple[str, ...], ups: tuple[bool, ...]) -> tuple[ColumnElement[bool], list[str]]:
    """What comes after a key of one column, or of two."""
    last = job.c.id > param("id") if ups[-1] else job.c.id < param("id")
    if len(columns) == 1:
        return last, ["id"]
    first = job.c[columns[0]]
    return and_(first <= param("to"), or_(first < param("below"), and_(first == param("same"), last))), ["to", "below", "same", "id"]


ORDERS: dict[str, Order] = {
    "oldest": _order(("id",), (True,), by_state=True),
    "priority": _order(("priority", "id"), (False, True), by_state=True),
    "ended": _order(("ended_ms", "id"), (False, False), by_state=False),
}

_LEVEL = _read(
    ("priority", "id"),
    (False, True),
    and_(WAITING, *OWN_LINE, job.c.priority == param("level"), job.c.id > param("id")),
    *("state", "level", "id"),
)


def _waiting(link: Link, wanted: Filter, state: str, after: Key, limit: int) -> Iterator[tuple[int, ...]]:
    """The keys of the jobs that wait in a state, by priority; nothing is read of a priority before it is its turn."""
    top, last = after or (LEVELS[0], -1)
    for level in LEVELS:
        if level <= int(top):
            yield from _LEVEL.rows(link, wanted, (state, level, last if level == top else -1), limit)


def ordered(link: Link, wanted: Filter, name: str, after: Key, limit: int) -> list[int]:
    """The ids of the jobs that come after a key (none: the first), at most ``limit`` of them."""
    if wanted.is_empty:
        return []
    order = ORDERS[name]
    if not order.by_state:
        states = [*wanted.states, *[wanted.states[-1]] * (len(ENDED) - len(wanted.states))]
        return [key[-1] for key in order.rows(link, wanted, states, after, limit)]
    found = [
        _waiting(link, wanted, state, after, limit)
        if name == "priority" and state in _WAITING
        else order.rows(link, wanted, [state], after, limit)
        for state in wanted.states
    ]
    return [key[-1] for key in islice(heapq.merge(*found, key=order.rank), limit)]


def key_in(name: str, record: dict[str, Any]) -> Key:
    """The key of a job's record in an order."""
    return tuple(record[column] for column in ORDERS[name].columns)
