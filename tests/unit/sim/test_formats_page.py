"""The reference page says what the code does: default machines, settings and their defaults, formats."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from tenure.sim.formats import FORMATS, chronus, dlrm, philly
from tenure.sim.generate.lublin import LublinSettings
from tenure.sim.generate.poisson import MACHINES, PoissonSettings
from tenure.sim.machines import parse_nodes

PAGE = (Path(__file__).parents[3] / "docs/reference/workloads.md").read_text()


@pytest.mark.parametrize("spec", [philly.MACHINES, chronus.MACHINES, dlrm.MACHINES, MACHINES])
def test_default_machines_are_on_the_page(spec: str) -> None:
    assert f"`{spec}`" in PAGE


def test_every_format_is_on_the_page() -> None:
    assert all(f"| `{name}` |" in PAGE and f"\n`{name}`\n: " in PAGE for name in FORMATS)


@pytest.mark.parametrize(("name", "settings"), [("lublin", LublinSettings()), ("poisson", PoissonSettings())])
def test_settings_and_their_defaults_are_on_the_page(name: str, settings: LublinSettings | PoissonSettings) -> None:
    section = PAGE.partition(f"| `{name}:` |")[2].partition("\n\n")[0].replace("\\|", "/")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", section, re.MULTILINE))
    assert rows == {field.name: str(getattr(settings, field.name)).replace("|", "/") for field in fields(settings)}


def test_the_specs_on_the_page_can_be_parsed() -> None:
    section = PAGE.partition("| spec | what |")[2].partition("\n\n")[0]
    specs = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert [len(parse_nodes(spec)) for spec in specs] == [100, 4, 24, 4]
