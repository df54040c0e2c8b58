# SPDX-License-Identifier: MIT OR Apache-2.0
"""Gateways in an L3 cluster among themselves: in WireGuard's dialect and in Omni's. The first and
the last of three know each other's addresses only through the one in the middle, which relays."""
import re

import pytest

from conftest import drop_rig, fresh_prefix, raise_rig
from rig import SEVEN, until
from topo import ip
from wg import DATA, OmniEnd, Wire, WgTopo, endpoint

PARAMS = [("wireguard", "udp", None), ("omni", "udp", None), ("wireguard", "af_xdp", SEVEN),
          ("omni", "af_xdp", SEVEN)]


def gateways(tmp_path_factory, count, dialect, driver="udp", lcores=None):
    rig = raise_rig(tmp_path_factory, WgTopo(fresh_prefix(), count))
    rig.driver = driver
    rig.lcores = lcores or rig.lcores
    rig.ends = [OmniEnd(rig, s) for s in rig.topo.sites]
    if dialect == "omni":
        for end in rig.ends:
            end.own_identity()
    rig.dialect = dialect
    return rig


def connect(a, b, **more):
    for end, other in ((a, b), (b, a)):
        peer = end.knows(other, at=endpoint(end.rig.topo.uplink_addr(other.site)))
        peer.more = {"dialect": end.rig.dialect, **more}


@pytest.fixture(scope="module", params=PARAMS, ids=lambda p: f"{p[0]}-{p[1]}")
def pair(request, tmp_path_factory):
    rig = gateways(tmp_path_factory, 2, *request.param)
    try:
        connect(*rig.ends)
        for end in rig.ends:
            end.start()
        rig.ends[0].reaches(rig.ends[1])
        yield rig.ends
    finally:
        drop_rig(rig)


def test_pings_to_the_vips(pair):
    for frm, to in (pair, pair[::-1]):
        for family in (4, 6):
            assert frm.ping(to, family) == 3
        for size in (0, 1, 1000, 1392, 4000):
            assert frm.rig.ping(frm.ns, to.inner[4], 2, size=size)[1] == 2


def test_what_they_speak(pair):
    a, b = pair
    with Wire(a.rig, "a") as wire:
        assert a.ping(b) == 3
    spoken = {d.payload[0] for d in wire.all}
    (session, *_) = [s for s in a.gateway.sessions() if s["slot"] == "current"]
    if a.rig.dialect == "wireguard":
        assert spoken <= {1, 2, DATA} and session["cipher"] == "chachapoly"
    else:
        assert not spoken & {1, 2, DATA}
        with open("/proc/cpuinfo", encoding="ascii") as f:
            if " aes " in f.read():
                assert session["cipher"] == "aesgcm"


@pytest.mark.parametrize("family", [4, 6])
def test_tcp_and_udp(pair, family):
    a, b = pair
    for frm, to in (pair, pair[::-1]):
        frm.transfer(to, family, size=64 << 20)
    a.rig.iperf(a.ns, b.ns, b.inner[family], "-t", "1", "-b", "200M", "-l", "1200", udp=True)
    assert a.ping(b, family) == 3


def hop(end, address, ttl, family=4):
    """Who says that the time is exceeded; None: somebody answered."""
    out = end.shell("ping", "-n", "-c", "1", "-W", "2", "-t", str(ttl), address, check=False).stdout
    said = re.search(r"From (\S+?):? icmp_seq=1 (Time|Hop limit|.*exceeded)", out)
    return said.group(1) if said else (None if " 1 received" in out else out)


@pytest.mark.parametrize("dialect", ["wireguard", "omni"])
def test_traceroute_shows_the_hops(tmp_path_factory, dialect):
    """A - B - C; B relays. Each gateway on the way says so with its own address."""
    rig = gateways(tmp_path_factory, 3, dialect)
    try:
        a, b, c = rig.ends
        connect(a, b)
        connect(b, c)
        a.peers[b.key].allowed += [c.inner[4] + "/32", c.inner[6] + "/128"]
        c.peers[b.key].allowed += [a.inner[4] + "/32", a.inner[6] + "/128"]
        b.more = {"relay": True}
        for end in rig.ends:
            end.start()
        until("the way", 10, lambda: a.ping(c, count=1, wait=0.5) == 1)
        for family in (4, 6):
            assert a.ping(c, family) == 3
            ttl, hops = 1, []
            while (who := hop(a, c.inner[family], ttl, family)) is not None and ttl < 6:
                hops.append(who)
                ttl += 1
            assert b.inner[family] in hops, hops
        a.transfer(c, size=16 << 20)
    finally:
        drop_rig(rig)


def test_nothing_passes_where_nobody_relays(tmp_path_factory):
    rig = gateways(tmp_path_factory, 3, "wireguard")
    try:
        a, b, c = rig.ends
        connect(a, b)
        connect(b, c)
        a.peers[b.key].allowed += [c.inner[4] + "/32"]
        c.peers[b.key].allowed += [a.inner[4] + "/32"]
        for end in rig.ends:
            end.start()
        a.reaches(b)
        b.reaches(c)
        assert a.ping(c, wait=0.5) == 0
    finally:
        drop_rig(rig)


@pytest.mark.parametrize("dialect", ["wireguard", "omni"])
def test_hosts_behind_a_gateway(tmp_path_factory, dialect):
    """A network behind site B's gateway, routed by its kernel: the answers come from there."""
    rig = gateways(tmp_path_factory, 2, dialect)
    try:
        a, b = rig.ends
        connect(a, b)
        a.peers[b.key].allowed += ["10.77.0.0/24"]
        host = rig.topo.nucleus
        ip("link", "add", "lan0", "netns", b.ns, "type", "veth", "peer", "name", "eth0",
           "netns", host)
        ip("-n", b.ns, "addr", "add", "10.77.0.1/24", "dev", "lan0")
        ip("-n", host, "addr", "add", "10.77.0.2/24", "dev", "eth0")
        for ns, dev in ((b.ns, "lan0"), (host, "eth0")):
            ip("-n", ns, "link", "set", dev, "up")
        ip("-n", host, "route", "add", "192.168.241.0/24", "via", "10.77.0.1")
        b.shell("sysctl", "-qw", "net.ipv4.ip_forward=1")
        b.more = {"advertise": ["10.77.0.0/24"]}
        for end in rig.ends:
            end.start()
        rig.reaches(a.ns, "10.77.0.2")
        assert rig.ping(a.ns, "10.77.0.2", 3)[1] == 3
        assert rig.ping(host, a.inner[4], 3)[1] == 3
    finally:
        drop_rig(rig)
