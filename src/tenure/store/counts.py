"""How many jobs are in which state and queue, kept beside them: a listing says how many there are without reading them.

An array is one line, its elements are none. Who changes a line's state says so to the transaction, which writes the sums once, at its
end. Invariant: what is kept is what rows say, for every project, user, queue and state (`check_counts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import func, or_, select

from tenure.model.outcomes import Violation
from tenure.store.schema import job, line_count
from tenure.store.sight import Condition, Sight, Sighted
from tenure.store.sql import Link, Statement, const, insert, param

Line = tuple[int, int, int, str]
"""Project, user, queue, state."""

_KEYS = ("project_id", "user_id", "queue_id", "state")
_SAME = (line_count.c[name] == param(name) for name in _KEYS)
ADD = Statement(line_count.update().values(lines=line_count.c.lines + param("more")).where(*_SAME), "more", *_KEYS)
INSERT = insert(line_count, *_KEYS, "lines")
_NARROWED = _KEYS[:-1]
_WANTED = (or_(param(name) == const(0), line_count.c[name] == param(f"{name}2")) for name in _NARROWED)
_SUMS = select(line_count.c.state, func.sum(line_count.c.lines)).where(*_WANTED).group_by(line_count.c.state)
_ORDER = tuple(part for name in _NARROWED for part in (name, f"{name}2"))
ALL = Statement(_SUMS, *_ORDER)


def _seen(seen: Condition) -> Statement:
    return Statement(_SUMS.where(seen[0]), *_ORDER, *seen[1])


SEEN = Sighted(_seen, line_count.c.project_id, line_count.c.user_id)
KEPT = Statement(select(*line_count.c).where(line_count.c.lines != const(0)))
_OF_ROWS = [job.c[name] for name in _KEYS]
ROWS = Statement(select(*_OF_ROWS, func.count()).where(job.c.array_id.is_(None)).group_by(*_OF_ROWS))


class Lines(NamedTuple):
    """Lines that changed, by how many."""

    moved: dict[Line, int]

    def add(self, line: Line, more: int) -> None:
        """There are so many more of these."""
        self.moved[line] = self.moved.get(line, 0) + more

    def write(self, link: Link) -> None:
        """Write what changed, and forget it."""
        for key, more in sorted(self.moved.items()):
            if more and not link.write(ADD, more, *key):
                link.write(INSERT, *key, more)
        self.moved.clear()


def read_counts(link: Link, project: int, user: int, queue: int, sight: Sight | None) -> Mapping[str, int]:
    """How many lines there are by state: of a project, a user and a queue (0: any), as far as the sight goes."""
    wanted = (project, project, user, user, queue, queue)
    if sight is None:
        return dict(link.rows(ALL, *wanted))
    return dict(link.rows(SEEN.statement(sight), *wanted, *sight.params))


def check_counts(link: Link) -> Iterator[Violation]:
    """Where what is kept is not what rows say."""
    kept, real = ({tuple(key): lines for *key, lines in link.rows(statement)} for statement in (KEPT, ROWS))
    for key in sorted(kept.keys() | real.keys()):
        if kept.get(key, 0) != real.get(key, 0):
            where = f"project {key[0]}, user {key[1]}, queue {key[2]}, {key[3]}"
            yield Violation("lines_are_counted", where, f"{kept.get(key, 0)} counted, there are {real.get(key, 0)}")
