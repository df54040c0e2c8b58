# SPDX-License-Identifier: MIT OR Apache-2.0
"""Bogus initiations, 200 000 a second from 10 000 addresses, at a gateway that carries a transfer:
what it costs, who is answered, who still gets in. Speeds are reported, not asserted: beside a
control run in which the same flood goes to a closed port of the same host."""
import base64
import hashlib
import ipaddress
import os
import subprocess
import time

import pytest

from conftest import drop_rig
from rig import build_dir, until
from topo import PORT, ip
from wg import COOKIE, Pairing, Wire, endpoint, wg_rig

RATE, SOURCES = 200_000, 10_000
FROM = "10.128.0.0"
SECONDS = 3
CLOSED = 51999
# Who is given a cookie begins again after 5 s and up to a third of one, as every WireGuard does.
ENTRY_S = 5.0 + 0.4 + 4


def initiations(path, key, valid):
    """As many bogus messages as there are sources: noise, with a mac1 that fits or not."""
    secret = hashlib.blake2s(b"mac1----" + base64.b64decode(key)).digest()
    with open(path, "wb") as f:
        for _ in range(SOURCES):
            body = b"\x01\0\0\0" + os.urandom(112)
            mac = hashlib.blake2s(body, key=secret, digest_size=16).digest()
            f.write(body + (mac if valid else os.urandom(16)) + bytes(16))
    return path


class Flood:
    """From the router's side of A's uplink, for some seconds from now."""

    def __init__(self, end, path, port, seconds=SECONDS):
        topo = end.rig.topo
        mac = ip("-n", end.ns, "-br", "link", "show", "dev", "up0").stdout.split()[2]
        self.popen = subprocess.Popen(
            ["ip", "netns", "exec", topo.router, os.path.join(build_dir(), "tests/flood/flood"),
             "ra", mac, FROM, str(SOURCES), topo.uplink_addr("a"), str(port), "148", path,
             str(RATE), str(seconds)], stdout=subprocess.PIPE, text=True)

    def finish(self):
        """Frames that were sent, and those of them that the interface had room for."""
        return tuple(map(int, self.popen.communicate(timeout=30)[0].split()))


CASES = [("udp", False), ("udp", True), ("af_xdp", True)]


@pytest.fixture(params=CASES, ids=lambda p: f"{p[0]}-{'valid' if p[1] else 'bad'} mac1")
def ends(request, tmp_path_factory):
    """A is flooded, B transfers to it, C comes later."""
    rig = wg_rig(tmp_path_factory, Pairing("omni", "go", request.param[0]), sites=3)
    rig.valid = request.param[1]
    try:
        a, b, c = rig.ends
        a.knows(b)
        a.knows(c)
        for end in (b, c):
            end.knows(a, at=endpoint(rig.topo.uplink_addr("a")))
        ip("-n", rig.topo.router, "route", "add", "blackhole", "10.128.0.0/16")
        a.start()
        b.start()
        b.reaches(a)
        yield rig.ends
    finally:
        drop_rig(rig)


def under(b, a, path, port):
    """(bytes per second of a transfer, frames of the flood) during it."""
    stream = b.stream(a, seconds=SECONDS)
    flood = Flood(a, path, port)
    seen = stream.finish()
    return seen["bytes"] / seen["sent"]["seconds"], flood.finish()


def resident(end):
    with open(f"/proc/{end.gateway.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_flood_of_initiations(ends, record_property):
    a, b, c = ends
    valid = a.rig.valid
    path = initiations(os.path.join(a.rig.dir, "flood"), a.key, valid)
    control, _ = under(b, a, path, CLOSED)
    memory = resident(a)
    with Wire(a.rig, "a", ["udp", "and", "dst", "net", "10.128.0.0/16"]) as wire:
        flooded, (sent, taken) = under(b, a, path, PORT)
    assert sent > SECONDS * RATE / 20, "the flood is one"
    answers = [d for d in wire.all if ipaddress.ip_address(d.dst) in
               ipaddress.ip_network("10.128.0.0/16")]
    if valid:
        assert {d.payload[0] for d in answers} <= {COOKIE}
        assert {len(d.payload) for d in answers} <= {64}
        assert len(answers) <= taken
    else:
        assert answers == []
    flood = Flood(a, path, PORT, 10)
    time.sleep(0.5)
    began = time.monotonic()
    c.start()
    c.reaches(a, seconds=ENTRY_S)
    took = time.monotonic() - began
    flood.finish()
    assert resident(a) - memory < 2 << 20
    until("quiet", 3, lambda: b.ping(a) == 3)
    record_property("transfer", round(flooded / control, 2))
    print(f"flood of {sent / SECONDS:.0f}/s, {taken / SECONDS:.0f}/s taken: transfer {flooded / 1e6:.0f} MB/s, beside a closed "
          f"port {control / 1e6:.0f} MB/s: {flooded / control:.2f}; {len(answers)} answers; "
          f"a new peer in {took:.1f} s")
    assert flooded > control / 5
