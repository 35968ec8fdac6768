"""From the options and words of a submission to its request.

A script's headers come first, the command line wins over them. Invariant: a script travels as it was at submission, so that editing it
afterwards changes nothing that is queued.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tenure.cli import console
from tenure.cli.options import is_elsewhere
from tenure.cli.sbatch import read_headers
from tenure.client import paths
from tenure.client.environment import is_taken
from tenure.client.errors import usage
from tenure.client.place import elsewhere
from tenure.client.requests import build_request, default_name
from tenure.client.session import new_key
from tenure.client.words import after_of, bits_of, bytes_of
from tenure.model.amounts import is_whole
from tenure.wire.dto import SubmitRequest

_SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh"))
_SCRIPT_LIMIT = 1024 * 1024
_AS_THEY_ARE = (
    "cpus",
    "gpus",
    "app",
    "work_class",
    "prefer_wait",
    "time",
    "grace",
    "priority",
    "project",
    "queue",
    "array",
    "deadline",
    "begin",
    "name",
    "stdout",
    "stderr",
)
_RATES = ("bandwidth",)
_SIZES = ("memory", "storage", "gpu_memory")
_COUNTS = ("tasks", "nodes", "max_per_node", "retries")


def request_of(given: Mapping[str, Any], command: Sequence[str], *, group: str = "") -> SubmitRequest:
    """The request for these options and this command or script. Raises `BadRequest` for what cannot be read."""
    words = ["/bin/sh", "-c", given["wrap"]] if "wrap" in given else list(command)
    if "wrap" in given and command:
        raise usage("--wrap and a command exclude each other")
    if not words:
        raise usage("there is nothing to run", "give a command: tenure submit [OPTIONS] -- COMMAND ARGS")
    script = "" if "wrap" in given else script_text(words[0])
    options = {**read_headers(script), **given} if script else dict(given)
    arguments = _arguments(options)
    name = arguments.setdefault("name", os.path.basename(words[0]) if script else "wrap" if "wrap" in given else default_name(words))
    is_own = elsewhere() is None and paths.is_own(paths.home())
    if script:
        words = [*_interpreter(script), _keep_script(script, name), *words[1:]] if is_own else _with_text(script, name, words[1:])
    if is_elsewhere():
        arguments["inherit"] = False
        console.hint(f"the job runs on the daemon's machine, in {arguments.get('cwd') or os.getcwd()} there, with what --env gives")
    if options.get("snapshot"):
        if not is_own:
            raise usage("--snapshot copies into the home of the daemon, which is not yours to write to", "leave it out")
        arguments.update(_in_snapshot(arguments.get("cwd") or os.getcwd()))
    request = build_request(words, key=new_key(), group=group, script=script, **arguments)
    if options.get("comment"):
        request.origin["comment"] = options["comment"]
    return request


def _arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `build_request`."""
    found = {name: options[name] for name in _AS_THEY_ARE if name in options}
    found.update({name: bytes_of(options[name], "m") for name in _SIZES if name in options})
    found.update({name: bits_of(options[name]) for name in _RATES if name in options})
    found.update({name: _count(options[name], name) for name in _COUNTS if name in options})
    if found.get("nodes", 0) > found.get("tasks", 1):
        found["tasks"] = found["nodes"]
    if "gres" in options:
        found["gpus"] = options["gres"]
    if "constraint" in options:
        found["labels"] = [label.strip() for label in options["constraint"].split("&") if label.strip()]
    if "prefer" in options:
        found["prefer"] = [label.strip() for label in options["prefer"].split("&") if label.strip()]
    if "after" in options:
        found["after"] = [item for text in options["after"] for item in after_of(text)]
    if options.get("requeue") and "retries" not in found:
        console.note("tenure: --requeue is read as --retries 1: a run that fails is repeated once")
        found["retries"] = 1
    if "chdir" in options:
        found["cwd"] = _directory(options["chdir"])
    found["hold"] = bool(options.get("hold"))
    found["inherit"], found["env"] = environment_of(options.get("env", []), options.get("export", "ALL"))
    return found


