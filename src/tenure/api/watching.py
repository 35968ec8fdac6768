"""Monitoring put together: the part of the composition root that knows the watch, what it looks at and where its figures go.

Invariant: what the watch writes is written on the control thread, like everything else; a loop without time costs figures only.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tenure.api.context import Context
from tenure.api.push import samples_to
from tenure.config import Settings
from tenure.config.monitoring import MonitorSettings
from tenure.control.loop import STUCK_AFTER_S
from tenure.executors.local.usage import Usage
from tenure.model.access import SCHEDULER
from tenure.model.anomaly import Anomaly
from tenure.model.commands import CancelJob, Command, RequeueJob, UpdateJob
from tenure.monitors.advice import Advice
from tenure.monitors.anomalies import Anomalies
from tenure.monitors.checkpoints import Checkpoints
from tenure.monitors.holdings import LEFT_CPU, LEFT_MEMORY, Holdings, felt
from tenure.monitors.keeping import Keeping
from tenure.monitors.reports import Reports, Writer
from tenure.monitors.signs import signs
from tenure.monitors.tasks import TaskSampler
from tenure.monitors.watch import Round, Sink, Watch
from tenure.process import log
from tenure.store.store import SqlStore

if TYPE_CHECKING:
    from tenure.monitors.notify import Notifier

T = TypeVar("T")
KEEP_S = 10.0


def watch(context: Context, settings: Settings, store: SqlStore, reports: tuple[str, str]) -> Watch | None:
    """The thread that looks at this machine and its tasks, started; None where the settings want none.

    ``reports``: the folders in which tasks tell of themselves, figures and checkpoints.
    """
    if not settings.monitor.every_s():
        return None
    from tenure.monitors.assembly import watch_of

    now_ms, queries = context.loop.clock.now_ms, context.queries
    usage = Usage(str(context.home))
    keeping = Keeping(
        Reports(reports[0]),
        lambda points, reported: _on_control(context, lambda: store.keep(points, reported, now_ms())),
        lambda keys: {key: Writer(*found) for key, found in queries.writers_of(keys).items()},
        lambda keys: _on_control(context, lambda: store.forget_reports(keys, now_ms())),
    )
    checkpoints = Checkpoints(
        reports[1],
        lambda marks: _on_control(context, lambda: store.note_checkpoints(marks, now_ms())),
        queries.still_open,
    )
    troubles = Anomalies(
        settings.anomalies,
        lambda changed: _on_control(context, lambda: store.note_anomalies(changed, now_ms())),
        lambda trouble: _act(context, trouble),
        queries.anomalies(),
        lambda action: _hindrance(context, action),
    )
    holdings = Holdings(settings.anomalies.over_asked.headroom)
    advice = Advice(context.hints.publish, lambda: context.diagnose(False))
    node = settings.node.name or socket.gethostname().split(".", 1)[0]
    tasks = TaskSampler(queries.live_tasks, usage.read, usage.close)
    sinks: list[tuple[str, Sink]] = [
        ("series", keeping),
        ("checkpoints", checkpoints),
        ("anomalies", lambda seen: _look_for_trouble(context, seen, keeping, troubles, holdings)),
        ("hints", lambda _seen: advice.round(troubles.open)),
        ("push", samples_to(context, settings.monitor.every_s())),
    ]
    made = watch_of(settings.monitor, node, now_ms, log, tasks, sinks)
    made.start()
    return made


def _look_for_trouble(context: Context, seen: Round, keeping: Keeping, troubles: Anomalies, holdings: Holdings) -> None:
    found = [*signs(seen, keeping.reports.latest, context.loop.health.stuck_for_s(), STUCK_AFTER_S)]
    found += felt(
        list(holdings.signs(seen.looks.get("tasks", ()))), lambda: any(one.pending for one in context.queries.queues().queues)
    )
    troubles.round(found, seen.at_ms)


def _hindrance(context: Context, action: str) -> str:
    """Why what is to be done cannot be done under this executor."""
    if action in ("shrink", "restore") and not context.loop.ports.executor.capabilities().resize:
        return "cpu and memory are not enforced by control groups here; tenure doctor says why"
    return ""


def _act(context: Context, trouble: Anomaly) -> None:
    """End, repeat or resize a job, as the settings want; the answer is not waited for."""
    if trouble.action != "restore":  # that is tried in each round until there is room, which may be for hours
        log(f"job {trouble.job_id}: {trouble.text}; action: {trouble.action}")
    key, why = f"anomaly:{trouble.key}:{trouble.opened_ms}", f"{trouble.kind.replace('_', ' ')}: {trouble.text}"
    command: Command
    if trouble.action in ("shrink", "restore"):
        cpu_milli, memory_bytes = trouble.evidence.get(LEFT_CPU), trouble.evidence.get(LEFT_MEMORY)
        change = UpdateJob("", SCHEDULER, trouble.job_id, why=why)
        command = replace(
            change,
            cpu_milli=None if cpu_milli is None else int(cpu_milli),
            memory_bytes=None if memory_bytes is None else int(memory_bytes),
        )
    elif trouble.action == "kill":
        command = CancelJob(key, SCHEDULER, trouble.job_id, why=why)
    else:
        command = RequeueJob(key, SCHEDULER, trouble.job_id)
    context.loop.submit([command])


def _on_control(context: Context, call: Callable[[], T]) -> T:
    """Have something done on the control thread. Raises TimeoutError when that has no time: it may still be done later."""
    result: T = context.loop.call(call).result(KEEP_S)
    return result


def notifiers(context: Context, settings: Settings, folder: str) -> list[Notifier]:
    """Those that tell webhooks what happens, started; how far each has come is kept in ``folder``."""
    if not settings.notify:
        return []
    from tenure.monitors.notify import Notifier, Told, cursor_name

    def read(after: int, limit: int) -> list[Told]:
        found, _ = context.queries.events(after, limit)
        return [Told(event.cursor, event.kind, msgspec.json.encode(event)) for event in found]

    made = [Notifier(one, f"{folder}/{cursor_name(one.url)}", read, context.queries.last_cursor, log) for one in settings.notify]
    for notifier in made:
        notifier.start()
    return made


async def port(context: Context, settings: MonitorSettings) -> asyncio.Server | None:
    """The port for Prometheus, where the settings want one. One that is taken costs the port and not the daemon."""
    address = settings.address()
    if address is None:
        return None
    from tenure.api.scrape import open_port

    try:
        return await open_port(context, *address)
    except OSError as error:
        log(f"{settings.prometheus} cannot be used, so nobody can scrape figures: {error}")
        return None
