"""Staying with a job: its output as it comes, and its exit code at the end. Ctrl-C leaves the job alone."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tenure.cli import console, options, text
from tenure.client.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_TIMED_OUT, TenureError

_SILENCE_S = 1.0

if TYPE_CHECKING:
    from tenure.client.session import Client
    from tenure.wire.dto import JobView


def exit_code_of(job: JobView) -> int:
    """The job's own exit code: 128 + signal when one ended it, 1 when it failed and nobody knows with what."""
    if job.state == "succeeded":
        return 0
    if job.exit_code:
        return job.exit_code
    return 128 + job.signal if job.signal else EXIT_ERROR


def exit_code_of_all(jobs: Iterable[JobView]) -> int:
    """0 when all went well, else the code of the first that did not."""
    return next((code for code in map(exit_code_of, sorted(jobs, key=lambda job: (job.number, job.id))) if code), 0)


def write_bytes(piece: bytes) -> None:
    """Pass a job's output on as it is, at once."""
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def follow(client: Client, job: str, *, quiet: bool = False) -> int:
    """Print the job's output until it ends; its exit code, or 130 when the user lets go of it."""
    came = threading.Event()
    if not quiet:
        threading.Thread(target=_remark, args=(job, came), daemon=True).start()
    try:
        for piece in client.logs(job, follow=True):
            came.set()
            write_bytes(piece)
        reply = client.wait(job)
    except KeyboardInterrupt:
        return detach(job)
    finally:
        came.set()
    if not quiet:
        for view in reply.jobs:
            console.note(f"tenure: {ending(view)}")
    return exit_code_of_all(reply.jobs)


def _remark(job: str, came: threading.Event) -> None:
    """Say why nothing is to be seen when a job has not started after a moment."""
    if came.wait(_SILENCE_S):
        return
    with contextlib.suppress(TenureError, OSError), options.client() as client:
        for view in client.jobs(job).jobs:
            if view.state in text.WAITING and not came.is_set():
                console.note(f"tenure: job {view.id} waits: {text.reason(view) or view.state} (tenure why {view.id})")


def wait_for(client: Client, job: str, timeout_s: float | None = None) -> tuple[int, list[JobView]]:
    """Wait until the job has ended; its exit code (5 when the time is over) and how it stands."""
    try:
        reply = client.wait(job, timeout_s)
    except KeyboardInterrupt:
        return detach(job), []
    return exit_code_of_all(reply.jobs) if reply.done else EXIT_TIMED_OUT, reply.jobs


def detach(job: str) -> int:
    """Say that the job goes on."""
    console.note(f"\ntenure: detached; job {job} goes on (tenure logs -f {job} · tenure cancel {job})")
    return EXIT_INTERRUPTED


def ending(job: JobView) -> str:
    """One sentence on how a job ended."""
    return f"{'job' if job.array is None else 'array'} {job.id} {text.ended_text(job)}"
