# SPDX-License-Identifier: MIT OR Apache-2.0
"""The main job, with each cipher and over each kind of kernel uplink: hosts behind two sites, found
through a Nucleus."""
import os
import re
import subprocess
import time

import pytest

from pcap import Capture, Summary
from rig import CLUSTER, SEVEN, Nucleus, RpcError, until
from topo import ip
from conftest import drop_rig, make_rig

METHODS = {"status", "peers", "sessions", "ports", "fdb", "fdb.flush", "routes", "neighbours",
           "stats", "stages", "config",
           "log.level", "peer.add", "peer.set", "peer.remove", "version", "methods"}


@pytest.fixture(scope="module",
                params=[("aesgcm", "af_xdp", None), ("chachapoly", "af_xdp", SEVEN),
                        ("aesgcm", "udp", None)],
                ids=["aesgcm-af_xdp", "chachapoly-af_xdp-seven workers", "aesgcm-udp"])
def pair(request, tmp_path_factory):
    """Nucleus and two gateways with their hosts, one cipher, one driver of the uplinks."""
    rig = make_rig(tmp_path_factory, 2)
    try:
        rig.cipher, rig.driver, lcores = request.param
        rig.lcores = lcores or rig.lcores
        rig.start(Nucleus(rig))
        rig.gw = {s: rig.gateway(s, rig.config(s, cluster={"cipher": rig.cipher}), wait=False)
                  for s in "ab"}
        for s, g in rig.gw.items():
            g.ready()
            rig.topo.join_tap(s)
        for g in rig.gw.values():
            g.wait_peers(1, 15)
        rig.reaches(rig.topo.host("a"), rig.topo.host_addr("b"))
        yield rig
    finally:
        drop_rig(rig)


def mac_of(ns, interface):
    words = ip("-n", ns, "link", "show", interface).stdout.split()
    return words[words.index("link/ether") + 1]


def test_session_has_the_configured_cipher(pair):
    for g in pair.gw.values():
        assert g.ciphers() == [pair.cipher]


def test_hosts_ping_and_arp_crosses(pair):
    t = pair.topo
    sent, got, _ = pair.ping(t.host("a"), t.host_addr("b"), 20, 0.02)
    assert got == sent
    neigh = ip("-n", t.host("b"), "neigh", "show", t.host_addr("a")).stdout
    assert mac_of(t.host("a"), "eth0") in neigh


@pytest.mark.parametrize("size", [0, 18, 700, 1238, 1239, 1389, 1390, 1391, 1392, 1471, 1472])
def test_frames_of_every_size_cross(pair, size):
    t = pair.topo
    for frm, to in (("a", "b"), ("b", "a")):
        assert pair.ping(t.host(frm), t.host_addr(to), 3, 0.02, size, dontfrag=True)[1] == 3


def test_full_size_frames_are_fragmented_here_and_not_by_ip(pair, tmp_path):
    t = pair.topo
    before = {s: g.counters() for s, g in pair.gw.items()}
    c = Capture(t.router, "ra", str(tmp_path / "x.pcap")).start()
    assert pair.ping(t.host("a"), t.host_addr("b"), 10, 0.02, 1472, dontfrag=True)[1] == 10
    c.stop()
    after = {s: g.counters() for s, g in pair.gw.items()}
    for s in "ab":
        assert after[s]["fragments_sent"] - before[s]["fragments_sent"] >= 20
        assert after[s]["reassembled"] - before[s]["reassembled"] >= 10
    s = Summary(c.path)
    assert s.total and not s.other, s.other[:3]
    # The Nucleus's datagrams are its kernel's business.
    assert s.without_df <= s.sent_by(t.nucleus_addr)


def test_tcp_and_udp_cross(pair):
    t = pair.topo
    before = [g.counter("fragments_sent") for g in pair.gw.values()]
    tcp = pair.iperf(t.host("a"), t.host("b"), t.host_addr("b"), "-t", "1")
    assert tcp["gbps"] > 0.05
    back = pair.iperf(t.host("a"), t.host("b"), t.host_addr("b"), "-t", "1", "-R")
    assert back["gbps"] > 0.05
    assert [g.counter("fragments_sent") for g in pair.gw.values()] == before, "tcp-mss: auto"
    assert all(g.counter("mss_clamped") >= 2 for g in pair.gw.values())
    udp = pair.iperf(t.host("a"), t.host("b"), t.host_addr("b"), "-t", "1", "-b", "100M", "-l",
                     "1350", udp=True)
    assert udp["gbps"] > 0.05 and udp["lost"] < 10


def test_nothing_readable_crosses_the_router(pair, tmp_path):
    t = pair.topo
    marker = os.urandom(16)
    captures = [Capture(t.router, f"r{s}", str(tmp_path / f"{s}.pcap")).start() for s in "ab"]
    inside = Capture(t.host("b"), "eth0", str(tmp_path / "in.pcap")).start()
    assert pair.ping(t.host("a"), t.host_addr("b"), 5, 0.02, 200, pattern=marker.hex())[1] == 5
    for c in captures + [inside]:
        c.stop()
    assert Summary(inside.path).holds(marker)
    for c in captures:
        s = Summary(c.path)
        assert sum(s.ours.values()) >= 10 and not s.other and not s.holds(marker)


