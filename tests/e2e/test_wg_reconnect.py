# SPDX-License-Identifier: MIT OR Apache-2.0
"""A thousand WireGuard peers call at once, as after a restart of the gateway."""
import base64
import os
import time

import pytest

from conftest import drop_rig
from pywire import wireguard as wire
from pywire.peer import udp_socket
from rig import until
from topo import PORT
from wg import Pairing, Peer, wg_rig

MANY = 1000
LIMIT = 3  # seconds


@pytest.fixture
def rig(tmp_path_factory):
    r = wg_rig(tmp_path_factory, Pairing("omni", "go", "udp"))
    yield r
    drop_rig(r)


def fill(gateway, secrets):
    """Every secret's public key is a peer of the gateway's."""
    for i, secret in enumerate(secrets):
        key = base64.b64encode(wire.dh_public(secret)).decode()
        gateway.peers[key] = Peer(key, f"p{i}", [f"10.77.{i >> 8}.{i & 255}/32"])


def test_all_are_answered(rig):
    """Their own arithmetic is done before and after, so that the gateway's time is seen."""
    gateway = rig.ends[0]
    secrets = [os.urandom(32) for _ in range(MANY)]
    fill(gateway, secrets)
    gateway.start()
    address = (rig.topo.uplink_addr(gateway.site), PORT)
    callers = [wire.Initiator(s, base64.b64decode(gateway.key)) for s in secrets]
    calls = [c.initiation(i, os.urandom(32)) for i, c in enumerate(callers)]
    site = rig.ends[1].site
    sock = udp_socket(rig.topo.gw(site), rig.topo.uplink_addr(site), 0)
    try:
        sock.settimeout(LIMIT)
        begin = time.monotonic()
        for call in calls:
            sock.sendto(call, address)
        answers = [sock.recv(200) for _ in range(MANY)]
        took = time.monotonic() - begin
        for answer in answers:
            c = callers[int.from_bytes(answer[8:12], "little")]
            c.open_response(answer)
            sock.sendto(wire.Session(c.send, c.recv, c.index, c.remote_index).seal(), address)
        until("all of them", LIMIT, lambda: gateway.counter("ctl_handshakes_done") == MANY)
    finally:
        sock.close()
    print(f"{MANY} peers had their answers after {took:.2f} s")
    assert took <= LIMIT
    assert gateway.counter("ctl_under_load") == 0
