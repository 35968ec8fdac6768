"""What holds of every test: it leaves the process as it found it, where others would not notice and fail in another order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest


def umask() -> str:
    """This process's umask as the kernel tells it; to learn it by setting it would change it for other threads."""
    found = re.search(r"^Umask:\s*(\d+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return found[1] if found else ""


@pytest.fixture(autouse=True)
def the_same_umask() -> Iterator[None]:
    """Directories that root makes with a narrow umask serve root's tests, and no test as another user: which one fails then depends
    on which worker runs it after which other."""
    before = umask()
    yield
    assert umask() == before, f"the test left the umask {umask()}, it was {before}"
