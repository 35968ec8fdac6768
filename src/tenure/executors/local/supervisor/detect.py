"""Which control groups can be used here, found out by trying.

Reads where the hierarchies are mounted and where in them the supervisor stands; containers that show only a part of a
hierarchy are taken into account. Invariant: whatever fails, the answer is a `Setup` that says why.
"""

from __future__ import annotations

import os

from . import cgroup_v1, cgroup_v2
from .groups import Kind, Pool, Unavailable


class Setup:
    """What the machine lets us enforce; `pool` is None without groups."""

    def __init__(self, kind: Kind | None, why: str, freezer: str | None = None) -> None:
        self.pool = None if kind is None else Pool(kind)
        self.mode = "off" if kind is None else kind.mode
        self.memory = "enforced" if kind is not None and kind.memory else "sampled"
        self.cpu = "enforced" if kind is not None and kind.cpu else "advisory"
        self.freezer = freezer  #: our folder in a version 1 freezer
        self.why = why

    def described(self) -> dict[str, str]:
        """As the hello says it."""
        return {"mode": self.mode, "memory": self.memory, "cpu": self.cpu, "why": self.why}


def setup(mode: str, tag: str) -> Setup:
    """`off`, or the best that works: version 1 where it has memory or cpu, else version 2."""
    if mode == "off":
        return Setup(None, "switched off")
    v1, v2 = own_directories()
    reasons = []
    try:
        if v1:
            return Setup(cgroup_v1.detect(v1, tag), "", cgroup_v1.freezer(v1, tag))
    except Unavailable as error:
        reasons.append(f"version 1: {error}")
    try:
        if v2 is not None:
            return Setup(cgroup_v2.detect(v2, tag), "")
    except (Unavailable, OSError) as error:
        reasons.append(f"version 2: {error}")
    return Setup(None, "; ".join(reasons) or "no control groups are mounted")


def own_directories(proc: str = "/proc/self") -> tuple[dict[str, str], str | None]:
    """Our own directory per version 1 controller (memory, cpu, freezer), and the one in version 2."""
    try:
        with open(f"{proc}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            memberships = [line.rstrip("\n").split(":", 2) for line in file]
        with open(f"{proc}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = [_mount(line) for line in file if " - cgroup" in line]
    except OSError:
        return {}, None
    v1: dict[str, str] = {}
    v2 = None
    for _, controllers, path in memberships:
        names = set(controllers.split(","))
        for root, point, kind, options in mounts:
            if kind == "cgroup2" and not controllers:
                v2 = v2 or _below(root, point, path)
            elif kind == "cgroup" and controllers and names & options:
                for name in ("cpu", "memory", "freezer"):
                    if name in names:
                        v1.setdefault(name, _below(root, point, path))
    return v1, v2


def _mount(line: str) -> tuple[str, str, str, set[str]]:
    before, after = line.rstrip("\n").split(" - ", 1)
    fields = before.split(" ")
    kind, _, options = after.split(" ", 2)
    return fields[3], fields[4], kind, set(options.split(","))


def _below(root: str, point: str, path: str) -> str:
    """The directory of group `path` in a mount at `point` that shows the hierarchy from `root` on."""
    inside = path[len(root) :] if root != "/" and path.startswith(root) else path
    directory = f"{point}/{inside.strip('/')}".rstrip("/")
    return directory if os.path.isdir(directory) else point
