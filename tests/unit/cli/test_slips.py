"""Slips of the pen: each is refused with the way out, before anything is asked of the daemon that it would do."""

from __future__ import annotations

import pytest

from tenure.cli.lease import leases_table
from tenure.cli.text import details
from tenure.mcp.__main__ import main as mcp
from tenure.wire import dto
from tenure.wire.leases import LeaseView
from tenure.wire.people import UsersReply, UserView
from tests.unit.cli.conftest import FakeClient, Shell

AMY = UserView(name="amy", role="operator")
QUEUES = dto.QueuesReply(queues=[dto.QueueView(name="default")])


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_only_a_queue_that_there_is_can_be_paused(shell: Shell, client: FakeClient, action: str) -> None:
    client.answers |= {"queues": QUEUES, "set_queue": QUEUES.queues[0]}
    assert shell("queue", action, "defualt") == (
        3,
        "",
        "tenure: there is no queue 'defualt'; see tenure queue, or make it with tenure queue set defualt\n",
    )
    assert [name for name, _, _ in client.calls] == ["queues"]
    assert shell("queue", action, "default").code == 0
    assert client.calls[-1][2] == {"paused": action == "pause"}


def test_who_is_there_is_not_added_and_who_is_not_there_is_not_set(shell: Shell, client: FakeClient) -> None:
    client.answers |= {"users": UsersReply(users=[AMY]), "set_user": AMY}
    added, changed = shell("user", "add", "amy"), shell("user", "set", "any", "--role", "admin")
    assert (added.code, added.err) == (1, "tenure: there is a user 'amy' already; change him with tenure user set amy\n")
    assert (changed.code, changed.err) == (3, "tenure: there is no user 'any'; see tenure user, or add him with tenure user add any\n")
    assert {name for name, _, _ in client.calls} == {"users"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("lease acquire --cpus 1 -- true", "lease acquire runs no command; leave acquire out"),
        ("lease list 12", "lease list takes no '12'"),
        ("lease renew 12 --token x -- true", "lease renew runs no command"),
        ("sweep -p n=1..99999999 -- echo {n}", "'1..99999999' has more than"),
        ("report --since 3d", "status is of now, and takes no --since"),
        ("report advice --by user", "advice is of now, and takes no --by"),
        ("events --after -1", "-1 is less than 0"),
        ("top --once --every soon", "'soon' is not a duration"),
        ("history --since soon", "'soon' is neither a span nor a moment; write 10m, 14:30 or 2026-01-31T16:00"),
        ("cancel 1-99999999", "the range '1-99999999' names more than 100000 jobs"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, client: FakeClient, words: str, said: str) -> None:
    done = shell(*words.split())
    assert (done.code, done.out, client.calls) == (2, "", [])
    assert said in done.err
    assert done.err.count("write it like") <= 1


@pytest.mark.parametrize(("program", "code"), [("/nowhere/tool", 127), ("no-such-program", 127), ("/", 126)])
def test_a_command_that_cannot_be_run_waits_for_no_lease(shell: Shell, client: FakeClient, program: str, code: int) -> None:
    done = shell("lease", "--cpus", "1", "--", program)
    assert (done.code, client.calls) == (code, [])
    assert done.err.startswith(f"tenure: {program} cannot be run: ")


def test_jobs_that_are_named_and_not_there_are_not_found(shell: Shell, client: FakeClient) -> None:
    client.answers["jobs"] = dto.JobsReply(jobs=[])
    assert shell("ps", "99") == (3, "", "tenure: there is no job 99; tenure ps -a lists all jobs\n")
    assert shell("history", "99") == (3, "", "tenure: no job 99 has ended; tenure ps 99 says how it stands\n")
    assert shell("ps").code == shell("ps", "99", "--mine").code == shell("ps", "1-9", "--state", "held").code == 0


def test_a_task_or_a_run_that_a_job_has_not_is_not_found(shell: Shell, client: FakeClient) -> None:
    tasks = [dto.TaskView(task=0, node="a", state="active", log="/l/0")]
    ran = dto.JobView(id="12", number=12, name="train", state="running", attempts=1)
    client.answers["show"] = dto.JobDetail(job=ran, attempts=[dto.AttemptView(number=1, attempt=7, tasks=tasks)])
    assert shell("logs", "12", "--task", "1") == (3, "", "tenure: job 12 has no task 1; it has one, 0\n")
    assert (
        shell("logs", "12", "--attempt", "2").err
        == "tenure: job 12 has 1 run, so there is no run 2; leave --attempt out for the last\n"
    )
    assert shell("logs", "12", "--path", "--attempt", "1").out == "/l/0\n"
    assert shell("logs", "12", "--path", "--err") == (3, "", "tenure: job 12 has no log of its own for errors; tenure why 12\n")


def test_a_filter_of_suspend_and_resume_means_what_they_can_act_on(shell: Shell, client: FakeClient) -> None:
    client.answers["act"] = dto.ActReply(results=[])
    for action, state in (("suspend", "running"), ("resume", "suspended")):
        shell(action, "--mine")
        assert client.calls[-1][1][1].states == [state]


def test_what_goes_with_a_record_is_told_without_the_notation_of_a_language() -> None:
    found = {"nodes": ["a", "b"], "scope": {"only": None, "caps": {"jobs": 3}, "verbs": []}, "why": "", "name": "x\ny"}
    assert details(found) == "nodes=a,b scope.caps.jobs=3 name=x�y"


def test_a_cap_that_is_no_number_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert mcp(["--max-gpu-hours", "many"]) == 2
    assert capsys.readouterr().err == "tenure: argument --max-gpu-hours: invalid float value: 'many'; see tenure mcp --help\n"


def test_what_is_left_to_a_lease_is_a_span_whether_it_is_held_or_waits() -> None:
    held = LeaseView(id="1", number=1, state="running", phase="held", granted_ms=5, expires_ms=95_000)
    waits = LeaseView(id="2", number=2, state="pending", phase="waiting", expires_ms=35_000)
    rows = leases_table([held, waits], 5_000).splitlines()[1:]
    assert ("1m30s" in rows[0], "30s" in rows[1]) == (True, True)
