"""The reference pages name everything the code has, and nothing it has not."""

from __future__ import annotations

import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from tenure import config
from tenure.api.front import TABLE
from tenure.api.problems import KINDS
from tenure.config import monitoring
from tenure.config.listen import ListenSettings, SharedSettings
from tenure.executors.local.launching import OWN_NAMES
from tenure.model.access import LOWEST
from tenure.model.lifecycle import ENDED_STATES, JOB_TRANSITIONS, JobState
from tenure.model.observations import EndReason
from tenure.model.reasons import REASON_CODES, Reason
from tenure.store.schema import job

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text()


def rows(text: str) -> list[list[str]]:
    """The cells of every table row of a page, headings and rules left out."""
    lines = [*text.splitlines(), ""]
    kept = [
        line for line, below in pairwise(lines) if line.startswith("|") and not line.startswith("|-") and not below.startswith("|-")
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in kept]


def words(text: str) -> list[str]:
    """What is set in code type."""
    return re.findall(r"`([^`]+)`", text)


def test_every_reason_is_explained_with_its_cure() -> None:
    kinds = {kind.code: kind for kind in get_args(Reason)}
    table = {words(row[0])[0]: row for row in rows(page("reasons"))}
    assert sorted(table) == sorted(REASON_CODES)
    for code, row in table.items():
        assert row[1] == kinds[code].cure.value
        assert set(words(row[3])) >= {field.name for field in fields(kinds[code])}


def test_every_state_and_change_is_listed() -> None:
    table = {words(row[0])[0]: row[2] for row in rows(page("job-states")) if len(row) == 3}
    assert sorted(table) == sorted(JobState)
    for state, text in table.items():
        named = set(words(text)) | (ENDED_STATES if "every ending" in text else set())
        assert named == JOB_TRANSITIONS[JobState(state)], state


def test_every_end_reason_is_explained() -> None:
    listed = {words(row[0])[0] for row in rows(page("job-states")) if len(row) == 2}
    assert listed == {reason.value for reason in EndReason}


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("Top level", config.Settings),
        ("`[node]`", config.NodeSettings),
        ("`[queues.NAME]`", config.QueueSettings),
        ("`[projects.NAME]`", config.ProjectSettings),
        ("`[pools.NAME]`", config.PoolSettings),
        ("`[plan]`", config.PlanSection),
        ("`[retention]`", config.RetentionSettings),
        ("`[monitor]`", monitoring.MonitorSettings),
        ("`[leases]`", config.LeaseSettings),
        ("`[listen]`", ListenSettings),
        ("`[shared]`", SharedSettings),
        ("`[anomalies]`", monitoring.AnomalySettings),
        ("`[[notify]]`", monitoring.NotifySettings),
        ("`[[pretend_nodes]]`", config.PretendNodeSettings),
    ],
)
def test_every_setting_is_listed(heading: str, section: type[msgspec.Struct]) -> None:
    part = page("configuration").partition(f"## {heading}")[2].partition("\n## ")[0]
    listed = {word for row in rows(part) for word in words(row[0])}
    sections = {
        "node",
        "pretend_nodes",
        "queues",
        "projects",
        "pools",
        "plan",
        "retention",
        "monitor",
        "notify",
        "anomalies",
        "leases",
        "listen",
        "shared",
    }
    nested = sections if section is config.Settings else set()
    assert listed == set(section.__struct_encode_fields__) - nested


def test_the_example_settings_are_understood(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", page("configuration"), re.DOTALL)
    assert example is not None
    path = tmp_path / "config.toml"
    path.write_text(example[1])
    assert config.load(path).pretend_nodes[0].gpu_groups()[0].count == 8


def test_every_table_is_described() -> None:
    listed = {word for row in rows(page("store-schema")) for word in words(row[0])}
    assert listed == {table.name for table in job.metadata.sorted_tables}


def test_every_route_is_listed() -> None:
    routes = {f"{route.method} {route.path}" for route in TABLE if not route.path.startswith("/api/resource-scheduler/")}
    listed = {
        word
        for row in rows(page("rest"))
        for word in words(row[0])
        if word.startswith(("GET", "POST", "PUT", "PATCH", "DELETE", "WEBSOCKET"))
    }
    assert listed == routes


def test_every_permission_is_explained_with_its_lowest_role() -> None:
    text = (ROOT / "docs" / "explanation" / "security.md").read_text()
    listed = {words(row[0])[0]: row[1] for row in rows(text) if len(row) == 3 and words(row[0])}
    assert listed == {need.value: role.word for need, role in LOWEST.items()}


def test_every_variable_of_a_job_is_listed() -> None:
    listed = set(words(page("environment-variables")))
    assert not set(OWN_NAMES) - listed


def test_every_error_code_is_listed_with_its_status() -> None:
    listed = {words(row[0])[0]: int(row[1]) for row in rows(page("errors"))}
    assert listed == {code: kind.status for code, kind in KINDS.items()}


def test_every_error_that_is_raised_has_its_status() -> None:
    folders = [ROOT / "src/tenure" / folder for folder in ("api", "control", "store")]
    source = "".join(path.read_text() for folder in folders for path in sorted(folder.rglob("*.py")))
    raised = set(re.findall(r'(?:Refused\(|refusal\(|failure\(|StoreUnavailable\(|ErrorReply\(\s*code=)\s*"([a-z_]+)"', source))
    assert raised
    assert not raised - KINDS.keys()
    with_status = re.findall(r'ApiError\(\s*(\d+),\s*ErrorReply\(\s*code="([a-z_]+)"', source)
    assert not [(code, status) for status, code in with_status if KINDS[code].status != int(status)]
