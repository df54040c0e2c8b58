# SPDX-License-Identifier: MIT OR Apache-2.0
"""The second implementation talks to itself: what fails here is its own."""
import os
import socket

import pytest

from . import control, data, nucleus, wireguard, wireguard_peer
from .keytree import Cluster, Identity
from .peer import Host, Link


@pytest.fixture(scope="module")
def links():
    cluster = Cluster("secret", "demo", b"0123456789abcdef")
    boxes = [Identity(os.urandom(32)) for _ in "ab"]
    socks = []
    for _ in boxes:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        socks.append(s)
    a = Link(socks[0], boxes[0], cluster, "10.0.0.1", boxes[1].public, socks[1].getsockname())
    b = Link(socks[1], boxes[1], cluster, "10.0.0.2", boxes[0].public)
    with a, b:
        yield a, b


def test_handshake_ping_probe(links):
    a, b = links
    near, far = Host(a, "10.0.0.1", piece=700), Host(b, "10.0.0.2", piece=700)
    assert a.connect().result == 0
    assert b.wait(lambda: b.session and b.session.confirmed)
    assert near.ping("10.0.0.2") and far.ping("10.0.0.1") and near.ping("10.0.0.2", 1472)
    assert a.probe() and b.probe(1000)
    assert b.kinds[data.FRAGMENT] >= 3 and not a.refused and not b.refused


def test_wrong_proof_is_silence(links):
    a, b = links
    assert a.connect(0.3, proof_key=bytes(32)) is None
    assert b.refused["wrong proof"] == 1


@pytest.mark.parametrize("size", [24, 47, 48, 280, 281, 282, 283, 1432, 65000])
def test_probes_pad_to_every_size(size):
    assert len(control.probe(size=size)) == size


def test_records_hold_both_signatures():
    cluster, box = Cluster("open", "demo"), Identity(os.urandom(32))
    edge = nucleus.Edge(None, box, cluster, None)
    record = edge.record("10.0.0.1", candidates=[("192.0.2.1", 51820)])
    assert nucleus.open_record(record, cluster.id)[nucleus.R_ED25519] == box.sign_public
    for i in range(3):
        bad = list(record)
        bad[i] = bad[i][:-1] + bytes([bad[i][-1] ^ 1])
        with pytest.raises(ValueError):
            nucleus.open_record(bad, cluster.id)


def test_window_edges():
    w = data.Window()
    assert w.mark(0) and not w.mark(0) and w.mark(5000)
    assert not w.mark(5000 - data.WINDOW) and w.mark(5000 - data.WINDOW + 1)


@pytest.fixture
def wireguard_peers():
    secrets = [os.urandom(32) for _ in "ab"]
    publics = [wireguard.dh_public(s) for s in secrets]
    socks = []
    for _ in secrets:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        socks.append(s)
    psk = os.urandom(32)
    a = wireguard_peer.Peer(socks[0], secrets[0], publics[1], socks[1].getsockname(), psk=psk)
    b = wireguard_peer.Peer(socks[1], secrets[1], publics[0], psk=psk)
    with a, b:
        yield a, b


def test_wireguard_both_ways(wireguard_peers):
    a, b = wireguard_peers
    near = wireguard_peer.Host(a, "10.0.0.1", "fd00::1")
    far = wireguard_peer.Host(b, "10.0.0.2", "fd00::2")
    assert a.connect() and b.wait(lambda: b.keepalives == 1)
    assert near.ping("10.0.0.2") and far.ping("10.0.0.1", 1392) and near.ping("fd00::2", 0)
    assert b.connect() and a.wait(lambda: a.keepalives == 1)
    assert far.ping("fd00::1", 1372) and near.ping("10.0.0.2", 1)
    assert not a.refused and not b.refused


def test_wireguard_under_load(wireguard_peers):
    a, b = wireguard_peers
    b.under_load = True
    assert a.connect() and a.cookies == 1 and b.refused["under load"] == 1
    a.under_load = True     # its answers to responses, this time
    assert not a.connect(0.5) and b.cookies == 1
    assert a.connect() and wireguard_peer.Host(a, "10.0.0.1") and not b.refused["mac1"]


def test_wireguard_replays(wireguard_peers):
    a, b = wireguard_peers
    initiation = a.initiation()
    a.send_raw(initiation)
    assert a.wait(lambda: a.pending is None)
    a.send_raw(initiation)
    assert b.wait(lambda: b.refused["old timestamp"] == 1)
    for counter in (9000, 9000, 9000 - 8192, 9000 - 8191, 9000 - 8191):
        a.send(b"", counter=counter)
    assert b.wait(lambda: b.refused["replay"] == 3) and b.keepalives == 3   # one confirmed
    flipped = bytearray(a.session.seal())
    flipped[-1] ^= 1
    a.send_raw(bytes(flipped))
    assert b.wait(lambda: b.refused["tag"] == 1)
