"""Settings are read strictly: what is not understood is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenure import config
from tenure.config import NodeSettings, PretendNodeSettings, Settings, check, labels_of
from tenure.model.amounts import GIB


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_no_file_means_defaults(tmp_path: Path) -> None:
    settings = config.load(tmp_path / "absent.toml")
    assert settings == config.Settings()
    config.check(settings)
    assert settings.plan.settings().wait_full_ms == 3_600_000
    assert settings.plan.settings().successors_ms == 50


def test_everything_can_be_set(tmp_path: Path) -> None:
    settings = config.load(
        write(
            tmp_path,
            """
            default_memory = "2G"
            [node]
            name = "box"
            cpus = "3.5"
            cgroups = "off"
            [[pretend_nodes]]
            name = "a"
            gpus = "8xA100:80G, T4:16G"
            labels = ["fast"]
            [queues.short]
            default_time = "10m"
            max_time = "1h"
            [plan]
            wait_full = "2h"
            successors = "0s"
            """,
        )
    )
    assert settings.node.name == "box"
    groups = settings.pretend_nodes[0].gpu_groups()
    assert [(g.count, g.model, g.memory_bytes) for g in groups] == [(8, "A100", 80 * GIB), (1, "T4", 16 * GIB)]
    assert settings.plan.settings().wait_full_ms == 7_200_000
    assert settings.plan.settings().successors_ms == 0
    assert settings.queues["short"].max_time == "1h"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[nodes]\nname='x'", "nodes"),
        ("[node]\ncpus = 'many'", "node.cpus"),
        ("[plan]\nsuccessors = 'few'", "plan.successors"),
        ("[node]\ncgroups = 'maybe'", "cgroups"),
        ("[[pretend_nodes]]\nname='a'\ngpus='8 of them!'", "8 of them!"),
        ("[[pretend_nodes]]\nname='a'\n[[pretend_nodes]]\nname='a'", "same name"),
        ("[queues.q]\nmax_time = 'long'", "queues.q.max_time"),
        ("[retention]\nevents = 'x'", "retention.events"),
        ("[retention]\nevents = ''", "retention.events"),
        ("[retention]\naudit = '2h'", "retention.audit: who changed what is kept for a day at least"),
        ("default_memory = 3", "default_memory"),
        ("not toml", "config.toml"),
    ],
)
def test_a_mistake_is_refused_and_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(config.ConfigError, match=r"config\.toml") as caught:
        config.load(write(tmp_path, text))
    assert named in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(config.ConfigError, match="cannot be read"):
        config.load(tmp_path / "config.toml")


def test_power_and_price_are_labels_of_the_node() -> None:
    node = NodeSettings(labels=("ssd",), power_w=900, power_idle_w=0, price_per_hour="2.50")
    assert labels_of(node) == ("ssd", "power_idle_w=0", "power_w=900", "price_per_hour=2.50")
    assert labels_of(PretendNodeSettings("p", power_sleep_w=5)) == ("power_sleep_w=5",)
    with pytest.raises(ValueError, match="is not a price of an hour; write it like"):
        check(Settings(node=NodeSettings(price_per_hour="much")))
    with pytest.raises(ValueError, match="is not a power in watts; write it like"):
        check(Settings(pretend_nodes=(PretendNodeSettings("p", power_w=-1),)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('every = "10ms"', "not monitoring but load"),
        ('every = "often"', "monitor.every"),
        ('containers = "docker"', "the path of a socket"),
        ('prometheus = "0.0.0.0:9464"', "this machine alone"),
        ('prometheus = "127.0.0.1"', "monitor.prometheus"),
        ('prometheus = "localhost:99999"', "monitor.prometheus"),
    ],
)
def test_monitoring_is_set_within_reason(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[monitor]\n{line}\n")
    with pytest.raises(config.ConfigError, match=said):
        config.load(path)


def test_where_prometheus_may_scrape() -> None:
    assert config.MonitorSettings().address() is None
    assert config.MonitorSettings(prometheus="[::1]:9464").address() == ("::1", 9464)
    assert config.MonitorSettings(every="0s").every_s() == 0


@pytest.mark.parametrize("url", ["ftp://x", "https://", "example.org/hook"])
def test_a_webhook_has_an_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(config.ConfigError, match=r"notify\.url"):
        config.load(write(tmp_path, f'[[notify]]\nurl = "{url}"\n'))
