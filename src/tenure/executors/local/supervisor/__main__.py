"""`python -m tenure.executors.local.supervisor --home DIR`: start the supervisor of a home.

    --home DIR             the home; required
    --socket PATH          serve there instead of HOME/run/supervisor.sock (for long paths)
    --cgroups off|auto     do not use control groups, or use what works (default)
    --device-locks DIR     where the machine's device locks are (default /tmp/tenure-devices)
    --log-keep-bytes N     newest bytes of a task's log to keep (default 256 MiB)
    --ready-fd N           write "ready" there once it serves
    --shared               of root: run each task as the user that its launch names
    --root                 with --shared: that may be root
    --detach               go into the background, output to HOME/log/supervisor.log

Invariant: one supervisor per home; a second one says so and exits with 0.
"""

from __future__ import annotations

import gc
import os
import sys
from fcntl import LOCK_EX, LOCK_NB, flock

from . import kernel, lengths
from .detect import setup
from .devices import DEFAULT_DIRECTORY, DeviceLocks
from .journal import Journal
from .logs import Logs
from .resident import Resident
from .restart import take_over

_OPTIONS = ("--home", "--socket", "--cgroups", "--device-locks", "--log-keep-bytes", "--ready-fd")
_FLAGS = ("--detach", "--shared", "--root")


def options(arguments: list[str]) -> dict[str, str]:
    """The command line as a mapping.

    :raises SystemExit: it cannot be understood; the message says what is missing.
    """
    chosen: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name = rest.pop(0)
        if name in _FLAGS:
            chosen[name] = "yes"
        elif name in _OPTIONS and rest:
            chosen[name] = rest.pop(0)
        else:
            raise SystemExit(f"tenure supervisor: {name} is no option, or lacks its value; see the module's docstring")
    if "--home" not in chosen:
        raise SystemExit("tenure supervisor: --home DIR is required")
    if chosen.get("--cgroups", "auto") not in ("off", "auto"):
        raise SystemExit("tenure supervisor: --cgroups is off or auto")
    for name in ("--log-keep-bytes", "--ready-fd"):
        if not chosen.get(name, "0").isdigit():
            raise SystemExit(f"tenure supervisor: {name} needs a whole number")
    if "--shared" in chosen and os.geteuid() != 0:
        raise SystemExit("tenure supervisor: --shared takes root")
    return chosen


def main(arguments: list[str]) -> int:
    """Serve until told to leave; the exit status."""
    chosen = options(arguments)
    home = os.path.abspath(chosen["--home"])
    run = os.path.join(home, "run")
    os.makedirs(run, mode=0o700, exist_ok=True)
    lock = os.open(os.path.join(run, "supervisor.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        flock(lock, LOCK_EX | LOCK_NB)
    except OSError:
        os.write(2, f"tenure supervisor: one is already running for {home}\n".encode())
        return 0
    if "--detach" in chosen:
        _detach(home)
    kernel.become_subreaper()
    identity = os.stat(home)
    home_tag = f"{identity.st_dev:x}.{identity.st_ino:x}"
    resident = Resident(
        home,
        home_tag,
        setup(chosen.get("--cgroups", "auto"), home_tag),
        Journal(os.path.join(home, "node")),
        DeviceLocks(chosen.get("--device-locks", DEFAULT_DIRECTORY)),
        Logs(int(chosen.get("--log-keep-bytes", str(256 << 20))), lengths.directory_of(home)),
        shared="--shared" in chosen,
        root="--root" in chosen,
    )
    take_over(resident)
    resident.listen(chosen.get("--socket", os.path.join(run, "supervisor.sock")))
    os.chdir("/")
    if "--ready-fd" in chosen:
        ready = int(chosen["--ready-fd"])
        os.write(ready, b"ready\n")
        os.close(ready)
    gc.collect()
    gc.freeze()
    resident.run()
    return 0


def _detach(home: str) -> None:
    """Leave the caller's session, process group and terminal."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.makedirs(os.path.join(home, "log"), mode=0o700, exist_ok=True)
    log = os.open(os.path.join(home, "log", "supervisor.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for fd in (log, null):
        if fd > 2:
            os.close(fd)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
