"""The composition root: builds a daemon from settings and runs it; the only module that knows every part.

``python -m tenure.bootstrap daemon --home DIR [--detach]`` is what ``tenure up`` and the first command of a user start.
Invariants: one daemon per home (a file lock that dies with the process); the daemon never owns a task (the supervisor does), so
that its end, however violent, ends nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tenure import config
from tenure.client import paths
from tenure.client.paths import ALREADY_RUNS
from tenure.config.flags import NO_FLAGS, Flags, add_options, parsed
from tenure.executors.local import commons
from tenure.model.amounts import parse_bytes, parse_duration_ms
from tenure.ports import StoreUnavailable
from tenure.process import allow_many_files, answer_promptly, become_frugal, listen, log, only_one
from tenure.process import detach as leave_terminal

if TYPE_CHECKING:
    from tenure.api.bus import Bus
    from tenure.api.context import Context
    from tenure.api.listener import Listener
    from tenure.control.loop import ControlLoop
    from tenure.control.steps import Ports
    from tenure.executors.local.executor import LocalExecutor
    from tenure.monitors.notify import Notifier
    from tenure.store.files import Sweeping
    from tenure.store.settings import StoreSettings
    from tenure.store.store import SqlStore
    from tenure.wire.dto import CheckView

FIRST_TURN_S = 10.0


class StartupError(Exception):
    """The daemon cannot start; the message is one sentence with the way out. ``code`` is stable."""

    def __init__(self, message: str, code: str = "not_started", remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


class SystemClock:
    """The wall clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Parts:
    """What a daemon is made of. A test replaces parts before `serve`."""

    home: str
    settings: config.Settings
    store: SqlStore
    executor: LocalExecutor
    ports: Ports
    clock: SystemClock
    listener: Listener | None = None
    entrance: socket.socket | None = None


def build(home: str, settings: config.Settings) -> Parts:
    """Open the store, reach the supervisor, choose the policy. Raises StartupError or StoreUnavailable."""
    from tenure.control.steps import Ports, adopt_policy
    from tenure.executors.local.connection import SupervisorError
    from tenure.executors.local.executor import LocalExecutor
    from tenure.executors.local.settings import settings_of
    from tenure.policies.words import BadPolicy
    from tenure.store.opening import open_sqlite

    clock = SystemClock()
    for folder in paths.reports(home):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    store = open_sqlite(paths.database(home), store_settings(home, settings))
    try:
        listener = listener_of(settings, store, clock.now_ms())
    except StartupError:
        store.close()
        raise
    try:
        executor = LocalExecutor(settings_of(home, settings), watched=True)
    except (SupervisorError, OSError) as error:
        store.close()
        raise StartupError(f"the supervisor that runs tasks cannot be reached: {error}; see {home}/log/supervisor.log") from None
    holder = f"{socket.gethostname()}:{os.getpid()}:{clock.now_ms()}"
    # The home's file lock has already decided that nobody else leads; the lease only draws a fresh epoch.
    epoch = store.elect(holder, lease_ms=0, now_ms=clock.now_ms())
    if epoch is None:
        raise StartupError("another daemon holds this store; stop it first")
    define_queues(store, settings, clock.now_ms())
    store.define_projects(clock.now_ms())
    try:
        policy = adopt_policy(store, settings.plan.settings(), clock.now_ms())
    except BadPolicy as error:
        raise StartupError(f"[plan] in {paths.config_file(home)} cannot be used: {error}") from None
    ports = Ports(store, executor, policy, epoch)
    return Parts(home, settings, store, executor, ports, clock, listener)


def listener_of(settings: config.Settings, store: SqlStore, now_ms: int) -> Listener | None:
    """The TCP listener of the settings, bound; None where they want none. Raises StartupError when it must not be."""
    if not settings.listen.address:
        return None
    from tenure.api.listener import Refusal, opened
    from tenure.model.people import TOKEN

    with contextlib.closing(store.queries()) as queries:
        has_users = any(token.kind == TOKEN and token.is_valid(now_ms) for token in queries.tokens())
    try:
        return opened(settings.listen, has_users)
    except Refusal as refusal:
        raise StartupError(refusal.message, refusal.code, refusal.remedy) from None


def serve(parts: Parts, listening: socket.socket, ready: Callable[[], None] = lambda: None) -> int:
    """Run the control loop and the HTTP server until told to stop; the exit code."""
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        return runner.run(_serve(parts, listening, ready))


def _event_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


