"""``user``, ``token`` and ``whoami``: who may do what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.table import Column, render
from tenure.cli.text import moment, span
from tenure.client.errors import NotFound, TenureError, usage
from tenure.client.session import new_key
from tenure.client.words import span_of
from tenure.wire.people import TokenRequest, TokenView, UserView, WhoAmI

if TYPE_CHECKING:
    from tenure.client.session import Client

_USERS = (Column("USER"), Column("ROLE"), Column("UID", right=True), Column("PROJECTS", cut=True), Column("TOKENS", right=True))
_TOKENS = (
    Column("TOKEN"),
    Column("USER"),
    Column("ROLE"),
    Column("NARROWED TO", cut=True),
    Column("CAPS", cut=True),
    Column("EXPIRES"),
    Column("STATE"),
    Column("LABEL", cut=True, drop=1),
)
_ROLES = "viewer, user, operator or admin"
Project = Annotated[list[str] | None, typer.Option("--project", "-A", metavar="PROJECT", help="Only for this; repeat for more.")]


UserAction = Annotated[str, typer.Argument(metavar="[list|add|set|remove]", help="Default: list.", show_default=False)]
UserName = Annotated[str, typer.Argument(metavar="[USER]", help="Which user.", show_default=False)]
Role = Annotated[str, typer.Option("--role", metavar="ROLE", help=f"Over everything: {_ROLES}. A new one is a user.")]
Memberships = Annotated[
    list[str] | None,
    typer.Option("--project", "-A", metavar="PROJECT=ROLE", help="Member of a project: viewer, user, operator; none ends it."),
]
Disable = Annotated[bool, typer.Option("--disable", help="Let in no more, whatever token is shown.")]
Enable = Annotated[bool, typer.Option("--enable", help="Let in again.")]
Account = Annotated[
    bool | None,
    typer.Option("--account/--no-account", help="Bind it to the account of that name, or to none. Default: if there is one."),
]


def user(
    action: UserAction = "list",
    name: UserName = "",
    role: Role = "",
    project: Memberships = None,
    disable: Disable = False,
    enable: Enable = False,
    account: Account = None,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """List users; add one, change the role, the projects, or disable; remove one for good, tokens included.

    A viewer looks at the jobs of his projects, a user submits his own, an operator acts on everybody's and on nodes and queues, an
    admin does everything. In a project a user may have a role of his own: there an operator acts on all its jobs.

    Examples:

        tenure user
        tenure user add amy --project vision=user
        tenure user set amy --project vision=operator --project speech=none
        tenure user remove amy
    """
    if action not in ("list", "add", "set", "remove"):
        raise usage(f"{action!r} is nothing to do with users", "choose list, add, set or remove")
    if (action == "list") == bool(name):
        raise usage("list takes no name" if name else "name the user", "tenure user lists them")
    if disable and enable:
        raise usage("a user is disabled or not", "leave one of the two out")
    changes: dict[str, Any] = {"projects": _roles_of(project or [])}
    if role or action == "add":
        changes["role"] = role or "user"
    if disable or enable:
        changes["disabled"] = disable
    if account is not None:
        changes["account"] = account
    form_is_json = options.is_json(output, as_json)
    with options.client() as client:
        if action == "list":
            reply = client.people.users()
            if form_is_json:
                console.out_json(reply)
            else:
                console.out(users_table(reply.users, colour=console.has_colour()))
            return
        if action != "remove":
            _is_meant(client, action, name)
        view = client.people.remove_user(name) if action == "remove" else client.people.set_user(name, **changes)
    if form_is_json:
        console.out_json(view)
    else:
        console.out(users_table([view]))


def _is_meant(client: Client, action: str, name: str) -> None:
    """Refuse to add whom there is, whose role would go back to that of a new one, and to set whom there is not, which would add him."""
    is_there = any(view.name == name for view in client.people.users().users)
    if action == "add" and is_there:
        raise TenureError("name_taken", f"there is a user {name!r} already", f"change him with tenure user set {name}")
    if action == "set" and not is_there:
        raise NotFound("not_found", f"there is no user {name!r}", f"see tenure user, or add him with tenure user add {name}")


def _roles_of(words: Sequence[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, mark, role = word.partition("=")
        if not name or not mark or role not in ("viewer", "user", "operator", "none"):
            raise usage(f"{word!r} is no role in a project", "write --project NAME=user; or viewer, operator, none")
        found[name] = role
    return found


def users_table(users: Sequence[UserView], *, colour: bool = False) -> str:
    """The table of ``user``."""
    rows = [
        (
            console.clean(view.name),
            "disabled" if view.disabled else view.role,
            "-" if view.uid is None else str(view.uid),
            ", ".join(f"{console.clean(name)} ({role})" for name, role in sorted(view.projects.items())) or "-",
            str(view.tokens),
        )
        for view in users
    ]
    return render(_USERS, rows, colour=colour)


Token = Annotated[str, typer.Argument(metavar="[TOKEN]", help="Which one to revoke, as the list shows it.", show_default=False)]
TokenAction = Annotated[str, typer.Argument(metavar="[list|create|revoke]", help="Default: list.", show_default=False)]
Owner = Annotated[str, typer.Option("--user", metavar="USER", help="Of this user. Default: your own.")]
Label = Annotated[str, typer.Option("--label", metavar="TEXT", help="What it is for.")]
AtMost = Annotated[
    str, typer.Option("--role", metavar="ROLE", help=f"The most it may: {_ROLES}; never more than its user. Default: user.")
]
May = Annotated[list[str] | None, typer.Option("--may", metavar="PERMISSION", help="Only this, as in jobs.write; repeat for more.")]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="Only look.")]
Expires = Annotated[str, typer.Option("--expires", metavar="SPAN", help="For how long: 8h, 30d, never. Default 90d.")]
GpuHours = Annotated[str, typer.Option("--gpu-hours", metavar="N", help="So much GPU time in all.")]
Jobs = Annotated[int, typer.Option("--jobs", metavar="N", min=0, help="So many jobs and leases at a time.")]
LeaseTime = Annotated[str, typer.Option("--lease-time", metavar="SPAN", help="So long a lease at most.")]


def token(
    action: TokenAction = "list",
    name: Token = "",
    owner: Owner = "",
    label: Label = "",
    role: AtMost = "user",
    project: Project = None,
    may: May = None,
    read_only: ReadOnly = False,
    expires: Expires = "90d",
    gpu_hours: GpuHours = "",
    jobs: Jobs = 0,
    lease_time: LeaseTime = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """List tokens; make one for a program or another machine, narrowed as far as it goes; revoke one at once.

    The secret is printed once, alone on standard output; only a digest of it is kept. Give it to a program as TENURE_TOKEN, or in a
    file of mode 600 that a profile names. What is spent under the caps is counted for each token.

    Examples:

        tenure token
        tenure token create --label laptop --expires 30d
        tenure token create --label agent --project vision --gpu-hours 10 --jobs 4 --lease-time 10m
        tenure token create --read-only --label board --expires never
        tenure token revoke k3v7ab2q
    """
    if action not in ("list", "create", "revoke"):
        raise usage(f"{action!r} is nothing to do with tokens", "choose list, create or revoke")
    if (action == "revoke") != bool(name):
        raise _misnamed(action, name)
    form_is_json = options.is_json(output, as_json)
    if action == "list":
        _list_tokens(form_is_json)
    elif action == "revoke":
        _revoke_token(name)
    else:
        wish = TokenRequest(key=new_key(), user=owner, label=label, role=role, read_only=read_only, jobs=jobs)
        wish.projects, wish.may, wish.gpu_hours = project or [], may or [], _hours(gpu_hours)
        wish.ttl_ms = 0 if expires == "never" else span_of(expires)
        wish.lease_ms = span_of(lease_time) if lease_time else 0
        _make_token(wish, form_is_json)


def _list_tokens(form_is_json: bool) -> None:
    with options.client() as client:
        reply = client.people.tokens()
    if form_is_json:
        console.out_json(reply)
    else:
        console.out(tokens_table(reply.tokens, present_ms(), console.width(), colour=console.has_colour()))


def _revoke_token(name: str) -> None:
    with options.client() as client:
        client.people.revoke_token(name)
    console.note(f"token {name} is revoked")


def _make_token(wish: TokenRequest, form_is_json: bool) -> None:
    with options.client() as client:
        made = client.people.make_token(wish)
    if form_is_json:
        console.out_json(made)
        return
    console.note(f"token {made.token.id} of {made.token.user}; this is its secret, which is not shown again:")
    console.out(made.secret)


def _misnamed(action: str, name: str) -> Exception:
    """A name that is missing, or one too many."""
    if action == "revoke":
        return usage("name the token", "tenure token lists them")
    way = f"for a user: tenure token create --user {name}" if action == "create" else "tenure token lists them all"
    return usage(f"{action} takes no name", way)


def _hours(text: str) -> float:
    try:
        return float(text or 0)
    except ValueError:
        raise usage(f"{text!r} is no number of hours", "write --gpu-hours 10, or 0.5") from None


def tokens_table(tokens: Sequence[TokenView], now_ms: int, width: int = 0, *, colour: bool = False) -> str:
    """The table of ``token``."""
    rows = [
        (
            view.id,
            console.clean(view.user),
            view.role,
            _narrowed(view) or "-",
            _caps(view) or "-",
            moment(view.expires_ms, now_ms) if view.expires_ms else "never",
            "valid" if view.valid else "revoked" if view.revoked_ms else "expired",
            console.clean(view.label) or (view.kind if view.kind != "token" else ""),
        )
        for view in tokens
    ]
    return render(_TOKENS, rows, width=width, colour=colour) if rows else "There are no tokens; tenure token create makes one."


def _narrowed(view: TokenView) -> str:
    parts = [f"projects {', '.join(map(console.clean, view.projects))}"] if view.projects else []
    return "; ".join(parts + ([", ".join(view.may)] if view.may else []))


def _caps(view: TokenView) -> str:
    parts = [f"{view.gpu_hours:g} GPU-hours"] if view.gpu_hours else []
    parts += [f"{view.jobs} jobs"] if view.jobs else []
    return ", ".join(parts + ([f"leases of {span(view.lease_ms)}"] if view.lease_ms else []))


def whoami(output: options.Form = "table", as_json: options.Json = False) -> None:
    """Say who you are to the daemon, and what you may do.

    Examples:

        tenure whoami
        TENURE_URL=https://gpu1:8080 TENURE_TOKEN=... tenure whoami --json
    """
    with options.client() as client:
        me = client.people.whoami()
    if options.is_json(output, as_json):
        console.out_json(me)
    else:
        console.out(me_text(me, present_ms()))


def me_text(me: WhoAmI, now_ms: int) -> str:
    """One's identity as lines."""
    lines = [f"{console.clean(me.user)}, {me.role}, by {me.via}"]
    if me.projects:
        lines.append("projects: " + ", ".join(f"{console.clean(name)} ({role})" for name, role in sorted(me.projects.items())))
    if me.token is not None:
        view = me.token
        ends = f"expires {moment(view.expires_ms, now_ms)}" if view.expires_ms else "never expires"
        lines.append(f"token {view.id}: {_narrowed(view) or 'not narrowed'}; {_caps(view) or 'no caps'}; {ends}")
    return "\n".join([*lines, "may: " + ", ".join(me.may)])
