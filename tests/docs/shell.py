"""A shell for a page: one bash with a throw-away home, in which commands run one after another as a reader would type them.

Directory and variables carry over from command to command, as they do for the reader. Nothing reaches the terminal or the Tenure of
whoever runs the tests.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

_MARK = "\x1e"
_ROOT = Path(__file__).resolve().parents[2]


class Shell:
    """A bash in ``folder`` (short, since it will hold a socket), with the tests' Python and Tenure first on PATH."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._status = 0
        work = folder / "work"
        work.mkdir()
        if (_ROOT / "examples").is_dir():
            shutil.copytree(_ROOT / "examples", work / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=work,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TENURE_", "PYTEST_", "COV")) and name != "XDG_RUNTIME_DIR"
        }
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        home = str(self._folder)
        return {
            **kept,
            "PATH": path,
            "HOME": home,
            "TENURE_HOME": f"{home}/t",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "120",
            "TERM": "dumb",
            "NO_COLOR": "1",
        }

    def run(self, command: str, timeout_s: float = 240) -> tuple[int, str]:
        """Run one command; its exit status and everything it wrote. Raises TimeoutError with what came so far."""
        script = self._folder / "command"
        script.write_text(f"(exit {self._status})\n{command}\n")
        assert self._bash.stdin is not None
        self._bash.stdin.write(f". {script} </dev/null; printf '{_MARK}%d{_MARK}' $?\n".encode())
        self._bash.stdin.flush()
        text = self._read(time.monotonic() + timeout_s)
        output, status, _ = text.split(_MARK)
        self._status = int(status)
        return self._status, output

    def _read(self, deadline: float) -> str:
        assert self._bash.stdout is not None
        text = b""
        while text.count(_MARK.encode()) < 2:
            ready, _, _ = select.select([self._bash.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"no end after: {text.decode(errors='replace')!r}")
            chunk = os.read(self._bash.stdout.fileno(), 65536)
            if not chunk:
                raise TimeoutError(f"the shell ended after: {text.decode(errors='replace')!r}")
            text += chunk
        return text.decode(errors="replace")

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.communicate()
