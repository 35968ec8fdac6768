"""Starting tasks as those who submitted them, where a supervisor of root serves all users of a machine.

What is Tenure's own (its log of the task, the files for its figures and checkpoints) is made by root in directories of root and given
to the user; all that the user named is touched as the user, after the fork. Invariant: without an identity nothing starts, and
nothing as root unless that is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from .groups import SMALLEST_MEMORY_BYTES, Kind
from .identity import CannotStart, Identity, fork_as, own_file
from .protocol import Launch
from .spawn import FIRST_DEVICE_FD, LOG_FLAGS, Rejected, Spawner, found_program, spawn_rejection, tag_of
from .task import Task

Step = Callable[[str, str], None]
Program = tuple[str, list[str], dict[bytes, bytes]]


class SpawnerAs(Spawner):
    """Starts each task as whom its template names. ``root``: may that be root?"""

    def __init__(self, home: str, home_tag: str, kind: Kind | None, root: bool) -> None:
        super().__init__(home, home_tag, kind)
        self._root = root

    def spawn(self, launch: Launch, task: Task, device_fds: list[int]) -> None:
        """As `Spawner.spawn`.

        :raises Rejected: nothing was started.
        """
        identity = launch.template.identity
        self._check(identity, task)
        own = self._own_log(launch, identity)
        env = {**launch.template.env, **launch.env, b"TENURE_TASK_TAG": tag_of(self._tag, task.attempt, task.task)}
        try:
            self._make_figures(task, identity)
            self._make_checkpoint(launch, identity)
            self._in_group(task, lambda: fork_as(identity, lambda step: self._prepare(launch, own, device_fds, env, step)))
        except CannotStart as failure:
            raise self._rejection(failure) from None
        except OSError as error:
            if task.pid:
                raise  # it runs, but could not be confined
            raise Rejected("node", "spawn_failed", f"the process could not be made: {error.strerror}") from None
        finally:
            if own is not None:
                os.close(own)

    def _check(self, identity: Identity, task: Task) -> None:
        if not identity:
            raise Rejected("job", "no_account", "whoever submitted it has no account on this machine that it could run as")
        if identity[0] == 0 and not self._root:
            raise Rejected("job", "root_jobs", "jobs do not run as root here; submit it as a user")
        if task.memory_bytes and task.memory_bytes < SMALLEST_MEMORY_BYTES:
            raise Rejected("job", "memory_too_small", "no program starts in less than 8 MiB of memory; ask for more")

    def _own_log(self, launch: Launch, identity: Identity) -> int | None:
        """Tenure's own log of the task, None where the user has named one."""
        if not launch.own_log or not launch.stdout.startswith(self._home):
            return None
        try:
            fd = own_file(launch.stdout, identity)
        except OSError as error:
            raise self._log_rejection(launch.stdout, error) from None
        os.set_blocking(fd, True)
        return fd

    def _make_figures(self, task: Task, identity: Identity) -> None:
        """The file into which the task may report, in a directory where only root makes files."""
        path = os.path.join(self._home, "metrics", f"{task.attempt}.{task.task}")
        try:
            os.close(own_file(path, identity))
        except OSError as error:
            raise self._log_rejection(path, error) from None

    def _make_checkpoint(self, launch: Launch, identity: Identity) -> None:
        """The file whose time says when the last checkpoint was written: the one of an earlier run stays, a new one tells of none."""
        job = launch.env.get(b"TENURE_JOB_ID", b"").decode()
        if not job.isdecimal():
            return
        path = os.path.join(self._home, "checkpoints", job)
        is_new = not os.path.lexists(path)
        try:
            fd = own_file(path, identity)
            try:
                if is_new:
                    os.utime(fd, (0, 0))
            finally:
                os.close(fd)
        except OSError as error:
            raise self._log_rejection(path, error) from None

    def _prepare(self, launch: Launch, own: int | None, device_fds: list[int], env: dict[bytes, bytes], step: Step) -> Program:
        """In the child, as the user: directory, logs, program."""
        template = launch.template
        step("cwd", template.cwd)
        os.chdir(template.cwd)
        os.umask(template.umask)
        out = own if own is not None else _opened(launch.stdout, step)
        errors = out if launch.stderr is None else _opened(launch.stderr, step)
        for fd, number in ((self._null, 0), (out, 1), (errors, 2), *((fd, FIRST_DEVICE_FD + n) for n, fd in enumerate(device_fds))):
            os.dup2(fd, number)
        try:
            program = found_program(launch)
        except Rejected as rejection:
            step(rejection.code, rejection.why)
            raise OSError(0, rejection.why) from None
        return program, launch.argv, env

    def _rejection(self, failure: CannotStart) -> Rejected:
        error = OSError(failure.number, os.strerror(failure.number))
        if failure.step == "cwd":
            why = f"the working directory {failure.about} cannot be entered: {error.strerror}; create it or submit from another one"
            return Rejected("job", "cwd_missing", why)
        if failure.step == "log":
            found = self._log_rejection(failure.about, error)
            return found if found.code == "disk_full" else Rejected("job", found.code, found.why)  # he may name one of ours
        if failure.step == "exec":
            return spawn_rejection(failure.about, error)
        if failure.step == "identity":
            return Rejected("node", "spawn_failed", f"the supervisor could not become uid {failure.about}: {error.strerror}")
        if failure.step == "wait":
            return Rejected("job", "spawn_failed", f"{failure.about} did not answer in ten seconds")
        return Rejected("job", failure.step, failure.about)


def _opened(path: str, step: Step) -> int:
    """A log that the user named, opened as the user."""
    step("log", path)
    try:
        fd = os.open(path, LOG_FLAGS, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, LOG_FLAGS, 0o666)
    os.set_blocking(fd, True)
    return fd
