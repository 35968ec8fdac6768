"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress


def write_once(path: str, data: bytes, mode: int) -> None:
    """Make ``path`` hold ``data``; the file's name stands for its content, so one that is there is only touched: whoever removes what
    nobody needs leaves alone what is new."""
    with suppress(FileNotFoundError):
        os.utime(path)
        return
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    part = f"{path}.{os.getpid()}"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)
    os.rename(part, path)
