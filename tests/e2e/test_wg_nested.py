# SPDX-License-Identifier: MIT OR Apache-2.0
"""WireGuard tunnels whose datagrams cross WireGuard tunnels, and such that would cross themselves."""
import pytest

from conftest import drop_rig
from topo import ip
from wg import KINDS, Wire, endpoint, ends_of, wg_rig

NET = ("192.168.242", "fd00:242::")
INNER_PORT = 51999


@pytest.fixture(params=ends_of("udp"), ids=str)
def ends(request, tmp_path_factory):
    rig = wg_rig(tmp_path_factory, request.param)
    try:
        a, b = rig.ends
        a.knows(b, at=endpoint(rig.topo.uplink_addr("b")))
        b.knows(a, at=endpoint(rig.topo.uplink_addr("a")))
        a.start()
        b.start()
        a.reaches(b)
        yield a, b
    finally:
        drop_rig(rig)


def inner_end(kind, outer, mtu=1340):
    """Another program beside `outer`, with a network of its own."""
    return KINDS[kind](outer.rig, outer.site, name=f"{outer.name}i", net=NET, port=INNER_PORT,
                       mtu=mtu, uplink=None)


@pytest.mark.parametrize("reverse", [False, True], ids=["same", "swapped"])
def test_wireguard_through_wireguard(ends, reverse):
    """The inner pair has the same kinds as the outer one, or those of each other."""
    outer = list(ends)
    kinds = [e.kind for e in outer]
    x, y = (inner_end(kind, end) for kind, end in zip(kinds[::-1] if reverse else kinds, outer))
    x.knows(y, at=endpoint(outer[1].inner[6], INNER_PORT))
    y.knows(x, at=endpoint(outer[0].inner[6], INNER_PORT))
    with Wire(outer[0].rig, "a") as wire:
        x.start()
        y.start()
        for family in (4, 6):
            assert x.ping(y, family) == 3 and y.ping(x, family) == 3
            x.transfer(y, family, size=2 << 20)
    assert {d.dport for d in wire.all} == {outer[1].port}


def test_a_peer_behind_a_peer_of_the_same_interface(ends):
    """Onion: the endpoint of C lies among B's allowed IPs. And then among its own: nothing moves,
    nobody falls over. A gateway sends no datagram of its own into a port of its own."""
    a, b = ends
    inner = inner_end("go", b)
    inner.knows(a, [f"{NET[0]}.1/32"])
    a.put(a.knows(inner, [f"{inner.inner[4]}/32"], endpoint(b.inner[4], INNER_PORT)))
    inner.start()
    ip("-n", a.ns, "addr", "add", f"{NET[0]}.1/24", "dev", a.dev)
    if a.kind == "go":
        a.reaches(inner)
    assert a.ping(inner, wait=0.5) == (3 if a.kind == "go" else 0)
    peer = a.peers[inner.key]
    inner.stop()
    peer.endpoint = endpoint(inner.inner[4], INNER_PORT)
    a.put(peer)
    assert a.ping(inner, count=3, wait=0.5) == 0
    assert a.reaches(b) < 5 and b.reaches(a) < 5


def test_a_routing_loop_is_refused(ends):
    """B's endpoint is B's own inner address: what little there is ends soon."""
    a, b = ends
    if a.kind == "go":
        pytest.skip("wireguard-go does not see that its datagrams come back to it")
    peer = a.peers[b.key]
    peer.endpoint = endpoint(b.inner[4], 7)
    b.stop()
    a.put(peer)
    before = tun_bytes(a)
    with Wire(a.rig, "a") as wire:
        assert a.rig.ping(a.ns, b.inner[4], 10, interval=0.01, wait=1)[1] == 0
    assert tun_bytes(a) - before < 70000
    assert len(wire.all) < 50
    peer.endpoint = endpoint(a.rig.topo.uplink_addr("b"))
    a.put(peer)
    b.start()  # and knows no session, as A does
    assert b.reaches(a) < 10 and a.reaches(b) < 10


def tun_bytes(end):
    """What the kernel gave to the tunnel."""
    lines = ip("-s", "-n", end.ns, "link", "show", "dev", end.dev).stdout.splitlines()
    return int(lines[5].split()[0])
