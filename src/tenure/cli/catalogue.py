"""The table of commands: what each is called, what it does in one line, and where it lives.

``tenure --help``, completion and the reference are made from it without importing a single command. Invariant: every command is here
once, under one heading; an alias is another word for it and does not appear in the table.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One command: the function ``function`` (default: its name) in ``tenure.cli.<module>``. ``jobs`` says which jobs it takes ids of:
    active ones, any, or none."""

    name: str
    module: str
    summary: str
    aliases: tuple[str, ...] = ()
    function: str = ""
    jobs: str = ""


SECTIONS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Submit",
        (
            Entry("submit", "submit", "Queue a command or a script; prints its id."),
            Entry("run", "submit", "Queue a command, show its output, return its exit code."),
            Entry("plan", "submit", "Say what would become of a submission; queue nothing."),
            Entry("what-if", "what_if", "Say what would start when if something were different; change nothing.", (), "what_if"),
            Entry("lease", "lease", "Hold amounts for a short time: for a command, or for whoever has the token."),
            Entry("sweep", "sweep", "Queue a command once for every combination of parameters."),
        ),
    ),
    (
        "Look",
        (
            Entry("ps", "ps", "List jobs: what runs, what waits and why, when it will start.", ("ls",), jobs="any"),
            Entry("show", "show", "Show everything about one job.", jobs="any"),
            Entry("why", "show", "Say why a job waits, ended or is where it is, and what would help.", ("explain",), jobs="any"),
            Entry("logs", "logs", "Print a job's output, live if you like.", jobs="any"),
            Entry("history", "ps", "List the jobs that have ended.", jobs="any"),
            Entry("events", "events", "Print what happened, as it happens if you like.", jobs="any"),
            Entry("conflicts", "conflicts", "List what waiting jobs cannot all have; resolve it."),
            Entry("reservations", "reserve", "List what is set aside, for whom and when."),
            Entry("nodes", "nodes", "List nodes; drain one, let it work again."),
            Entry("pools", "pools", "List pools of nodes: what each is for and what is held of it.", ("pool",)),
            Entry("gpus", "nodes", "List GPUs and who holds them."),
            Entry("top", "top", "Watch machines, GPUs and jobs."),
        ),
    ),
    (
        "Act",
        (
            Entry("wait", "wait", "Wait for jobs to end; return their exit code.", jobs="any"),
            Entry("cancel", "act", "End jobs.", ("kill", "stop"), jobs="active"),
            Entry("hold", "act", "Keep waiting jobs from starting.", jobs="active"),
            Entry("release", "act", "Let held jobs start.", jobs="active"),
            Entry("requeue", "act", "Run jobs again.", ("restart",), jobs="any"),
            Entry("suspend", "act", "Stop the processes of running jobs where they are.", jobs="active"),
            Entry("resume", "act", "Let suspended jobs go on.", jobs="active"),
            Entry("update", "update", "Change jobs: priority, time limit, queue, amounts.", jobs="active"),
            Entry("projects", "projects", "Say how projects stand: quotas, what they hold and held, shares.", ("project", "quota")),
            Entry("reserve", "reserve", "Set nodes aside for a time: for a project, a user, or maintenance."),
            Entry("unreserve", "reserve", "Take a reservation back."),
            Entry("guide", "guide", "Raise or lower a class of work, or let another policy decide, for a while."),
            Entry("queue", "queue", "List queues; pause one, resume it, set its limits.", ("queues",)),
        ),
    ),
    (
        "Study",
        (
            Entry("policy", "policy", "Say which policy decides; set another, list them, compare what each has done."),
            Entry("report", "report", "Say how things stand and what would help."),
            Entry("simulate", "simulate", "Replay a log under one policy or several, compare what comes of it."),
        ),
    ),
    (
        "People",
        (
            Entry("whoami", "people", "Say who you are to the daemon, and what you may do."),
            Entry("user", "people", "List users; add one, set roles and projects, remove one.", ("users",)),
            Entry("token", "people", "List tokens; make one, narrowed as far as it goes; revoke one.", ("tokens",)),
            Entry("audit", "audit", "Print who changed what; export it, verify an export."),
        ),
    ),
    (
        "Look after it",
        (
            Entry("status", "service", "Say whether the daemon is there and well."),
            Entry("doctor", "service", "Check the installation; say what to do about what is wrong."),
            Entry("up", "service", "Start the daemon (the first command does it by itself)."),
            Entry("down", "service", "Stop the daemon; running jobs go on."),
            Entry("login", "login", "Print a link that logs a browser in, once."),
            Entry("cert", "cert", "Make a certificate for the TCP listener."),
            Entry("mcp", "mcp", "Serve agents by the Model Context Protocol."),
            Entry("backup", "backup", "Write a copy of all jobs and their history to a file."),
            Entry("restore", "backup", "Put a backup in the place of the present store."),
            Entry("completion", "completion", "Print what makes your shell complete commands, options and job ids."),
            Entry("version", "completion", "Print the version."),
        ),
    ),
)

ENTRIES: dict[str, Entry] = {entry.name: entry for _, entries in SECTIONS for entry in entries}
BY_WORD: dict[str, Entry] = {word: entry for entry in ENTRIES.values() for word in (entry.name, *entry.aliases)}
