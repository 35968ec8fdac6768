"""Users, tokens and the audit log on the command line: what is asked of the client, and what is printed."""

from __future__ import annotations

import json

import pytest

from tenure.cli.people import me_text, tokens_table, users_table
from tenure.wire.people import TokenReply, TokenRequest, TokensReply, TokenView, UsersReply, UserView, WhoAmI
from tests.unit.cli.conftest import FakeClient, Shell

AMY = UserView(name="amy", role="user", projects={"vision": "operator"}, tokens=2)
TOKEN = TokenView(id="k3v7ab2q", user="amy", role="user", projects=["vision"], gpu_hours=2.5, jobs=4, lease_ms=600_000, label="agent")


def test_a_user_is_added_with_roles_in_projects(shell: Shell, client: FakeClient) -> None:
    client.answers |= {"set_user": AMY, "users": UsersReply(users=[])}
    done = shell("user", "add", "amy", "--project", "vision=operator", "-A", "speech=none", "--no-account")
    assert (done.code, "vision (operator)" in done.out) == (0, True)
    assert client.calls[-1] == (
        "set_user",
        ("amy",),
        {"projects": {"vision": "operator", "speech": "none"}, "role": "user", "account": False},
    )
    client.answers["users"] = UsersReply(users=[AMY])
    shell("user", "set", "amy", "--disable")
    assert client.calls[-1][2] == {"projects": {}, "disabled": True}


@pytest.mark.parametrize(
    "words",
    [
        ("user", "add"),
        ("user", "list", "amy"),
        ("user", "praise", "amy"),
        ("user", "set", "amy", "--project", "vision"),
        ("user", "set", "amy", "--project", "vision=admin"),
        ("user", "set", "amy", "--disable", "--enable"),
        ("token", "revoke"),
        ("token", "create", "x"),
        ("token", "create", "--gpu-hours", "many"),
        ("token", "create", "--expires", "soon"),
        ("token", "polish"),
    ],
)
def test_what_means_nothing_is_a_mistake_in_the_command_line(shell: Shell, words: tuple[str, ...]) -> None:
    done = shell(*words)
    assert (done.code, done.out) == (2, "")


def test_who_names_a_user_for_a_token_is_told_how(shell: Shell) -> None:
    done = shell("token", "create", "amy")
    assert (done.code, "tenure token create --user amy" in done.err) == (2, True)


def test_a_secret_stands_alone_on_the_output(shell: Shell, client: FakeClient) -> None:
    client.answers["make_token"] = TokenReply(secret="tenure_k3v7ab2q_s", token=TOKEN)
    done = shell("token", "create", "--expires", "8h", "--gpu-hours", "2.5", "--jobs", "4", "--lease-time", "10m", "--read-only")
    assert done.out == "tenure_k3v7ab2q_s\n"
    wish: TokenRequest = client.calls[-1][1][0]
    assert (wish.ttl_ms, wish.gpu_hours, wish.jobs, wish.lease_ms, wish.read_only) == (28_800_000, 2.5, 4, 600_000, True)
    shell("token", "create", "--expires", "never")
    assert client.calls[-1][1][0].ttl_ms == 0
    client.answers["revoke_token"] = None
    assert shell("token", "revoke", "k3v7ab2q").code == 0


def test_everything_is_there_as_json_too(shell: Shell, client: FakeClient) -> None:
    client.answers |= {
        "users": UsersReply(users=[AMY]),
        "tokens": TokensReply(tokens=[TOKEN]),
        "whoami": WhoAmI(user="amy", uid=5, role="user", via="token", may=["jobs.read"]),
    }
    for command in ("user", "token", "whoami"):
        assert json.loads(shell(command, "--json").out)
        assert shell(command).code == 0


def test_tables_say_what_matters_and_show_no_control_characters() -> None:
    text = tokens_table([TOKEN, TokenView(id="b", user="a\x1b[2J", role="user", valid=False, revoked_ms=1)], 0)
    assert "projects vision" in text
    assert "2.5 GPU-hours, 4 jobs, leases of 10m" in text
    assert "revoked" in text
    assert "\x1b" not in text + users_table([UserView(name="a\x1bb", role="user", disabled=True)])
    assert tokens_table([], 0).startswith("There are no tokens")
    me = WhoAmI(user="amy", uid=5, role="user", via="token", may=["jobs.read"], projects={"vision": "operator"}, token=TOKEN)
    assert "token k3v7ab2q: projects vision; 2.5 GPU-hours" in me_text(me, 0)
