"""``import tenure`` costs nothing and offers the client."""

from __future__ import annotations

import subprocess
import sys

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


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import tenure; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert {name for name in done.stdout.split() if name.startswith("tenure")} == {"tenure"}
    assert "msgspec" not in done.stdout
