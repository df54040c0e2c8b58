# SPDX-License-Identifier: MIT OR Apache-2.0
"""Processes that die, leave or come back."""
import signal
import time

import pytest

from conftest import drop_rig, make_rig
from rig import SEVEN, TAP, Nucleus, until
from topo import ip


@pytest.fixture(scope="module", params=[("af_xdp", None), ("udp", SEVEN)],
                ids=["af_xdp", "udp-seven workers"])
def pair(request, tmp_path_factory):
    """Nucleus and two gateways; the VIPs on their TAPs are the ends of the traffic."""
    rig = make_rig(tmp_path_factory, 3, hosts=False)
    rig.driver, lcores = request.param
    try:
        rig.lcores = lcores or rig.lcores
        rig.server = rig.start(Nucleus(rig))
        rig.gw = {s: rig.gateway(s, wait=False) for s in "ab"}
        for g in rig.gw.values():
            g.ready()
        rig.reaches(rig.topo.gw("a"), rig.topo.vip("b"), 15)
        yield rig
    finally:
        drop_rig(rig)


@pytest.mark.parametrize("site,other", [("a", "b"), ("b", "a")])
def test_gateway_killed_and_restarted(pair, site, other):
    """Traffic passes again by itself within 10 s of the new process's start."""
    g, t = pair.gw[site], pair.topo
    g.kill()
    until("XDP and TAP to go with the process", 5, lambda: TAP not in ip(
        "-n", t.gw(site), "link").stdout)
    assert "prog/xdp" not in ip("-d", "-n", t.gw(site), "link", "show", "up0").stdout
    began = time.monotonic()
    g.start()
    for frm, to in ((site, other), (other, site)):
        pair.reaches(t.gw(frm), t.vip(to), 10 - (time.monotonic() - began))


def test_nucleus_killed_traffic_continues_discovery_resumes(pair):
    t = pair.topo
    pair.server.kill()
    assert pair.vip_ping("a", "b", count=10)[1] == 10
    late = pair.gateway("c")
    time.sleep(2)
    assert not late.up_peers()
    assert pair.vip_ping("b", "a", count=3)[1] == 3
    pair.server.start().ready()
    try:
        # A gateway notices after a heartbeat's tries at the latest, a new one asks all the time.
        pair.reaches(t.gw("c"), t.vip("a"), 60)
        pair.reaches(t.gw("c"), t.vip("b"), 60)
    finally:
        late.stop()
    assert pair.vip_ping("a", "b", count=3)[1] == 3


def test_sigterm_ends_cleanly(pair):
    """Exit status 0, XDP detached, TAP gone, BYE said: the others drop the peer."""
    t = pair.topo
    g = pair.gw["b"]
    assert pair.gw["a"].wait_peers(1, 15)
    assert g.stop(5) == 0
    assert TAP not in ip("-n", t.gw("b"), "link").stdout
    assert "prog/xdp" not in ip("-d", "-n", t.gw("b"), "link", "show", "up0").stdout
    until("site A to see that site B left", 5, lambda: not pair.gw["a"].up_peers())
    g.start().ready()
    pair.reaches(t.gw("a"), t.vip("b"), 10)


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_others_are_sigterm(pair, name):
    """The second is what a terminal that closes sends."""
    g = pair.gw["b"]
    g.signal(signal.Signals[name])
    assert g.wait(5) == 0
    assert f"stopping signal={signal.Signals[name]:d}" in g.text()
    g.start().ready()
    pair.reaches(pair.topo.gw("a"), pair.topo.vip("b"), 10)


def test_tap_deleted_is_told_and_costs_nothing(pair):
    g = pair.gw["b"]
    ip("-n", pair.topo.gw("b"), "link", "del", TAP)
    until("the port to be down", 5,
          lambda: [p["link"] for p in g.ports() if p["name"] == "host0"] == ["down"])
    until("a line about it", 5, lambda: "local port is down" in g.text())
    before = g.cpu_seconds()
    time.sleep(2)
    assert g.cpu_seconds() - before < 0.5
    assert g.stop(5) == 0
    g.start().ready()
    pair.reaches(pair.topo.gw("a"), pair.topo.vip("b"), 10)
