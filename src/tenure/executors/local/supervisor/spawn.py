"""Starting one process: directory, log files, program, group, `posix_spawn`.

Why never a launcher or `preexec_fn`: a launcher costs as much as a short task, and `preexec_fn` forks the interpreter.
Directory and umask belong to the supervisor's process, which has one thread, so they are set just before the spawn.
Invariant: either a process runs and its pid is returned, or `Rejected` says whose fault it is and what to do.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from time import CLOCK_BOOTTIME, clock_gettime_ns

from . import clock, proc
from .groups import SMALLEST_MEMORY_BYTES, Kind
from .protocol import Launch, Template
from .task import Task

FIRST_DEVICE_FD = 100
_DEFAULTED = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGCHLD")]
LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class Rejected(Exception):
    """The task cannot start. `fault` is `job` (it would fail anywhere) or `node`."""

    def __init__(self, fault: str, code: str, why: str) -> None:
        super().__init__(why)
        self.fault = fault
        self.code = code
        self.why = why


class Spawner:
    """Starts processes for one home. `close` it between batches, so that no directory is kept busy."""

    def __init__(self, home: str, home_tag: str, kind: Kind | None) -> None:
        self._home = os.path.join(home, "")
        self._tag = home_tag
        self._kind = kind
        self._null = os.open(os.devnull, os.O_RDWR)
        self._cwd = ""
        self._umask = os.umask(0o077)
        os.umask(self._umask)

    def spawn(self, launch: Launch, task: Task, device_fds: list[int]) -> None:
        """Start it in `task.group`; sets pid and start time of `task`.

        :raises Rejected: nothing was started.
        """
        template = launch.template
        if task.memory_bytes and task.memory_bytes < SMALLEST_MEMORY_BYTES:
            raise Rejected("job", "memory_too_small", "no program starts in less than 8 MiB of memory; ask for more")
        self._step_into(template.cwd)
        if template.umask != self._umask:
            os.umask(template.umask)
            self._umask = template.umask
        logs = self._open_logs(launch)
        actions = [
            (os.POSIX_SPAWN_DUP2, self._null, 0),
            (os.POSIX_SPAWN_DUP2, logs[0], 1),
            (os.POSIX_SPAWN_DUP2, logs[-1], 2),
        ]
        for index, fd in enumerate(device_fds):
            actions.append((os.POSIX_SPAWN_DUP2, fd, FIRST_DEVICE_FD + index))
        env = {**template.env, **launch.env}
        env[b"TENURE_TASK_TAG"] = tag_of(self._tag, task.attempt, task.task)
        try:
            self._start(launch, task, env, actions)
        finally:
            for fd in logs:
                os.close(fd)

    def rest(self) -> None:
        """Leave the last task's directory."""
        if self._cwd:
            os.chdir("/")
            self._cwd = ""

    def _step_into(self, cwd: str) -> None:
        if cwd == self._cwd:
            return
        try:
            os.chdir(cwd)
        except OSError as error:
            why = f"the working directory {cwd} cannot be entered: {error.strerror}; create it or submit from another one"
            raise Rejected("job", "cwd_missing", why) from None
        self._cwd = cwd

    def _open_logs(self, launch: Launch) -> list[int]:
        logs: list[int] = []
        for path in (launch.stdout, launch.stderr):
            if path is None:
                continue
            try:
                fd = _opened(path)
                logs.append(fd)
                os.set_blocking(fd, True)
            except OSError as error:
                for fd in logs:
                    os.close(fd)
                raise self._log_rejection(path, error) from None
        return logs

    def _log_rejection(self, path: str, error: OSError) -> Rejected:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Rejected("node", "disk_full", f"there is no room for the log {path}; free some space")
        ours = path.startswith(self._home) or error.errno in (errno.EMFILE, errno.ENFILE, errno.EROFS)
        return Rejected("node" if ours else "job", "log_unwritable", f"the log {path} cannot be opened: {error.strerror}")

    def _start(self, launch: Launch, task: Task, env: dict[bytes, bytes], actions: list[tuple[int, int, int]]) -> None:
        program = found_program(launch)
        try:
            self._in_group(task, lambda: _spawned(program, launch.argv, env, actions))
        except OSError as error:
            if task.pid:
                raise  # it runs, but could not be confined
            launch.template.programs.clear()
            raise spawn_rejection(program, error) from None

    def _in_group(self, task: Task, begin: Callable[[], int]) -> None:
        """Start what `begin` starts in the task's group; sets pid and start time of `task`."""
        before = clock_gettime_ns(CLOCK_BOOTTIME)
        group, kind = task.group, self._kind
        if group is not None and kind is not None:
            try:
                group.enter()
                pid = begin()
            finally:
                kind.leave()
        else:
            pid = begin()
        after = clock_gettime_ns(CLOCK_BOOTTIME)
        task.pid = pid
        task.started_boot_ms = after // 1_000_000
        task.start_ticks = after // clock.TICK_NS
        if before // clock.TICK_NS != task.start_ticks:
            found = proc.stat(pid)  # our child, so it is there even if it has ended
            task.start_ticks = found.start_ticks if found else task.start_ticks
        if group is not None:
            group.confine(pid, task.cpu_milli, task.memory_bytes)


def tag_of(home_tag: str, attempt: int, task: int) -> bytes:
    """The environment tag of a task's processes."""
    return f"{home_tag}/{attempt}/{task}".encode()


def _spawned(program: str, argv: list[str], env: dict[bytes, bytes], actions: list[tuple[int, int, int]]) -> int:
    return os.posix_spawn(program, argv, env, file_actions=actions, setsid=True, setsigdef=_DEFAULTED, setsigmask=())


def _opened(path: str) -> int:
    try:
        return os.open(path, LOG_FLAGS, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, LOG_FLAGS, 0o666)


def found_program(launch: Launch) -> str:
    """The program's path, looked up once per template on the PATH of the task, not on ours."""
    name, template = launch.argv[0], launch.template
    if "/" in name:
        return name
    path = launch.env.get(b"PATH")
    if path is not None:
        return _on_path(name, os.fsdecode(path))
    program = template.programs.get(name)
    if program is None:
        program = template.programs[name] = _on_path(name, template.path)
    return program


def _on_path(name: str, path: str) -> str:
    blocked = ""
    for directory in path.split(":"):
        candidate = os.path.join(directory or ".", name)
        if os.path.isfile(candidate):
            if os.access(candidate, os.X_OK):
                return candidate
            blocked = blocked or candidate
    if blocked:
        raise Rejected("job", "not_executable", f"{blocked} is not executable; chmod +x it")
    raise Rejected("job", "not_found", f"the command {name!r} is in no directory of the job's PATH ({path})")


def spawn_rejection(program: str, error: OSError) -> Rejected:
    """Whose fault it is that a program was not executed, in a sentence."""
    if error.errno == errno.ENOENT and os.path.exists(program):
        return Rejected("job", "not_found", f"{program} names an interpreter in its first line that does not exist")
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
        return Rejected("job", "not_found", f"there is no program {program}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Rejected("job", "not_executable", f"{program} may not be executed; chmod +x it")
    if error.errno == errno.ENOEXEC:
        why = f"{program} is neither a binary of this machine nor a script with a #! line; add one"
        return Rejected("job", "not_executable", why)
    if error.errno == errno.E2BIG:
        return Rejected("job", "spawn_failed", "arguments and environment are longer than the kernel allows; pass files instead")
    return Rejected("node", "spawn_failed", f"{program} could not be started: {error.strerror}")


__all__ = ["FIRST_DEVICE_FD", "Rejected", "Spawner", "Template", "tag_of"]
