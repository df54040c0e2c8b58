# SPDX-License-Identifier: MIT OR Apache-2.0
"""Two WireGuard peers, one of them wireguard-go: traffic of every kind over both families, and what
is on the wire meanwhile."""
import pytest

from conftest import drop_rig
from wg import CAUGHT_UP, DATA, INITIATION, RESPONSE, Wire, endpoint, ends_of, meet, new_psk, wg_rig

ENDS = ends_of("udp", "af_xdp")


@pytest.fixture(scope="module", params=ENDS, ids=str)
def ends(request, tmp_path_factory):
    """A pair that shook hands with a PSK, over IPv4."""
    rig = wg_rig(tmp_path_factory, request.param)
    try:
        a, b = rig.ends
        psk = new_psk()
        a.knows(b, at=endpoint(rig.topo.uplink_addr("b")), psk=psk)
        b.knows(a, at=endpoint(rig.topo.uplink_addr("a")), psk=psk)
        a.start()
        b.start()
        yield a, b
    finally:
        drop_rig(rig)


@pytest.fixture(params=[4, 6], ids=["outer4", "outer6"])
def outer(ends, request):
    """The same, over either family."""
    a, b = ends
    for end, other in ((a, b), (b, a)):
        peer = end.peers[other.key]
        peer.endpoint = endpoint(end.rig.topo.uplink_addr(other.site, request.param), other.port)
        end.put(peer)
    meet(a, b)
    return ends


def test_what_ten_pings_are_on_the_wire(ends):
    """One handshake; no first packet lost; the counters of both are those of the protocol."""
    a, b = ends
    with Wire(a.rig, "a") as wire:
        assert a.ping(b, count=10, interval=0.02) == 10
    (first,), (second,) = wire.of_type(INITIATION), wire.of_type(RESPONSE)
    assert (len(first.payload), len(second.payload)) == (148, 92)
    assert first.src == second.dst
    # 84 bytes padded to 96, 32 around them.
    sizes = [len(d.payload) for d in wire.of_type(DATA) if d.src == first.src]
    assert sizes.count(128) == 10 and set(sizes) <= {128, 32}
    # The keepalive that confirms the key is control's, and may be overtaken by a worker's data.
    counters = sorted(int.from_bytes(d.payload[8:16], "little") for d in wire.of_type(DATA)
                      if d.src == first.src)
    assert counters == list(range(len(counters)))
    for end, other in ((a, b), (b, a)):
        assert end.shook_hands(other) > 0
        if end.kind != "go":
            continue  # it counts what is inside
        received, sent = end.transferred(other)
        # The handshake, ten packets, and the keepalive that confirms where one was needed.
        assert received - 1280 in (92, 148, 148 + 32, 92 + 32)
        assert sent - 1280 in (92, 148, 148 + 32, 92 + 32)


@pytest.mark.parametrize("family", [4, 6])
def test_ping_both_ways(outer, family):
    a, b = outer
    for frm, to in ((a, b), (b, a)):
        assert frm.ping(to, family, 10, interval=0.01) == 10
        assert frm.rig.ping(frm.ns, to.inner[family], 1, size=1372 if family == 4 else 1352)[1] == 1


@pytest.mark.parametrize("family", [4, 6])
def test_tcp_byte_by_byte(outer, family):
    a, b = outer
    for frm, to in ((a, b), (b, a)):
        frm.transfer(to, family, size=8 << 20)


@pytest.mark.parametrize("family", [4, 6])
def test_iperf(ends, family):
    """Bulk TCP in both directions, in parallel, and UDP as fast as it leaves."""
    a, b = ends
    rig, addr = a.rig, b.inner[family]
    assert rig.iperf(a.ns, b.ns, addr, "-t", "1", "-Z")["gbps"] > 0
    assert rig.iperf(a.ns, b.ns, addr, "-t", "1", "-R", "-P", "20")["gbps"] > 0
    assert rig.iperf(a.ns, b.ns, addr, "-t", "1", "-b", "0", "-l", "1300", udp=True)["gbps"] > 0
    assert rig.iperf(a.ns, b.ns, addr, "-t", "1", "-R", "-b", "0", udp=True)["gbps"] > 0
    assert a.ping(b, family, 5) == 5


def test_packets_in_pieces(outer):
    """Inner fragments of either family, far above the MTU."""
    a, b = outer
    for frm, to in ((a, b), (b, a)):
        for family in (4, 6):
            assert frm.rig.ping(frm.ns, to.inner[family], 3, size=8000)[1] == 3


def test_padding_never_exceeds_the_mtu(outer):
    """A packet of 1418 bytes is filled up to 1420, not to the next multiple of 16."""
    a, b = outer
    with Wire(a.rig, "a") as wire:
        for size in (1, 56, 1270, 1390, 1391, 1392):
            assert a.rig.ping(a.ns, b.inner[4], 1, size=size)[1] == 1
    sizes = {len(d.payload) for d in wire.of_type(DATA)}
    assert max(len(d.payload) for d in wire.all) == 1420 + 32
    assert {32 + 32, 32 + 96} <= sizes, "beside what kernels solicit by themselves"


def test_nothing_is_readable_outside(ends):
    a, b = ends
    with Wire(a.rig, "a") as wire:
        assert a.rig.ping(a.ns, b.inner[4], 3, pattern="6f6d6e69")[1] == 3
    with open(wire.path, "rb") as f:
        assert b"omniomni" not in f.read()


@pytest.mark.parametrize("mtu", [1280, 1384, 576])
def test_small_mtu(ends, mtu):
    a, b = ends
    try:
        for end in ends:
            end.set_mtu(mtu)
        meet(a, b)
        size = mtu - 28
        with Wire(a.rig, "a") as wire:
            assert a.rig.ping(a.ns, b.inner[4], 3, size=size)[1] == 3
        assert max(len(d.payload) for d in wire.all) == mtu + 32
        a.transfer(b, size=1 << 20)
    finally:
        for end in ends:
            end.set_mtu(1420)
        meet(a, b)


def test_program_that_starts_again(ends):
    """Either end; the other notices by itself."""
    a, b = ends
    for one, other in ((a, b), (b, a)):
        one.restart()
        assert one.reaches(other) < CAUGHT_UP
        assert other.ping(one) == 3
