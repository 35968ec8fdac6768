"""The token under which a server with caps works: made once for a name, kept in a file that nobody else can read, and used again.

What is spent under a token is counted by the daemon from the rows of its jobs, so a server that is started again goes on where it was.
Invariant: a name never gets a second token with other caps by itself: that would forget what was spent.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from tenure.client.errors import TenureError, usage
from tenure.client.session import Client, new_key
from tenure.wire.people import TokenRequest

MAY = ("self.read", "cluster.read", "jobs.read", "jobs.write")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Caps:
    """What a server may spend; 0 is no bound."""

    gpu_hours: float = 0.0
    jobs: int = 0
    lease_ms: int = 0

    def __bool__(self) -> bool:
        return bool(self.gpu_hours or self.jobs or self.lease_ms)


def token_for(client: Client, home: str, name: str, caps: Caps) -> str:
    """The secret of the token of that name. Raises `TenureError` where it has other caps, or cannot be made."""
    if not _NAME.fullmatch(name):
        raise usage(f"{name!r} is no name for a server", "use letters, digits, - and _, at most 40")
    path = Path(home) / "mcp" / f"{name}.json"
    if path.exists():
        return _known(path, name, caps)
    wish = TokenRequest(
        key=new_key(), label=f"mcp {name}", may=list(MAY), gpu_hours=caps.gpu_hours, jobs=caps.jobs, lease_ms=caps.lease_ms
    )
    made = client.people.make_token(wish)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"token": made.token.id, "secret": made.secret, "caps": asdict(caps)}, file)
        file.flush()
        os.fsync(file.fileno())
    return made.secret


def _known(path: Path, name: str, caps: Caps) -> str:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        secret, before = str(found["secret"]), Caps(**found["caps"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TenureError("bad_state", f"{path} is not understood: {error}", "remove it, and revoke the token of that label") from None
    if before != caps:
        had = f"{before.gpu_hours:g} GPU-hours, {before.jobs} at a time, leases of {before.lease_ms // 1000} s"
        way_out = f"start it with these, or another one with --name; removing {path} forgets what was spent"
        raise usage(f"the server {name} has other caps: {had}", way_out)
    return secret
