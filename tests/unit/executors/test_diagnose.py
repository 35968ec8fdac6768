"""Every sentence of doctor about this machine, from facts that would cause it."""

from __future__ import annotations

import os
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenure.executors.local import diagnose as doctor
from tenure.executors.local.diagnose import Facts, Finding, diagnose, file_system_of, strays
from tenure.executors.local.settings import LocalSettings, PretendNode
from tenure.executors.local.supervisor import VERSION
from tenure.model.amounts import GIB, MIB
from tenure.model.observations import DeviceFound

Usage = namedtuple("Usage", "total used free")
ENFORCED = {"mode": "v2", "cpu": "enforced", "memory": "enforced", "why": ""}
WELL = {"version": VERSION, "pid": 7, "cgroups": ENFORCED}


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path)


def facts(home: str, **fields: Any) -> Facts:
    settings = fields.pop("settings", LocalSettings(home))
    return Facts(settings, **{"hello": WELL, "stats": {"reserve": True, "log_bound": "works"}, "driver_problem": "no driver", **fields})


def found(facts: Facts, name: str) -> Finding:
    named = {finding.name: finding for finding in diagnose(facts)}
    assert name in named, f"nothing about {name} in {sorted(named)}"
    return named[name]


def gpu(index: int, status: str = "ok", why: str = "", group: int = 0) -> DeviceFound:
    return DeviceFound(f"GPU-{index}", index, "A100", 80 * GIB, group, status, False, why)


def test_a_sound_machine_has_nothing_to_complain_of(home: str) -> None:
    findings = diagnose(facts(home, driver="550", driver_problem="", devices=[gpu(0), gpu(1)]))
    assert {finding.level for finding in findings} <= {"ok", "note"}


def test_every_complaint_has_a_remedy(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "file_system_of", lambda _path: "nfs4")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path: Usage(100 * GIB, 0, MIB))
    monkeypatch.setattr(doctor, "can_punch", lambda _home: False)
    stats = {"journal_blocked": True, "reserve": False, "journal_bad_lines": 3, "log_bound": "not possible on this file system"}
    sick = facts(
        home,
        hello={**WELL, "cgroups": {"mode": "off", "cpu": "advisory", "memory": "sampled", "why": "not permitted"}},
        stats=stats,
        devices=[
            gpu(0, "foreign", "pid 5"),
            gpu(1, "lost", "fell off"),
            gpu(2, "quarantined", "still occupied"),
            gpu(3, "mig", "split"),
        ],
        driver="550",
        driver_problem="GPU 3 cannot be read",
        strays=[5],
    )
    for one in (sick, facts(home, hello={}, problem="the supervisor cannot be reached")):
        for finding in diagnose(one):
            if finding.level in ("warning", "problem"):
                assert finding.remedy, finding
    levels = {finding.name: finding.level for finding in diagnose(sick)}
    assert levels["home"] == levels["disk"] == levels["journal"] == levels["gpu 1"] == levels["gpu 2"] == "problem"
    assert levels["memory limits"] == levels["cpu limits"] == levels["gpu 0"] == levels["logs"] == levels["leftovers"] == "warning"


def test_a_supervisor_that_is_gone_is_a_problem(home: str) -> None:
    finding = found(facts(home, hello={}, problem="it was lost"), "supervisor")
    assert (finding.level, finding.text) == ("problem", "it was lost")


def test_a_split_device_is_nothing_to_worry_about(home: str) -> None:
    finding = found(facts(home, driver="550", driver_problem="", devices=[gpu(3, "mig", "it is in MIG mode")]), "gpu 3")
    assert (finding.level, finding.text) == ("note", "not offered: it is in MIG mode")
    assert "-i 3 -mig 0" in finding.remedy


def test_an_older_supervisor_is_only_a_note(home: str) -> None:
    finding = found(facts(home, hello={**WELL, "version": "0.1", "protocol": 1}), "supervisor")
    assert "cannot change the time limit" in finding.text
    assert finding.level == "note"
    assert "0.1" in finding.text
    newer = found(facts(home, hello={**WELL, "version": "1.3", "protocol": 4}), "supervisor")
    assert "cannot change the cpu and memory" in newer.text
    same = found(facts(home, hello={**WELL, "version": "9.9", "protocol": 5}), "supervisor")
    assert "cannot" not in same.text


def test_advisory_limits_say_why(home: str) -> None:
    advisory = {"mode": "off", "cpu": "advisory", "memory": "sampled", "why": "version 2: no memory controller"}
    memory = found(facts(home, hello={**WELL, "cgroups": advisory}), "memory limits")
    assert "no memory controller" in memory.text
    assert "Delegate" in memory.remedy
    off = facts(home, settings=LocalSettings(home, cgroups="off"), hello={**WELL, "cgroups": advisory})
    assert "cgroups" in found(off, "memory limits").remedy


def test_a_foreign_process_is_named(home: str) -> None:
    finding = found(facts(home, devices=[gpu(3, "foreign", "in use by pid 412 (python, user eve), 900M")]), "gpu 3")
    assert "pid 412" in finding.text


def test_islands_of_devices_are_told(home: str) -> None:
    devices = [gpu(0), gpu(1), gpu(2, group=1), gpu(3, group=1)]
    assert found(facts(home, devices=devices), "fabric").text == "2 islands of devices: GPUs 0, 1; GPUs 2, 3"


def test_models_are_counted(home: str) -> None:
    assert found(facts(home, driver="550", devices=[gpu(0), gpu(1)]), "gpus").text == "driver 550: 2 x A100"


def test_pretend_nodes_are_marked(home: str) -> None:
    settings = LocalSettings(home, pretend_nodes=(PretendNode("toy"),))
    assert found(facts(home, settings=settings), "pretend nodes").text.startswith("toy:")


def test_a_shrinking_disk_is_a_warning_first(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path: Usage(100 * GIB, 0, GIB))
    assert found(facts(home), "disk").level == "warning"


@pytest.mark.parametrize(("name", "level"), [("tsc", "ok"), ("hpet", "note")])
def test_the_clock_source_is_judged(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, level: str) -> None:
    (tmp_path / "clock").write_text(name + "\n")
    monkeypatch.setattr(doctor, "CLOCK_SOURCE", str(tmp_path / "clock"))
    assert found(facts(home), "clock").level == level


def test_the_file_system_is_that_of_the_longest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        f"2 1 0:9 / {tmp_path} rw shared:1 - nfs4 server:/x rw\n"
        f"3 1 0:9 / {tmp_path}x rw - tmpfs none rw\n"
    )
    assert file_system_of(str(tmp_path / "home"), str(mounts)) == "nfs4"
    assert file_system_of("/", str(mounts)) == "ext4"
    assert file_system_of("/", str(tmp_path / "absent")) == ""


@pytest.fixture
def tagged() -> Iterator[int]:
    with subprocess.Popen(["sleep", "1000"], env={**os.environ, "TENURE_TASK_TAG": "ab.cd/4/0"}) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def test_processes_of_ended_tasks_are_found_by_their_tag(tagged: int) -> None:
    assert strays("ab.cd", []) == [tagged]
    assert strays("ab.cd", [(4, 0)]) == []
    assert strays("ab.c", []) == []
