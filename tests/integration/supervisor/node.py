"""A real supervisor for tests: its own home, its own device locks, one observing connection.

Everything is waited for by record or condition with a deadline, and ended by process id.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tenure.executors.local.connection import Connection, socket_path
from tests.require import require

Record = dict[str, Any]
PATIENCE_S = 60.0
GRACE_MS = 300


class Node:
    """One home and the supervisor that serves it. `options` go to its command line."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root = root
        self.home = root / "home"
        self.home.mkdir(mode=0o700, exist_ok=True)
        self.options = ("--device-locks", str(root / "locks"), *options)
        self.records: list[Record] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.connection: Connection | None = None
        self.pids: set[int] = set()

    def start(self) -> Node:
        """Run a supervisor and connect to it."""
        read, write = os.pipe()
        try:
            self.process = subprocess.Popen([*self.command(), "--ready-fd", str(write)], pass_fds=(write,), env=environment())
            os.close(write)
            write = -1
            assert select.select([read], [], [], PATIENCE_S)[0], "the supervisor does not come up"
            assert os.read(read, 16) == b"ready\n", "the supervisor died while starting"
        finally:
            for fd in (read, write):
                if fd >= 0:
                    os.close(fd)
        self.connect()
        return self

    def command(self) -> list[str]:
        path = socket_path(str(self.home))
        module = [sys.executable, "-m", "tenure.executors.local.supervisor"]
        return [*module, "--home", str(self.home), "--socket", path, *self.options]

    def connect(self, since: int = 0) -> Connection:
        if self.connection is not None:
            self.connection.close()
        self.connection = Connection(socket_path(str(self.home)), PATIENCE_S)
        self.connection.send({"op": "observe", "since": since})
        return self.connection

    @property
    def line(self) -> Connection:
        assert self.connection is not None
        return self.connection

    def ask(self, op: str, **fields: Any) -> Record:
        return self.line.request({"op": op, **fields}, PATIENCE_S)

    def launch(self, attempt: int, *argv: str, task: int = 0, fence: int = 1, **fields: Any) -> Path:
        """Launch one task; where its log goes."""
        log = self.root / f"{attempt}.{task}.log"
        template = {"argv": list(argv), "env": {"PATH": os.environ["PATH"]}, "cwd": str(self.root), "grace_ms": GRACE_MS, **fields}
        item = {"template": "t", "attempt": attempt, "task": task, "stdout": template.pop("stdout", str(log))}
        self.ask("launch", fence=fence, templates={"t": template}, tasks=[item])
        return log

    def script(self, attempt: int, source: str, **fields: Any) -> Path:
        """Launch Python."""
        return self.launch(attempt, sys.executable, "-S", "-c", source, **fields)

    def signal(self, attempt: int, action: str, fence: int = 1, **fields: Any) -> Record:
        return self.ask("signal", fence=fence, items=[{"attempt": attempt, "task": 0, "action": action, **fields}])

    def wait(self, kind: str, attempt: int, patience_s: float = PATIENCE_S) -> Record:
        """The record of that kind about the attempt, once it comes."""
        deadline = time.monotonic() + patience_s
        while True:
            self.collect()
            for record in self.records:
                if record["kind"] == kind and record["attempt"] == attempt:
                    return record
            left = deadline - time.monotonic()
            assert left > 0, f"no {kind} of {attempt} in {patience_s:g} s; there is {self.records}"
            select.select([self.line], [], [], left)

    def collect(self) -> list[Record]:
        """Everything observed so far."""
        for message in self.line.receive():
            if "kind" in message:
                self.records.append(message)
                if message["kind"] == "started":
                    self.pids.add(message["pid"])
        return self.records

    def kinds(self, attempt: int) -> list[str]:
        return [record["kind"] for record in self.collect() if record["attempt"] == attempt]

    def kill9(self) -> None:
        """The supervisor dies on the spot."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.line.close()
        self.records.clear()

    def close(self) -> None:
        """End what still runs, then the supervisor."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            with contextlib.suppress(Exception):
                self.records.clear()
                self.connect()
                fence = self.line.hello["fence"]
                live = [(task["attempt"], task["task"]) for task in self.ask("list")["tasks"]]
                items = [{"attempt": attempt, "task": task, "action": "kill"} for attempt, task in live]
                self.ask("signal", fence=fence, items=items)
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.connection is not None:
            self.connection.close()
        for pid in sorted(self.pids):
            if alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """Where the tests are measured, the supervisor is, too."""
    env = dict(os.environ)
    if "coverage" in sys.modules:
        env["COVERAGE_PROCESS_START"] = str(Path(__file__).parents[3] / "pyproject.toml")
    return env


def until(look: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The first true value of `look`."""
    deadline = time.monotonic() + patience_s
    while not (value := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)
    return value


def state(pid: int) -> str:
    """The kernel's letter for what a process does; X where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    return state(pid) not in "ZX"


def pid_in(path: Path) -> int:
    """The number that a task's process writes into a file once it has set everything up."""
    return int(until(lambda: path.exists() and path.read_text().endswith("\n") and path.read_text(), f"a pid in {path.name}"))


def require_cgroups(node: Node) -> None:
    """Skip or fail where memory is not limited by control groups."""
    groups = node.line.hello["cgroups"]
    require("cgroups", groups["memory"] == "enforced", groups["why"])
