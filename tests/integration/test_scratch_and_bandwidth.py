"""Scratch space and bandwidth on a real daemon: held by jobs and leases, shown, waited for, refused where there is none."""

from __future__ import annotations

import tenure
from tests.support.living import installation, until

GIB, GIGABIT = 1 << 30, 10**9
CONFIG = '[node]\ncpus = "4"\nstorage = "12G"\nreserve_storage = "2G"\nbandwidth = "1G"\n'


def test_they_are_held_and_waited_for() -> None:
    with installation(CONFIG) as home:
        job = home.submit("--storage", "8G", "--bandwidth", "600M", "--", "sleep", "100")
        until(lambda: home.state(job) == "running", "the job to run")
        node = home.json("nodes")["nodes"][0]
        assert (node["storage_bytes"], node["used_storage_bytes"]) == (10 * GIB, 8 * GIB)
        assert (node["bandwidth_bps"], node["used_bandwidth_bps"]) == (GIGABIT, 600 * 10**6)
        assert "8G storage, 600Mbit/s bandwidth" in home.cli("show", job).stdout

        large, wide = home.submit("--storage", "4G", "--", "true"), home.submit("--bandwidth", "0.5G", "--", "true")
        assert "2G of storage (4G needed, 2G free)" in home.cli("why", large).stdout
        assert "100Mbit/s of bandwidth (500Mbit/s needed, 400Mbit/s free)" in home.cli("why", wide).stdout
        home.cli("update", large, "--storage", "2G")
        until(lambda: home.state(large) == "succeeded", "the smaller job to run beside it")

        with tenure.lease(bandwidth="400M", home=home.home) as lease:
            assert lease.view.bandwidth_bps == 400 * 10**6
            assert home.json("nodes")["nodes"][0]["used_bandwidth_bps"] == GIGABIT
        refused = home.cli("run", "--storage", "11G", "--", "true", ok=False)
        assert "--cpus 1 --storage 11G; the nearest that can run is --cpus 1 --storage 10G" in refused.stderr
        home.cli("cancel", job)
        until(lambda: home.state(wide) == "succeeded", "who waited for bandwidth")


def test_where_nothing_is_offered_it_is_said_what_to_set() -> None:
    with installation('[node]\nbandwidth = "0"\n') as home:
        refused = home.cli("submit", "--bandwidth", "1G", "--", "true", ok=False)
        assert "no node says how much bandwidth it has; set bandwidth below [node]" in refused.stderr
