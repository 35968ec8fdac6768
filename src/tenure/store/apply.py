"""User commands, one by one: the same key from the same caller has one effect and gives the same answer.

A command is checked completely before it writes, so a refused one leaves nothing behind and does not hinder the others. A refusal is
not remembered under its key: what was refused may be asked again once its cause is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_args

from sqlalchemy import select

from tenure.model.commands import AcquireLease, Answer, Applied, Command, Refused, SubmitJob
from tenure.model.people import CreateToken
from tenure.model.simulation import BeginSimulation
from tenure.store.acts import act
from tenure.store.audit import Recording
from tenure.store.intern import digest_of, encode_stable
from tenure.store.leases import acquire
from tenure.store.schema import idempotency
from tenure.store.sql import InList, insert, param
from tenure.store.submit import Submissions, submit
from tenure.store.tx import Transaction

_CONTENT: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind) if field.name not in ("key", "caller")) for kind in get_args(Command)
}
_CONTENT[AcquireLease] = ("asked",)
_CONTENT[CreateToken] = tuple(name for name in _CONTENT[CreateToken] if name not in ("digest", "prefix", "expires_ms"))
_TAKES_ROOM = (SubmitJob, AcquireLease, BeginSimulation)

KNOWN_KEYS = InList(
    lambda keys: select(
        idempotency.c.key, idempotency.c.content, idempotency.c.job_id, idempotency.c.revision, idempotency.c.note
    ).where(idempotency.c.uid == param("uid"), idempotency.c.key.in_(keys)),
    "uid",
)
INSERT_KEY = insert(idempotency, "uid", "key", "content", "job_id", "revision", "note", "at_ms")


def apply(tx: Transaction, commands: Sequence[Command], *, is_full: bool = False) -> list[Answer]:
    """One answer per command, in order. On a disk that is full nothing new is taken in."""
    known = _known(tx, commands)
    fresh: list[tuple[object, ...]] = []
    collected = Submissions()
    recording = Recording(tx)
    answers: list[Answer] = []
    for command in commands:
        key = (command.caller.uid, command.key)
        content = content_of(command)
        seen = known.get(key)
        if seen:
            answer = _replay(seen, content)
        elif is_full and isinstance(command, _TAKES_ROOM):
            answer = Refused("disk_full", "the disk is full, so nothing new is queued; free some space and submit again")
        else:
            tx.before = {}
            answer = _carry_out(tx, command, collected)
        answers.append(answer)
        if not seen:
            recording.add(command, answer)
        if seen is None and isinstance(answer, Applied) and command.key:
            known[key] = (content, answer.job_id, answer.revision, answer.note)
            fresh.append((*key, *known[key], tx.now_ms))
    collected.write(tx)
    recording.close()
    tx.link.write_many(INSERT_KEY, fresh)
    return answers


def content_of(command: Command) -> str:
    """A digest of what a command asks for, whoever asks and under whatever key."""
    body = tuple(getattr(command, name) for name in _CONTENT[type(command)])
    return digest_of(type(command).__name__.encode(), encode_stable(body))


def _known(tx: Transaction, commands: Sequence[Command]) -> dict[tuple[int, str], tuple[str, int, int, str]]:
    by_uid: dict[int, list[str]] = {}
    for command in commands:
        if command.key:
            by_uid.setdefault(command.caller.uid, []).append(command.key)
    return {
        (uid, key): (content, job_id, revision, note)
        for uid, keys in by_uid.items()
        for key, content, job_id, revision, note in tx.link.rows_in(KNOWN_KEYS, keys, uid)
    }


def _replay(seen: tuple[str, int, int, str], content: str) -> Answer:
    if seen[0] != content:
        return Refused("key_reused", "this idempotency key was used for another command; make a new key")
    return Applied(seen[1], seen[2], replayed=True, note=seen[3])


def _carry_out(tx: Transaction, command: Command, collected: Submissions) -> Answer:
    if isinstance(command, SubmitJob):
        return submit(tx, command, collected)
    if isinstance(command, AcquireLease):
        return acquire(tx, command, collected)
    collected.write(tx)
    return act(tx, command)
