# SPDX-License-Identifier: MIT OR Apache-2.0
"""The second implementation of WireGuard opposite a running gateway: what a well-behaved peer does
not send. The gateway is at site A, the Python peer at site B, in its uplink's namespace."""
import base64
import os
import struct
import time

import pytest

from conftest import drop_rig
from pywire import wireguard as wire
from pywire.peer import udp_socket
from pywire.wireguard_peer import Host, Peer as WirePeer
from rig import until
from topo import PORT
from wg import Pairing, Peer, wg_rig

INNER4, INNER6 = "10.77.0.2", "fd77::2"


class World:
    def __init__(self, tmp_path_factory):
        self.rig = wg_rig(tmp_path_factory, Pairing("omni", "go", "udp"))
        self.gateway = self.rig.ends[0]
        self.site = self.rig.ends[1].site
        self.secret, self.psk = os.urandom(32), os.urandom(32)
        self.address = self.rig.topo.uplink_addr(self.site)
        self.there = (self.rig.topo.uplink_addr(self.gateway.site), PORT)
        key = base64.b64encode(wire.dh_public(self.secret)).decode()
        self.row = self.gateway.peers[key] = Peer(
            key, "wire", [INNER4 + "/32", INNER6 + "/128"], f"{self.address}:{PORT}",
            base64.b64encode(self.psk).decode())
        self.gateway.start()

    def socket(self, port=PORT):
        return udp_socket(self.rig.topo.gw(self.site), self.address, port)

    def peer(self, port=PORT, secret=None, **kw):
        return WirePeer(self.socket(port), secret or self.secret,
                        base64.b64decode(self.gateway.key), self.there, psk=self.psk, **kw)

    def counter(self, name):
        return self.gateway.counter(name)

    def grows(self, name, by=1):
        """What waits until a counter has grown by so much since this call, exactly."""
        before = self.counter(name)
        return lambda: until(name, 3, lambda: self.counter(name) == before + by)

    def inner(self, family):
        return self.gateway.inner[family]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory)
    yield w
    drop_rig(w.rig)


def endpoint(world):
    return world.gateway.row(world.row.key)["endpoint"]


def test_both_roles_carry_packets(world):
    with world.peer() as p:
        host = Host(p, INNER4, INNER6)
        assert p.connect()
        assert host.ping(world.inner(4)) and host.ping(world.inner(6))
        assert host.ping(world.inner(4), 1372) and host.ping(world.inner(6), 1)
        assert not p.refused


def test_messages_with_one_wrong_byte_get_no_answer(world):
    with world.peer() as p:
        good = p.initiation()
        seen = len(p.raw)
        for i in (0, 1, 2, 3, 5, 20, 60, 100, 120):    # all but mac2
            bad = bytearray(good)
            bad[i] ^= 1
            p.send_raw(bytes(bad))
        for i in (8, 40, 70, 100):      # and with a mac1 that is right
            bad = bytearray(good)
            bad[i] ^= 1
            p.send_raw(wire.add_macs(bytes(bad[:-32]), p.remote_public))
        for length in (1, 4, 147, 149, 92, 64):
            p.send_raw(good[:length].ljust(length, b"\0"))
        time.sleep(0.5)
        assert len(p.raw) == seen
        p.send_raw(good)
        assert p.wait(lambda: p.pending is None), "the one that was right"
        p.send_raw(good)        # and a second time
        time.sleep(0.3)
        assert len(p.raw) == seen + 1


def test_a_stranger_gets_no_answer(world):
    counted = world.grows("ctl_unknown_key")
    with world.peer(secret=os.urandom(32)) as p:
        assert not p.connect(0.5)
        assert not p.raw
    counted()


def test_low_order_points_get_no_answer(world):
    with world.peer() as p:
        for point in (bytes(32), b"\1" + bytes(31)):
            good = p.initiation()
            p.send_raw(wire.add_macs(good[:8] + point + good[40:-32], p.remote_public))
        time.sleep(0.3)
        assert not p.raw


def test_the_window_has_8192_counters(world):
    with world.peer() as p:
        assert p.connect()
        host = Host(p, INNER4, INNER6)
        counted = world.grows("drop_replayed", 4)
        for counter in (20000, 20000, 20000 - 8192, 20000 - 8191, 20000 - 8191, 0):
            p.send(b"", counter=counter)
        counted()
        counted = world.grows("drop_key_expired", 2)
        for counter in (wire.REJECT_AFTER_MESSAGES, 2**64 - 1):
            p.send(b"", counter=counter)
        counted()
        p.session.counter = 20001
        assert host.ping(world.inner(4))


def test_sources_and_padding_are_looked_at(world):
    with world.peer() as p:
        host = Host(p, INNER4, INNER6, "10.77.0.3")
        assert p.connect()
        counted = world.grows("drop_source_address")
        assert not host.ping(world.inner(4), seconds=0.4, source="10.77.0.3")
        counted()
        assert host.ping(world.inner(4))
        # Not padded, padded by more than a block, and cut short.
        packet = bytes(Host._echo(INNER4, world.inner(4), True, 5, 1, b"x" * 21))
        p.send(packet, pad=False)
        p.send(packet + bytes(64))
        assert p.wait(lambda: (5, 1) in host.replies)
        assert host.replies[5, 1][1] == b"x" * 21
        p.send(packet[:-1], pad=False)
        p.send(b"\x45", pad=False)
        p.send(os.urandom(48))
        assert host.ping(world.inner(4))


def test_only_what_authenticates_moves_the_peer(world):
    with world.peer() as p:
        Host(p, INNER4, INNER6)
        assert p.connect()
        here = f"{world.address}:{PORT}"
        until("its address", 3, lambda: endpoint(world) == here)
        elsewhere = world.socket(PORT + 7)
        bad = bytearray(p.session.seal())
        bad[-1] ^= 1
        elsewhere.sendto(bytes(bad), world.there)
        time.sleep(0.4)
        assert endpoint(world) == here
        elsewhere.sendto(p.session.seal(), world.there)
        until("its new address", 3, lambda: endpoint(world) == f"{world.address}:{PORT + 7}")
        p.send(b"")
        until("its old address", 3, lambda: endpoint(world) == here)
        elsewhere.close()


def test_the_gateway_begins_and_obeys_cookies(world):
    """Forged responses and cookie replies end nothing."""
    world.gateway.restart()
    with world.peer(under_load=True) as p:
        host = Host(p, INNER4, INNER6)
        first = []
        receive = p._receive

        def forge(datagram, addr):
            if datagram[0] == wire.INITIATION and not first:
                first.append(time.monotonic())
                index = datagram[4:8]
                p.sock.sendto(wire.add_macs(struct.pack("<B3xI", 2, 7) + index + os.urandom(48),
                                            p.remote_public), addr)
                p.sock.sendto(b"\3\0\0\0" + index + os.urandom(56), addr)
            receive(datagram, addr)
        p._receive = forge
        # The first one waits for the second handshake: 5 s.
        assert world.rig.ping(world.gateway.ns, INNER4, 3, interval=0.3, wait=10)[1] == 3
        assert p.wait(lambda: len(host.requests) >= 3, 5)
        kinds = [d[0] for _, _, d in p.raw]
        assert kinds[:2] == [1, 1] and p.refused == {"under load": 1}, (kinds, p.refused)
        macs = [d[-16:] for _, _, d in p.raw if d[0] == 1]
        assert macs[0] == bytes(16) and macs[1] != bytes(16)
        assert all(len(d) % 16 == 0 for _, _, d in p.raw if d[0] == 4)
