"""A copy of a working directory under the name of its content.

What git tracks and what it would track (untracked and not ignored) is copied; without git, the whole tree. Invariant: a snapshot is
complete under its name or not there at all, and its files cannot be written to, so that what a job runs is what was submitted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tenure.client.errors import BadRequest, usage
from tenure.model.amounts import GIB, format_bytes

MAX_BYTES = GIB
MAX_FILES = 50_000
_PIECE = 1024 * 1024
_GIT_PATIENCE_S = 30.0
_SKIPPED = frozenset({".git", ".hg", "__pycache__", ".venv", "node_modules"})


def take(directory: str, root: str, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> str:
    """Copy ``directory`` below ``root`` and return the copy's path. Raises `BadRequest` when it is larger than the limits."""
    names = _listed(directory, max_bytes, max_files)
    os.makedirs(root, mode=0o700, exist_ok=True)
    draft = os.path.join(root, f".draft-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    os.mkdir(draft, mode=0o700)
    try:
        digest = _copy(directory, draft, names, max_bytes)
        path = os.path.join(root, digest[:32])
        try:
            os.utime(path)  # in use anew: whoever removes what nobody needs leaves alone what is new
        except FileNotFoundError:
            try:
                os.rename(draft, path)
            except OSError:  # another submission of the same content was first
                if not os.path.isdir(path):
                    raise
        return path
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _listed(directory: str, max_bytes: int, max_files: int) -> list[str]:
    """What is to be copied, in order. Raises `BadRequest` as soon as it is too much, before anything is written."""
    names = []
    total = 0
    for name in _files(directory):
        names.append(name)
        with suppress(FileNotFoundError):  # gone since, and then not copied either
            found = os.lstat(os.path.join(directory, name))
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
        if total > max_bytes or len(names) > max_files:
            raise _too_much(directory, f"{format_bytes(max_bytes)} or {max_files} files")
    return sorted(names)


def _too_much(directory: str, most: str) -> BadRequest:
    return usage(
        f"--snapshot would copy more than {most} of {directory}",
        "list what the job does not need in .gitignore, or leave --snapshot out",
    )


def _files(directory: str) -> Iterator[str]:
    """Paths relative to ``directory`` of what belongs in the copy."""
    listed = _listed_by_git(directory)
    if listed is None:
        yield from _walked(directory)
        return
    for name in listed:
        path = os.path.join(directory, name)
        if os.path.isdir(path) and not Path(path).is_symlink():  # a submodule
            yield from (os.path.join(name, inner) for inner in _walked(path))
        elif os.path.lexists(path):
            yield name


def _listed_by_git(directory: str) -> list[str] | None:
    """What git lists, None when this is no repository or there is no git."""
    import subprocess

    command = ["git", "-C", directory, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _walked(directory: str) -> Iterator[str]:
    for here, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name not in _SKIPPED and not Path(here, name).is_symlink()]
        for name in names:
            yield os.path.relpath(os.path.join(here, name), directory)


def _copy(source: str, target: str, names: Iterable[str], max_bytes: int) -> str:
    """Copy and return the digest of what was copied: names, kinds and contents."""
    digest = hashlib.sha256()
    total = 0
    for name in names:
        total += _copy_one(os.path.join(source, name), os.path.join(target, name), name, digest)
        if total > max_bytes:  # it grew since it was listed
            raise _too_much(source, format_bytes(max_bytes))
    return digest.hexdigest()


def _copy_one(source: str, target: str, name: str, digest: hashlib._Hash) -> int:
    """Copy one file or link; how many bytes it has. What is neither (a socket, a device) is left out."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if Path(source).is_symlink():
        link = str(Path(source).readlink())
        os.symlink(link, target)
        digest.update(b"link\0" + os.fsencode(name) + b"\0" + os.fsencode(link) + b"\0")
        return 0
    if not os.path.isfile(source):
        return 0
    runs = os.access(source, os.X_OK)
    content = hashlib.sha256()
    size = 0
    with open(source, "rb") as read, open(target, "wb") as write:
        while piece := read.read(_PIECE):
            write.write(piece)
            content.update(piece)
            size += len(piece)
        os.fchmod(write.fileno(), 0o555 if runs else 0o444)
    digest.update((b"run\0" if runs else b"file\0") + os.fsencode(name) + b"\0" + content.digest())
    return size
