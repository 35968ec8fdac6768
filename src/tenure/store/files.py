"""The files that belong to jobs (logs and what is known of their lengths, snapshots of directories, copies of scripts), and removing
those that nobody needs any more.

A log is needed as long as the rows of its run are kept; a snapshot or a script as long as a job that uses it has not ended, and as long
again as the rows of its last run. Only what Tenure itself has named in its own directories is looked at. Whoever submits touches what
it uses before the job is queued. Invariant: a file goes only if it was old before its need was looked up and still is afterwards.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import func, or_, select

from tenure.ports import StoreUnavailable
from tenure.store.database import Database
from tenure.store.reader import Reader, ask
from tenure.store.schema import allocation, attempt, job, job_spec

JOBS_A_FOLDER = 1000
"""A folder of logs holds those of so many jobs, by their numbers; see `tenure.store.launches`."""

JOBS_A_READ = 20_000
KEYS_A_READ = 500
_GONE = ".gone-"
SOONEST_S, LATEST_S = 1.0, 3600.0


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of an installation."""

    logs: str
    snapshots: str
    scripts: str
    lengths: str


class Files:
    """Looks after the files of one installation. Reads on a connection of its own, a little at a time; for one thread."""

    def __init__(self, database: Database, places: Places) -> None:
        self._reader = Reader(database)
        self._places = places

    def sweep(self, before_ms: int) -> int:
        """Remove what has not been needed since ``before_ms``; how many files and directories. Raises StoreUnavailable."""
        removed = 0
        for name, old in self._old_logs(before_ms):
            needed = self._logs_of(int(name))
            removed += sum(_remove(path, before_ms) for path in old if os.path.basename(path) not in needed)
        for runs, old in self._old_lengths(before_ms):
            kept = self._runs_with_rows(runs)
            removed += sum(_remove(path, before_ms) for run, path in zip(runs, old, strict=True) if run not in kept)
        copies = [path for place in (self._places.snapshots, self._places.scripts) for path in _old(place, before_ms)]
        if copies:
            used = self._copies_in_use(before_ms)
            removed += sum(_remove(path, before_ms) for path in copies if path not in used)
        return removed

    def close(self) -> None:
        """Give back the connection."""
        self._reader.close()

    def _old_logs(self, before_ms: int) -> Iterator[tuple[str, list[str]]]:
        """The folders that hold old logs, and which."""
        for folder in _entries(self._places.logs):
            if folder.name.isdigit() and (old := [path for path in _old(folder.path, before_ms) if path.endswith(".log")]):
                yield folder.name, old

    def _old_lengths(self, before_ms: int) -> Iterator[tuple[list[int], list[str]]]:
        """Old records of how long a log was, folder by folder, and of which runs they are."""
        for folder in _entries(self._places.lengths):
            found = [path for path in _old(folder.path, before_ms) if _run_of(path)]
            if found:
                yield [_run_of(path) for path in found], found

    def _runs_with_rows(self, runs: list[int]) -> set[int]:
        with self._reader.read() as link:
            parts = [ask(link, select(attempt.c.id).where(attempt.c.id.in_(part))) for part in _parts(runs)]
        return {row[0] for rows in parts for row in rows}

    def _logs_of(self, folder: int) -> set[str]:
        """The names of the logs whose runs have rows, of the jobs whose logs a folder holds."""
        first = folder * JOBS_A_FOLDER
        with self._reader.read() as link:
            clause = select(job.c.last_attempt_id).where(job.c.id >= first, job.c.id < first + JOBS_A_FOLDER, job.c.last_attempt_id > 0)
            runs = [row[0] for row in ask(link, clause)]
            names: set[str] = set()
            while runs:
                earlier: list[int] = []
                for part in _parts(runs):
                    held = select(allocation.c.stdout).where(allocation.c.attempt_id.in_(part))
                    names.update(os.path.basename(row[0]) for row in ask(link, held))
                    before = select(attempt.c.previous_id).where(attempt.c.id.in_(part), attempt.c.previous_id > 0)
                    earlier += [row[0] for row in ask(link, before)]
                runs = earlier
        return names

    def _copies_in_use(self, before_ms: int) -> set[str]:
        """The snapshots and scripts of jobs that have not ended, or not before that moment."""
        places = tuple(place + os.sep for place in (self._places.snapshots, self._places.scripts))
        used: set[str] = set()
        for spec_ids in self._specs_in_use(before_ms):
            with self._reader.read() as link:
                bodies = [row[0] for row in ask(link, select(job_spec.c.body).where(job_spec.c.id.in_(spec_ids)))]
            for body in bodies:
                argv, cwd, _, _, _, _ = msgspec.json.decode(body)
                for word in (cwd, *argv):
                    place = next((place for place in places if word.startswith(place)), None)
                    if place is not None:
                        used.add(place + word[len(place) :].split(os.sep, 1)[0])
        return used

    def _specs_in_use(self, before_ms: int) -> Iterator[list[int]]:
        """The specs of those jobs, a piece at a time: the writer's log must not grow behind one long read."""
        seen: set[int] = set()
        after, last = 0, 1
        while after < last:
            still = or_(job.c.ended_ms.is_(None), job.c.ended_ms >= before_ms)
            piece = select(job.c.spec_id).where(job.c.id > after, job.c.id <= after + JOBS_A_READ, still).distinct()
            with self._reader.read() as link:
                fresh = sorted({row[0] for row in ask(link, piece)} - seen)
                last = int(ask(link, select(func.max(job.c.id)))[0][0] or 0)
            seen.update(fresh)
            after += JOBS_A_READ
            yield from _parts(fresh)


