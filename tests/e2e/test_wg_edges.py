# SPDX-License-Identifier: MIT OR Apache-2.0
"""WireGuard peers at the edges of what is allowed: the largest packets, a peer that is this box
itself, thousands of allowed IPs, an interface and an uplink that were down."""
import re
import time

import pytest

from conftest import drop_rig
from rig import RpcError, until
from topo import ip
from wg import CAUGHT_UP, CLUSTER, INITIATION, RESPONSE, Wire, endpoint, ends_of, key_pair, wg_rig

LARGEST = 9216  # bytes, of a link
ENDS = ends_of("udp")


def pair(request, tmp_path_factory, mtu=1500):
    rig = wg_rig(tmp_path_factory, request.param, mtu=mtu)
    for end, other in (rig.ends, rig.ends[::-1]):
        end.knows(other, at=endpoint(rig.topo.uplink_addr(other.site)))
    return rig


@pytest.fixture(params=ENDS, ids=str)
def stopped(request, tmp_path_factory):
    rig = pair(request, tmp_path_factory)
    try:
        yield rig.ends
    finally:
        drop_rig(rig)


@pytest.fixture(params=ENDS, ids=str)
def ends(request, tmp_path_factory):
    rig = pair(request, tmp_path_factory)
    try:
        for end in rig.ends:
            end.start()
        yield rig.ends
    finally:
        drop_rig(rig)


@pytest.fixture(params=ENDS, ids=str)
def largest(request, tmp_path_factory):
    """Over links of LARGEST bytes, which are used up."""
    rig = pair(request, tmp_path_factory, LARGEST)
    try:
        for end in rig.ends:
            end.mtu = LARGEST - 80
            for peer in end.peers.values():
                peer.more = {"path-mtu": LARGEST}
            end.start()
        yield rig.ends
    finally:
        drop_rig(rig)


def test_the_largest_packets(largest):
    """Whole, over IPv4 and IPv6 inside; TCP in both directions."""
    a, b = largest
    a.reaches(b)
    for family, headers in ((4, 28), (6, 48)):
        with Wire(a.rig, "a") as wire:
            assert a.ping(b, family, 3, size=a.mtu - headers, dontfrag=True) == 3
        assert max(len(d.payload) for d in wire.all) == a.mtu + 32
    for frm, to in (largest, largest[::-1]):
        assert frm.transfer(to, size=16 << 20)["mss"] > 9000


@pytest.mark.parametrize("where", ["cluster", "port"])
def test_larger_ones_are_refused(stopped, where):
    gateway = next(e for e in stopped if e.kind == "omni")
    config = gateway.config()
    if where == "cluster":
        config["clusters"][CLUSTER]["mtu"] = LARGEST + 1
    else:
        config["ports"]["host0"]["mtu"] = LARGEST + 1
    status, said = gateway.rig.run_gateway(gateway.site, config)
    assert status == 2
    assert re.search(rf"mtu.*{LARGEST}", said), said


def test_a_peer_that_is_this_box(stopped):
    """wireguard-go leaves it out, and a peer whose key it takes over; a gateway says so and does not
    start with it (of a file of wg-quick's it leaves it out, too), nor takes it at run time."""
    a, b = stopped
    own = a.knows(a.key, ["10.68.0.0/24"], endpoint(a.rig.topo.nucleus_addr), keepalive=1)
    b.start()
    with Wire(a.rig, "a", ["host", a.rig.topo.nucleus_addr]) as wire:
        if a.kind == "omni":
            status, said = a.rig.run_gateway(a.site, a.config(), name=a.name)
            assert status != 0 and "own key" in said
            del a.peers[own.key]
        a.start()
        assert a.ping(b) == 3
        if a.kind == "omni":
            with pytest.raises(RpcError, match="own key"):
                a.add(own)
            assert {p["key"] for p in a.gateway.peers()} == {b.key}
        else:
            assert set(a.show("endpoints")) == {b.key}
            a.set("private-key", a.file("private", b.private))
            assert a.show("endpoints") == {}
    assert wire.all == []


def test_thousands_of_allowed_ips(ends):
    """Given, told, moved to another peer and back, during a transfer."""
    a, b = ends
    a.reaches(b)
    stream = a.stream(b, seconds=4, rate=1e6)
    peer = a.peers[b.key]
    few = list(peer.allowed)
    many = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(0x4000, 0x4000 + 1500)] + [
        f"2001:db8:f:{n:x}::/64" for n in range(1, 1501)]
    peer.allowed = few + many
    a.put(peer)
    assert len(allowed(a)[b.key]) == len(few) + len(many)
    other = a.knows(key_pair()[1], many)
    a.put(other)
    assert allowed(a)[b.key] == set(few) and allowed(a)[other.key] == set(many)
    a.put(peer)
    assert allowed(a)[b.key] == set(few) | set(many)
    a.remove(other.key)
    peer.allowed = few
    a.put(peer)
    assert allowed(a) == {b.key: set(few)}
    assert stream.finish()["gap"] < 2


def allowed(end):
    """{key: prefixes} as the end tells them."""
    if end.kind == "go":
        return {k: set(v.split()) for k, v in end.show("allowed-ips").items()}
    said = end.gateway.ctl("wg", "show", CLUSTER, "allowed-ips").stdout
    return {k: set(v.split()) for k, v in (x.split("\t", 1) for x in said.splitlines())}


def test_an_interface_that_comes_back(ends):
    """The gateway's: its addresses are there again. (Of others the kernel takes IPv6's.)"""
    gateway, other = sorted(ends, key=lambda e: e.kind != "omni")
    if gateway.kind != "omni":
        pytest.skip("no gateway")
    ip("-n", gateway.ns, "link", "set", gateway.dev, "down")
    ip("-n", gateway.ns, "link", "set", gateway.dev, "up")
    for family in 4, 6:
        gateway.reaches(other, family)
        assert other.ping(gateway, family) == 3


def test_an_uplink_that_comes_back(stopped):
    """Who has a persistent keepalive calls when the way is there again, without a packet of
    anybody's. (A gateway does not start on an uplink that is down.)"""
    a, b = stopped
    t = a.rig.topo
    a.peers[b.key].keepalive = 1
    a.start()
    ip("-n", a.ns, "link", "set", "up0", "down")
    b.start()
    time.sleep(6)
    with Wire(a.rig, "b") as wire:
        ip("-n", a.ns, "link", "set", "up0", "up")
        ip("-n", a.ns, "route", "replace", "default", "via", t.gateway_addr("a"))
        until("a handshake", CAUGHT_UP, lambda: b.shook_hands(a))
        time.sleep(2.5)
    assert wire.of_type(INITIATION) and wire.of_type(RESPONSE)
    assert len(wire.keepalives()) >= 2
    assert b.ping(a) == 3