async def _serve(parts: Parts, listening: socket.socket, ready: Callable[[], None]) -> int:
    from tenure.api import serving, watching
    from tenure.api.bus import Bus
    from tenure.api.front import Front
    from tenure.api.limits import Limits
    from tenure.api.simulations import Simulations
    from tenure.control.loop import ControlLoop

    bus = Bus(asyncio.get_running_loop())
    loop = ControlLoop(parts.ports, parts.clock, bus.publish, probe_every_s=_probe_every_s(parts), log=log)
    context = _context(parts, loop, bus, listening)
    context.listener, context.limits = parts.listener, Limits(parts.settings.listen)
    context.identity.shared, context.root_jobs = parts.settings.shared.on, parts.settings.shared.root
    server = serving.server(Front(context), parts.listener, paths.access_log(parts.home), shared=parts.settings.shared.on)
    context.shut_down = lambda: setattr(server, "should_exit", True)
    runner = threading.Thread(target=_run_loop, args=(loop, context.shut_down), name="control")
    runner.start()
    sweeping = _sweeping(parts)
    sweeping.start()
    scrapes: asyncio.Server | None = None
    notifiers: list[Notifier] = []
    resuming: asyncio.Task[None] | None = None
    try:
        # Who connects before that waits in the socket's queue. A loop that cannot turn must not hide the status that says so.
        await asyncio.to_thread(loop.met.wait, FIRST_TURN_S)
        ready()
        context.watch = watching.watch(context, parts.settings, parts.store, paths.reports(parts.home))
        scrapes = await watching.port(context, parts.settings.monitor)
        resuming = asyncio.create_task(context.kept(Simulations).resume())
        notifiers += watching.notifiers(context, parts.settings, parts.home)
        for warning in parts.listener.warnings() if parts.listener is not None else ():
            log(f"WARNING: {warning}")
        await server.serve(sockets=[listening] if parts.entrance is None else [listening, parts.entrance])
    finally:
        if resuming is not None:
            resuming.cancel()
        if scrapes is not None:
            scrapes.close()
        loop.stop()
        await asyncio.to_thread(runner.join)
        await asyncio.to_thread(sweeping.stop)
        for notifier in notifiers:
            await asyncio.to_thread(notifier.stop)
        if context.watch is not None:
            await asyncio.to_thread(context.watch.stop)
        # Nothing is left running for nobody: a supervisor without tasks goes too, and an upgrade brings a new one.
        parts.executor.dismiss_idle()
        parts.executor.close()
        context.queries.close()
        parts.store.close()
    return 1 if loop.health.stopped_why else 0


def _sweeping(parts: Parts) -> Sweeping:
    """What removes the files that belong to no job any more."""
    from tenure.executors.local.supervisor.lengths import directory_of
    from tenure.store.files import Files, Places, Sweeping

    home = parts.home
    places = Places(paths.logs_dir(home), paths.snapshots_dir(home), paths.scripts_dir(home), directory_of(home))
    return Sweeping(Files(parts.store.database, places), parts.store.settings.keep_released_ms, log)


def _run_loop(loop: ControlLoop, shut_down: Callable[[], None]) -> None:
    """The control thread; a loop that ends by itself takes the server with it."""
    try:
        loop.run()
    finally:
        shut_down()


def _context(parts: Parts, loop: ControlLoop, bus: Bus, listening: socket.socket) -> Context:
    from tenure.api.context import Context
    from tenure.config.telling import told
    from tenure.control.hinting import Hints
    from tenure.executors.local.tasks import holder_of

    return Context(
        loop=loop,
        queries=parts.store.queries(),
        bus=bus,
        home=Path(parts.home),
        socket=Path(listening.getsockname()),
        default_memory_bytes=parse_bytes(parts.settings.default_memory) if parts.settings.default_memory else 0,
        own_plan=parts.settings.plan.settings(),
        settings=told(parts.settings),
        pools=config.pools_of(parts.settings),
        started_ms=parts.clock.now_ms(),
        diagnose=lambda _deep: diagnose(parts),
        supervisor=parts.executor.supervisor,
        log_length_at=parts.executor.log_length_at,
        environment_of=parts.executor.environment,
        hints=Hints(loop.call, lambda given, withdrawn: parts.store.tell_hints(given, withdrawn, parts.clock.now_ms())),
        holder_of=holder_of,
        max_ttl_ms=parse_duration_ms(parts.settings.leases.max_ttl),
    )


def _probe_every_s(parts: Parts) -> float:
    """How often devices are looked at while nothing happens; never, on a machine without any."""
    return parse_duration_ms(parts.settings.node.probe) / 1000 if parts.executor.has_devices else 0.0


def diagnose(parts: Parts) -> list[CheckView]:
    """The executor's findings as the wire shows them."""
    from tenure.wire.dto import CheckView

    return [CheckView(name=f.name, level=f.level, text=f.text, remedy=f.remedy) for f in parts.executor.diagnose()]


