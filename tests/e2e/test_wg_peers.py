# SPDX-License-Identifier: MIT OR Apache-2.0
"""Which packets belong to which WireGuard peer: allowed IPs and their moves at run time, keys and
PSKs that change under traffic, peers that come and go, three of them."""
import time

import pytest

from conftest import drop_rig
from rig import until
from topo import PORT, ip
from wg import CAUGHT_UP, INITIATION, Wire, endpoint, ends_of, key_pair, new_psk, wg_rig

ENDS = ends_of("udp")
EXTRA = "192.168.77.7"  # of B and of C
# Public keys of low order: a shared secret with them is zero, whoever computes it.
LOW_ORDER = [
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=",
    "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=",
    "7P///////////////////////////////////////38=",
    "7f///////////////////////////////////////38=",
    "7v///////////////////////////////////////38=",
]


def three(request, tmp_path_factory):
    rig = wg_rig(tmp_path_factory, request.param, sites=3)
    try:
        for end in rig.ends:
            for other in rig.ends:
                if other is not end:
                    end.knows(other, at=endpoint(rig.topo.uplink_addr(other.site)))
        yield rig.ends
    finally:
        drop_rig(rig)


@pytest.fixture(params=ENDS, ids=str)
def ends(request, tmp_path_factory):
    """Three that know each other, started."""
    for found in three(request, tmp_path_factory):
        for end in found[1:]:
            end.more = {"addresses": [f"{end.inner[6]}/112", f"{EXTRA}/32"]}
        for end in found:
            end.start()
        yield found


@pytest.fixture(params=ENDS, ids=str)
def stopped(request, tmp_path_factory):
    yield from three(request, tmp_path_factory)


def test_three_peers(ends):
    for frm in ends:
        for to in ends:
            if to is not frm:
                assert frm.ping(to, 4) == 3 and frm.ping(to, 6) == 3
    streams = [frm.stream(to, size=2 << 20) for frm, to in (ends[:2], ends[1:], ends[::-2])]
    for s in streams:
        s.finish()


def test_a_source_of_somebody_else_is_dropped(ends):
    """B sends with C's address: A drops it until A says that B may."""
    a, b, c = ends
    a.reaches(b)
    ip("-n", b.ns, "addr", "add", f"{c.inner[4]}/32", "dev", b.dev)
    ip("-n", b.ns, "addr", "add", f"{c.inner[6]}/128", "dev", b.dev)
    dropped = a.dropped_sources()
    with Wire(a.rig, "a") as wire:
        for family in (4, 6):
            assert b.rig.ping(b.ns, a.inner[family], 3, wait=0.5, interval=0.05,
                              source=c.inner[family])[1] == 0
    assert len(wire.all) >= 6, "they were there"
    if dropped is not None:
        assert a.dropped_sources() - dropped == 6


def test_an_address_moves_from_peer_to_peer(ends):
    """More specific wins; an address that another peer gets is the former one's no more."""
    a, b, c = ends
    for end in (b, c):
        ip("-n", end.ns, "addr", "replace", f"{EXTRA}/32", "dev", end.dev)
    ip("-n", a.ns, "route", "replace", "192.168.77.0/24", "dev", a.dev)

    def who():
        """Which of them answers, by what its interface counted."""
        before = [received(e) for e in (b, c)]
        answered = a.rig.ping(a.ns, EXTRA, 3, interval=0.05, wait=0.5)[1]
        after = [received(e) for e in (b, c)]
        moved = [n for n, (x, y) in enumerate(zip(before, after)) if y - x >= 3]
        return (answered, moved)

    def allow(end, *more):
        peer = a.peers[end.key]
        peer.allowed = [end.inner[4] + "/32", end.inner[6] + "/128", *more]
        a.put(peer)

    a.reaches(b)
    a.reaches(c)
    allow(b, "192.168.77.0/24")
    assert who() == (3, [0])
    allow(c, f"{EXTRA}/32")
    assert who() == (3, [1])
    allow(c)
    assert who() == (3, [0])
    allow(c, "192.168.77.0/24")
    assert who() == (3, [1])
    allow(b)
    assert who() == (3, [1])


def received(end):
    with_stats = ip("-s", "-n", end.ns, "link", "show", "dev", end.dev).stdout.splitlines()
    return int(with_stats[3].split()[1])


def test_moves_during_a_transfer(ends):
    """A hundred unrelated moves and back; the stream does not notice."""
    a, b, c = ends
    a.reaches(b)
    stream = a.stream(b, seconds=4, rate=4e6)
    for n in range(30):
        peer, other = (a.peers[x.key] for x in ((b, c), (c, b))[n % 2])
        own = [f"{x.inner[4]}/32" for x in (b, c) if x.key == peer.key]
        peer.allowed = [*own, "10.11.0.0/16", f"10.12.{n}.0/24"]
        a.put(peer)
    seen = stream.finish()
    assert seen["gap"] < 3


