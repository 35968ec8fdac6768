"""Simulations as rows: what was asked for is kept until it has ended, so that the next daemon can begin it anew; what came of it after
that, for a while.

Traces and results are kept compressed. Invariants: at most `MOST_AT_ONCE` run, `MOST_OF_ONE` of a person; at most `KEPT` that have
ended are kept, none longer than `KEPT_MS`, and the newest of all always, so that no number is given twice.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from sqlalchemy import or_, select

from tenure.model.commands import Answer, Applied, Refused
from tenure.model.simulation import MOST_AT_ONCE, MOST_OF_ONE, RUNNING, BeginSimulation, SimulationNote
from tenure.store.intern import next_id
from tenure.store.measured import simulation
from tenure.store.sql import InList, Link, Statement, const, insert, param
from tenure.store.tx import Transaction, to_json

KEPT = 50
KEPT_MS = 30 * 86_400_000
_QUICK = 1
_SHOWN = ("id", "uid", "user_name", "state", "policies", "made_ms", "begun", "done", "total", "policy", "code", "text", "ended_ms")
_ALL = [simulation.c[name] for name in _SHOWN]
INSERT = insert(simulation, "id", "uid", "made_ms", "user_name", "state", "policies", "request")
RUNS = Statement(select(simulation.c.uid).where(simulation.c.state == const(RUNNING)))
UNFINISHED = Statement(
    select(simulation.c.id, simulation.c.begun, simulation.c.request)
    .where(simulation.c.state == const(RUNNING))
    .order_by(simulation.c.id)
)
LISTED = Statement(
    select(*_ALL).where(or_(param("uid") == const(-1), simulation.c.uid == param("uid2"))).order_by(simulation.c.id.desc()),
    "uid",
    "uid2",
)
ONE = Statement(select(*_ALL, simulation.c.result).where(simulation.c.id == param("id")), "id")
_IS_RUNNING = simulation.c.state == const(RUNNING)
_STANDING = (simulation.c.policy, param("policy")), (simulation.c.done, param("done")), (simulation.c.total, param("total"))
PROGRESS = Statement(
    simulation.update()
    .ordered_values(*_STANDING, (simulation.c.begun, simulation.c.begun + param("again")))
    .where(simulation.c.id == param("id"), _IS_RUNNING),
    *("policy", "done", "total", "again", "id"),
)
END = Statement(
    simulation.update()
    .ordered_values(
        (simulation.c.state, param("state")),
        *_STANDING,
        (simulation.c.code, param("code")),
        (simulation.c.text, param("text")),
        (simulation.c.result, param("result")),
        (simulation.c.ended_ms, param("ended")),
        (simulation.c.request, const("")),
    )
    .where(simulation.c.id == param("id"), _IS_RUNNING),
    *("state", "policy", "done", "total", "code", "text", "result", "ended", "id"),
)
ENDED = Statement(
    select(simulation.c.id, simulation.c.ended_ms).where(simulation.c.ended_ms.is_not(None)).order_by(simulation.c.id.desc())
)
DROP = InList(lambda keys: simulation.delete().where(simulation.c.id.in_(keys)))


class SimulationRow(NamedTuple):
    """A simulation, without what was asked for and what came of it."""

    id: int
    uid: int
    user: str
    state: str
    policies: str
    made_ms: int
    begun: int
    done: int
    total: int
    policy: str
    code: str
    text: str
    ended_ms: int | None


def begin(tx: Transaction, command: BeginSimulation) -> Answer:
    """Keep a simulation that is to run."""
    running = [uid for (uid,) in tx.link.rows(RUNS)]
    if len(running) >= MOST_AT_ONCE or running.count(command.caller.uid) >= MOST_OF_ONE:
        text = f"{len(running)} simulations run already; one person runs {MOST_OF_ONE} at a time, all together {MOST_AT_ONCE}"
        return Refused("too_many", f"{text}; wait for one, or cancel it")
    number = next_id(tx.link, simulation)
    caller, request = command.caller, zlib.compress(command.request, _QUICK)
    tx.link.write(INSERT, number, caller.uid, tx.now_ms, caller.user, RUNNING, to_json(command.policies), request)
    return Applied(0, tx.event_seq, note=str(number))


def note(tx: Transaction, told: SimulationNote) -> None:
    """Keep how a simulation stands, or how it ended; one that is over stays as it is."""
    if told.state == RUNNING:
        tx.link.write(PROGRESS, told.policy, told.done, told.total, int(told.again), told.number)
        return
    result = zlib.compress(told.result, _QUICK)
    tx.link.write(END, told.state, told.policy, told.done, told.total, told.code, told.text, result, tx.now_ms, told.number)
    drop_old(tx)


def drop_old(tx: Transaction) -> int:
    """Remove those that are too many or too old; how many."""
    found = tx.link.rows(ENDED)
    gone = [number for place, (number, at_ms) in enumerate(found) if place and (place >= KEPT or at_ms < tx.now_ms - KEPT_MS)]
    return tx.link.write_in(DROP, gone)


def listed(link: Link, uid: int) -> list[SimulationRow]:
    """Those of a user (-1: everybody), the newest first."""
    return [SimulationRow(*row) for row in link.rows(LISTED, uid, uid)]


def one(link: Link, number: int) -> tuple[SimulationRow, bytes] | None:
    """A simulation and what came of it, in JSON."""
    row = link.row(ONE, number)
    return (SimulationRow(*row[:-1]), zlib.decompress(row[-1]) if row[-1] else b"") if row is not None else None


def unfinished(link: Link) -> list[tuple[int, int, bytes]]:
    """Those that run or should: number, how often it was begun, and what its process is told."""
    return [(number, begun, zlib.decompress(request)) for number, begun, request in link.rows(UNFINISHED)]
