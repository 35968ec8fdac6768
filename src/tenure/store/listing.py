"""Which jobs a selection names, and pages of them.

An array is one line (its template); its elements are listed when they are named. Filters are joined by *and*. Invariant: the time of
a page does not grow with the number of ended jobs: each state is read from its end of an index, and only as far as the page goes.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select

from tenure.model.commands import Caller
from tenure.model.lifecycle import ENDED_STATES, JobState
from tenure.store.arrays import position_of
from tenure.store.counts import read_counts
from tenure.store.schema import job, project, queue, shape, user
from tenure.store.sight import USER_OF, Condition, Sight, Sighted, seen
from tenure.store.sql import InList, Link, Statement, const, param
from tenure.wire.dto import Selection
from tenure.wire.ids import JobRef, format_id, parse_ref

MAX_SELECTED = 100_000
ACTIVE = [state.value for state in JobState if state not in ENDED_STATES]
ENDED = [state.value for state in JobState if state in ENDED_STATES]
_NEWEST = 2**62


class JobRow(NamedTuple):
    """One selected job: its row, and for an element of an array that has no row yet its position in the template (else -1)."""

    job_id: int
    position: int
    id: str


_template = job.alias("template")
_COLUMNS = (
    job,
    queue.c.name.label("queue_name"),
    project.c.name.label("project_name"),
    user.c.name.label("user_name"),
    shape.c.cpu_milli,
    shape.c.memory_bytes,
    shape.c.storage_bytes,
    shape.c.bandwidth_bps,
    shape.c.gpu_milli,
    shape.c.gpu_memory_bytes,
    shape.c.gpu_model,
    shape.c.tasks,
    shape.c.nodes,
    shape.c.app,
    shape.c.max_per_node,
    shape.c.prefer,
    shape.c.prefer_wait_ms,
    _template.c.blocked.label("template_blocked"),
    _template.c.array_cap.label("template_cap"),
    _template.c.array_live.label("template_live"),
)
_FROM = (
    job.join(queue, queue.c.id == job.c.queue_id)
    .join(project, project.c.id == job.c.project_id)
    .join(user, user.c.id == job.c.user_id)
    .join(shape, shape.c.id == job.c.shape_id)
    .outerjoin(_template, _template.c.id == job.c.array_id)
)
_NAMES = [column.name for column in select(*_COLUMNS).selected_columns]
RECORDS = InList(lambda keys: select(*_COLUMNS).select_from(_FROM).where(job.c.id.in_(keys)))

#: Filters that an absent value (0 or empty) lets pass, so that one statement serves every selection. The user is in the index; how many
#: there are of the first two, in each state, is kept.
FILTER_NAMES = ("queue", "queue2", "project", "project2", "group", "group2", "name", "name2", "like", "like2", "since", "since2")
OF_USER = or_(param("user") == const(0), job.c.user_id == param("user2"))


def filters() -> ColumnElement[bool]:
    """What a job must be like, but for its state, its user and who may see it."""
    return and_(
        or_(param("queue") == const(0), job.c.queue_id == param("queue2")),
        or_(param("project") == const(0), job.c.project_id == param("project2")),
        or_(param("group") == const(""), job.c.group_name == param("group2")),
        or_(param("name") == const(""), job.c.name == param("name2")),
        or_(param("like") == const(""), job.c.name.like(param("like2"), escape="!")),
        or_(param("since") == const(0), job.c.ended_ms.is_(None), job.c.ended_ms >= param("since2")),
    )


OWN_LINE = (job.c.array_id.is_(None), job.c.state == param("state"))
PAGE = Statement(
    select(job.c.id)
    .where(*OWN_LINE, job.c.id < param("before"), OF_USER, filters())
    .order_by(job.c.id.desc())
    .limit(param("limit"))
    .offset(const(0)),
    *("state", "before", "user", "user2", *FILTER_NAMES, "limit"),
)
COUNT = Statement(
    select(func.count()).select_from(job).where(*OWN_LINE, OF_USER, filters()), *("state", "user", "user2", *FILTER_NAMES)
)


def _seen_page(seen: Condition) -> Statement:
    clause = select(job.c.id).where(*OWN_LINE, job.c.id < param("before"), OF_USER, filters(), seen[0])
    paged = clause.order_by(job.c.id.desc()).limit(param("limit")).offset(const(0))
    return Statement(paged, "state", "before", "user", "user2", *FILTER_NAMES, *seen[1], "limit")


def _seen_count(seen: Condition) -> Statement:
    clause = select(func.count()).select_from(job).where(*OWN_LINE, OF_USER, filters(), seen[0])
    return Statement(clause, "state", "user", "user2", *FILTER_NAMES, *seen[1])


SEEN_PAGE, SEEN_COUNT = Sighted(_seen_page), Sighted(_seen_count)
MATCHING = InList(
    lambda keys: select(job.c.id).where(OF_USER, filters(), job.c.id.in_(keys)),
    *("user", "user2", *FILTER_NAMES),
)
IDS = InList(lambda keys: select(job.c.id, func.coalesce(job.c.array_id, const(0)), job.c.array_index).where(job.c.id.in_(keys)))
STATES_OF = InList(lambda keys: select(job.c.id, job.c.state).where(job.c.id.in_(keys)))
TEMPLATE = Statement(select(job.c.array_ranges).where(job.c.id == param("id"), job.c.array_size > const(0)), "id")
ELEMENTS_AT = InList(
    lambda keys: select(job.c.array_position, job.c.id).where(job.c.array_id == param("array"), job.c.array_position.in_(keys)), "array"
)
_NUMBERS = {
    name: Statement(select(table.c.id).where(table.c.name == param("name")), "name")
    for name, table in (("queue", queue), ("project", project), ("user", user))
}


class Filter(NamedTuple):
    """A selection without its ids, as parameters of the statements above. ``is_empty``: it names something that does not exist;
    ``sight`` is what of it the caller may see, None for all."""

    states: list[str]
    user: int
    others: tuple[Any, ...]
    before: int
    is_empty: bool
    sight: Sight | None = None

    @property
    def of_user(self) -> tuple[int, int]:
        """The user's parameters."""
        return (self.user, self.user)

    @property
    def project(self) -> int:
        """The project's number, 0 for any."""
        return int(self.others[FILTER_NAMES.index("project")])

    @property
    def queue(self) -> int:
        """The queue's number, 0 for any."""
        return int(self.others[FILTER_NAMES.index("queue")])

    @property
    def is_kept(self) -> bool:
        """Whether it narrows by nothing but user, project, queue and state."""
        return not any(self.others[FILTER_NAMES.index("group") :])


