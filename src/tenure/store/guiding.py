"""Guidance as rows: made with an end, taken back or over by itself; what it asks for is true for the plans in between.

What it makes of waiting jobs is in `tenure.store.guided`. A policy is chosen as a person would choose it, and what was there before
comes back. Invariants: guidance ends within a day; who may
not act for others moves his own jobs alone; a choice that somebody made meanwhile is not undone by an end.
"""

from __future__ import annotations

from sqlalchemy import func, select

from tenure.model.access import Caller, Permission, Role
from tenure.model.amounts import format_duration_ms
from tenure.model.commands import Answer, Applied, EndGuidance, Guide, Refused, SetPolicy
from tenure.model.guidance import LONGEST_MS, MOST_OPEN, MOST_STEPS, USUAL_MS
from tenure.store.choosing import choose
from tenure.store.chosen import last_choice
from tenure.store.guided import GIVEN, IS_OPEN, ONE, GuidanceRow, read
from tenure.store.intern import next_id
from tenure.store.plan_schema import guidance
from tenure.store.schema import project, user
from tenure.store.sql import Statement, insert, param
from tenure.store.tx import Transaction, to_json

INSERT = insert(guidance, "id", *GIVEN)
DUE = Statement(select(guidance.c.id).where(IS_OPEN, guidance.c.until_ms <= param("now")).order_by(guidance.c.id), "now")
NEXT = Statement(select(func.min(guidance.c.until_ms)).where(IS_OPEN))
END = Statement(
    guidance.update()
    .ordered_values((guidance.c.ended_ms, param("at")), (guidance.c.ended_by, param("by")))
    .where(guidance.c.id == param("id"), IS_OPEN),
    "at",
    "by",
    "id",
)
_PROJECT = Statement(select(project.c.id).where(project.c.name == param("name")), "name")
_USER = Statement(select(user.c.id, user.c.uid).where(user.c.name == param("name")), "name")
_OWN = Statement(select(user.c.id).where(user.c.uid == param("uid")), "uid")


def guide(tx: Transaction, command: Guide) -> Answer:
    """Let guidance stand from this transaction on."""
    refusal = _refusal(tx, command)
    if refusal is not None:
        return refusal
    target = _target(tx, command)
    if isinstance(target, Refused):
        return target
    before = ""
    if command.policy:
        last = last_choice(tx.link)
        before = last.policy if last is not None and last.by_person else ""
        answer = choose(tx, SetPolicy("", command.caller, command.policy))
        if isinstance(answer, Refused):
            return answer
    until_ms = tx.now_ms + (command.length_ms or USUAL_MS)
    number = next_id(tx.link, guidance)
    caller = command.caller
    tx.link.write(
        INSERT,
        number,
        command.steps,
        *target,
        command.name,
        command.policy,
        before,
        command.note,
        caller.uid,
        caller.user,
        tx.now_ms,
        until_ms,
    )
    tx.names.forget_guidance()
    told = {"id": number, "steps": command.steps, "policy": command.policy, "until_ms": until_ms, "by": caller.user}
    return Applied(0, tx.emit("guidance.made", data=to_json(told)), note=str(number))


def _refusal(tx: Transaction, command: Guide) -> Refused | None:
    """Why guidance means nothing, or may not be given."""
    if bool(command.steps) == bool(command.policy):
        return Refused("bad_request", "guidance raises or lowers a class of work, or names a policy: one of the two")
    if not 0 <= command.length_ms <= LONGEST_MS:
        return Refused("bad_request", f"guidance stands for {format_duration_ms(LONGEST_MS)} at most; renew it then")
    if abs(command.steps) > MOST_STEPS:
        return Refused("bad_request", f"a class is raised or lowered by {MOST_STEPS} steps at most")
    if command.policy and not command.caller.may(Permission.POLICY_WRITE):
        return Refused("forbidden", "to let another policy decide takes the role operator; raise or lower your own jobs instead")
    return _too_much(tx, command)


