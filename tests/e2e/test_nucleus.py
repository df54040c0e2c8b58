# SPDX-License-Identifier: MIT OR Apache-2.0
"""omni-nucleus against the second implementation's edge."""
import os
import time

import pytest

from conftest import drop_rig, make_rig
from pywire import data, nucleus as wire
from pywire.keytree import Cluster, Identity
from pywire.peer import udp_socket
from rig import Nucleus
from topo import PORT

NAME, SECRET = "demo", b"a secret for the Nucleus's tests"


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    r = make_rig(tmp_path_factory, 1, hosts=False)
    try:
        r.server = r.start(Nucleus(r))
        r.cluster = Cluster("secret", NAME, SECRET)
        r.sockets = []
        yield r
    finally:
        for s in getattr(r, "sockets", []):
            s.close()
        drop_rig(r)


@pytest.fixture
def edge(rig):
    """Makes edges, each with an identity and a socket of its own."""
    made = []

    def make(identity=None, cluster=None):
        s = udp_socket(rig.topo.gw("a"), rig.topo.uplink_addr("a"), 0)
        made.append(s)
        return wire.Edge(s, identity or Identity(os.urandom(32)), cluster or rig.cluster,
                         (rig.topo.nucleus_addr, PORT))
    yield make
    for s in made:
        s.close()


@pytest.fixture
def member(edge):
    """Makes edges that are registered; all leave at the end."""
    made = []

    def make(vip, **kw):
        e = edge(**kw)
        assert e.connect().result == 0
        answer = e.register(vip)
        assert answer[wire.RESULT] == 0, answer
        made.append(e)
        return e
    yield make
    for e in made:
        e.bye()
    time.sleep(0.05)


def test_hello_gives_key_and_cookie(edge):
    e = edge()
    key, cookie = e.hello()
    if e.hello() != (key, cookie):  # a new period began between the two
        key, cookie = e.hello()
    assert e.hello() == (key, cookie), "one key, one cookie per address and period"
    assert edge().hello()[1] != cookie, "another port has another cookie"


def test_hello_of_another_length_or_content_is_silence(rig, edge):
    e = edge()
    good = (b"\x08" + bytes(7) + os.urandom(16)).ljust(128, b"\0")
    for bad in (good[:127], good + b"\0", good[:72], b"\x08\x01" + good[2:], b"\x08\0\0\1" + good[4:],
                b"\x09" + good[1:], b""):
        e.sock.sendto(bad, e.addr)
    with pytest.raises(wire.Silence):
        e.receive(0.5)


def test_handshake_without_the_address_cookie_is_silence(edge):
    e = edge()
    key, cookie = e.hello()
    for wrong in (None, os.urandom(16)):
        e.sock.sendto(e.initiation(key, wrong), e.addr)
    with pytest.raises(wire.Silence):
        e.receive(0.5)
    stranger = edge()
    stranger.hello()
    stranger.sock.sendto(stranger.initiation(key, cookie), stranger.addr)
    with pytest.raises(wire.Silence):
        stranger.receive(0.5)


def test_replayed_initiation_is_silence(edge):
    e = edge()
    key, cookie = e.hello()
    first = e.initiation(key, cookie)
    e.sock.sendto(first, e.addr)
    assert e.receive()
    e.sock.sendto(first, e.addr)
    with pytest.raises(wire.Silence):
        e.receive(0.5)


def test_register_says_what_it_promises(rig, edge):
    e = edge()
    assert e.connect().result == 0
    a = e.register("10.200.0.1")
    assert a[wire.TYPE] == wire.REGISTER_ACK and a[wire.RESULT] == 0
    assert a[wire.SEEN] == [wire.address(rig.topo.uplink_addr("a")), e.sock.getsockname()[1]]
    assert a[wire.LEASE] == 90 and a[wire.COUNT] == 1
    assert len(a[wire.EPOCH][0]) == 8
    e.bye()


def test_members_find_each_other(rig, member):
    a, b = member("10.200.0.1"), member("10.200.0.2")
    want = {("10.200.0.1", a.identity.public), ("10.200.0.2", b.identity.public)}
    assert set(a.members()) == want
    for query in ({"vip": "10.200.0.2"}, {"key": b.identity.public}):
        info = a.ask(wire.query, **query)
        assert info[wire.TYPE] == wire.PEER_INFO and info[wire.FOUND]
        fields = wire.open_record(info[wire.RECORD], rig.cluster.id)
        assert wire.x25519_of(fields[wire.R_ED25519]) == b.identity.public
        assert info[wire.SEEN] == [wire.address(rig.topo.uplink_addr("a")),
                                   b.sock.getsockname()[1]]
    assert not a.ask(wire.query, vip="10.200.0.99")[wire.FOUND]