def _count(text: str, name: str) -> int:
    if not is_whole(text):
        raise usage(f"--{name.replace('_', '-')} takes a whole number, not {text!r}")
    return int(text)


def _directory(text: str) -> str:
    if is_elsewhere() and not text.startswith("/"):
        raise usage(f"{text} is a directory of the daemon's machine", "give --chdir the full path there")
    path = os.path.abspath(os.path.expanduser(text))
    if not is_elsewhere() and not os.path.isdir(path):
        raise usage(f"there is no directory {path}", "give --chdir one that exists")
    return path


def environment_of(pairs: Sequence[str], export: str) -> tuple[bool, dict[str, str]]:
    """Whether the present environment travels, and what is added to it: ``--env K=V``, ``--env K``, ``--export ALL,K=V``."""
    words = [word.strip() for word in export.split(",") if word.strip()]
    inherit = any(word.upper() == "ALL" for word in words)
    added = [word for word in words if word.upper() not in ("ALL", "NONE")]
    return inherit, dict(_pair(word) for word in (*added, *pairs))


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not name or not name.replace("_", "a").isalnum() or name[0].isdigit():
        raise usage(f"{word!r} is not a variable", "write --env NAME=VALUE, or --env NAME to take it from here")
    if name.startswith("TENURE_") and not is_taken(name):
        raise usage(f"{name} is set by Tenure for every job and cannot be given")
    if not equals:
        if name not in os.environ:
            raise usage(f"the variable {name} is not set here", f"write --env {name}=VALUE")
        value = os.environ[name]
    return name, value


def script_text(word: str) -> str:
    """The text of a script to submit, empty when ``word`` is a command: a file that begins with ``#!`` and has ``#SBATCH`` headers or
    may not be executed. One that may be and has none is a command like any other, run from where it is."""
    try:
        with open(word, "rb") as file:
            if file.read(2) != b"#!":
                return ""
            raw = b"#!" + file.read(_SCRIPT_LIMIT)
    except OSError:
        return ""
    if len(raw) > _SCRIPT_LIMIT:
        return ""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return ""
    has_headers = any(line.startswith("#SBATCH") for line in text.splitlines())
    return text if has_headers or not os.access(word, os.X_OK) else ""


def _interpreter(script: str) -> list[str]:
    words = shlex.split(script.partition("\n")[0][2:])
    if not words:
        raise usage("the script's first line names no interpreter", "begin it with #!/bin/bash")
    return words


def _keep_script(script: str, name: str) -> str:
    """A copy of the script under the name of its content, which a job can run whenever it starts."""
    import hashlib

    from tenure.client.files import write_once

    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in os.path.basename(name))[:60] or "script"
    folder = paths.scripts_dir(paths.home())
    path = os.path.join(folder, f"{hashlib.sha256(script.encode()).hexdigest()[:16]}-{safe}")
    write_once(path, script.encode(), 0o700)
    return path


def _with_text(script: str, name: str, arguments: Sequence[str]) -> list[str]:
    """The command for a script whose file the job would not find where it runs: its interpreter is given the text."""
    words = _interpreter(script)
    program = os.path.basename(words[1] if os.path.basename(words[0]) == "env" and len(words) > 1 else words[0]).rstrip("0123456789.")
    if program in _SHELLS:
        return [*words, "-c", script, name, *arguments]
    if program == "python":
        return [*words, "-c", script, *arguments]
    raise usage(f"a script for {program} cannot be sent to a daemon of another home", "put it there, and submit its command")


def _in_snapshot(cwd: str) -> dict[str, str]:
    from tenure.client.snapshot import take

    return {"cwd": take(cwd, paths.snapshots_dir(paths.home())), "submit_dir": cwd}