def _too_much(tx: Transaction, command: Guide) -> Refused | None:
    standing = read(tx.link)
    if len(standing) >= MOST_OPEN:
        return Refused("too_many", f"there are {MOST_OPEN} pieces of guidance already; end some with tenure guide end")
    if command.policy and any(row.policy for row in standing):
        return Refused("name_taken", "guidance lets another policy decide already; end that first, see tenure guide")
    return None


def _target(tx: Transaction, command: Guide) -> tuple[int, int, int] | Refused:
    """Project, queue and user of the class, 0 where it is of any."""
    project_id = (tx.link.row(_PROJECT, command.project) or (0,))[0] if command.project else 0
    if command.project and not project_id:
        return Refused("not_found", f"there is no project {command.project!r}; see tenure projects")
    known = tx.names.queues(tx.link).get(command.queue)
    if command.queue and known is None:
        return Refused("not_found", f"there is no queue {command.queue!r}; see tenure queue")
    user_id = _user(tx, command)
    if isinstance(user_id, Refused):
        return user_id
    queue_id = known.id if known is not None else 0
    if command.steps and not (project_id or queue_id or user_id or command.name):
        return Refused("bad_request", "say which work: a project, a queue, a user or a name; raising all of it changes nothing")
    return project_id, queue_id, user_id


def _user(tx: Transaction, command: Guide) -> int | Refused:
    """Whose jobs are meant: those of who is named, or the caller's own where he may not act for others."""
    caller = command.caller
    may_all = _guides_others(caller, command.project)
    if command.user:
        number, uid = tx.link.row(_USER, command.user) or (0, -1)
        if not number:
            return Refused("not_found", f"there is no user {command.user!r} with jobs here")
        refused = Refused("forbidden", "you may raise and lower your own jobs; those of others take the role operator")
        return int(number) if may_all or uid == caller.uid else refused
    if may_all or command.policy:
        return 0
    row = tx.link.row(_OWN, caller.uid)
    return int(row[0]) if row is not None else Refused("not_found", "you have no jobs here yet")


def _guides_others(caller: Caller, project_name: str) -> bool:
    if project_name:
        return caller.role_in(project_name) >= Role.OPERATOR
    return caller.role >= Role.OPERATOR and caller.only is None


def end(tx: Transaction, command: EndGuidance) -> Answer:
    """Take guidance back."""
    row = tx.link.row(ONE, command.guidance)
    if row is None:
        return Refused("not_found", f"there is no guidance {command.guidance}; see tenure guide")
    found = GuidanceRow(*row)
    if found.uid != command.caller.uid and not _guides_others(command.caller, found.project or ""):
        return Refused("not_yours", f"guidance {found.id} is {found.made_by}'s; an operator may end it")
    if found.ended_ms is not None:
        return Applied(0, tx.event_seq, note="it is over already")
    return Applied(0, _over(tx, found, command.caller))


def _over(tx: Transaction, found: GuidanceRow, caller: Caller) -> int:
    """End what stands; the policy that it chose gives way to the one before, unless somebody has chosen since."""
    tx.link.write(END, tx.now_ms, caller.user, found.id)
    tx.names.forget_guidance()
    last = last_choice(tx.link) if found.policy else None
    if last is not None and last.by_person and last.policy == found.policy:
        choose(tx, SetPolicy("", Caller(found.uid, found.made_by, Role.OPERATOR), found.before))
    return tx.emit("guidance.ended", data=to_json({"id": found.id, "by": caller.user}))


def expire(tx: Transaction, caller: Caller) -> tuple[int, int]:
    """End what has stood for its time; when to look again (a new one may make that sooner), and how much ended."""
    due = tx.link.rows(DUE, tx.now_ms)
    for (number,) in due:
        row = tx.link.row(ONE, number)
        assert row is not None
        _over(tx, GuidanceRow(*row), caller)
    return int((tx.link.row(NEXT) or (None,))[0] or tx.now_ms + LONGEST_MS), len(due)
