# SPDX-License-Identifier: MIT OR Apache-2.0
"""Rows, tables and what is read from other programs' output."""
import json
import os
import sys
from types import SimpleNamespace

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../tools/bench.d"))

import lab  # noqa: E402
import probes  # noqa: E402
import report  # noqa: E402
from report import percentile, row, show, table  # noqa: E402

IPERF_TCP = {"end": {"sum_sent": {"bytes": 2000}, "sum_received": {
    "bytes": 1250000000, "bits_per_second": 2e9}}}
IPERF_UDP = {"end": {"sum": {"seconds": 2.0, "bytes": 4000, "bits_per_second": 16e9,
                             "packets": 4000000, "lost_packets": 1000000}}}
PING = """PING 10.97.0.2 (10.97.0.2) 56(84) bytes of data.
64 bytes from 10.97.0.2: icmp_seq=1 ttl=64 time=0.045 ms
64 bytes from 10.97.0.2: icmp_seq=3 ttl=64 time=1.20 ms

--- 10.97.0.2 ping statistics ---
3 packets transmitted, 2 received, 33.3333% packet loss, time 4ms
rtt min/avg/max/mdev = 0.045/0.622/1.200/0.577 ms
"""


def test_median_and_ratio():
    r = row("udp", "TCP", [4.0, 9.0, 5.0], "Gb/s", 20.0)
    assert (r["value"], r["ratio"], r["name"]) == (5.0, 0.25, "udp/TCP")
    assert row("udp", "TCP", [None, 3.0], "Gb/s")["value"] == 3.0
    assert row("udp", "TCP", [None], "Gb/s", 2.0)["ratio"] is None


@pytest.mark.parametrize("p, value", [(1, 1), (50, 50), (99, 99), (99.9, 100), (100, 100)])
def test_percentile_of_a_hundred(p, value):
    assert percentile(list(range(100, 0, -1)), p) == value


def test_percentile_of_few():
    assert percentile([7], 50) == 7 and percentile([1, 2], 99) == 2
    assert percentile([], 50) is None


def test_digits():
    assert [show(x) for x in (None, 0, 0.0123, 0.5, 9.876, 98.76, 987.6)] == [
        "-", "0", "0.012", "0.50", "9.88", "98.8", "988"]


def test_table_has_a_line_per_subject():
    lines = table([row("bare", "TCP", [20.0], "Gb/s"), row("udp", "TCP", [10.0], "Gb/s", 20.0),
                   row("udp", "CPU", [0.5], "s/GB", None, "fast")])
    assert lines == ["|  | TCP, Gb/s | CPU, s/GB | note |", "| --- | ---: | ---: | --- |",
                     "| bare | 20.0 | - |  |", "| udp | 10.0 (0.50) | 0.50 | fast |"]


def test_what_is_absent_says_why():
    r = report.Report("peers", lab.machine(), "abc")
    r.absent("tinc", "TCP", "Gb/s", "package tinc is not installed")
    assert "package tinc is not installed" in r.text()
    assert json.loads(r.json())["rows"][0]["value"] is None


def test_iperf_tcp():
    assert probes.parse_iperf(json.dumps(IPERF_TCP)) == {
        "gbps": 2.0, "bytes": 1250000000, "mpps": None, "lost": None}


def test_iperf_udp_counts_what_arrived():
    got = probes.parse_iperf(json.dumps(IPERF_UDP))
    assert got == {"gbps": 12.0, "bytes": 3000, "mpps": 1.5, "lost": 25.0}


@pytest.mark.parametrize("text", ["no route", '{"error": "control socket has closed"}'])
def test_iperf_that_failed(text):
    with pytest.raises(lab.BenchError):
        probes.parse_iperf(text)


def test_ping():
    assert probes.parse_ping(PING) == [45.0, 1200.0]


def test_only_names_what_is_wanted():
    assert lab.wanted(SimpleNamespace(only=None), "memif, 64 B")
    assert lab.wanted(SimpleNamespace(only=["tap", "64 B"]), "memif, 64 B")
    assert not lab.wanted(SimpleNamespace(only=["tap"]), "memif, 64 B")
