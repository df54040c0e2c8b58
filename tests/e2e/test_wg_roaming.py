# SPDX-License-Identifier: MIT OR Apache-2.0
"""WireGuard peers whose addresses change while a TCP connection runs, on both families; which
address answers; a masquerading router between them."""
import time

import pytest

from conftest import drop_rig
from rig import until
from topo import PORT, ip
from wg import CAUGHT_UP, DATA, Wire, endpoint, ends_of, nft, wg_rig

SILENCE = 3.0  # seconds that a connection may stand still when an address changes
RATE = 4e6     # bytes per second meanwhile


@pytest.fixture(params=ends_of("udp"), ids=str)
def ends(request, tmp_path_factory):
    """A calls B; B knows no address of A."""
    rig = wg_rig(tmp_path_factory, request.param)
    try:
        a, b = rig.ends
        a.knows(b, at=endpoint(rig.topo.uplink_addr("b")))
        b.knows(a)
        a.start()
        b.start()
        a.reaches(b)
        yield a, b
    finally:
        drop_rig(rig)


@pytest.fixture(params=ends_of("af_xdp"), ids=str)
def ends_of_af_xdp(request, tmp_path_factory):
    yield from ends.__wrapped__(request, tmp_path_factory)


def move(end, other, family):
    """The end's uplink has another address from now on, which is given back."""
    t = end.rig.topo
    old = t.uplink_addr(end.site, family)
    new = old[:-1] + "77"
    length, v = (24, "-4") if family == 4 else (64, "-6")
    ip("-n", end.ns, v, "addr", "del", f"{old}/{length}", "dev", "up0")
    ip("-n", end.ns, v, "addr", "add", f"{new}/{length}", "dev", "up0", *["nodad"] * (family == 6))
    ip("-n", end.ns, v, "route", "replace", "default", "via", t.gateway_addr(end.site, family))
    if family == 4:
        end.source_is_gone(other)
    return endpoint(new, end.port)


def roam(a, b, family):
    """During transfers in both directions."""
    peer = a.peers[b.key]
    peer.endpoint = endpoint(a.rig.topo.uplink_addr("b", family), b.port)
    a.put(peer)
    a.reaches(b)
    stream = a.stream(b, seconds=4, rate=RATE)
    time.sleep(1)
    new = move(a, b, family)
    seen = stream.finish()
    assert seen["gap"] < SILENCE, seen
    assert b.endpoint_of(a) == new
    b.transfer(a)


@pytest.mark.parametrize("family", [4, 6])
def test_the_callers_address_changes_during_a_transfer(ends, family):
    roam(*ends, family)


def test_the_same_over_af_xdp(ends_of_af_xdp):
    roam(*ends_of_af_xdp, 4)


def test_the_calleds_address_changes_during_a_transfer(ends):
    """B moves: it goes on sending from its new address, and A follows."""
    a, b = ends
    stream = b.stream(a, seconds=4, rate=RATE)
    time.sleep(1)
    new = move(b, a, 4)
    seen = stream.finish()
    assert seen["gap"] < SILENCE, seen
    assert a.endpoint_of(b) == new


def test_from_one_family_to_the_other(ends):
    """A calls over IPv6 from now on; B answers there, and back again."""
    a, b = ends
    for family in (6, 4):
        peer = a.peers[b.key]
        peer.endpoint = endpoint(a.rig.topo.uplink_addr("b", family), b.port)
        a.put(peer)
        assert a.ping(b, 6) == 3
        at = endpoint(a.rig.topo.uplink_addr("a", family), a.port)
        until("A to be seen there", 2, lambda: b.endpoint_of(a) == at)
        assert b.ping(a) == 3


def test_another_port(ends):
    a, b = ends
    a.listen(9999)
    a.reaches(b, 6, CAUGHT_UP)
    assert b.endpoint_of(a) == endpoint(a.rig.topo.uplink_addr("a"), 9999)
    assert b.ping(a) == 3


def test_only_authenticated_datagrams_move_an_endpoint(ends):
    """Copies of what was sent, and noise, from elsewhere: B stays where it was."""
    a, b = ends
    with Wire(a.rig, "a") as wire:
        assert a.ping(b) == 3
    sent = wire.of_type(DATA)[0].payload
    send = ("import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
            "d=bytes.fromhex(sys.argv[1])\n"
            f"for x in (d, d[:-1]+b'x', d[:8]+b'\\xff'*8+d[16:]):\n"
            f"    s.sendto(x,('{a.rig.topo.uplink_addr('b')}',{PORT}))")
    a.rig.topo.exec(a.rig.topo.nucleus, "python3", "-c", send, sent.hex())
    time.sleep(0.2)
    assert b.endpoint_of(a) == endpoint(a.rig.topo.uplink_addr("a"), PORT)
    assert b.ping(a) == 3


@pytest.mark.parametrize("family", [4, 6])
def test_the_address_that_was_called_answers(ends, family):
    """B has two addresses more, one of them on another interface."""
    a, b = ends
    t = a.rig.topo
    second = ("10.99.2.9", "2001:db8:2::9")[family == 6]
    other = ("10.99.50.1", "2001:db8:50::1")[family == 6]
    length, v = ((24, 32), "-4") if family == 4 else ((64, 128), "-6")
    ip("-n", b.ns, v, "addr", "add", f"{second}/{length[0]}", "dev", "up0")
    ip("-n", b.ns, v, "addr", "add", f"{other}/{length[1]}", "dev", "lo")
    ip("-n", t.router, v, "route", "add", other, "via", t.uplink_addr("b", family))
    for address in (second, other, t.uplink_addr("b", family)):
        peer = a.peers[b.key]
        peer.endpoint = endpoint(address, b.port)
        a.put(peer)
        a.reaches(b)
        assert a.ping(b) == 3
        assert a.endpoint_of(b) == endpoint(address, b.port)


