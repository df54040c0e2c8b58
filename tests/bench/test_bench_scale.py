# SPDX-License-Identifier: MIT OR Apache-2.0
"""omni-bench handshake answers, and what scale makes of datapath's results."""
import json
import os
import sys
from types import SimpleNamespace

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../tools/bench.d"))

import lab  # noqa: E402
import scale  # noqa: E402
from report import Report  # noqa: E402

BUILT = os.access(lab.program("bench"), os.X_OK)


@pytest.mark.skipif(not BUILT, reason="no release build: OMNI_BUILD names it")
def test_handshakes_of_a_responder():
    found = json.loads(scale.bench("handshake", "--json", "--quick"))
    assert found["handshakes_per_s"] > 0 and found["x25519_limit_per_s"] > 0
    of = found["wireguard"]
    assert all(of[key] > 0 for _, key in scale.WIREGUARD)
    # Each does less than the one before it.
    assert of["responder_per_s"] < of["strangers_per_s"] < of["cookie_replies_per_s"]
    assert of["cookie_replies_per_s"] < of["mac1_per_s"]


@pytest.mark.skipif(not BUILT, reason="no release build: OMNI_BUILD names it")
def test_a_wrong_option_is_an_error():
    with pytest.raises(lab.BenchError):
        scale.bench("handshake", "--nonsense")


@pytest.mark.skipif(not BUILT or len(os.sched_getaffinity(0)) < 2,
                    reason="no release build, or one CPU")
def test_two_workers_seal_and_open_what_they_are_given():
    opts = SimpleNamespace(quick=True, cipher="chachapoly")
    for op in ("seal", "open"):
        result, memory = scale.datapath(opts, op, 64, 3, 2)
        assert (result["workers"], result["peers"]) == (2, 3)
        assert result["datagrams"] == 2 * scale.datapath(opts, op, 64, 3, 1)[0]["datagrams"]
        assert result["mpps"] > 0 and result["one_mpps"] > 0
        assert memory[0]["bytes_per_session"] > 0


@pytest.mark.skipif(not BUILT, reason="no release build: OMNI_BUILD names it")
@pytest.mark.parametrize("routes", [1, 5000])
def test_packets_of_an_l3_cluster_come_through(routes):
    run = json.loads(scale.bench("datapath", "--routes", str(routes), "--quick", "--json", "--size",
                                 "64", "--cipher", "chachapoly"))
    assert [(r["op"], r["routes"]) for r in run["results"]] == [
        (op, routes) for op in ("seal", "open", "forward")]
    stages = [set(r["stages"]) for r in run["results"]]
    assert {"ip_input", "route", "seal"} <= stages[0]
    assert {"open", "source_check", "route"} <= stages[1]
    assert {"ip_input", "route"} <= stages[2] and not any("forward" in s for s in stages)
    with pytest.raises(lab.BenchError, match="one for each of --peers"):
        scale.bench("datapath", "--routes", "5", "--peers", "6")


@pytest.mark.skipif(not BUILT, reason="no release build: OMNI_BUILD names it")
@pytest.mark.parametrize("peers", [1, 300])
def test_packets_in_wireguards_dialect_come_through(peers):
    for size in ("64", "1420"):
        run = json.loads(scale.bench("datapath", "--wireguard", "--peers", str(peers), "--quick",
                                     "--json", "--size", size))
        assert [(r["op"], r["cipher"], r["dialect"]) for r in run["results"]] == [
            (op, "chachapoly", "wireguard") for op in ("seal", "open")]
        assert all(r["mpps"] > 0 and r["ratio"] > 0 for r in run["results"])
    with pytest.raises(lab.BenchError, match="one worker"):
        scale.bench("datapath", "--wireguard", "--workers", "2")


def test_more_workers_than_cpus_are_refused():
    with pytest.raises(lab.BenchError, match="CPUs are wanted"):
        scale.bench("datapath", "--workers", str(os.cpu_count() + 1))


def test_bundles_go_with_every_size_that_their_path_carries():
    run = json.loads(scale.bench("datapath", "--bundles", "--quick", "--json", "--cipher", "aesgcm"))
    sizes = {r["frames"] for r in run["results"]}
    assert {"64", "1420", "imix"} <= sizes and "8900" not in sizes
    with pytest.raises(lab.BenchError, match="no frame of 8900 bytes"):
        scale.bench("datapath", "--bundles", "--size", "8900")


def test_workers_are_compared_with_one_of_them(monkeypatch):
    rows = [{"mpps": 30.0, "one_mpps": 20.0}]
    monkeypatch.setattr(scale, "bench", lambda *a: json.dumps({"results": rows, "memory": []}))
    report = Report("scale", lab.machine(), "abc")
    opts = SimpleNamespace(peers=[1], runs=1, quick=True, cipher="aesgcm", only=None)
    scale.peers_rows(opts, report, 2)
    assert {r["ratio"] for r in report.rows} == {1.5}


def test_peers_are_compared_with_one_and_bundles_left_out(monkeypatch):
    def bench(*args):
        peers = int(args[args.index("--peers") + 1])
        rows = [{"mpps": 99.0, "bundles": True}, {"mpps": 20.0 if peers == 1 else 15.0}]
        return json.dumps({"results": rows, "memory": [{"peers": peers}]})

    monkeypatch.setattr(scale, "bench", bench)
    report = Report("scale", lab.machine(), "abc")
    opts = SimpleNamespace(peers=[1, 10000], runs=1, quick=True, cipher="aesgcm", only=None)
    assert scale.peers_rows(opts, report, 1) == [{"peers": 10000}]
    ratios = {r["name"]: r["ratio"] for r in report.rows}
    assert ratios["seal, 64 B/10000 peers"] == 0.75
    assert ratios["seal, 64 B/1 peers"] is None
