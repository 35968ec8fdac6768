"""Routes about the daemon itself. Status answers even when the control loop is stuck: it asks nothing of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import ApiError, Context, answer, body_of, caller_from, context_of
from tenure.api.listener import Listener
from tenure.api.parameters import Switch
from tenure.api.problems import failure
from tenure.api.routes import Routes
from tenure.api.weaknesses import weaknesses
from tenure.control.loop import STUCK_AFTER_S
from tenure.model.access import Permission
from tenure.model.people import Note
from tenure.wire import PROTOCOL, ROOT
from tenure.wire.dto import BackupReply, BackupRequest, CheckView, DoctorReply, ErrorReply, StatusView
from tenure.wire.resources import SettingsReply

routes = Routes(ROOT)
DOWN_NOTED_S = 2.0
"""A loop that does not turn must not keep anybody from stopping the daemon."""
_LEVELS = ("ok", "note", "warning", "problem")


def problems_of(context: Context) -> list[str]:
    """What is wrong with the loop, in sentences; empty when it is healthy."""
    health = context.loop.health
    found = []
    stuck_s = health.stuck_for_s()
    if stuck_s > STUCK_AFTER_S:
        found.append(
            f"the control loop has been in one turn for {stuck_s:.0f} s; nothing is started: see the daemon's log, then tenure down"
        )
    if health.stopped_why:
        found.append(f"the control loop has ended: {health.stopped_why}")
    return found


@routes.get("/status", StatusView, needs=Permission.CLUSTER_READ)
async def status(request: Request) -> Response:
    """The daemon about itself."""
    context, caller = context_of(request), caller_from(request)
    is_wide = caller.may(Permission.MACHINE_READ)
    problems = problems_of(context)
    health = context.loop.health
    pid, version, limits = await asyncio.to_thread(context.supervisor)
    try:
        counts = await asyncio.to_thread(context.queries.counts)
        troubles = await asyncio.to_thread(context.queries.anomalies)
        visible = await asyncio.to_thread(context.queries.seen, caller, [one.job_id for one in troubles if one.job_id])
        troubles = [one for one in troubles if not one.job_id or one.job_id in visible]
    except Exception as error:
        counts, troubles = {}, []
        problems.append(f"the store cannot be read: {error}")
    view = StatusView(
        version=context.version,
        protocol=PROTOCOL,
        pid=context.pid,
        home=str(context.home) if is_wide else "",
        socket=str(context.socket) if is_wide else "",
        store=context.queries.url if is_wide else "",
        started_ms=context.started_ms,
        healthy=not problems,
        problems=problems + ([f"the last error of the loop: {health.last_error}"] if health.last_error and is_wide else []),
        anomalies=[f"job {one.job_id}: {one.text}" if one.job_id else one.text for one in troubles],
        loop_age_ms=int(health.stuck_for_s() * 1000),
        cycles=health.cycles,
        revision=context.loop.planner.revision,
        supervisor_pid=pid,
        supervisor_version=version,
        limits=limits,
        counts=counts,
        url=context.listener.url if context.listener is not None else "",
        warnings=context.listener.warnings() if context.listener is not None else [],
    )
    return answer(view)


@routes.get("/doctor", DoctorReply, needs=Permission.MACHINE_READ)
async def doctor(request: Request, check_store: Switch = 0) -> Response:
    """What is enforced, what is advisory, what is wrong, and what to do about it."""
    context = context_of(request)
    checks = [CheckView(name="loop", level="problem", text=text) for text in problems_of(context)]
    checks += await asyncio.to_thread(context.diagnose, False)
    checks += _listening(context.listener)
    if context.identity.shared:
        checks.append(_shared(context.root_jobs))
    checks += await asyncio.to_thread(weaknesses, context)
    if check_store:
        violations = await context.on_control(context.loop.ports.store.check)
        checks += [CheckView(name=f"store: {v.invariant}", level="problem", text=f"{v.subject}: {v.detail}") for v in violations]
        if not violations:
            checks.append(CheckView(name="store", level="ok", text="every invariant holds"))
    return answer(DoctorReply(checks=sorted(checks, key=lambda check: _LEVELS.index(check.level))))


def _shared(root_jobs: bool) -> CheckView:
    """That users share the daemon, and how."""
    if root_jobs:
        remedy = "leave root = true out of [shared] in the settings"
        return CheckView(name="shared", level="warning", text="jobs of root run as root for whoever is root here", remedy=remedy)
    return CheckView(name="shared", level="ok", text="users share this daemon; each job runs as its user, none as root")


def _listening(listener: Listener | None) -> list[CheckView]:
    """How it is reached over TCP."""
    if listener is None:
        return [CheckView(name="listener", level="ok", text="the unix socket alone: no port is open")]
    level = "problem" if listener.is_exposed else "warning"
    remedy = "give it a certificate: tenure cert create, then tenure up --tls-cert FILE --tls-key FILE"
    found = [CheckView(name="listener", level=level, text=text, remedy=remedy) for text in listener.warnings()]
    how = "TLS" if listener.tls is not None else "no TLS"
    return found or [CheckView(name="listener", level="ok", text=f"listens on {listener.address} ({how}); a token is always asked for")]


@routes.get("/settings", SettingsReply, needs=Permission.MACHINE_READ)
async def settings(request: Request) -> Response:
    """The settings that hold, by section, without secrets."""
    return answer(SettingsReply(settings=dict(context_of(request).settings)))


_ELSEWHERE = "name a file in a directory that is there, lets you write and has room"


@routes.post("/backup", BackupRequest, BackupReply, errors=("backup_failed",), needs=Permission.DAEMON_WRITE)
async def backup(request: Request) -> Response:
    """Write a consistent copy of the store."""
    context = context_of(request)
    wish = await body_of(request, BackupRequest)
    target = Path(wish.path)
    if not target.is_absolute():
        raise failure("bad_request", f"{target} is no full path", "begin it with /")
    if target.exists():
        raise failure("bad_request", f"{target} exists already", "name a new file")
    await context.apply([Note("", caller_from(request), "backup", str(target))])
    try:
        jobs = await asyncio.to_thread(context.queries.backup, target)
    except OSError as error:
        raise ApiError(
            507, ErrorReply(code="backup_failed", message=f"the copy could not be written: {error}", remedy=_ELSEWHERE)
        ) from None
    return answer(BackupReply(path=str(target), bytes=os.path.getsize(target), jobs=jobs))


@routes.post("/down", needs=Permission.DAEMON_WRITE)
async def down(request: Request) -> Response:
    """Stop the daemon after this answer; jobs go on."""
    context = context_of(request)
    noting = asyncio.ensure_future(context.apply([Note("", caller_from(request), "down")]))
    await asyncio.wait([noting], timeout=DOWN_NOTED_S)
    asyncio.get_running_loop().call_later(0.05, context.shut_down)
    return answer({})
