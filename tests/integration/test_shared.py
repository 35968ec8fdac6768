"""One daemon of root for the users of a machine: whose a job is, it runs as; what is another's is neither seen nor touched."""

from __future__ import annotations

import contextlib
import json
import os
import pkgutil
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tenure import client as client_package
from tenure import wire as wire_package
from tenure.api.peer import MOST_EACH
from tenure.client import connect, http, paths
from tenure.client.errors import TenureError
from tenure.client.session import Client
from tenure.executors.local import commons
from tests.require import require
from tests.support.living import Installation, until

NOBODY, OTHER = 65534, 1
for package in (client_package, wire_package):
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")  # before another user runs, who may not be able to read it


@pytest.fixture(scope="module")
def shared() -> Iterator[Installation]:
    require("root", os.geteuid() == 0, "only root can start a daemon for others")
    root = Path(tempfile.mkdtemp(prefix="tn"))
    root.chmod(0o755)
    living = Installation(root)
    (living.work / "nobody").mkdir()
    os.chown(living.work / "nobody", NOBODY, NOBODY)
    try:
        living.cli("up", "--shared")
        yield living
    finally:
        living.tear_down()
        shutil.rmtree(root, ignore_errors=True)


def as_user(uid: int, call: Callable[[], Any]) -> Any:
    """What a call gives in a child process of that user; a TenureError is given as its code."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            answer = call()
        except TenureError as error:
            answer = error.code
        except BaseException:
            answer = traceback.format_exc()
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        answer = json.loads(said.read())
    os.waitpid(pid, 0)
    return answer


def run(home: Installation, uid: int, script: str, **options: Any) -> tuple[str, str, str]:
    """Id, state and output of a script that a user submits."""
    work = str(home.work / "nobody")

    def call() -> tuple[str, str, str]:
        with connect(str(home.home)) as client:
            options.setdefault("cwd", work)
            job = client.submit(["/bin/sh", "-c", script], inherit=False, **options).id
            done = client.wait([job], 30)
            return job, done.jobs[0].state, b"".join(client.logs(job)).decode()

    found: tuple[str, str, str] = as_user(uid, call)
    assert isinstance(found, list), found
    return found


def asked(home: Installation, uid: int, call: Callable[[Client], Any]) -> Any:
    """What one call of a user gives."""

    def connected() -> Any:
        with connect(str(home.home)) as client:
            return call(client)

    return as_user(uid, connected)


def test_a_job_runs_as_whose_it_is(shared: Installation) -> None:
    script = (
        "id -u; id -g; id -G; echo $HOME $USER $LOGNAME; umask; grep -E 'Cap(Prm|Eff|Inh|Amb)' /proc/self/status | tr -s '\\t\\n' ' '"
    )
    job, state, output = run(shared, NOBODY, script)
    none = " ".join(f"{name}: {0:016x}" for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"))
    told = shared.cli("show", job).stdout
    assert (state, output.split("\n")[:4]) == ("succeeded", ["65534", "65534", "65534", "/nonexistent nobody nobody"]), told
    assert output.split("\n")[5].strip() == none


def test_nothing_of_the_daemon_is_inherited(shared: Installation) -> None:
    _, state, output = run(shared, NOBODY, "ls /proc/self/fd | tr '\\n' ' '; env | grep -c '^PYTHONPATH=' ; true")
    assert state == "succeeded"
    assert output.split() == ["0", "1", "2", "3", "0"]  # 3 is the directory that ls reads


def test_a_job_reports_figures(shared: Installation) -> None:
    assert run(shared, NOBODY, 'echo \'{"loss": 1}\' >> "$TENURE_METRICS_FILE"')[1] == "succeeded"


def test_a_job_tells_of_a_checkpoint(shared: Installation) -> None:
    said = 'stat -c "%Y %u" "$TENURE_CHECKPOINT_FILE"; echo here > "$TENURE_CHECKPOINT_FILE"; touch "$TENURE_CHECKPOINT_FILE"'
    _, state, output = run(shared, NOBODY, said)
    assert (state, output) == ("succeeded", f"0 {NOBODY}\n")


def test_a_log_is_for_its_owner(shared: Installation) -> None:
    job, _, output = run(shared, NOBODY, "echo mine")
    assert output == "mine\n"
    log = next(shared.home.glob(f"logs/*/{job}.*.log"))
    assert (log.stat().st_uid, log.stat().st_mode & 0o777) == (NOBODY, 0o600)
    assert asked(shared, OTHER, lambda client: b"".join(client.logs(job)).decode()) == "not_found"
    assert as_user(OTHER, lambda: os.access(log, os.R_OK) or os.access(shared.home / "tenure.db", os.R_OK)) is False


def test_what_is_anothers_is_not_there(shared: Installation) -> None:
    work = str(shared.work / "nobody")
    job = asked(shared, NOBODY, lambda client: client.submit(["sleep", "60"], inherit=False, cwd=work).id)
    for call in (
        lambda client: client.show(job).job.state,
        lambda client: client.why(job).job,
        lambda client: client.act("cancel", [job]).results[0].code or "done",
    ):
        assert asked(shared, OTHER, call) == "not_found"
    assert asked(shared, OTHER, lambda client: len(client.jobs().jobs)) == 0
    assert asked(shared, NOBODY, lambda client: client.act("cancel", [job]).results[0].code) == ""
    assert asked(shared, OTHER, lambda client: client.admin.down()) == "forbidden"


def test_doctor_is_content(shared: Installation) -> None:
    checks = {check["name"]: check["level"] for check in shared.json("doctor")["checks"] if check["name"] in ("shared", "access")}
    assert checks == {"shared": "ok", "access": "ok"}


def test_root_has_no_jobs(shared: Installation) -> None:
    with connect(str(shared.home)) as client, pytest.raises(TenureError) as refused:
        client.submit(["true"])
    assert refused.value.code == "root_jobs"


def test_a_link_in_the_place_of_a_log_leads_nowhere(shared: Installation) -> None:
    secret = shared.home.parent / "secret"
    secret.write_text("of root\n")
    secret.chmod(0o600)
    for swap in (f"ln -s {secret} out.log", "mkfifo out.log"):
        job, state, output = run(shared, NOBODY, f"echo first; rm -f out.log; {swap}", stdout="out.log")
        assert (state, output) == ("succeeded", "")
        (shared.work / "nobody" / "out.log").unlink()
        del job


def test_what_a_user_names_is_touched_as_the_user(shared: Installation) -> None:
    job, _, _ = run(shared, OTHER, "echo other", cwd="/")
    log = next(shared.home.glob(f"logs/*/{job}.*.log"))
    for path in (str(log), "/etc/of-nobody.log", str(shared.home / "logs" / "new.log")):
        assert run(shared, NOBODY, "echo overwritten", stdout=path)[1] == "failed"
    assert log.read_text() == "other\n"
    (shared.work / "closed").mkdir(mode=0o700, exist_ok=True)
    assert run(shared, NOBODY, "true", cwd=str(shared.work / "closed"))[1] == "failed"
    assert run(shared, NOBODY, "true", stdout="mine.log")[1] == "succeeded"
    assert (shared.work / "nobody" / "mine.log").stat().st_uid == NOBODY


def test_a_program_that_is_not_his_is_refused_with_a_reason(shared: Installation) -> None:
    work = str(shared.work / "nobody")

    def why(client: Client) -> str:
        job = client.submit(["no-such-program"], inherit=False, cwd=work).id
        client.wait([job], 30)
        return repr(client.why(job))

    assert "no-such-program" in asked(shared, NOBODY, why)


def test_tasks_outlive_the_supervisor_and_keep_their_owner(shared: Installation) -> None:
    work = str(shared.work / "nobody")
    job = asked(shared, NOBODY, lambda client: client.submit(["sleep", "60"], inherit=False, cwd=work).id)
    until(lambda: shared.state(job) == "running", "the start")
    shared.kill_supervisor()
    until(lambda: shared.supervisor_pid() > 0, "another supervisor")
    assert asked(shared, NOBODY, lambda client: client.act("cancel", [job]).results[0].code) == ""
    until(lambda: shared.state(job) == "cancelled", "the end")


def test_nobody_takes_up_all_connections(shared: Installation) -> None:
    path = paths.daemon_socket(str(shared.home)).replace("/run/", "/shared/")

    def served(connections: int) -> int:
        opened = [http.Connection(path, 5.0) for _ in range(connections)]
        answers = 0
        for connection in opened:
            with contextlib.suppress(http.Broken):
                answers += connection.exchange(http.request("GET", "/api/v1/whoami"), 5.0)[0].status == 200
        return answers

    assert as_user(NOBODY, lambda: served(MOST_EACH + 3)) == MOST_EACH
    assert asked(shared, OTHER, lambda client: len(client.admin.queues().queues)) == 1
    until(lambda: as_user(NOBODY, lambda: served(1)) == 1, "room again")


@pytest.fixture
def place() -> Iterator[Path]:
    require("root", os.geteuid() == 0, "directories must be root's")
    root = Path(tempfile.mkdtemp(prefix="tn"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root, ignore_errors=True)


def code_of(home: Path, group: str = "") -> str:
    with pytest.raises(commons.CannotShare) as refused:
        commons.check(str(home), group)
    assert refused.value.remedy
    return refused.value.code


def test_what_cannot_be_shared(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert commons.check(str(place / "home"), "") is None
    assert code_of(place / "home", "no-such-group") == "shared_group"
    assert code_of(place / ("x" * 90)) == "shared_home"
    for mode in (0o700, 0o757, 0o775):
        place.chmod(mode)
        assert code_of(place / "home") == "shared_home"
    place.chmod(0o755)
    os.chown(place, NOBODY, 0)
    assert code_of(place / "home") == "shared_home"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert code_of(place / "home") == "shared_not_root"


@contextlib.contextmanager
def private() -> Iterator[None]:
    """What is done in it may change the umask, as a daemon does that is about to share its home."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def test_a_home_is_closed_before_anybody_is_served(place: Path) -> None:
    home = place / "home"
    (home / "logs").mkdir(parents=True, mode=0o755)
    (home / "tenure.db").write_text("")
    (home / "tenure.db").chmod(0o644)
    with private():
        commons.prepare(str(home), 0)
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in home.iterdir()}
    assert modes == {"logs": 0o700, "tenure.db": 0o600, "metrics": 0o711, "checkpoints": 0o711, "shared": 0o710}
    assert home.stat().st_mode & 0o777 == 0o711
    os.chown(home, NOBODY, 0)
    with private(), pytest.raises(commons.CannotShare):
        commons.prepare(str(home), None)