def test_peers_removed_and_added_again(ends):
    a, b, c = ends
    a.reaches(b)
    a.reaches(c)
    peer = a.peers[b.key]
    a.remove(b)
    assert a.ping(b, count=2, wait=0.5) == 0
    assert b.ping(a, count=2, wait=0.5) == 0
    assert a.ping(c) == 3
    a.put(peer)
    assert a.reaches(b) < CAUGHT_UP
    b.reaches(a, seconds=CAUGHT_UP)


def test_a_private_key_changes(ends):
    """Under traffic; at the others the old key goes and the new one comes."""
    a, b, c = ends
    for one, other in ((b, a), (a, b)):
        one.reaches(other)
        stream = other.stream(one, seconds=6, rate=1e6)
        time.sleep(0.5)
        old = one.key
        one.new_key()
        peer = other.peers[old]
        other.remove(old)
        peer.key = one.key
        other.put(peer)
        assert one.reaches(other) < CAUGHT_UP
        if one.kind == "go":
            stream.finish()
        else:
            stream.abort()  # the program started anew, and its interface with it
        assert other.ping(one) == 3


def test_a_psk_changes(ends):
    """At one end and at the other, under traffic: their session goes on, and the next one needs it at
    both."""
    a, b, _ = ends
    a.reaches(b)
    made = [x.shook_hands(y) for x, y in ((a, b), (b, a))]
    stream = a.stream(b, seconds=4, rate=1e6)
    psk = new_psk()
    for end, other in ((a, b), (b, a)):
        peer = end.peers[other.key]
        peer.psk = psk
        time.sleep(0.5)
        end.put(peer)
    assert stream.finish()["gap"] < 1
    assert made == [x.shook_hands(y) for x, y in ((a, b), (b, a))]
    b.restart()
    b.reaches(a, seconds=CAUGHT_UP)
    a.reaches(b, seconds=CAUGHT_UP)
    peer = b.peers[a.key]
    peer.psk = new_psk()
    b.restart()
    assert b.ping(a, count=2, wait=1) == 0, "another one than A's"


def test_different_psks_never_meet(stopped):
    a, b, c = stopped
    a.peers[b.key].psk = new_psk()
    for end in stopped:
        end.start()
    assert a.ping(c) == 3
    assert a.ping(b, count=2, wait=1) == 0 and b.ping(a, count=2, wait=1) == 0


def test_no_datagram_to_keys_of_low_order(stopped):
    """Nor to our own key; the others are served."""
    a, b, _ = stopped
    for n, key in enumerate(LOW_ORDER[1:] if a.kind == "omni" else LOW_ORDER[1:]):
        a.knows(key, [f"10.66.{n}.0/24"], f"{a.rig.topo.nucleus_addr}:{PORT}", keepalive=1)
    with Wire(a.rig, "a", ["host", a.rig.topo.nucleus_addr]) as wire:
        for end in stopped:
            end.start()
        assert a.ping(b) == 3
        ip("-n", a.ns, "route", "replace", "10.66.0.0/16", "dev", a.dev)
        a.rig.ping(a.ns, "10.66.1.1", 1, wait=0.5)
        time.sleep(2)
    assert wire.all == []


def test_a_host_that_nobody_has(ends):
    """The sender is told; kernel and gateway do so, wireguard-go does not."""
    a, b, _ = ends
    stranger = key_pair()[1]
    a.put(a.knows(stranger, ["10.67.0.0/24"]))
    ip("-n", a.ns, "route", "replace", "10.67.0.0/16", "dev", a.dev)
    a.reaches(b)
    for to in ("10.67.0.1", "10.67.9.1")[:1 if a.kind == "go" else 2]:  # no endpoint; no peer
        # The packet waits for the peer to call before it is given up.
        out = a.rig.topo.exec(a.ns, "ping", "-n", "-c", "1", "-W", "7", to, check=False).stdout
        assert " 0 received" in out
        if a.kind != "go":
            assert "Unreachable" in out, out
    if a.kind != "go":
        out = a.rig.topo.exec(a.ns, "ping", "-n", "-c", "1", "-W", "2", "fd00:241::99",
                              check=False).stdout
        assert "nreachable" in out, out


def test_a_stranger_is_not_answered(stopped):
    """An initiation with a key that A does not list: silence, and the others are served."""
    a, b, c = stopped
    del a.peers[c.key]
    for end in stopped:
        end.start()
    with Wire(a.rig, "a") as wire:
        assert c.ping(a, count=3, wait=1) == 0
    ours = a.rig.topo.uplink_addr("a")
    assert wire.of_type(INITIATION), "it called"
    assert all(d.dst == bytes(map(int, ours.split("."))) for d in wire.all)
    assert b.ping(a) == 3


def test_a_called_name_is_resolved(stopped):
    """An endpoint by name, IPv4 or IPv6 behind it."""
    a, b, _ = stopped
    t = a.rig.topo
    t.set_hosts(a.ns, f"{t.uplink_addr('b', 6)} b.example\n")
    a.peers[b.key].endpoint = f"b.example:{PORT}"
    b.peers[a.key].endpoint = None
    for end in stopped:
        end.start()
    assert a.reaches(b) < CAUGHT_UP
    until("the address", 3, lambda: a.endpoint_of(b) == endpoint(t.uplink_addr("b", 6)))
