# SPDX-License-Identifier: MIT OR Apache-2.0
"""Three sites: a full mesh through the Nucleus, flooding, split horizon."""
import pytest

from conftest import drop_rig, make_rig
from pcap import Capture, packets
from rig import SEVEN, Nucleus


@pytest.fixture(scope="module", params=[None, SEVEN], ids=["one worker", "seven workers"])
def mesh(request, tmp_path_factory):
    rig = make_rig(tmp_path_factory, 3)
    try:
        rig.lcores = request.param or rig.lcores
        rig.start(Nucleus(rig))
        rig.gw = {s: rig.gateway(s, wait=False) for s in "abc"}
        for s, g in rig.gw.items():
            g.ready()
            rig.topo.join_tap(s)
        for g in rig.gw.values():
            g.wait_peers(2, 25)
        yield rig
    finally:
        drop_rig(rig)


def test_each_site_reaches_each(mesh):
    t = mesh.topo
    for frm in "abc":
        for to in "abc":
            if frm != to:
                mesh.reaches(t.host(frm), t.host_addr(to), 5)
                assert mesh.ping(t.host(frm), t.host_addr(to), 3, 0.05)[1] == 3, (frm, to)


def test_broadcast_reaches_every_site_once(mesh, tmp_path):
    """One copy each: no site is left out, and no peer forwards what came from a peer."""
    t = mesh.topo
    marker = b"one broadcast me"
    captures = {s: Capture(t.host(s), "eth0", str(tmp_path / f"{s}.pcap"), ["ip"]).start()
                for s in "bc"}
    t.exec(t.host("a"), "ping", "-n", "-b", "-c", "5", "-i", "0.05", "-W", "1", "-s", "64", "-p",
           marker.hex(), "10.200.0.255", check=False)
    for s, c in captures.items():
        c.stop()
        with open(c.path, "rb") as f:
            raw = f.read()
        copies = [1 for i, j in packets(raw) if raw[i:i + 6] == b"\xff" * 6 and marker in raw[i:j]]
        assert len(copies) == 5, f"site {s}: {len(copies)} copies of 5 frames"


def test_unicast_goes_to_one_site(mesh, tmp_path):
    t = mesh.topo
    marker = b"only site b gets"
    mesh.reaches(t.host("a"), t.host_addr("b"))
    c = Capture(t.host("c"), "eth0", str(tmp_path / "c.pcap")).start()
    assert mesh.ping(t.host("a"), t.host_addr("b"), 5, 0.02, 64, pattern=marker.hex())[1] == 5
    c.stop()
    with open(c.path, "rb") as f:
        assert marker not in f.read()


def test_one_site_leaves_the_others_stay(mesh):
    t = mesh.topo
    assert mesh.gw["c"].stop() == 0
    assert mesh.ping(t.host("a"), t.host_addr("b"), 5, 0.05)[1] == 5
    for s in "ab":
        mesh.gw[s].wait_peers(1, 40)
