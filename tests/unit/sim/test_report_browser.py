"""The page in a real browser: it draws every part, says nothing in the console, and runs nothing that a log has written."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tenure.sim.compare import compare, summary_of
from tenure.sim.replay import Rules
from tenure.sim.report import data_of, write_report
from tenure.sim.report.page import page_of
from tenure.sim.results import Replayed
from tests.require import require
from tests.sim.drawn import batch, mixed, placement_study

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PARTS = ("Policies compared", "Use and queue over time", "How long jobs wait", "What a policy buys, and with what", "Who ran where")


class Seen:
    """The document as the browser made it and what it wrote to the console."""

    def __init__(self, page: Path) -> None:
        require("chromium", BROWSER is not None, "there is no browser on the path")
        assert BROWSER is not None
        command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
        # Plots are drawn once the page has a layout; a busy machine may give the browser none within its virtual time.
        for budget_ms in (3_000, 10_000, 60_000):
            found = subprocess.run(
                [
                    *command,
                    f"--user-data-dir={page.parent / 'profile'}",
                    f"--virtual-time-budget={budget_ms}",
                    "--dump-dom",
                    page.as_uri(),
                ],
                capture_output=True,
                text=True,
                timeout=100,
                check=True,
            )
            if "<canvas" in found.stdout:
                break
        self.document = found.stdout
        self.console = [line for line in found.stderr.splitlines() if "CONSOLE" in line]

    @property
    def drawn(self) -> str:
        """What the scripts made, without the data and the scripts themselves."""
        return re.sub(r"<script.*?</script>", "", self.document, flags=re.DOTALL)


def seen(results: list[Replayed], folder: Path) -> Seen:
    write_report(folder / "report.html", results, summary_of(results, seed=1))
    return Seen(folder / "report.html")


def test_every_part_is_drawn(tmp_path: Path) -> None:
    page = seen(compare(mixed(2, 80), ["easy", "greedy"], "requested", Rules()), tmp_path)
    assert not page.console
    for part in (*PARTS, "Fragmentation over time", "How users fare"):
        assert f"<h2>{part}</h2>" in page.drawn
    assert page.drawn.count("<canvas") == 3
    assert 4 <= page.drawn.count('class="tile"') <= 6
    assert "NaN" not in page.drawn
    assert "undefined" not in page.drawn


def test_a_placement_study_is_drawn(tmp_path: Path) -> None:
    page = seen(compare(placement_study(1, 40), ["greedy", "fifo"], "requested", Rules(drop=True)), tmp_path)
    assert not page.console
    assert "<h2>GPUs allocated</h2>" in page.drawn
    assert "Who ran where" not in page.drawn
    assert "NaN" not in page.drawn


def test_one_policy_alone_is_drawn(tmp_path: Path) -> None:
    page = seen(compare(batch(2, 80), ["easy"], "requested", Rules()), tmp_path)
    assert not page.console
    assert "What a policy buys" not in page.drawn
    assert "Who ran where" in page.drawn


@pytest.mark.parametrize(
    "evil", ["</script><script>document.title='broken'</script>", "<img src=x onerror=\"document.title='broken'\">"]
)
def test_names_are_text(evil: str, tmp_path: Path) -> None:
    results = compare(batch(2, 30), ["easy"], "requested", Rules())
    data = json.loads(json.dumps(data_of(results, summary_of(results))).replace("u1", json.dumps(evil)[1:-1]))
    data["workloads"][0]["name"] = data["workloads"][0]["policies"][0]["name"] = evil
    (tmp_path / "report.html").write_text(page_of(data), encoding="utf-8")
    page = Seen(tmp_path / "report.html")
    assert not page.console
    assert "<title>broken" not in page.document
    assert "<h1>&lt;" in page.drawn