@pytest.mark.parametrize("family", [4, 6])
def test_not_too_sticky(ends, family):
    """The address that was used goes; the next one is taken without a pause."""
    a, b = ends
    t = a.rig.topo
    old, length, v = t.uplink_addr("a", family), (24, 64)[family == 6], f"-{family}"
    new = old[:-1] + "10"
    peer = a.peers[b.key]
    peer.endpoint = endpoint(t.uplink_addr("b", family), b.port)
    a.put(peer)
    a.reaches(b)
    ip("-n", a.ns, v, "addr", "add", f"{new}/{length}", "dev", "up0", *["nodad"] * (family == 6))
    a.shell("sysctl", "-qw", "net.ipv4.conf.up0.promote_secondaries=1")
    ip("-n", a.ns, v, "addr", "del", f"{old}/{length}", "dev", "up0")
    ip("-n", a.ns, v, "route", "replace", "default", "via", t.gateway_addr("a", family))
    if family == 4:
        a.source_is_gone(b)
    assert a.reaches(b) < SILENCE
    assert b.endpoint_of(a) == endpoint(new, PORT)


def test_a_better_route_takes_over(ends):
    """Another interface towards B: the source address is that one's from then on."""
    a, b = ends
    t = a.rig.topo
    a.uplink = None
    if a.kind != "go":
        a.restart()
        a.reaches(b)
    ip("link", "add", "up1", "netns", a.ns, "type", "veth", "peer", "name", "ra1", "netns", t.router)
    for ns, dev, last in ((a.ns, "up1", 2), (t.router, "ra1", 1)):
        ip("-n", ns, "addr", "add", f"10.99.60.{last}/24", "dev", dev)
        ip("-n", ns, "link", "set", dev, "up")
    ip("-n", a.ns, "route", "add", f"{t.uplink_addr('b')}/32", "via", "10.99.60.1")
    a.source_is_gone(b)
    assert a.reaches(b) < CAUGHT_UP
    until("B to hear it", CAUGHT_UP, lambda: a.ping(b, count=1) == 1 and
          b.endpoint_of(a) == endpoint("10.99.60.2", PORT))


# ---- NAT ----

def masquerade(rig, seconds=60):
    """Site A stands behind the router's address towards B; mappings live so long."""
    t = rig.topo
    nft(t.router, """
        table ip nat {
            chain post {
                type nat hook postrouting priority srcnat;
                ip saddr 10.99.1.0/24 oifname "rb" masquerade
            }
        }
        table ip filter {
            chain forward {
                type filter hook forward priority filter;
                iifname "rb" ct state != { established, related } drop
            }
        }""")
    t.exec(t.router, "sysctl", "-qw", f"net.netfilter.nf_conntrack_udp_timeout={seconds}",
           f"net.netfilter.nf_conntrack_udp_timeout_stream={seconds}")


def test_nat_with_keepalive(ends):
    """The mapping stays open; B reaches A, which it could not call otherwise."""
    a, b = ends
    rig = a.rig
    masquerade(rig, 2)
    peer = a.peers[b.key]
    peer.keepalive = 1
    a.put(peer)
    a.reaches(b)
    assert b.endpoint_of(a).rsplit(":", 1)[0] == rig.topo.gateway_addr("b")
    with Wire(rig, "b") as wire:
        time.sleep(4)
    assert 3 <= len(wire.keepalives()) <= 7
    assert b.ping(a) == 3
    peer.keepalive = 0
    a.put(peer)
    b.ping(a, count=1)
    time.sleep(4)
    assert b.ping(a, count=1, wait=0.5) == 0, "without it the mapping is gone"
    assert a.reaches(b) < SILENCE, "and a packet of the inside opens it again"
    assert a.ping(b) == 3 and b.ping(a) == 3
    a.transfer(b)


def test_a_mapping_that_changes(ends):
    """The router forgets the mapping in the middle of a transfer and takes another port."""
    a, b = ends
    rig, t = a.rig, a.rig.topo
    masquerade(rig)
    a.reaches(b)
    stream = a.stream(b, seconds=4, rate=RATE)
    time.sleep(1)
    before = b.endpoint_of(a)
    nft(t.router, """
        flush chain ip nat post
        add rule ip nat post ip saddr 10.99.1.0/24 oifname "rb" udp dport 51820 masquerade to :40000-40100
        add rule ip nat post ip saddr 10.99.1.0/24 oifname "rb" masquerade""")
    forget(t)
    seen = stream.finish()
    assert seen["gap"] < SILENCE, seen
    until("B to follow", 2, lambda: b.endpoint_of(a) != before)
    b.transfer(a)


def forget(topo):
    """Break every mapping: the address that they were made of goes and comes."""
    ip("-n", topo.router, "addr", "del", f"{topo.gateway_addr('b')}/24", "dev", "rb")
    ip("-n", topo.router, "addr", "add", f"{topo.gateway_addr('b')}/24", "dev", "rb")
