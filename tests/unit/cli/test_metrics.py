"""A job's figures as a table."""

from __future__ import annotations

import json

from tenure.cli.metrics import bars, metrics_text
from tenure.wire.forecasts import ForecastsReply, ForecastView
from tenure.wire.monitoring import BucketView, MetricsReply, SeriesView
from tests.unit.cli.conftest import FakeClient, Shell


def series(name: str, *values: float, **more: object) -> SeriesView:
    points = [BucketView(at_ms=5_000 * n, count=2, mean=v, low=v - 1, high=v + 1, last=v) for n, v in enumerate(values)]
    return SeriesView(**{"name": name, "task": 0, "reported": False, "step_ms": 5_000, "points": points} | more)  # type: ignore[arg-type]


def test_each_figure_has_a_line() -> None:
    shown = metrics_text(
        MetricsReply(id="7", series=[series("memory_bytes", 1 << 20, 3 << 20), series("loss", 4.0, 2.0, reported=True, step_ms=60_000)])
    )
    memory, loss = (line.split() for line in shown.splitlines()[1:])
    assert memory == ["memory_bytes", "0", "3M", "2M", "1024K", "3M", "5s", "▁█"]
    assert loss == ["loss", "0", "2", "3", "1", "5", "1m", "█▁"]


def test_nothing_measured_is_said() -> None:
    assert "Nothing was measured of job 7" in metrics_text(MetricsReply(id="7", series=[series("a")]))
    assert metrics_text(MetricsReply(id="7", series=[series("loss", 1.0)], note="shared: x")).splitlines()[-1] == "shared: x"


def test_bars() -> None:
    assert bars([1.0, 1.0]) == "▁▁"
    assert bars([0, 1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇██"
    assert len(bars([float(n) for n in range(1000)], 40)) == 40


def test_the_command(shell: Shell, client: FakeClient) -> None:
    client.answers["metrics"] = MetricsReply(id="7", series=[series("loss", 4.0)])
    assert "loss" in shell("show", "7", "--metrics").out
    assert json.loads(shell("show", "7", "--metrics", "--json").out)["series"][0]["points"][0]["mean"] == 4.0


def test_what_was_said_of_how_long_a_job_will_run(client: FakeClient, shell: Shell) -> None:
    said = ForecastView(job="7", model="last_two", as_of_ms=1_000, p50_ms=60_000, p90_ms=120_000, ran_ms=90_000)
    client.answers["forecasts"] = ForecastsReply(forecasts=[said, ForecastView(job="7", model="b", as_of_ms=1, p50_ms=1, p90_ms=1)])
    lines = shell("show", "7", "--forecasts").out.splitlines()
    assert [line.split()[0] for line in lines] == ["MODEL", "last_two", "b"]
    assert (lines[1].split()[-1], lines[2].split()[-1]) == ("1m30s", "-")
    assert json.loads(shell("show", "7", "--forecasts", "--json").out)["forecasts"][0]["ran_ms"] == 90_000
    client.answers["forecasts"] = ForecastsReply(forecasts=[])
    assert "Nothing was said" in shell("show", "7", "--forecasts").out
