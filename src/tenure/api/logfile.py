"""Opening the log of a task, which its owner may have named and may have put something else in the place of.

A daemon of root that opened whatever is found under the name would read any file for him. Invariant: with an owner nothing is read but
a plain file of his, and no link is followed to it.
"""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from tenure.store.queries import LogFile


def opened(log: LogFile) -> BinaryIO:
    """The file, to be read. With ``log.uid`` it must be his. Raises OSError."""
    is_owned = log.uid >= 0
    fd = os.open(log.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if is_owned else 0))
    file = os.fdopen(fd, "rb")
    found = os.fstat(fd)
    if is_owned and not (stat.S_ISREG(found.st_mode) and found.st_uid == log.uid):
        file.close()
        raise PermissionError(1, "it is not the owner's own file", log.path)
    return file
