"""A real installation for tests: its own home under a short path, a real daemon, a real supervisor, real processes.

Everything is ended by process id when the test is over. Nothing waits for luck: `until` looks at a condition until a deadline.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tenure.client import connect, paths
from tenure.client.session import Client

T = TypeVar("T")
PATIENCE_S = 30.0


def until(look: Callable[[], T], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first true value of ``look``; an AssertionError that says what was waited for when the deadline passes."""
    deadline = time.monotonic() + patience_s
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s:g} s in vain for: {what}")
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


class Installation:
    """One home with what runs in it."""

    def __init__(self, root: Path, config: str = "") -> None:
        self.home = root / "home"
        self.home.mkdir(mode=0o700)
        self.work = root / "work"
        self.work.mkdir()
        if config:
            (self.home / "config.toml").write_text(config)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("TENURE_HOME", "SLURM_"))}
        self.env |= {"TENURE_HOME": str(self.home), "NO_COLOR": "1", "COLUMNS": "160"}

    # --- the command line

    def cli(
        self, *words: str, ok: bool | None = True, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``tenure WORDS``; ``ok`` True asserts exit code 0, False another one, None neither."""
        done = subprocess.run(
            [sys.executable, "-m", "tenure.cli", *words],
            env=self.env | (env or {}),
            cwd=cwd or self.work,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        if ok is not None:
            assert (done.returncode == 0) is ok, (
                f"tenure {' '.join(words)} -> {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.daemon_log()}"
            )
        return done

    def json(self, *words: str) -> Any:
        """The JSON that ``tenure WORDS -o json`` prints."""
        return json.loads(self.cli(*words, "-o", "json").stdout)

    def client(self) -> Client:
        """A client of this home, which starts the daemon when there is none: what a command does, without a process of its own."""
        return connect(str(self.home))

    def submit(self, *words: str) -> str:
        """Submit and return the id."""
        return self.cli("submit", "--parsable", *words).stdout.strip()

    def state(self, job: str) -> str:
        """A job's state, as `tenure show` has it. Without a process of its own: most waiting is for a state, asked a hundred times."""
        with self.client() as client:
            return client.show(job).job.state

    # --- the processes

    def up(self) -> int:
        """Start the daemon if none runs; its pid."""
        self.cli("up")
        return self.daemon_pid()

    def daemon_pid(self) -> int:
        """The pid of the running daemon."""
        pid: int = json.loads(self.cli("status", "-o", "json", ok=None).stdout)["pid"]
        return pid

    def supervisor_pid(self) -> int:
        """The pid of the running supervisor."""
        pid: int = json.loads(self.cli("status", "-o", "json", ok=None).stdout)["supervisor_pid"]
        return pid

    def kill_daemon(self) -> None:
        """End the daemon with signal 9."""
        kill(self.daemon_pid())

    def kill_supervisor(self) -> None:
        """End the supervisor with signal 9."""
        kill(self.supervisor_pid())

    def daemon_log(self) -> str:
        """The daemon's own log, its end."""
        with contextlib.suppress(OSError):
            return Path(paths.daemon_log(str(self.home))).read_text()[-4000:]
        return ""

    def tear_down(self) -> None:
        """End daemon, supervisor and tasks, by pid."""
        for part in ("tenure.bootstrap", "tests.chaos.crashing", "supervisor"):
            for pid in processes_of(str(self.home), part):
                for child in _descendants(pid) if part == "supervisor" else ():
                    _thaw(child)
                    kill(child)
                end(pid)
        for pid in _tagged(str(self.home)):
            _thaw(pid)
            kill(pid)


def end(pid: int) -> None:
    """End a process politely, so that it may say what it has covered, and with signal 9 when it does not go."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 3
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    kill(pid)


def kill(pid: int) -> None:
    """End a process with signal 9 and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), f"the end of process {pid}")


def _thaw(pid: int) -> None:
    """Let a task go on that a test left suspended: frozen by a version 1 group, it would not even end by signal 9."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers == "freezer" and group != "/":
                Path(f"/sys/fs/cgroup/freezer{group}/freezer.state").write_text("THAWED")


def processes_of(home: str, part: str) -> list[int]:
    """Processes with both words in their command line: the parts of one installation, or of an engine."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if home.encode() in command and part.encode() in command:
                    found.append(int(entry.name))
    return found


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [*_descendants(child), child]
    return found


def _tagged(home: str) -> Iterator[int]:
    """Processes that were started as tasks of this home and outlived their supervisor."""
    tag = f"TENURE_HOME={home}\0".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if tag in (entry / "environ").read_bytes() + b"\0":
                    yield int(entry.name)


@contextlib.contextmanager
def installation(config: str = "") -> Iterator[Installation]:
    """An installation that is torn down at the end."""
    root = Path(tempfile.mkdtemp(prefix="tn"))
    living = Installation(root, config)
    try:
        yield living
    finally:
        living.tear_down()
        shutil.rmtree(root, ignore_errors=True)