def define_queues(store: SqlStore, settings: config.Settings, now_ms: int) -> None:
    """Make the queues of the settings; the others are left as they are."""
    from tenure.model.access import SCHEDULER
    from tenure.model.commands import SetQueue

    commands = [
        SetQueue(
            f"settings:{now_ms}:{name}",
            SCHEDULER,
            name,
            queue.paused,
            parse_duration_ms(queue.default_time) if queue.default_time else 0,
            parse_duration_ms(queue.max_time) if queue.max_time else 0,
            queue.bonus,
        )
        for name, queue in sorted(settings.queues.items())
    ]
    if commands:
        store.apply(commands, now_ms)


def store_settings(home: str, settings: config.Settings) -> StoreSettings:
    """What the store must be told of the settings."""
    from tenure.store.settings import StoreSettings

    keep = settings.retention
    return StoreSettings(
        log_dir=paths.logs_dir(home),
        plan=settings.plan.settings(),
        keep_released_ms=parse_duration_ms(keep.runs),
        keep_events_ms=parse_duration_ms(keep.events),
        keep_samples_ms=parse_duration_ms(keep.samples),
        keep_steps_ms=(parse_duration_ms(keep.fine), parse_duration_ms(keep.minutes), parse_duration_ms(keep.coarse)),
        keep_audit_ms=config.audit_span_ms(keep.audit),
        projects=tuple(project.project(name) for name, project in sorted(settings.projects.items())),
    )


def restore(home: str, copy: Path) -> int:
    """Put a backup in the place of the store, which is kept beside it. Only while no daemon runs."""
    from tenure.store.backup import check_copy, put_back

    paths.ensure_runtime_dir(home)
    lock = only_one(paths.daemon_lock(home))
    if lock is None:
        raise StartupError("a daemon runs for this home; stop it first: tenure down")
    jobs = check_copy(copy)
    target = Path(paths.database(home))
    with lock:
        put_back(copy, target)
    print(f"restored {jobs} jobs from {copy}")
    return 0


# --- the process


def daemon(home: str, *, detach: bool, flags: Flags = NO_FLAGS, alter: Callable[[Parts], Parts] = lambda parts: parts) -> int:
    """Run the daemon of one home. Returns its exit code when stopped, or at once when another one runs. ``flags`` stand before the
    settings; ``alter`` may replace parts."""
    paths.ensure_runtime_dir(home)
    lock = only_one(paths.daemon_lock(home))
    if lock is None:
        print("a daemon already runs for this home; see tenure status", file=sys.stderr)
        return ALREADY_RUNS
    try:
        settings = flags.over(config.load(Path(paths.config_file(home))))
    except (config.ConfigError, ValueError) as error:
        raise StartupError(str(error), "settings") from None
    gid = shared_with(home, settings)
    if detach:
        leave_terminal(paths.daemon_log(home))
    # The pid in the lock file is for people; the lock itself is what counts.
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    Path(paths.daemon_flags(home)).write_text(json.dumps(flags.words()))
    become_frugal()
    answer_promptly()
    allow_many_files()
    listening = listen(Path(paths.daemon_socket(home)))
    try:
        parts = alter(build(home, settings))
        if settings.shared.on:
            parts.entrance = commons.listen(home, gid)
        return serve(parts, listening)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(paths.daemon_socket(home))


def shared_with(home: str, settings: config.Settings) -> int | None:
    """Prepare a home that is shared; the gid of its group, None where it is open to all or not shared. Raises StartupError."""
    if not settings.shared.on:
        return None
    try:
        gid = commons.check(home, settings.shared.group)
        commons.prepare(home, gid)
    except commons.CannotShare as error:
        raise StartupError(str(error), error.code, error.remedy) from None
    return gid


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m tenure.bootstrap``."""
    parser = argparse.ArgumentParser(prog="tenure-daemon")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("daemon")
    run.add_argument("--home", required=True)
    run.add_argument("--detach", action="store_true")
    add_options(run)
    back = verbs.add_parser("restore")
    back.add_argument("--home", required=True)
    back.add_argument("copy", type=Path)
    chosen = parser.parse_args(argv)
    try:
        if chosen.verb == "restore":
            return restore(os.path.abspath(chosen.home), chosen.copy)
        return daemon(os.path.abspath(chosen.home), detach=chosen.detach, flags=parsed(chosen))
    except StartupError as error:
        log(f"tenure: [{error.code}] {error}" + (f"; {error.remedy}" if error.remedy else ""))
        return 1
    except (StoreUnavailable, paths.UnsafeDirectory) as error:
        log(f"tenure: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
