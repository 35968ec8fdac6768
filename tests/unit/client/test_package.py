"""``import tenure`` costs nothing and offers the client."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tenure
import tenure.client
from tenure.client.errors import TenureError
from tenure.client.session import Client
from tenure.client.start import connect, submit


def test_the_package_offers_the_client() -> None:
    assert (tenure.connect, tenure.submit, tenure.Client, tenure.TenureError) == (connect, submit, Client, TenureError)
    assert tenure.client.NeverFits.exit_code == 4
    for package in (tenure, tenure.client):
        with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
            _ = package.nonsense


def test_what_it_offers_is_seen_by_editors_and_type_checkers() -> None:
    stub = Path(tenure.__file__).with_name("__init__.pyi").read_text()
    told = set(re.findall(r" as (\w+)$", stub, re.MULTILINE))
    assert told == set(dir(tenure)) - {"__version__"}
    assert all(getattr(tenure, name) is getattr(tenure.client, name) for name in sorted(told))


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import tenure; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert {name for name in done.stdout.split() if name.startswith("tenure")} == {"tenure"}
    assert "msgspec" not in done.stdout
