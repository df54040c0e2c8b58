# SPDX-License-Identifier: MIT OR Apache-2.0
"""The overlay's port seen from outside: a scan gets not one packet from it, nor one about it."""
import os
import struct
import time

import pytest

from conftest import drop_rig
from pcap import Capture, packets
from topo import PORT
from wg import Pairing, wg_rig

NOISE = """
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for size in (0, 1, 4, 31, 32, 64, 92, 148, 1400):
    for kind in range(32):
        s.sendto((bytes([kind, 0, 0, 0]) + os.urandom(size))[:size], (sys.argv[1], int(sys.argv[2])))
"""


@pytest.fixture(params=["udp", "af_xdp"])
def gateway(request, tmp_path_factory):
    rig = wg_rig(tmp_path_factory, Pairing("omni", "go", request.param))
    try:
        a, b = rig.ends
        a.knows(b)
        yield a.start()
    finally:
        drop_rig(rig)


def says(raw, start, end):
    """Whether an IPv4 packet comes from the overlay's port or, as ICMP, quotes one to it."""
    l3 = start + 14
    if struct.unpack_from(">H", raw, start + 12)[0] != 0x0800:
        return False
    l4, protocol = l3 + 4 * (raw[l3] & 15), raw[l3 + 9]
    if protocol == 1 and raw[l4] in (3, 11, 12):
        l3 = l4 + 8
        return struct.unpack_from(">H", raw, l3 + 4 * (raw[l3] & 15) + 2)[0] == PORT
    return protocol in (6, 17) and struct.unpack_from(">H", raw, l4)[0] == PORT


def test_a_scan_gets_not_one_packet(gateway):
    t = gateway.rig.topo
    target = t.uplink_addr("a")
    path = os.path.join(gateway.rig.dir, "scan.pcap")
    capture = Capture(t.router, "ra", path, ["src", "host", target])
    capture.start()
    out = t.exec(t.nucleus, "nmap", "-n", "-Pn", "-sS", "-sU",
                 "--max-retries", "1", "-T4", "--host-timeout", "40s", "-p",
                 f"U:{PORT - 1}-{PORT},T:1-200,{PORT}", target).stdout
    t.exec(t.nucleus, "/usr/bin/python3", "-c", NOISE, target, str(PORT))
    time.sleep(0.2)
    capture.stop()
    assert capture.lost() == 0
    with open(path, "rb") as f:
        raw = f.read()
    frames = list(packets(raw))
    # TCP is not ours: the kernel refuses it there as on every port.
    assert [raw[x:y].hex() for x, y in frames if says(raw, x, y) and raw[x + 23] != 6] == []
    assert len(frames) > 200, "the other ports were answered for"
    assert f"{PORT}/udp" in out and "open|filtered" in out
