# SPDX-License-Identifier: MIT OR Apache-2.0
"""Outer datagrams in IP fragments: from a WireGuard peer whose kernel fragments what its path does
not carry, and to one whose path carries less than IPv6 promises to everybody."""
import pytest

from conftest import drop_rig
from test_wg_mtu import narrow
from topo import ip, run
from wg import OmniEnd, Pairing, endpoint, nft, wg_rig

KINDS = [("omni", "go"), ("go", "omni")]


def fragments_at(end, mtu, family):
    """What its kernel knows of the path."""
    ip("-n", end.ns, f"-{family}", "route", "replace", "default", "via",
       end.rig.topo.gateway_addr(end.site, family), "dev", "up0", "mtu", "lock", str(mtu))


def pair(tmp_path_factory, kinds, driver, mtu, family):
    """wireguard-go knows nothing of the path; its kernel does, and fragments with DF clear."""
    rig = wg_rig(tmp_path_factory, Pairing(*kinds, driver))
    narrow(rig, mtu)
    a, b = rig.ends
    for end, other in ((a, b), (b, a)):
        peer = end.knows(other, at=endpoint(rig.topo.uplink_addr(other.site, family)))
        peer.more = {"path-mtu": mtu}
    for end in rig.ends:
        if end.kind == "go":
            fragments_at(end, mtu, family)
    for end in rig.ends:
        end.start()
    return rig


def answered(end, other, family, size):
    """How many of five pings with so many bytes, of which ping waits for a single one as told."""
    argv = ["ping", "-n", "-M", "dont", "-c", "1", "-W", "2", "-s", str(size), other.inner[family]]
    return sum(" 1 received" in end.shell(*argv, check=False).stdout for _ in range(5))


@pytest.fixture(params=["udp", "af_xdp"])
def driver(request):
    return request.param


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
@pytest.mark.parametrize("family", [4, 6])
def test_a_peer_that_fragments(tmp_path_factory, kinds, driver, family):
    """What it sends is up to 1420 bytes long inside, over a path of 1280."""
    rig = pair(tmp_path_factory, kinds, driver, 1280, family)
    try:
        a, b = rig.ends
        a.reaches(b)
        go, omni = (a, b) if a.kind == "go" else (b, a)
        for size in (1232, 1372):
            assert answered(go, omni, 4, size) == 5
        assert go.transfer(omni, size=10 << 20)
        assert omni.transfer(go, size=10 << 20)
    finally:
        drop_rig(rig)


# The path and the family of the outer datagrams; a packet of IPv6's minimum takes so many fragments.
NARROW = [(1280, 6, 2), (1124, 4, 2), (576, 4, 3)]


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
@pytest.mark.parametrize("mtu,family,fragments", NARROW)
def test_the_minimum_of_ipv6(tmp_path_factory, kinds, driver, mtu, family, fragments):
    """1280 bytes inside come through, either way, as everybody may rely on."""
    rig = pair(tmp_path_factory, kinds, driver, mtu, family)
    try:
        a, b = rig.ends
        a.reaches(b, 6)
        go, omni = (a, b) if a.kind == "go" else (b, a)
        assert answered(omni, go, 6, 1232) == 5
        assert omni.counter("outer_fragments_sent") == 5 * fragments
        assert answered(go, omni, 6, 1232) == 5
        assert omni.counter("outer_fragments_sent") == 10 * fragments
        assert omni.counter("drop_under_minimum") == 0
        # More than that: its sender is told once, and then sends fragments of its own.
        assert answered(omni, go, 6, 1372) >= 4
        # TCP never needs them, as its MSS is lowered.
        sent = omni.counter("outer_fragments_sent")
        assert omni.transfer(go, 6, size=10 << 20)
        assert go.transfer(omni, 6, size=10 << 20)
        assert omni.counter("outer_fragments_sent") == sent
    finally:
        drop_rig(rig)


@pytest.mark.parametrize("mtu,family,fragments", NARROW)
def test_two_gateways(tmp_path_factory, driver, mtu, family, fragments):
    rig = pair(tmp_path_factory, ("omni", "omni"), driver, mtu, family)
    try:
        a, b = rig.ends
        a.reaches(b, 6)
        for end, other in ((a, b), (b, a)):
            assert answered(end, other, 6, 1232) == 5
        for end in rig.ends:
            assert end.counter("outer_fragments_sent") == 10 * fragments
    finally:
        drop_rig(rig)


class Marked(OmniEnd):
    """Nothing without the mark leaves for the other end."""

    def config(self):
        conf = super().config()
        conf["underlay"]["fwmark"] = "77"
        return conf


def test_fragments_have_the_mark(tmp_path_factory):
    rig = wg_rig(tmp_path_factory, Pairing("omni", "go", "udp"))
    try:
        omni, go = rig.ends = [Marked(rig, "a"), rig.ends[1]]
        there = rig.topo.uplink_addr(go.site)
        omni.knows(go, at=endpoint(there)).more = {"path-mtu": 576}
        go.knows(omni)
        nft(omni.ns, f"""
            table ip marks {{
                chain out {{
                    type filter hook output priority filter;
                    ip daddr {there} meta mark != 77 drop
                }}
            }}""")
        for end in rig.ends:
            end.start()
        omni.reaches(go, 6)
        assert answered(omni, go, 6, 1232) == 5
        assert omni.counter("outer_fragments_sent") == 15
    finally:
        drop_rig(rig)


class Apart(OmniEnd):
    """A gateway whose uplink is a device of DPDK's: no kernel has its address. One that forwards
    stands on the device's other side, its namespace's own."""
    MAC, AT = "02:00:00:00:98:01", "10.98.1.2"

    def config(self):
        conf = super().config()
        conf["ports"]["uplink0"] = {"driver": "ethdev",
                                    "devargs": f"net_tap0,iface=ul0,mac={self.MAC}"}
        conf["underlay"].update({"address": f"{self.AT}/24", "next-hop": {"mac": self.MAC}})
        return conf

    def start(self):
        super().start()
        ip("-n", self.ns, "addr", "add", "10.98.1.1/24", "dev", "ul0")
        ip("-n", self.ns, "link", "set", "ul0", "up")
        ip("-n", self.ns, "neigh", "replace", self.AT, "lladdr", "02:00:00:00:98:02", "dev", "ul0")
        run("ip", "netns", "exec", self.ns, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        ip("-n", self.rig.topo.router, "route", "add", "10.98.1.0/24", "via",
           self.rig.topo.uplink_addr(self.site))
        return self


@pytest.mark.parametrize("mtu", [1124, 576])
def test_an_uplink_without_a_kernel(tmp_path_factory, mtu):
    """The worker puts together what it sends."""
    rig = wg_rig(tmp_path_factory, Pairing("omni", "go", "udp"))
    try:
        narrow(rig, mtu)
        omni, go = rig.ends = [Apart(rig, "a"), rig.ends[1]]
        omni.knows(go, at=endpoint(rig.topo.uplink_addr(go.site))).more = {"path-mtu": mtu}
        go.knows(omni, at=endpoint(omni.AT))
        fragments_at(go, mtu, 4)
        for end in rig.ends:
            end.start()
        omni.reaches(go, 6)
        for end, other in ((omni, go), (go, omni)):
            assert answered(end, other, 6, 1232) == 5
        assert omni.counter("outer_fragments_received") >= 20
        assert omni.counter("outer_reassembled") >= 10
        assert answered(go, omni, 4, 1372) == 5
        for end, other in ((omni, go), (go, omni)):
            assert end.transfer(other, size=10 << 20)
    finally:
        drop_rig(rig)
