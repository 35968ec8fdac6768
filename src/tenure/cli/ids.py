"""Completing the ids of jobs in a shell, without loading the command line: a person waits for every key.

A daemon that lives is asked, none is started, and whatever goes wrong completes nothing. Invariant: what is printed for a shell to
evaluate has no character that means something to it, whatever a job is called.
"""

from __future__ import annotations

from collections.abc import Mapping

PATIENCE_S = 0.5
LATELY_ENDED = 20
MOST = 200
FLAGS = frozenset(
    (
        "-f",
        "--follow",
        "-y",
        "--yes",
        "--json",
        "--mine",
        "-q",
        "--quiet",
        "--err",
        "--path",
        "-w",
        "--watch",
        "-a",
        "--all",
        "--forecasts",
        "--metrics",
    )
)
"""Options after which an id may follow; after any other a value of its own does."""

Job = tuple[str, str]
"""An id, and a word on the job."""


def completed(environ: Mapping[str, str]) -> str | None:
    """What to print for a shell that wants the id of a job to be completed; None when it wants something else."""
    shell = environ.get("_TENURE_COMPLETE", "").partition("_")[2]
    words, begun = _typed(shell, environ)
    kinds = _kinds(words, begun)
    if not kinds:
        return None
    try:
        found = [job for kind in kinds for job in _jobs(kind) if job[0].startswith(begun) and job[0] not in words]
    except (OSError, ValueError, KeyError):  # no daemon, or one that answers otherwise
        found = []
    if begun and "last".startswith(begun):
        found.append(("last", "your newest job"))
    return _for_shell(shell, found, environ)


def _typed(shell: str, environ: Mapping[str, str]) -> tuple[list[str], str]:
    """The words of the command line after ``tenure``, up to the one that is being typed, and that one."""
    if shell == "bash":
        words, at = environ.get("COMP_WORDS", "").split(), environ.get("COMP_CWORD", "")
        number = int(at) if at.isdigit() else 0
        return words[1:number], words[number] if number < len(words) else ""
    if shell not in ("zsh", "fish"):
        return [], ""
    line = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = line.split()[1:]
    return (words, "") if line.endswith(" ") or not words else (words[:-1], words[-1])


def _kinds(words: list[str], begun: str) -> tuple[str, ...]:
    """Which jobs the command takes: active ones, and ended ones where they make sense. None where no id is wanted here."""
    from tenure.cli.catalogue import BY_WORD

    entry = BY_WORD.get(words[0]) if words else None
    if entry is None or not entry.jobs or begun.startswith("-") or "--" in words:
        return ()
    if len(words) > 1 and words[-1].startswith("-") and words[-1] not in FLAGS:
        return ()
    return ("active",) if entry.jobs == "active" else ("active", "ended")


def _jobs(kind: str) -> list[Job]:
    """The newest jobs of that kind. Raises OSError, ValueError or KeyError."""
    import json

    from tenure.client import http, paths
    from tenure.client.errors import TenureError
    from tenure.client.place import elsewhere

    wish = {"states": [kind], "limit": MOST if kind == "active" else LATELY_ENDED}
    try:
        place = elsewhere()
        connection = http.Connection(place or paths.daemon_socket(paths.home()), PATIENCE_S)
        message = http.request("POST", "/api/v1/jobs/query", json.dumps(wish).encode(), place.lines if place else http.OWN)
        head, body = connection.exchange(message, PATIENCE_S)
        connection.close()
    except (http.Broken, TenureError) as error:
        raise OSError(str(error)) from error
    if head.status != 200:
        raise ValueError(head.status)
    return [(job["id"], f"{_plain(job['name'])} {job['state']}".strip()) for job in json.loads(body)["jobs"]]


def _plain(name: str) -> str:
    """A job's name without what a shell could take for something else."""
    return " ".join("".join(letter if letter.isalnum() or letter in "-_." else " " for letter in name).split())


def _for_shell(shell: str, jobs: list[Job], environ: Mapping[str, str]) -> str:
    if shell == "zsh":
        listed = " ".join(f'"{job}":"{about}"' for job, about in jobs)
        return f"_arguments '*: :(({listed}))'" if jobs else ""
    if shell == "fish":
        if environ.get("_TYPER_COMPLETE_FISH_ACTION") != "get-args":
            raise SystemExit(0 if jobs else 1)  # whether there is anything to complete, says the exit code
        return "\n".join(f"{job}\t{about}" for job, about in jobs)
    return "\n".join(job for job, _ in jobs)