class Sweeping(threading.Thread):
    """Removes what nobody has needed for ``keep_ms``, from time to time; an error is told and tried again."""

    def __init__(self, files: Files, keep_ms: int, log: Callable[[str], None]) -> None:
        super().__init__(name="files", daemon=True)
        self._files = files
        self._keep_ms = keep_ms
        self._log = log
        self._stopped = threading.Event()

    def run(self) -> None:
        """Until stopped; often where little is kept, and once an hour at least."""
        pause_s = min(max(self._keep_ms / 10_000, SOONEST_S), LATEST_S)
        while not self._stopped.wait(pause_s):
            try:
                self._files.sweep(time.time_ns() // 1_000_000 - self._keep_ms)
            except (StoreUnavailable, OSError) as error:
                self._log(f"files that nobody needs could not be removed: {error}")

    def stop(self) -> None:
        """End it and give back what it holds."""
        self._stopped.set()
        self.join()
        self._files.close()


def _run_of(path: str) -> int:
    """The run that a record of lengths is named after; 0 for any other file."""
    number = os.path.basename(path).removeprefix(_GONE).partition(".")[0]
    return int(number) if number.isdigit() else 0


def _parts(keys: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(keys), KEYS_A_READ):
        yield keys[start : start + KEYS_A_READ]


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _old(directory: str, before_ms: int) -> list[str]:
    """What was last changed before that moment."""
    return [entry.path for entry in _entries(directory) if _is_old(entry.path, before_ms)]


def _is_old(path: str, before_ms: int) -> bool:
    try:
        return os.lstat(path).st_mtime_ns // 1_000_000 < before_ms
    except OSError:
        return False


def _remove(path: str, before_ms: int) -> bool:
    """Remove a file or a directory whole, unless somebody has just touched it to use it."""
    aside = os.path.join(os.path.dirname(path), _GONE + os.path.basename(path).removeprefix(_GONE))
    try:
        os.rename(path, aside)
        if not _is_old(aside, before_ms):
            os.rename(aside, path)
            return False
        if os.path.isdir(aside) and not Path(aside).is_symlink():
            shutil.rmtree(aside)
        else:
            os.unlink(aside)
    except OSError:
        return False  # gone already, or not ours to remove: the next look may find it otherwise
    return True
