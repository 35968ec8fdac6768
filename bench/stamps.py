"""When did the process of a job begin? A small C program says so through a FIFO; the clock is the one Python's monotonic_ns reads."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


class Stamps:
    """The compiled program and its FIFO in ``folder``. Raises FileNotFoundError without a C compiler."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "stamp"
        self.fifo = folder / "fifo"
        subprocess.run(["cc", "-O2", "-o", self.program, Path(__file__).with_name("stamp.c")], check=True)
        os.mkfifo(self.fifo)
        self._fd = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        self._rest = b""

    def command(self, number: int) -> list[str]:
        """What a job runs to report its beginning."""
        return [str(self.program), str(self.fifo), str(number)]

    def latencies_ms(self, submit: Callable[[list[str]], object], samples: int, pause_s: float = 0.02) -> list[float]:
        """Closed loop on an idle system: from the call of ``submit`` to the first instruction of the job's ``main``."""
        found = []
        for number in range(samples):
            before = time.monotonic_ns()
            submit(self.command(number))
            found.append((self._began(number) - before) / 1e6)
            time.sleep(pause_s)  # the system is to be idle again
        return found

    def _began(self, number: int, patience_s: float = 30.0) -> int:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                name, at = line.split()
                if int(name) == number:
                    return int(at)
            if select.select([self._fd], [], [], 1.0)[0]:
                self._rest += os.read(self._fd, 65536)
        raise TimeoutError(f"job {number} did not begin within {patience_s:g} s")

    def close(self) -> None:
        """Let go of the FIFO."""
        os.close(self._fd)