def filter_of(link: Link, selection: Selection, caller: Caller) -> Filter:
    """The filters of a selection. Raises ValueError for a state that is none."""
    states = _states_in(selection.order, selection.states)
    queue_id, project_id, user_id = (_number(link, name, getattr(selection, name)) for name in ("queue", "project", "user"))
    if selection.mine:
        row = link.row(USER_OF, caller.uid)
        own = int(row[0]) if row else -1
        user_id = own if user_id in (0, own) else -1
    pattern = any(mark in selection.name for mark in "*?")
    like = _like(selection.name) if pattern else ""
    name = "" if pattern else selection.name
    values = (queue_id, project_id, selection.group, name, like, selection.since_ms)
    others = tuple(value for value in values for _ in range(2))
    is_empty = -1 in (queue_id, project_id, user_id)
    return Filter(states, user_id, others, selection.before or _NEWEST, is_empty, Sight.of(link, caller))


def _number(link: Link, kind: str, name: str) -> int:
    """The number of a name: 0 when none is asked for, -1 when there is no such."""
    if not name:
        return 0
    row = link.row(_NUMBERS[kind], name)
    return int(row[0]) if row else -1


def owner_of(link: Link, project_name: str, caller: Caller) -> tuple[int, int]:
    """The numbers that waiting jobs carry for a project and a user; 0 for one that has had no job."""
    user_row = link.row(USER_OF, caller.uid)
    return max(0, _number(link, "project", project_name)), int(user_row[0]) if user_row else 0


def _like(pattern: str) -> str:
    for mark in "!%_":
        pattern = pattern.replace(mark, f"!{mark}")
    return pattern.replace("*", "%").replace("?", "_")


def _states_in(order: str, wished: Sequence[str]) -> list[str]:
    """The states that are wished, in an order that goes by what only some of them have."""
    fits = {"priority": (ACTIVE, "active", "not ended"), "ended": (ENDED, "ended", "ended")}.get(order)
    if fits is None:
        return _states_of(wished)
    states = _states_of(wished or [fits[1]])
    if set(states) - set(fits[0]):
        raise ValueError(f"the order {order} is of jobs that have {fits[2]}; name such states, or {fits[1]}")
    return states


def _states_of(wished: Sequence[str]) -> list[str]:
    """The states that are wished, as stored; all of them when none is named."""
    states: list[str] = []
    for word in wished or ("all",):
        if word in ("all", "active", "ended"):
            states += {"all": ACTIVE + ENDED, "active": ACTIVE, "ended": ENDED}[word]
        elif word in set(JobState):
            states.append(word)
        else:
            raise ValueError(f"{word!r} is no state; states are {', '.join(JobState)}, active, ended and all")
    return list(dict.fromkeys(states))


