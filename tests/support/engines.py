"""Real container engines for tests: Debian's Docker engine and podman's service, each on a socket and in folders of its own.

Nothing is asked of a registry: the one image is the machine's busybox. What these engines ask of a machine by default (a bridge, packet
filters, more open files than a caged root may permit) is turned off. Invariant: an engine ends with its containers and by process id.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.require import require
from tests.support.living import kill, processes_of, until

_JSON, _TAR = "application/json", "application/x-tar"


class RealEngine:
    """An engine that the test starts, kills and starts again. ``root`` is short: a socket's path may have a hundred letters."""

    name = ""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.socket = str(root / "s")
        self._process: subprocess.Popen[bytes] | None = None
        self._image = ""

    def _command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and have the image; it answers when this returns."""
        with open(self.root / "log", "ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environment(), start_new_session=True
            )
        until(self._answers, f"{self.name} to answer: {(self.root / 'log').read_text()[-1000:]}")
        if not self._image:
            loaded = self.ask("POST", "/images/create?fromSrc=-&repo=tenure-test", _busybox(), _TAR)
            self._image = json.loads(loaded.splitlines()[-1])["status"]

    def kill(self) -> None:
        """End it with signal 9; its containers may go on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def ask(self, method: str, target: str, body: Any = b"", kind: str = _JSON) -> str:
        """What the engine answers. Raises AssertionError when it refuses."""
        link = _Link(self.socket)
        try:
            link.request(method, target, body, {"Content-Type": kind})
            reply = link.getresponse()
            text = reply.read().decode()
        finally:
            link.close()
        assert reply.status < 300, f"{method} {target}: {reply.status} {text}"
        return text

    def run(self, name: str, script: str, **limits: object) -> str:
        """Start a container without a network; its id."""
        program = {"Image": self._image, "Cmd": ["/bin/sh", "-c", script], "StopSignal": "SIGKILL"}  # the first process ignores others
        wish = program | {"HostConfig": {"NetworkMode": "none", **limits}}
        number: str = json.loads(self.ask("POST", f"/containers/create?name={name}", json.dumps(wish)))["Id"]
        self.ask("POST", f"/containers/{number}/start")
        return number

    def close(self) -> None:
        """Remove all containers, end the engine and whatever of it is left."""
        if self._process is None:
            return
        try:
            if self._process.poll() is not None:
                self.start()
            for one in json.loads(self.ask("GET", "/containers/json?all=1")):
                self.ask("DELETE", f"/containers/{one['Id']}?force=1")
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        finally:
            self.kill()
            for pid in processes_of(str(self.root), ""):
                kill(pid)
            self._unmount()

    def _unmount(self) -> None:
        """An engine leaves its own folder mounted on itself, and when it was killed those of its containers too."""
        mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for place in sorted((place for place in mounted if place.startswith(f"{self.root}/")), reverse=True):
            subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.root / "log").read_text()[-2000:]
        try:
            return bool(self.ask("GET", "/version"))
        except (OSError, http.client.HTTPException):
            return False

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)


class Docker(RealEngine):
    """Debian's docker.io, its containerd below it."""

    name = "docker"

    def _command(self) -> list[str]:
        root = self.root
        folders = [f"--data-root={root}/data", f"--exec-root={root}/exec", f"--pidfile={root}/pid", f"--host=unix://{root}/s"]
        network = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        caged = ["--oom-score-adjust=0", "--default-ulimit", "nofile=1024:1024", "--exec-opt", "native.cgroupdriver=cgroupfs"]
        return ["dockerd", *folders, *network, *caged, "--storage-driver=vfs"]

    def kill(self) -> None:
        """Its containerd goes with it: the next one would wait for a pid that may have become a zombie."""
        super().kill()
        pid = self.root / "exec" / "containerd" / "containerd.pid"
        with contextlib.suppress(FileNotFoundError):
            kill(int(pid.read_text()))
            pid.unlink()


class Podman(RealEngine):
    """podman's service, which speaks Docker's API."""

    name = "podman"

    def _command(self) -> list[str]:
        return ["podman", "system", "service", "--time=0", f"unix://{self.socket}"]

    def _environment(self) -> dict[str, str]:
        containers, storage = self.root / "containers.conf", self.root / "storage.conf"
        limits = 'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\nnetns = "none"'
        engine = 'runtime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"'
        containers.write_text(f'[containers]\n{limits}\n[engine]\n{engine}\ntmp_dir = "{self.root}/tmp"\n')
        storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{self.root}/graph"\nrunroot = "{self.root}/run"\n')
        return os.environ | {"CONTAINERS_CONF": str(containers), "CONTAINERS_STORAGE_CONF": str(storage)}


ENGINES = {
    "docker": (Docker, ("dockerd", "containerd", "runc", "busybox")),
    "podman": (Podman, ("podman", "conmon", "runc", "busybox")),
}


@contextlib.contextmanager
def real_engine(name: str) -> Iterator[RealEngine]:
    """A running engine for as long as the block lasts; otherwise the test is skipped, and says why."""
    kind, programs = ENGINES[name]
    missing = [program for program in programs if shutil.which(program) is None]
    require(name, not missing, f"{', '.join(missing)} is not installed")
    require(name, os.geteuid() == 0, "only root can start it")
    root = Path(tempfile.mkdtemp(prefix="tn-engine"))
    engine = kind(root)
    try:
        engine.start()
        yield engine
    finally:
        engine.close()
        shutil.rmtree(root, ignore_errors=True)


def _busybox() -> bytes:
    """A root file system: the machine's busybox, with all libraries that it needs (none, if it is Debian's static one)."""
    program = shutil.which("busybox")
    assert program is not None
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in (program, *_libraries(program)):
            tar.add(os.path.realpath(name), "bin/busybox" if name == program else name.lstrip("/"))
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
    return packed.getvalue()


def _libraries(program: str) -> list[str]:
    """The shared libraries of a program, its loader among them."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return [word for line in told.splitlines() for word in line.split() if word.startswith("/")]


def disk_under(path: Path) -> str:
    """The whole disk that a folder lies on, as a limit of a container names it; empty where there is no such device."""
    number = path.stat().st_dev
    place = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not place.exists():
        return ""
    whole = place.resolve().parent if (place / "partition").exists() else place.resolve()
    return f"/dev/{whole.name}" if Path(f"/dev/{whole.name}").is_block_device() else ""


class _Link(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self._path)
