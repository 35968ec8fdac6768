"""``sweep``: one job for every combination of parameters, handed in together."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Annotated, Any

import typer

from tenure.cli import console, options
from tenure.cli.submit import Command
from tenure.cli.submit_table import with_submit_options
from tenure.cli.table import Column, render
from tenure.client.errors import EXIT_ERROR, TenureError, usage
from tenure.model.amounts import is_whole
from tenure.wire.dto import SubmitReply, SubmitRequest

MAX_COMBINATIONS = 10_000
_BATCH = 1000


@with_submit_options
def sweep(
    given: dict[str, Any],
    command: Command,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", metavar="NAME=A,B,..", help="Values of {NAME}; repeat for more names.")
    ] = None,
    group: Annotated[str, typer.Option("--group", metavar="NAME", help="What the sweep is called. Default: made up.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands and queue nothing.")] = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Queue a command once for every combination of parameters.

    {NAME} in the command becomes a value; {{ and }} are braces. Options are those of tenure submit, but -p is a parameter here and
    not a queue.

    Examples:

        tenure sweep -p lr=0.1,0.01 -p depth=2,4 -- python train.py --lr {lr} --depth {depth}
        tenure sweep --gpus 1 -p seed=1..10 -- python train.py --seed {seed}
        tenure wait --group sweep-1a2b3c; tenure history --group sweep-1a2b3c

    A parameter that the command does not use, and a {NAME} without values, are refused. All jobs have the same group, and their
    parameters are in their environment as SWEEP_NAME. Exit codes: 0, 1 when some were refused, 2 a mistake, 4 never.
    """
    from tenure.cli.submission import request_of

    parameters = parameters_of(param or [])
    check_use(parameters, command)
    combinations = [dict(zip(parameters, values, strict=True)) for values in product(*parameters.values())]
    called = group or f"sweep-{os.urandom(3).hex()}"
    first = request_of(given, [fill(word, combinations[0]) for word in command], group=called)
    requests = [_one(first, command, combination, given) for combination in combinations]
    if dry_run:
        import shlex

        console.out("\n".join(shlex.join(request.argv) for request in requests))
        return
    with options.client() as client:
        replies = [reply for at in range(0, len(requests), _BATCH) for reply in client.submit_many(requests[at : at + _BATCH])]
    _print(called, combinations, replies, options.is_json(output, as_json))


def parameters_of(texts: Sequence[str]) -> dict[str, list[str]]:
    """Names and their values: ``lr=0.1,0.01``, ``seed=1..10``."""
    if not texts:
        raise usage("a sweep needs parameters", "give -p NAME=VALUE,VALUE")
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.isidentifier() or not values:
            raise usage(f"{text!r} is not a parameter", "write -p NAME=VALUE,VALUE or -p NAME=1..10")
        if name in found:
            raise usage(f"the parameter {name} is given twice", f"write all its values in one: -p {name}=A,B,C")
        found[name] = _values(values)
    count = 1
    for values_of_one in found.values():
        count *= len(values_of_one)
        if count > MAX_COMBINATIONS:
            raise usage(f"these are more than {MAX_COMBINATIONS} combinations", "give fewer values, or use --array")
    return found


def _values(text: str) -> list[str]:
    first, dots, last = text.partition("..")
    if dots and is_whole(first) and is_whole(last):
        low, high = int(first), int(last)
        if low > high:
            raise usage(f"{text!r} is not a range", "write the smaller number first, such as 1..10")
        if high >= low + MAX_COMBINATIONS:
            raise usage(f"{text!r} has more than {MAX_COMBINATIONS} values", "write fewer, or submit an array")
        return [str(value) for value in range(low, high + 1)]
    values = [value.strip() for value in text.split(",")]
    if len(set(values)) != len(values):
        raise usage(f"{text!r} names a value twice")
    return values


def placeholders(word: str) -> list[str]:
    """The names in braces in one word of the command."""
    try:
        return [name for _, name, _, _ in string.Formatter().parse(word) if name is not None]
    except ValueError as error:
        raise usage(f"the braces in {word!r} do not match", "write {{ and }} for braces that are meant as such") from error


def check_use(parameters: Mapping[str, object], command: Sequence[str]) -> None:
    """Raise `BadRequest` unless the command uses exactly these parameters."""
    used = [name for word in command for name in placeholders(word)]
    for name in used:
        if name not in parameters:
            known = ", ".join(parameters)
            raise usage(
                f"the command uses {{{name}}}, but there is no parameter {name!r} (only {known})",
                f"add -p {name}=..., or write {{{{ }}}}",
            )
    for name in parameters:
        if name not in used:
            raise usage(f"the command does not use the parameter {name}", f"write {{{name}}} where its value belongs")


def fill(word: str, values: Mapping[str, str]) -> str:
    """One word with its placeholders replaced; ``{{`` is a brace."""
    parts = []
    for literal, name, _, _ in string.Formatter().parse(word):
        parts.append(literal)
        if name is not None:
            parts.append(values[name])
    return "".join(parts)


def _one(first: SubmitRequest, command: Sequence[str], combination: Mapping[str, str], given: Mapping[str, Any]) -> SubmitRequest:
    """The request of one combination: like the first, but for the command, the name and the key."""
    from msgspec.structs import replace

    from tenure.client.session import new_key

    words = [fill(word, combination) for word in command]
    argv = [*first.argv[: len(first.argv) - len(words) + 1], *words[1:]]
    if not first.script:
        argv[0] = words[0]
    base = given.get("name") or first.name
    name = f"{base} " + " ".join(f"{key}={value}" for key, value in combination.items())
    env = {**first.env, **{f"SWEEP_{key.upper()}": value for key, value in combination.items()}}
    return replace(first, argv=argv, key=new_key(), name=name[:200], env=env)


def _print(group: str, combinations: Sequence[Mapping[str, str]], replies: Sequence[SubmitReply | TenureError], as_json: bool) -> None:
    refused = [reply for reply in replies if isinstance(reply, TenureError)]
    if as_json:
        jobs = [
            {"parameters": dict(combination), **({"error": reply.code} if isinstance(reply, TenureError) else {"id": reply.id})}
            for combination, reply in zip(combinations, replies, strict=True)
        ]
        console.out_json({"group": group, "jobs": jobs})
    else:
        names = list(combinations[0])
        rows = [
            ["refused" if isinstance(reply, TenureError) else reply.id, *(combination[name] for name in names)]
            for combination, reply in zip(combinations, replies, strict=True)
        ]
        console.out(render([Column("ID"), *(Column(name) for name in names)], rows))
        console.out(f"{len(replies) - len(refused)} jobs in group {group}")
        console.hint(f"next: tenure ps --group {group} · tenure wait --group {group} · tenure cancel --group {group}")
    if refused:
        if len(refused) == len(replies):
            raise refused[0]
        console.note(f"tenure: {len(refused)} were refused: {refused[0]}")
        raise typer.Exit(EXIT_ERROR)