def test_counters_agree_with_the_capture(pair, tmp_path):
    t = pair.topo

    def frames(g):
        p = next(p for p in g.ports() if p["name"] == "uplink0")
        return p["tx_frames"], p["rx_frames"] + p["rx_dropped"]
    captures = {s: Capture(t.router, f"r{s}", str(tmp_path / f"{s}.pcap")).start() for s in "ab"}
    low = {s: frames(g) for s, g in pair.gw.items()}
    pair.ping(t.host("a"), t.host_addr("b"), 50, 0.01, 1000)
    time.sleep(0.2)
    high = {s: frames(g) for s, g in pair.gw.items()}
    end = time.time()
    for c in captures.values():
        c.stop()
    for s, c in captures.items():
        got = Summary(c.path, until=end)
        # What crossed between starting tcpdump and reading the counters, and the other way
        # round at the end, is a heartbeat or keepalive at most, a probe and an echo of the path's
        # MTU, and where there are several workers the same for the source port of each one's lane.
        workers = len(pair.gw[s].status()["workers"])
        slack = 4 if workers == 1 else 4 + 2 * workers
        tx, rx = (high[s][i] - low[s][i] for i in (0, 1))
        assert abs(got.sent_by(t.uplink_addr(s)) - tx) <= slack
        assert abs(got.sent_to(t.uplink_addr(s)) - rx) <= slack
        assert tx >= 50 and rx >= 50


def test_fdb_follows_a_host_that_moves(pair):
    """One Ethernet address, first behind site A, then behind site B."""
    t = pair.topo
    mac, addr = "02:00:5e:10:00:77", "10.200.0.77"
    ns = f"{t.prefix}-m"
    ip("netns", "add", ns)
    try:
        before = {s: g.counter("fdb_moved") for s, g in pair.gw.items()}
        for site, other in (("a", "b"), ("b", "a")):
            ip("link", "add", "mob0", "netns", t.gw(site), "type", "veth", "peer", "name", "eth0",
               "netns", ns)
            ip("-n", t.gw(site), "link", "set", "mob0", "master", "br0", "up")
            ip("-n", ns, "link", "set", "eth0", "address", mac, "up")
            ip("-n", ns, "addr", "add", f"{addr}/24", "dev", "eth0")
            for near in "ab":
                pair.reaches(ns, t.host_addr(near), 5)
                pair.reaches(t.host(near), addr, 5)
            here = [e for e in pair.gw[site].fdb() if e["mac"].lower() == mac]
            there = [e for e in pair.gw[other].fdb() if e["mac"].lower() == mac]
            assert here and here[0]["kind"] == "port", here
            assert there and there[0]["kind"] == "peer", there
            ip("-n", t.gw(site), "link", "del", "mob0")
        for s, g in pair.gw.items():
            assert g.counter("fdb_moved") > before[s]
    finally:
        ip("netns", "del", ns)


def test_fdb_flush(pair):
    g, t = pair.gw["a"], pair.topo
    pair.reaches(t.host("a"), t.host_addr("b"))
    assert g.fdb()
    g.rpc("fdb.flush")
    until("an empty FDB", 2, lambda: not [e for e in g.fdb()
                                          if e["mac"].lower() == mac_of(t.host("b"), "eth0")])
    assert pair.ping(t.host("a"), t.host_addr("b"), 3)[1] == 3


def test_every_method_answers(pair):
    g = pair.gw["a"]
    assert METHODS <= {m["method"] for m in g.rpc("methods")}
    for m in ("status", "peers", "sessions", "ports", "fdb", "routes", "neighbours", "stats", "stages",
              "config", "version"):
        assert g.rpc(m) is not None, m
    with pytest.raises(RpcError):
        g.rpc("no.such.method")


def test_config_shows_no_secret(pair):
    text = str(pair.gw["a"].rpc("config"))
    assert CLUSTER in text
    with open(pair.secret, encoding="ascii") as f:
        assert f.read().strip() not in text


def test_omnictl_tables_json_and_statuses(pair):
    g = pair.gw["a"]
    for command in ("status", "peers", "sessions", "ports", "fdb", "routes", "neighbours",
                    "stats", "stages", "version"):
        assert g.ctl(command).stdout.strip(), command
        assert g.ctl("--json", command).stdout.strip()[0] in "{[", command
    assert g.ctl("no-such-command", check=False).returncode != 0
    p = subprocess.run([g.ctl("version").args[0], "--socket", "/nonexistent", "status"],
                       capture_output=True, text=True)
    assert p.returncode != 0 and p.stderr


def test_ports_say_what_was_obtained(pair):
    ports = {p["name"]: p for p in pair.gw["a"].ports()}
    up = ports["uplink0"]
    assert up["driver"] == pair.driver and up["mtu"] == 1500
    modes = {"af_xdp": ("copy", "generic", "zero-copy"), "udp": ("socket",)}
    assert up["mode"] in modes[pair.driver]
    assert ports["host0"]["driver"] == "tap"


def test_stages_count_cycles(pair):
    t = pair.topo
    pair.ping(t.host("a"), t.host_addr("b"), 20, 0.01)
    rows = {r["stage"]: r for r in pair.gw["a"].rpc("stages")}
    for name in ("rx", "classify", "open", "seal", "forward", "tx"):
        assert rows[name]["frames"] > 0 and rows[name]["cycles_per_frame"] > 0, name


def test_idle_gateways_hardly_use_the_cpu(pair):
    time.sleep(0.5)
    before = {s: g.cpu_seconds() for s, g in pair.gw.items()}
    time.sleep(2)
    for s, g in pair.gw.items():
        assert g.cpu_seconds() - before[s] < 0.2 * 2, f"gateway {s} is busy with nothing to do"


def test_the_kernels_own_traffic_passes(pair):
    """XDP takes our UDP port alone: the gateway's own address still answers pings."""
    t = pair.topo
    assert pair.ping(t.router, t.uplink_addr("a"), 3)[1] == 3
    attached = re.search(r"\bxdp", ip("-d", "-n", t.gw("a"), "link", "show", "up0").stdout)
    assert bool(attached) == (pair.driver == "af_xdp")
