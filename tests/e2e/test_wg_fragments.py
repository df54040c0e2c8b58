# SPDX-License-Identifier: MIT OR Apache-2.0
"""Outer datagrams in IP fragments: from a WireGuard peer whose kernel fragments what its path does
not carry, and to one whose path carries less than IPv6 promises to everybody."""
import pytest

from conftest import drop_rig
from test_wg_mtu import narrow
from topo import ip
from wg import Pairing, endpoint, wg_rig

KINDS = [("omni", "go"), ("go", "omni")]


def pair(tmp_path_factory, kinds, driver, mtu, family):
    """wireguard-go knows nothing of the path; its kernel does, and fragments with DF clear."""
    rig = wg_rig(tmp_path_factory, Pairing(*kinds, driver))
    narrow(rig, mtu)
    a, b = rig.ends
    for end, other in ((a, b), (b, a)):
        peer = end.knows(other, at=endpoint(rig.topo.uplink_addr(other.site, family)))
        peer.more = {"path-mtu": mtu}
    go = a if a.kind == "go" else b
    for version in (4, 6):
        ip("-n", go.ns, f"-{version}", "route", "replace", "default", "via",
           rig.topo.gateway_addr(go.site, version), "dev", "up0", "mtu", "lock", str(mtu))
    for end in rig.ends:
        end.start()
    return rig


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
            out = go.shell("ping", "-n", "-M", "dont", "-c", "5", "-i", "0.05", "-W", "1", "-s",
                           str(size), omni.inner[4], check=False).stdout
            assert " 5 received" in out, out
        assert go.transfer(omni, size=10 << 20)
        assert omni.transfer(go, size=10 << 20)
    finally:
        drop_rig(rig)
