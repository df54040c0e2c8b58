# SPDX-License-Identifier: MIT OR Apache-2.0
"""Paths that carry less than 1500 bytes and say nothing about it: no ICMP arrives, and what is too
long is gone. TCP passes whole; who sends too much is told."""
import re

import pytest

from conftest import drop_rig
from rig import until
from topo import ip
from wg import Pairing, endpoint, nft, wg_rig

PATHS = [1280, 1124, 576]
SIZE = 100 << 20
# Of the outer IPv4 and UDP headers with WireGuard's header and tag; Omni's header has 8 more.
OVERHEAD = {"wireguard": 60, "omni": 68}


def narrow(rig, mtu):
    """Both links of the router take no more than mtu bytes, silently; no ICMP leaves it."""
    for site in rig.topo.sites:
        ip("-n", rig.topo.router, "link", "set", f"r{site}", "mtu", str(mtu))
    nft(rig.topo.router, """
        table inet silent {
            chain out {
                type filter hook output priority filter;
                meta l4proto icmp drop
                icmpv6 type packet-too-big drop
            }
        }""")


def pair(tmp_path_factory, kinds, mtu, dialect="wireguard", driver="udp", believed=True):
    """Two ends over such a path; `believed`: the gateways are told of it (WireGuard's peers cannot
    be probed)."""
    rig = wg_rig(tmp_path_factory, Pairing(*kinds, driver))
    narrow(rig, mtu)
    a, b = rig.ends
    if dialect == "omni":
        for end in rig.ends:
            end.own_identity()
    for end, other in ((a, b), (b, a)):
        peer = end.knows(other, at=endpoint(rig.topo.uplink_addr(other.site)))
        peer.more = {"dialect": dialect, **({"path-mtu": mtu} if believed else {})}
    return rig


@pytest.fixture(params=[("omni", "go"), ("go", "omni")], ids="-".join)
def stock(request, tmp_path_factory):
    made = []

    def make(mtu):
        made.append(pair(tmp_path_factory, request.param, mtu))
        for end in made[0].ends:
            end.start()
        return made[0].ends
    yield make
    for rig in made:
        drop_rig(rig)


@pytest.mark.parametrize("mtu", PATHS)
def test_a_stock_peer_that_knows_nothing_of_its_path(stock, mtu):
    """wireguard-go has 1420 bytes as always; the gateway lowers the MSS in both directions."""
    a, b = stock(mtu)
    a.reaches(b)
    seen = a.transfer(b, size=SIZE if a.kind == "omni" else SIZE // 4)
    assert seen["mss"] <= mtu - OVERHEAD["wireguard"] - 40
    assert b.transfer(a, size=SIZE // 4)["sent"]["mss"] <= mtu - OVERHEAD["wireguard"] - 40
    if mtu == 1280:
        a.transfer(b, 6, size=1 << 20)


@pytest.mark.parametrize("mtu", PATHS)
def test_too_big_is_answered(tmp_path_factory, mtu):
    """With the size that passes; that size passes, and whoever allows it is cut into pieces."""
    rig = pair(tmp_path_factory, ("omni", "go"), mtu)
    try:
        a, b = rig.ends
        for end in rig.ends:
            end.start()
        a.reaches(b)
        inner = mtu - OVERHEAD["wireguard"]
        out = a.shell("ping", "-n", "-M", "do", "-c", "2", "-i", "0.2", "-W", "1", "-s", "1372",
                      b.inner[4], check=False).stdout
        told = re.search(r"mtu ?= ?(\d+)", out)
        assert told and int(told.group(1)) == inner, out
        b.set_mtu(inner)  # else its own answers would be padded to more
        assert rig.ping(a.ns, b.inner[4], 2, size=inner - 28, dontfrag=True)[1] == 2
        a.shell("ip", "route", "flush", "cache")
        for size in (600, 1300, 4000):
            for _ in range(2):
                a.shell("ping", "-n", "-M", "dont", "-c", "1", "-W", "2", "-s", str(size), b.inner[4])
        if mtu == 1280:
            out = a.shell("ping", "-n", "-M", "do", "-c", "2", "-i", "0.2", "-W", "1", "-s",
                          "1352", b.inner[6], check=False).stdout
            told = re.search(r"mtu ?= ?(\d+)", out)
            assert told and int(told.group(1)) == 1280, out
    finally:
        drop_rig(rig)


@pytest.mark.parametrize("driver", ["udp", "af_xdp"])
@pytest.mark.parametrize("dialect", ["wireguard", "omni"])
@pytest.mark.parametrize("mtu", PATHS)
def test_two_gateways(tmp_path_factory, dialect, mtu, driver):
    """In WireGuard's dialect as configured; in Omni's the path is found by probes."""
    if driver == "af_xdp" and mtu == 1124:
        pytest.skip("the two ends of the range stand for it")
    rig = pair(tmp_path_factory, ("omni", "omni"), mtu, dialect, driver,
               believed=dialect == "wireguard")
    try:
        a, b = rig.ends
        for end in rig.ends:
            end.start()
        a.reaches(b)
        if dialect == "omni":
            until("the path to be measured", 15, lambda: mtu - 8 <= a.row(b)["path_mtu"] <= mtu)
        for frm, to in ((a, b), (b, a)):
            seen = frm.transfer(to, size=SIZE if frm is a else SIZE // 4)
            assert seen["mss"] <= 1420 - 40
    finally:
        drop_rig(rig)
