"""The options of a submission, once: for the command line, for ``#SBATCH`` headers, and for their help.

``submit``, ``run``, ``plan`` and ``sweep`` take the options of this table, and a script's headers are read by it too. Invariant: an
option means the same wherever it stands; what Slurm has and Tenure does not honour is in `REFUSED`, with the way out.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any, NamedTuple

import typer

from tenure.cli.tabled import own_parameters, with_parameters

ASK, WHEN, WHERE, WITH = "What it asks for (per task)", "When it starts and ends", "Where and as what", "How it is run"


class Opt(NamedTuple):
    """One option. ``kind`` is text, flag or many; ``flags`` are spelt on the command line, ``header`` only in scripts."""

    field: str
    flags: tuple[str, ...]
    metavar: str
    section: str
    help: str
    kind: str = "text"
    header: tuple[str, ...] = ()


TABLE: tuple[Opt, ...] = (
    Opt("cpus", ("--cpus", "-c", "--cpus-per-task"), "N", ASK, "Cpus: 4 or 0.5. Default 1."),
    Opt("memory", ("--memory", "--mem"), "SIZE", ASK, "Memory, enforced: 8G, 512M; a bare number is MiB."),
    Opt("gpus", ("--gpus", "-G", "--gpus-per-task"), "N", ASK, "GPUs: 2, a100:2, 8.0+:2, or a part of one: 0.5."),
    Opt("gres", ("--gres",), "GRES", ASK, "Slurm's way to ask for GPUs: gpu:2, gpu:a100:2."),
    Opt("gpu_memory", ("--gpu-memory", "--vram"), "SIZE", ASK, "Memory of each GPU: at least this, or this part of a shared one."),
    Opt("tasks", ("--tasks", "-n", "--ntasks"), "N", ASK, "Tasks that start together or not at all. Default 1."),
    Opt("nodes", ("--nodes", "-N"), "N", ASK, "Spread the tasks over exactly so many nodes."),
    Opt("storage", ("--storage", "--tmp"), "SIZE", ASK, "Scratch space, counted: 100G."),
    Opt("bandwidth", ("--bandwidth",), "RATE", ASK, "Of the network, counted, in bits per second: 10G."),
    Opt("constraint", ("--constraint", "-C"), "LABEL", ASK, "Only nodes with this label; several joined by &."),
    Opt("prefer", ("--prefer",), "LABEL", ASK, "Nodes with this label if possible; nvlink: GPUs of one group. Several: &."),
    Opt("prefer_wait", ("--prefer-wait",), "SPAN", ASK, "So long a policy that may delay waits for what is preferred. Default 5m."),
    Opt("work_class", ("--class",), "CLASS", ASK, "The work, where nodes are pooled: inference, training, compute, graphics, general."),
    Opt("max_per_node", ("--max-per-node",), "N", ASK, "At most N tasks of one app (--app) on a node: copies of a service apart."),
    Opt("app", ("--app",), "NAME", ASK, "What counts as the same for --max-per-node. Default: the job's name."),
    Opt("time", ("--time", "-t"), "SPAN", WHEN, "Time limit, enforced: 90s, 2h30m, 1d, 2:00:00; a bare number is minutes."),
    Opt("grace", ("--grace",), "SPAN", WHEN, "Time between the polite end and the hard one. Default 10s."),
    Opt("priority", ("--priority",), "P", WHEN, "1 to 10, or low, normal, high, critical. Default 5."),
    Opt("after", ("--after", "-d", "--dependency"), "JOB[:ok|any|failed]", WHEN, "Start after JOB; Slurm's afterok:1:2 too.", "many"),
    Opt("begin", ("--begin", "-b"), "WHEN", WHEN, "Not before: +2h, 16:00, 2026-01-31T16:00."),
    Opt("deadline", ("--deadline",), "WHEN", WHEN, "It is ended by then, and cancelled if it still waits."),
    Opt("hold", ("--hold", "-H"), "", WHEN, "Queue it held; tenure release lets it go.", "flag"),
    Opt("retries", ("--retries",), "N", WHEN, "Run it again up to N times when it fails."),
    Opt("requeue", ("--requeue",), "", WHEN, "Slurm's word for --retries 1.", "flag"),
    Opt("name", ("--name", "-J", "--job-name"), "NAME", WHERE, "A name; default: the command's."),
    Opt("queue", ("--queue", "-p", "--partition"), "QUEUE", WHERE, "The queue. Default: default."),
    Opt("project", ("--project", "-A", "--account"), "PROJECT", WHERE, "The project it is counted for. Default: default."),
    Opt("array", ("--array", "-a"), "LIST", WHERE, "One job per index: 0-99, 1,5,7-20:2; 0-99%8 runs 8 at once."),
    Opt("chdir", ("--chdir", "-D"), "DIR", WITH, "The directory it runs in. Default: this one."),
    Opt("env", ("--env",), "K=V", WITH, "Set a variable; K alone takes it from here. May be repeated.", "many"),
    Opt("export", ("--export",), "LIST", WITH, "Slurm's: ALL, NONE, or NAME and NAME=VALUE by commas."),
    Opt("stdout", ("--stdout",), "FILE", WITH, "Write output there; %j is the id, %a the index.", header=("-o", "--output")),
    Opt("stderr", ("--stderr",), "FILE", WITH, "Write errors there.", header=("-e", "--error")),
    Opt("snapshot", ("--snapshot",), "", WITH, "Run from a copy of this directory as it is now.", "flag"),
    Opt("wrap", ("--wrap",), "TEXT", WITH, "Run this text in a shell."),
    Opt("comment", ("--comment",), "TEXT", WITH, "A remark, shown by tenure show."),
)

HEADER_ONLY: tuple[Opt, ...] = (
    Opt("gpus_per_node", ("--gpus-per-node",), "N", ASK, ""),
    Opt("tasks_per_node", ("--ntasks-per-node", "--tasks-per-node"), "N", ASK, ""),
    Opt("memory_per_cpu", ("--mem-per-cpu",), "SIZE", ASK, ""),
    Opt("memory_per_gpu", ("--mem-per-gpu",), "SIZE", ASK, ""),
    Opt("cpus_per_gpu", ("--cpus-per-gpu",), "N", ASK, ""),
    Opt("no_requeue", ("--no-requeue",), "", WHEN, "", "flag"),
)

REFUSED: dict[str, str] = {
    "--exclusive": "ask for the cpus and GPUs the job needs",
    "-x": "use --constraint with a label the wanted nodes have",
    "--exclude": "use --constraint with a label the wanted nodes have",
    "-w": "use --constraint with a label the wanted nodes have",
    "--nodelist": "use --constraint with a label the wanted nodes have",
    "-q": "use --priority or --queue",
    "--qos": "use --priority or --queue",
    "--nice": "use --priority",
    "--mail-type": "use: tenure wait JOB; then whatever sends you a message",
    "--mail-user": "use: tenure wait JOB; then whatever sends you a message",
    "--signal": "use --grace: TERM comes that long before the hard end",
    "--open-mode": "every run of a job has a file of its own",
    "-i": "redirect in the script: < FILE",
    "--input": "redirect in the script: < FILE",
    "-W": "give --wait on the command line",
    "--wait": "give --wait on the command line",
    "--parsable": "give --parsable on the command line",
    "--test-only": "use: tenure plan SCRIPT",
    "-L": "there are no licences yet",
    "--licenses": "there are no licences yet",
    "--reservation": "jobs of the reservation's project or user start in it by themselves: use --project",
}
"""Options of Slurm that Tenure does not honour, and what to do instead; any other unknown one is refused without advice."""


def with_submit_options(function: Callable[..., Any], *, own_first: bool = False) -> Callable[..., Any]:
    """``function(given, ...)`` with the options of the table in place of its first parameter, which gets those that were given.

    In its help the function's own options stand last, or first.

    A spelling that the function uses for an option of its own is its own: ``-p`` of ``sweep`` is a parameter.
    """
    taken = {flag for p in own_parameters(function) if p.default is not Parameter.empty for flag in _flags(p.annotation)}
    left = [opt for opt in TABLE if not taken.issuperset(opt.flags)]
    table = [Parameter(o.field, Parameter.KEYWORD_ONLY, default=_default(o), annotation=_annotation(o, taken)) for o in left]

    def given_only(given: dict[str, Any], **values: Any) -> Any:
        return function({field: value for field, value in given.items() if value}, **values)

    called = with_parameters(function, table, call=given_only, own_first=own_first)
    called.takes_command = True  # type: ignore[attr-defined]
    return called


def _default(opt: Opt) -> Any:
    return {"flag": False, "many": None, "text": ""}[opt.kind]


def _flags(annotation: Any) -> list[str]:
    """How an option of a function is spelt."""
    return [flag for info in annotation.__metadata__ for flag in (info.default, *(info.param_decls or ())) if isinstance(flag, str)]


def _annotation(opt: Opt, taken: set[str]) -> Any:
    kinds: dict[str, Any] = {"flag": bool, "many": list[str] | None, "text": str}
    metavar = None if opt.kind == "flag" else opt.metavar
    option = typer.Option(
        *(flag for flag in opt.flags if flag not in taken),
        metavar=metavar,
        help=opt.help,
        rich_help_panel=opt.section,
        show_default=False,
    )
    return Annotated[kinds[opt.kind], option]