def page(link: Link, wanted: Filter, limit: int) -> list[int]:
    """The newest ids that pass the filter, at most ``limit`` of them."""
    if wanted.is_empty:
        return []
    sight = wanted.sight
    keys = (*wanted.of_user, *wanted.others, *(sight.params if sight is not None else ()), limit)
    statement = PAGE if sight is None else SEEN_PAGE.statement(sight)
    found = ([number for (number,) in link.rows(statement, state, wanted.before, *keys)] for state in wanted.states)
    return list(heapq.merge(*found, reverse=True))[:limit]


def counts_by_state(link: Link, wanted: Filter) -> dict[str, int]:
    """How many jobs pass the filter, by state; an array counts once. ``before`` does not matter. Where nobody asks for more than a
    user, a project and a queue, what is kept says so."""
    if wanted.is_empty:
        return {}
    if wanted.is_kept:
        kept = read_counts(link, wanted.project, wanted.user, wanted.queue, wanted.sight)
        return {state: lines for state, lines in sorted(kept.items()) if lines and state in wanted.states}
    counts = {}
    for state in wanted.states:
        if wanted.sight is not None:
            row = link.row(SEEN_COUNT.statement(wanted.sight), state, *wanted.of_user, *wanted.others, *wanted.sight.params)
        else:
            row = link.row(COUNT, state, *wanted.of_user, *wanted.others)
        if row and row[0]:
            counts[state] = int(row[0])
    return dict(sorted(counts.items()))


def records(link: Link, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Job rows with the names of what they refer to, in the order of ``ids``; unknown ids are left out."""
    found = {row[0]: dict(zip(_NAMES, row, strict=True)) for row in link.rows_in(RECORDS, ids)}
    return [found[number] for number in ids if number in found]


def resolve(link: Link, selection: Selection, caller: Caller) -> list[JobRow]:
    """The jobs a selection names, by id. A job that does not exist is left out. Raises ValueError for a word that names nothing."""
    wanted = filter_of(link, selection, caller)
    if not selection.ids:
        return [JobRow(number, -1, str(number)) for number in sorted(page(link, wanted, MAX_SELECTED))]
    rows: dict[tuple[int, int], JobRow] = {}
    numbers: set[int] = set()
    for ref in (ref for word in selection.ids for ref in parse_ref(word)):
        if ref.last is not None:
            numbers.update(_last(link, ref.last, caller))
        elif ref.indices:
            rows.update({(row.job_id, row.position): row for row in _elements(link, ref)})
        else:
            numbers.add(ref.number)
    rows.update({(number, -1): JobRow(number, -1, name) for number, name in ids_of(link, sorted(numbers)).items()})
    found = _matching(link, wanted, [rows[key] for key in sorted(rows)])
    visible = seen(link, caller, [row.job_id for row in found])
    return [row for row in found if row.job_id in visible]


def _matching(link: Link, wanted: Filter, rows: list[JobRow]) -> list[JobRow]:
    """Those of the rows that pass the filters too."""
    if wanted.is_empty:
        return []
    if not (wanted.user or any(wanted.others) or len(wanted.states) < len(JobState)):
        return rows
    numbers = sorted({row.job_id for row in rows})
    passing = {number for (number,) in link.rows_in(MATCHING, numbers, *wanted.of_user, *wanted.others)}
    states: dict[int, str] = dict(link.rows_in(STATES_OF, numbers))
    return [row for row in rows if row.job_id in passing and (row.position >= 0 or states[row.job_id] in wanted.states)]


def _last(link: Link, back: int, caller: Caller) -> list[int]:
    """The caller's last job, or the one so many before it."""
    mine = filter_of(link, Selection(mine=True), caller)
    return page(link, mine, back + 1)[back:]


def _elements(link: Link, ref: JobRef) -> list[JobRow]:
    """Elements of an array: those that are rows by their row, the others by their position in the template."""
    template = link.row(TEMPLATE, ref.number)
    if template is None:
        return []
    found = [(index, position_of(template[0], index)) for index in ref.indices]
    wanted = [(index, position) for index, position in found if position >= 0]
    rows: dict[int, int] = dict(link.rows_in(ELEMENTS_AT, [position for _, position in wanted], ref.number))
    return [
        JobRow(rows[position], -1, format_id(0, ref.number, index))
        if position in rows
        else JobRow(ref.number, position, format_id(0, ref.number, index))
        for index, position in wanted
    ]


def ids_of(link: Link, numbers: Sequence[int]) -> dict[int, str]:
    """What people type for these jobs, by number; unknown ones are left out."""
    rows = link.rows_in(IDS, sorted(set(numbers)))
    return {number: format_id(number, array_id, index) for number, array_id, index in rows}
