"""Jobs in other orders than the newest first: the oldest first, by priority, or by when they ended.

Each order ends in the job's id and is read from where a key says. Invariant: what a page reads does not grow with the number of ended
jobs. That is why ``priority`` is an order of jobs that have not ended, and ``ended`` one of those that have.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, or_, select

from tenure.store.listing import ENDED, FILTER_NAMES, OF_USER, OWN_LINE, Filter, filters
from tenure.store.schema import ENDED_LINE, job
from tenure.store.sight import Condition, Sighted
from tenure.store.sql import Link, Statement, const, param
from tenure.wire.cursors import Key

_BEYOND = 2**62
_STATES = [f"state{number}" for number in range(len(ENDED))]


class Order(NamedTuple):
    """An order: the columns of its key and whether each goes up, the key before all others, and the statement of a page after a key.

    ``by_state``: each state is read by itself."""

    columns: tuple[str, ...]
    ups: tuple[bool, ...]
    start: tuple[int, ...]
    by_state: bool
    whole: Statement
    seen: Sighted

    def rank(self, key: Sequence[int]) -> tuple[int, ...]:
        """What keys are compared by."""
        return tuple(part if up else -part for part, up in zip(key, self.ups, strict=True))

    def rows(self, link: Link, wanted: Filter, states: Sequence[str], after: Key, limit: int) -> list[tuple[int, ...]]:
        """The keys of the jobs in these states that come next."""
        head, last = (after or self.start)[:-1], (after or self.start)[-1]
        keys = (*states, *(part for part in head for _ in range(3)), last, *wanted.of_user, *wanted.others)
        if wanted.sight is None:
            return link.rows(self.whole, *keys, limit)
        return link.rows(self.seen.statement(wanted.sight), *keys, *wanted.sight.params, limit)


def _order(columns: tuple[str, ...], ups: tuple[bool, ...], *, by_state: bool) -> Order:
    if by_state:
        own, names = and_(*OWN_LINE), ["state"]
    else:  # the state as an expression, so that the index by time is read and not that by state
        own, names = and_(ENDED_LINE, job.c.state.concat(const("")).in_([param(name) for name in _STATES])), _STATES
    after, more = _after(columns, ups)
    by = [job.c[name] if up else job.c[name].desc() for name, up in zip(columns, ups, strict=True)]

    def made(seen: Condition | None) -> Statement:
        conditions = [own, after, OF_USER, filters(), *([seen[0]] if seen is not None else [])]
        clause = select(*(job.c[name] for name in columns)).where(*conditions).order_by(*by).limit(param("limit")).offset(const(0))
        order = (*names, *more, "user", "user2", *FILTER_NAMES, *(seen[1] if seen is not None else ()), "limit")
        return Statement(clause, *order)

    start = tuple(-1 if up else _BEYOND for up in ups)
    return Order(columns, ups, start, by_state, made(None), Sighted(made))


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


def ordered(link: Link, wanted: Filter, name: str, after: Key, limit: int) -> list[int]:
    """The ids of the jobs that come after a key (none: the first), at most ``limit`` of them."""
    if wanted.is_empty:
        return []
    order = ORDERS[name]
    if order.by_state:
        found = [order.rows(link, wanted, [state], after, limit) for state in wanted.states]
    else:
        found = [order.rows(link, wanted, [*wanted.states, *[wanted.states[-1]] * (len(ENDED) - len(wanted.states))], after, limit)]
    return [key[-1] for key in heapq.merge(*found, key=order.rank)][:limit]


def key_in(name: str, record: dict[str, Any]) -> Key:
    """The key of a job's record in an order."""
    return tuple(record[column] for column in ORDERS[name].columns)
