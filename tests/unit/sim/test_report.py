"""The page of a simulation: what it says is what happened, it is one file without a way out, and no name in a log can break it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tenure.model.allocation import Placement
from tenure.model.amounts import Amounts
from tenure.model.shape import Shape
from tenure.sim import report
from tenure.sim.compare import compare, summary_of
from tenure.sim.machines import parse_nodes
from tenure.sim.replay import Rules
from tenure.sim.report import data_of, write_report
from tenure.sim.report.page import json_inside, page_of
from tenure.sim.results import END, START, Action, Replayed
from tenure.sim.workload import TraceJob, Workload, workload_of
from tests.sim.drawn import batch, mixed, placement_study

EVIL = "</script><script>alert('x')</script><!--<b>&\u2028"


def by_hand(names: tuple[str, ...] = ("1", "2", "3")) -> list[Replayed]:
    """Three jobs of two processors each on four, started one after another and side by side: nothing of the planner is in it."""
    shape, node = Shape(Amounts(cpu_milli=2000)), parse_nodes("1x4c")[0]
    jobs = [TraceJob(number, name, shape, 10_000 * number, 60_000, user=f"u{number % 2}") for number, name in enumerate(names, 1)]
    workload = workload_of("logs/by-hand.swf", [node], jobs)
    return [replayed(workload, name, starts) for name, starts in (("slow", (10, 70, 130)), ("fast", (10, 20, 70)))]


def replayed(workload: Workload, name: str, starts_s: tuple[int, ...]) -> Replayed:
    """What the jobs' starts make of the workload."""
    found = Replayed.of(workload, name, "exact")
    place = (Placement(0, workload.nodes[0].id),)
    for job, start_s in enumerate(starts_s):
        found.started_ms[job], found.ended_ms[job] = 1000 * start_s, 1000 * start_s + workload.jobs[job].run_ms
        found.actions += (Action(found.started_ms[job], START, job, place), Action(found.ended_ms[job], END, job, place))
    found.actions.sort(key=lambda action: (action.t_ms, action.kind, action.job))
    return found


def told(results: list[Replayed]) -> dict[str, Any]:
    """The data of a page, as the page would read it."""
    found: dict[str, Any] = json.loads(json_inside(data_of(results, summary_of(results, seed=3))))
    return found


class Scripts(HTMLParser):
    """The text of every script element, and every address that an element names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.addresses: list[str] = []
        self.policy = ""
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script"
        if self._inside:
            self.found.append("")
        named = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, text: str) -> None:
        if self._inside:
            self.found[-1] += text


def test_a_name_cannot_leave_the_data() -> None:
    results = by_hand((EVIL, "2", "3"))
    results[0].policy = EVIL
    results[0].workload = results[1].workload = replace(results[0].workload, name=EVIL)
    page = page_of(data_of(results, summary_of(results)))
    scripts = Scripts(page).found
    assert len(scripts) == 2
    data = json.loads(scripts[0])
    assert data["workloads"][0]["policies"][0]["name"] == EVIL
    assert data["workloads"][0]["gantt"]["names"][0] == EVIL[:40]
    assert "alert" not in scripts[1]
    assert "<script>alert" not in page


def test_the_page_needs_nothing_else() -> None:
    page = page_of(told(by_hand()))
    scripts = Scripts(page)
    assert scripts.addresses == ["#figures"]
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in scripts.policy
    assert f"'sha256-{base64.b64encode(hashlib.sha256(scripts.found[1].encode()).digest()).decode()}'" in scripts.policy
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", scripts.found[1])


def test_the_same_replays_give_the_same_page() -> None:
    first, second = by_hand(), by_hand()
    second[0].elapsed_s = 99.0
    pages = [page_of(data_of(results, summary_of(results, seed=3))) for results in (first, second)]
    assert pages[0] == pages[1]


def test_the_data_has_not_changed_unnoticed() -> None:
    data = {**told(by_hand()), "version": ""}
    digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    assert digest[:16] == "9681e4a0b2f61627"


def test_curves_say_what_happened() -> None:
    slow, fast = told(by_hand())["workloads"][0]["policies"]
    span_ms = told(by_hand())["workloads"][0]["span_ms"]
    assert span_ms == 180_000
    for policy, wait_s in ((slow, 150), (fast, 40)):
        use, queue = policy["curves"]["cpu_pct"], policy["curves"]["queue"]
        assert sum(use) / len(use) == pytest.approx(100 * 3 * 2 * 60 / (4 * 180), rel=1e-2)
        assert sum(queue) / len(queue) * span_ms / 1000 == pytest.approx(wait_s, rel=2e-2)
    assert max(slow["curves"]["queue_peak"]) == 2
    assert max(fast["curves"]["queue_peak"]) == 1
    assert slow["curves"]["gpu_pct"] is None


def test_spreads_and_users_are_those_of_the_metrics() -> None:
    found = told(by_hand())["workloads"][0]
    wait = found["wait"]
    assert wait["largest"] == [100.0, 40.0]
    assert wait["at"][-1] == 100.0
    assert [shares[-1] for shares in wait["shares"]] == [1, 1]
    assert wait["shares"][0][0] == pytest.approx(1 / 3, abs=1e-4)
    assert all(shares == sorted(shares) for shares in wait["shares"])
    users = found["users"]
    assert users["names"] == ["u1", "u0"]
    assert users["jobs"] == [2, 1]
    assert users["slowdown"][0] == [pytest.approx((1 + 160 / 60) / 2, abs=1e-3), pytest.approx(110 / 60, abs=1e-3)]


def test_a_page_has_every_workload() -> None:
    results = [*by_hand(), *compare(mixed(3, 40), ["easy"], "requested", Rules())]
    found = told(results)
    assert [each["name"] for each in found["workloads"]] == ["by-hand.swf", "mixed 3"]
    assert [len(each["policies"]) for each in found["workloads"]] == [2, 1]
    assert found["workloads"][1]["policies"][0]["devices"]["allocated"]
    assert found["seed"] == 3


def test_what_never_ends_has_no_bars_and_one_user_no_comparison() -> None:
    found = told(compare(placement_study(1, 20), ["greedy"], "requested", Rules(drop=True)))["workloads"][0]
    assert found["lasting"]
    assert "gantt" not in found
    assert found["users"] is None
    assert found["wait"]["shares"] == [None]
    assert found["policies"][0]["devices"]["arrived"][-1] > 0


def test_a_workload_without_jobs_has_a_page() -> None:
    empty = workload_of("empty", parse_nodes("1x4c"), [])
    results = compare(empty, ["easy"], "exact", Rules())
    assert "gantt" not in told(results)["workloads"][0]
    assert page_of(told(results)).startswith("<!doctype html>")


def test_bars_stay_within_their_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    results = compare(batch(2, 400), ["easy", "fifo"], "exact", Rules())
    everything = told(results)["workloads"][0]["gantt"]
    assert everything["jobs"] == everything["all_jobs"] == 400
    monkeypatch.setattr(report, "BARS_BYTES", 6000)
    found = told(results)["workloads"][0]
    assert 50 < found["gantt"]["jobs"] < 400
    texts = [
        text
        for part in (found["gantt"], *(policy["gantt"] for policy in found["policies"]))
        for key, text in part.items()
        if key != "picture"
    ]
    assert sum(len(json.dumps(text)) for text in texts) < 6000


def test_the_file_is_written_whole(tmp_path: Path) -> None:
    results = by_hand()
    write_report(tmp_path / "report.html", results, summary_of(results))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert "@@" not in text