def test_heartbeats_carry_deltas_only(member, edge):
    a = member("10.200.0.1")
    h = a.heartbeat()
    assert h[wire.TYPE] == wire.HEARTBEAT_ACK and not h.get(wire.PEERS)
    b = edge()
    b.connect()
    b.register("10.200.0.2")
    h = a.heartbeat(1)
    assert [v for v, _ in h[wire.PEERS]] == [wire.address("10.200.0.2")]
    a.epoch = h[wire.EPOCH]
    b.bye()
    time.sleep(0.1)
    h = a.heartbeat(1)
    assert h[wire.REMOVED] == [wire.address("10.200.0.2")]
    a.epoch = h[wire.EPOCH]
    assert not a.heartbeat().get(wire.REMOVED)


def test_another_instances_epoch_asks_for_a_resync(member):
    a = member("10.200.0.1")
    a.epoch = [os.urandom(8), 1]
    assert a.heartbeat().get(wire.RESYNC) is True


def test_lists_are_paged(rig, member):
    made = [member(f"10.200.1.{i}") for i in range(1, 31)]
    members = made[0].members()
    assert len(members) == 30 and len(set(members)) == 30


def test_vip_held_by_another_is_refused(member, edge):
    member("10.200.0.1")
    e = edge()
    e.connect()
    assert e.register("10.200.0.1")[wire.RESULT] == 1


def test_records_that_do_not_hold_are_refused(rig, edge):
    other = Cluster("secret", NAME, b"another secret of 16+")
    now = int(time.time())

    def refused(reason, build, **kw):
        e = edge(**kw)
        assert e.connect().result == 0
        a = e.register("10.200.0.9", record=build(e))
        got = a.get(wire.RESULT, a)
        assert got in reason, f"{got}, not {reason}"

    def flip(e, part):
        r = e.record("10.200.0.9")
        r[part] = r[part][:-1] + bytes([r[part][-1] ^ 1])
        return r

    def foreign(e):
        f = wire.record_fields(other.id, e.identity.sign_public, "10.200.0.9")
        return wire.sign_record(f, e.identity.seed + e.identity.sign_public, other.seed + other.id)

    stranger = Identity(os.urandom(32))
    refused({3}, lambda e: flip(e, 1))
    refused({3}, lambda e: flip(e, 2))
    refused({8, 2}, foreign)
    refused({4}, lambda e: e.record("10.200.0.9", issued=now - 90000, expires=now - 3600))
    refused({4}, lambda e: e.record("10.200.0.9", issued=now + 3600))
    refused({2}, lambda e: wire.Edge(None, stranger, rig.cluster, None).record("10.200.0.9"))


def test_older_record_is_refused(edge):
    me = Identity(os.urandom(32))
    now = int(time.time())
    e = edge(identity=me)
    e.connect()
    assert e.register("10.200.0.3", issued=now)[wire.RESULT] == 0
    assert e.register("10.200.0.3", issued=now - 100)[wire.RESULT] == 5
    e.bye()


def test_requests_before_register_are_errors(edge):
    e = edge()
    e.connect()
    a = e.ask(wire.list_members)
    assert a[wire.TYPE] == wire.ERROR and a[wire.CODE] == 2


def test_nonsense_inside_a_session_is_survived(member):
    a = member("10.200.0.1")
    for payload in (b"", b"\xff", b"\xa0", b"\xa1\x00\x18\x63", os.urandom(1200), b"\xa1" * 500):
        a.send(payload)
    a.sock.sendto(a.sender.seal(9, b"x"), a.addr)
    a.sock.sendto(a.sender.seal(data.FRAME, b"x" * 60), a.addr)
    assert a.heartbeat()[wire.TYPE] == wire.HEARTBEAT_ACK


def test_replayed_request_is_silence(member):
    a = member("10.200.0.1")
    d = a.sender.seal(data.CONTROL, wire.list_members(77))
    a.sock.sendto(d, a.addr)
    assert a.receive()
    a.sock.sendto(d, a.addr)
    with pytest.raises(wire.Silence):
        a.receive(0.5)


def test_rooms_are_apart(rig, member, edge):
    member("10.200.0.1")
    other = Cluster("secret", NAME, b"the secret of another room")
    e = edge(cluster=other)
    e.connect()
    assert e.register("10.200.0.1")[wire.RESULT] == 0, "another room, another VIP space"
    assert e.members() == [("10.200.0.1", e.identity.public)]
    e.bye()


def test_stun_binding_request_is_answered(rig, edge):
    e = edge()
    transaction = os.urandom(12)
    e.sock.sendto(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + transaction, e.addr)
    a = e.receive()
    assert a[:2] == b"\x01\x01" and a[4:20] == b"\x21\x12\xa4\x42" + transaction
    assert len(a) <= 44
    at = a.index(b"\x00\x20\x00\x08") + 4
    port = int.from_bytes(a[at + 2:at + 4], "big") ^ 0x2112
    addr = bytes(x ^ y for x, y in zip(a[at + 4:at + 8], b"\x21\x12\xa4\x42"))
    assert (addr, port) == (wire.address(rig.topo.uplink_addr("a")), e.sock.getsockname()[1])


def test_sigterm_ends_it(rig):
    assert rig.server.stop() == 0
    rig.server.start().ready()
