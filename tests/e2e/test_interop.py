# SPDX-License-Identifier: MIT OR Apache-2.0
"""The second implementation as a peer of a running gateway, as responder and as initiator.

The gateway runs at site A with its kernel behind the TAP (the VIP 10.200.0.1); the Python peer sits
in the Nucleus's namespace, across the router, with the host 10.200.0.2 behind it.
"""
import base64
import os
import random
import struct
import threading
import time

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from conftest import drop_rig, make_rig
from pywire import control, data, peer as wire
from pywire.handshake import add_macs
from pywire.keytree import Cluster, Identity
from rig import CLUSTER, SECRET, until
from topo import PORT, ip

ME, GATEWAY = "10.200.0.2", "10.200.0.1"
LISTED = ["p", "q", "r"]  # peers that the gateway's file lists; only p has an endpoint


class World:
    """The gateway, and links to it."""

    def __init__(self, rig, cipher):
        self.rig, self.topo, self.cipher = rig, rig.topo, cipher
        self.cluster = Cluster("secret", CLUSTER, SECRET.encode())
        self.boxes = {n: Identity(os.urandom(32)) for n in LISTED}
        self.gw = None
        self.links = []

    def config(self):
        rig = self.rig
        peers = {n: {"key": wire_key(b)} for n, b in self.boxes.items()}
        peers["p"].update(vip=ME, endpoint=f"{self.topo.nucleus_addr}:{PORT}")
        return rig.config("a", nucleus=False, cluster={
            "cipher": self.cipher, "peers": peers, "deny": [wire_key(DENIED)]})

    @property
    def key(self):
        return self.rig.identity("a")[0].public

    @property
    def addr(self):
        return (self.topo.uplink_addr("a"), PORT)

    def link(self, who="p", port=PORT, vip=ME, identity=None, cluster=None, **kw):
        s = wire.udp_socket(self.topo.nucleus, self.topo.nucleus_addr, port)
        link = wire.Link(s, identity or self.boxes[who], cluster or self.cluster, vip, self.key,
                         self.addr, **kw).start()
        self.links.append(link)
        return link

    def close(self):
        for link in self.links:
            if link.session and not link.stopping:
                link.send(data.CONTROL, control.close())
            link.stop()
        self.links = []


def wire_key(identity):
    return base64.b64encode(identity.public).decode()


DENIED = Identity(os.urandom(32))


@pytest.fixture(scope="module",
                params=[("aesgcm", "af_xdp"), ("chachapoly", "af_xdp"), ("aesgcm", "udp")],
                ids="-".join)
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def cipher(variant):
    return variant[0]


@pytest.fixture(scope="module")
def running(tmp_path_factory, variant):
    rig = make_rig(tmp_path_factory, 1, hosts=False)
    cipher, rig.driver = variant
    try:
        w = World(rig, cipher)
        w.gw = rig.gateway("a", w.config())
        yield w
    finally:
        drop_rig(rig)


@pytest.fixture
def world(running):
    yield running
    running.close()


@pytest.fixture
def joined(world):
    """A link whose session is up and confirmed by both, with a host behind it."""
    link = world.link(answer_initiations=False)
    host = wire.Host(link, ME)
    assert connected(link)
    assert host.ping(GATEWAY), "the host behind the second implementation reaches the gateway"
    return world, link, host


def connected(link, tries=8):
    """Initiate until accepted: a crossing initiation of the gateway's may win once."""
    for _ in range(tries):
        answer = link.connect(1)
        if answer is not None:
            return answer.result == 0
    return False


def counted(world, name, by=1, seconds=3):
    """Context: inside, the gateway's counter must rise by exactly `by`."""
    class Counted:
        def __enter__(self):
            self.before = world.gw.counter(name)

        def __exit__(self, kind, *rest):
            if kind is None:
                until(f"{name} to rise by {by}", seconds,
                      lambda: world.gw.counter(name) - self.before >= by)
                assert world.gw.counter(name) - self.before == by, name
    return Counted()


def kernel_ping(world, size=56, count=3):
    """The gateway's kernel pings the host behind the Python peer."""
    return world.rig.ping(world.topo.gw("a"), ME, count=count, size=size, wait=1)[1]


# ---- handshake, both ways ----

def test_as_responder(world, cipher):
    """The gateway calls (it has our endpoint), we answer."""
    link = world.link()
    host = wire.Host(link, ME)
    assert link.wait(lambda: link.session and link.session.confirmed, 12), link.refused
    offer = link.offers[-1]
    assert offer.cluster_id == world.cluster.id and offer.mode == 1 and offer.version == 1
    assert offer.vip == wire.mapped(GATEWAY)
    assert offer.largest_frame >= 1514 and offer.lanes_send >= 2
    assert link.session.cipher == {"aesgcm": 1, "chachapoly": 2}[cipher]
    assert host.ping(GATEWAY)
    assert kernel_ping(world) == 3
    assert not link.refused, link.refused


def test_as_initiator(joined, cipher):
    world, link, host = joined
    assert link.answer.cipher == {"aesgcm": 1, "chachapoly": 2}[cipher]
    assert link.answer.vip == wire.mapped(GATEWAY)
    assert 1 <= link.answer.lanes_i_send <= 8 and 1 <= link.answer.lanes_you_send <= 2
    assert kernel_ping(world) == 3
    assert host.requests, "the kernel's pings came through the tunnel"


def test_responder_is_quiet_until_confirmed(world):
    """No data on a new key before one authenticated message of ours on it."""
    link = world.link("q", port=0, vip="10.200.0.3")
    answer = link.connect(2, confirm=False)
    assert answer and answer.result == 0
    time.sleep(0.7)
    assert len(link.raw) == 1, "the response and nothing else"
    link.send(data.KEEPALIVE)
    assert link.probe()


def test_rekey_by_us_loses_no_frame(joined):
    """A second handshake inside a running session; the older key still opens."""
    world, link, host = joined
    old = link.session
    assert connected(link)
    assert link.session is not old
    link.sock.sendto(old.sender.seal(data.FRAME, host.echo_request(GATEWAY, 900), 1), world.addr)
    assert link.wait(lambda: (77, 900) in host.replies)
    assert host.ping(GATEWAY)


# ---- frames ----

@pytest.mark.parametrize("size", [0, 56, 1000, 1342, 1343, 1472])
def test_every_frame_size_both_ways(joined, size):
    world, _, host = joined
    host.piece = 700
    assert host.ping(GATEWAY, size)
    assert kernel_ping(world, size, 2) == 2


def test_full_size_frames_come_in_fragments(joined):
    world, link, host = joined
    before = link.kinds[data.FRAGMENT]
    with counted(world, "reassembled", 1):
        host.piece = 512
        assert host.ping(GATEWAY, 1472)
    assert link.kinds[data.FRAGMENT] - before >= 2
    longest = max(len(d) for _, _, d in link.raw)
    assert longest + 28 <= 1500, "the underlay's MTU holds"


@pytest.mark.parametrize("order", [(1, 0), (0, 2, 1), (2, 1, 0), (3, 0, 2, 1)])
def test_fragments_in_any_order(joined, order):
    world, link, host = joined
    frame = host.echo_request(GATEWAY, 1000 + len(order), 1472)
    piece = -(-len(frame) // len(order))
    link.send_frame(frame, piece=piece, order=order)
    assert link.wait(lambda: (77, 1000 + len(order)) in host.replies)
    host.replies.clear()


def test_bundles_are_taken(joined):
    world, link, host = joined
    frames = [host.echo_request(GATEWAY, 2000 + i, 20 + i) for i in range(8)]
    with counted(world, "bundles_received"):
        link.send_raw(link.session.sender.bundle(frames))
        assert link.wait(lambda: all((77, 2000 + i) in host.replies for i in range(8)))


def test_bundles_are_sent(joined):
    """The kernel answers a bundle of requests at once, so its answers come in one burst."""
    world, link, host = joined
    assert link.answer.features & 2, "the handshake announces it"
    before, sent = link.kinds[data.BUNDLE], world.gw.counter("bundles_sent")
    for burst in range(5):
        numbers = range(3000 + 10 * burst, 3008 + 10 * burst)
        frames = [host.echo_request(GATEWAY, i, 20 + i % 10) for i in numbers]
        link.send_raw(link.session.sender.bundle(frames))
        assert link.wait(lambda: all((77, i) in host.replies for i in numbers))
    seen = link.kinds[data.BUNDLE] - before
    assert seen > 0
    until("the gateway's count", 3, lambda: world.gw.counter("bundles_sent") - sent == seen)
    on_the_wire = [d for _, _, d in link.raw if d[0] & 0x80 and d[20] == data.BUNDLE]
    assert len(on_the_wire) == link.kinds[data.BUNDLE] and max(map(len, on_the_wire)) + 28 <= 1500


def tcp_segment(host, payload):
    """As a kernel hands it to a device that cuts it: with the pseudo header's sum alone."""
    ip = IP(src=ME, dst=GATEWAY) / TCP(sport=9, dport=9, flags="PA", chksum=0) / payload
    raw = bytearray(bytes(ip))
    pseudo = bytes(raw[12:20]) + struct.pack(">II", len(raw) - 20, 6)
    struct.pack_into(">H", raw, 36, ~data.checksum(pseudo) & 0xffff)
    return host.echo_request(GATEWAY, 3390, 20)[:14] + bytes(raw)


def test_segments_are_taken(joined):
    world, link, host = joined
    assert link.answer.features & 4, "the handshake announces it"
    segment = tcp_segment(host, bytes(30000))
    pieces = link.session.sender.pieces(segment, 1000, 1300)
    with counted(world, "segments_received"), counted(world, "pieces_received", len(pieces)):
        for datagram in pieces:
            link.send_raw(datagram)
    pieces = link.session.sender.pieces(segment, 1000, 1300)
    with counted(world, "drop_broken_segment", len(pieces) - 1), \
            counted(world, "segments_received", 0):
        for datagram in pieces[:3] + pieces[4:]:
            link.send_raw(datagram)


def test_lanes_are_taken_up_to_the_grant(joined):
    world, link, host = joined
    for lane in range(link.session.lanes_send):
        host.lane = lane
        assert host.ping(GATEWAY), f"lane {lane}"
    with counted(world, "drop_bad_lane"):
        link.send_raw(link.session.sender.seal(data.KEEPALIVE, b"", link.session.lanes_send))


# ---- control ----

def test_probe_is_echoed(joined):
    _, link, _ = joined
    assert link.probe() and link.probe(1200) and link.probe(1432)


def test_gateways_probes_raise_the_path_mtu(world):
    """It starts from 1280 and believes what was echoed: over 1400 where longer ones get lost."""
    link = world.link("r", port=0, vip="10.200.0.5")
    ip("-n", world.topo.router, "link", "set", "rn", "mtu", "1400")
    try:
        assert link.connect(2).result == 0

        def row():
            return next(p for p in world.gw.peers() if p["key"] == wire_key(world.boxes["r"]))
        until("a PROBE", 5, lambda: any(f[control.TYPE] == control.PROBE
                                        for f, _ in list(link.controls)))
        # By halves until it is known to 8 bytes, each size that gets lost tried three times.
        until("a path MTU", 15, lambda: 1392 < row()["path_mtu"] <= 1400)
    finally:
        ip("-n", world.topo.router, "link", "set", "rn", "mtu", "1500")


def test_close_ends_the_session_it_came_in(joined):
    world, link, _ = joined
    with counted(world, "ctl_closes_received"):
        link.send(data.CONTROL, control.close())
    until("the session to go", 3, lambda: wire_key(world.boxes["p"]) not in world.gw.up_peers())


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\xff" * 40, b"\xa1\x00\x18\x01", b"\xa1\x00\x09",
                                     b"\xa0", b"\xbf\x00\x01\xff"])
def test_bad_control_is_counted_and_survived(joined, payload):
    world, link, _ = joined
    with counted(world, "ctl_bad_control"):
        link.send(data.CONTROL, payload)
    assert link.probe()


# ---- what must be dropped, each under its name ----

def test_replayed_data(joined):
    world, link, host = joined
    d = link.session.sender.seal(data.FRAME, host.echo_request(GATEWAY, 3000), 1)
    with counted(world, "drop_replayed", 3):
        for _ in range(4):
            link.send_raw(d)
    assert link.wait(lambda: (77, 3000) in host.replies)
    assert sum(1 for raw, _ in host.frames if raw[12:14] == b"\x08\0" and raw[34] == 0
               and struct.unpack_from(">H", raw, 40)[0] == 3000) == 1, "one reply"


def test_reordered_data(joined):
    world, link, host = joined
    frames = [link.session.sender.seal(data.FRAME, host.echo_request(GATEWAY, 3100 + i), 1)
              for i in range(50)]
    random.Random(7).shuffle(frames)
    with counted(world, "drop_replayed", 0):
        for d in frames:
            link.send_raw(d)
        assert link.wait(lambda: all((77, 3100 + i) in host.replies for i in range(50)))


def test_data_older_than_the_window(joined):
    world, link, host = joined
    sender = link.session.sender
    base = sender.sequence.get(1, 0)
    held = sender.seal(data.FRAME, host.echo_request(GATEWAY, 3200), 1)
    sender.sequence[1] = base + 100_000
    link.send_raw(sender.seal(data.FRAME, host.echo_request(GATEWAY, 3201), 1))
    assert link.wait(lambda: (77, 3201) in host.replies)
    with counted(world, "drop_replayed"):
        link.send_raw(held)
    assert (77, 3200) not in host.replies


def test_every_flipped_byte_fails(joined):
    """Header bytes fall to their own checks, all others to the tag; none gets through."""
    world, link, host = joined
    good = bytearray(link.session.sender.seal(data.FRAME, host.echo_request(GATEWAY, 3300), 1))
    names = ("drop_bad_tag", "drop_no_session", "drop_bad_header", "drop_bad_lane",
             "drop_unknown_type", "drop_bad_length", "drop_replayed", "drop_stun")
    before = world.gw.counters()
    for i in range(len(good)):
        bad = bytearray(good)
        bad[i] ^= 1 << (i % 7)
        link.send_raw(bytes(bad))
        if i % 20 == 0:
            time.sleep(0.002)

    def total():
        now = world.gw.counters()
        return sum(now[n] - before[n] for n in names)
    until("every one to be counted", 3, lambda: total() >= len(good))
    assert total() == len(good)
    assert world.gw.counter("drop_bad_tag") - before["drop_bad_tag"] >= len(good) - 24
    assert (77, 3300) not in host.replies
    link.send_raw(bytes(good))
    assert link.wait(lambda: (77, 3300) in host.replies), "forgeries spoil nothing"


@pytest.mark.parametrize("field", ["zero18", "flags", "zero22"])
def test_reserved_header_bytes(joined, field):
    world, link, host = joined
    with counted(world, "drop_bad_header"):
        link.send_raw(link.session.sender.seal(data.FRAME, host.echo_request(GATEWAY, 3400), 1,
                                               **{field: 1}))
    assert (77, 3400) not in host.replies


@pytest.mark.parametrize("kind", [6, 9, 255])
def test_unknown_kinds(joined, kind):
    world, link, _ = joined
    with counted(world, "drop_bad_kind"):
        link.send_raw(link.session.sender.seal(kind, b"whatever", 1))


def test_unknown_session(joined):
    world, link, _ = joined
    with counted(world, "drop_no_session", 2):
        s = data.Sender(link.session.cipher, os.urandom(32), wire.new_session_id())
        link.send_raw(s.seal(data.KEEPALIVE))
        s = data.Sender(link.session.cipher, os.urandom(32), link.session.remote_id ^ 1)
        link.send_raw(s.seal(data.KEEPALIVE))


@pytest.mark.parametrize("payload", [
    b"", b"\0", b"\0\0", b"\0\x3cshort", struct.pack(">H", 60) + bytes(60) + b"\0",
    struct.pack(">H", 60) + bytes(60) + struct.pack(">H", 0)])
def test_bad_bundles_are_dropped_whole(joined, payload):
    world, link, _ = joined
    with counted(world, "drop_bad_bundle"):
        link.send_raw(link.session.sender.seal(data.BUNDLE, payload, 1))


FRAGMENTS = {
    "no bytes": [(1, 0, 100, 0)],
    "no header": [None],
    "beyond the whole": [(2, 500, 800, 400)],
    "short and not the last": [(4, 0, 1000, 100)],
}


@pytest.mark.parametrize("name", FRAGMENTS)
def test_bad_fragments(joined, name):
    world, link, _ = joined
    with counted(world, "drop_bad_fragment"):
        for f in FRAGMENTS[name]:
            payload = b"abc" if f is None else struct.pack(">IHH", *f[:3]) + bytes(f[3])
            link.send_raw(link.session.sender.seal(data.FRAGMENT, payload, 1))


def test_fragment_of_a_frame_over_the_negotiated_size(joined):
    world, link, _ = joined
    with counted(world, "drop_too_long"):
        link.send_raw(link.session.sender.seal(
            data.FRAGMENT, struct.pack(">IHH", 3, 0, 60000) + bytes(1000), 1))


def test_overlapping_fragments_drop_their_frame(joined):
    world, link, host = joined
    frame = host.echo_request(GATEWAY, 3500, 1200)
    before = world.gw.counter("drop_bad_fragment")
    for off, n in ((0, 600), (300, 600), (600, len(frame) - 600)):
        link.send_raw(link.session.sender.seal(
            data.FRAGMENT, struct.pack(">IHH", 99, off, len(frame)) + frame[off:off + n], 1))
    until("it to be counted", 3, lambda: world.gw.counter("drop_bad_fragment") > before)
    assert not link.wait(lambda: (77, 3500) in host.replies, 0.3)


def test_incomplete_frames_are_given_up(joined):
    world, link, host = joined
    frame = host.echo_request(GATEWAY, 3600, 1200)
    before = world.gw.counter("drop_reassembly_timeout")
    for i in range(20):
        link.send_raw(link.session.sender.seal(
            data.FRAGMENT, struct.pack(">IHH", 1000 + i, 0, len(frame)) + frame[:600], 1))
    # Whatever is open and whatever the bound is, later frames still pass.
    host.piece = 600
    assert host.ping(GATEWAY, 1200)
    until("them to be given up", 15, lambda: world.gw.counter("drop_reassembly_timeout") > before)


def test_runts_and_bad_sources(joined):
    world, link, host = joined
    with counted(world, "drop_runt"):
        link.send_raw(link.session.sender.seal(data.FRAME, b"tiny", 1))
    with counted(world, "drop_bad_source"):
        bad = Ether(dst="ff:ff:ff:ff:ff:ff", src="01:00:5e:00:00:01") / ARP(pdst=GATEWAY)
        link.send_raw(link.session.sender.seal(data.FRAME, bytes(bad).ljust(60, b"\0"), 1))


def refused_count(gw):
    """What the gateway or its uplink's filter dropped, and what control refused."""
    filtered = sum(p.get("rx_filtered", 0) for p in gw.ports())
    return filtered + sum(v for k, v in gw.counters().items() if k.startswith(("drop_", "ctl_")))


def test_junk_gets_no_answer_and_is_counted(world):
    """Every first byte, many lengths, from an address that has no session."""
    link = world.link("q", port=0, answer_initiations=False)
    rng = random.Random(1)
    before = refused_count(world.gw)
    n = 0
    for first in range(256):
        for length in (1, 7, 24, 40, 72, 128, 192, 512, 1400):
            if first == 8 and length == 128:
                continue
            body = bytes([first]) + rng.randbytes(length - 1)
            link.send_raw(body)
            n += 1
            if n % 64 == 0:
                time.sleep(0.004)
    until("all of them to be counted", 5, lambda: refused_count(world.gw) - before >= n)
    time.sleep(0.3)
    assert not link.raw, "no answer to anything"
    assert world.gw.running()


# ---- handshakes that must fail ----

def test_wrong_proof_is_silence(world):
    link = world.link("q", port=0)
    with counted(world, "ctl_bad_proof"):
        assert link.connect(0.7, proof_key=os.urandom(32)) is None
    assert not link.raw


def test_wrong_secret_is_silence(world):
    """Another secret gives another cluster id; the right id with a wrong secret's proof too."""
    other = Cluster("secret", CLUSTER, b"not the secret of this cluster")
    link = world.link("q", port=0, cluster=other)
    with counted(world, "ctl_unknown_cluster"):
        assert link.connect(0.7) is None
    with counted(world, "ctl_bad_proof"):
        assert link.connect(0.7, cluster_id=world.cluster.id) is None
    assert not link.raw


def test_broken_handshakes_are_silence(world):
    link = world.link("q", port=0)
    before = world.gw.counters()
    good = link.initiation()
    spots = (1, 5, 8, 20, 60, 100, 300, 470, 485)
    for i in spots:
        bad = bytearray(good)
        bad[i] ^= 0x10
        link.send_raw(bytes(bad))
    for bad in (good[:-1], good + b"\0", bytes(512), b"\x05" + os.urandom(511)):
        link.send_raw(bad)
    time.sleep(0.7)
    now = world.gw.counters()
    assert not link.raw
    rose = {k: now[k] - before[k] for k in now
            if now[k] != before[k] and k.startswith(("ctl_bad", "drop_"))}
    assert sum(rose.values()) >= len(spots) + 4, rose
    link.send_raw(good)
    assert link.wait(lambda: link.answer is not None)


def test_low_order_point_is_silence(world):
    link = world.link("q", port=0)
    message = bytearray(link.initiation())
    message[16:48] = bytes(32)
    link.send_raw(add_macs(bytes(message[:480]), world.key))
    time.sleep(0.5)
    assert not link.raw


def test_replayed_initiation_is_stale(world):
    link = world.link(port=0, identity=Identity(os.urandom(32)), vip="10.200.0.3")
    first = link.initiation()
    link.send_raw(first)
    assert link.wait(lambda: link.answer is not None)
    with counted(world, "ctl_stale"):
        link.send_raw(first)
    time.sleep(0.3)
    assert sum(1 for _, _, d in link.raw if d[0] == 6) == 1, "one response to two copies"


@pytest.mark.parametrize("changes,result", [
    ({"version": 0}, 1), ({"mode": 2}, 3), ({"vip": wire.mapped(GATEWAY)}, 4),
    ({"vip": wire.mapped(ME)}, 4),
], ids=["version", "mode", "gateway's own VIP", "listed peer's VIP"])
def test_refusals_carry_their_result(world, changes, result):
    link = world.link("q", port=0, vip="10.200.0.3")
    with counted(world, "ctl_refused"):
        answer = link.connect(2, **changes)
    assert answer is not None and answer.result == result
    assert link.session is None


def test_refused_cipher(world, cipher):
    other = {"aesgcm": b"\x02\0", "chachapoly": b"\x01\0"}[cipher]
    link = world.link("q", port=0, vip="10.200.0.3", ciphers=other)
    assert link.connect(2).result == 2


def test_denied_key_is_told(world):
    link = world.link(port=0, identity=DENIED, vip="10.200.0.4")
    with counted(world, "ctl_denied"):
        answer = link.connect(1)
    assert answer is None or answer.result == 6


def test_unknown_key_with_the_right_proof_is_welcome(world):
    """Who proves that it knows the secret is a member, listed or not."""
    link = world.link(port=0, identity=Identity(os.urandom(32)), vip="10.200.0.50")
    host = wire.Host(link, "10.200.0.50")
    answer = link.connect(2)
    assert answer is not None and answer.result == 0
    assert host.ping(GATEWAY)


def test_we_refuse_and_the_gateway_says_so(world):
    """Its side of a refusal: counted, and the reason stands in its peers."""
    link = world.link()
    link.result = 4
    before = world.gw.counter("ctl_was_refused")
    until("the gateway to call and be refused", 15,
          lambda: world.gw.counter("ctl_was_refused") > before)
    row = next(p for p in world.gw.peers() if p["key"] == wire_key(world.boxes["p"]))
    assert row["state"] == "refused" and "held by another" in row["reason"]


def test_cookies_under_load(world):
    """A flood of good handshakes is answered by cookies, shorter than their cause; with the
    cookie a handshake passes."""
    link = world.link("r", port=0, vip="10.200.0.5")
    assert connected(link), "before the flood, whoever called whom"
    flood = wire.udp_socket(world.topo.nucleus, world.topo.nucleus_addr, 0)
    try:
        message = link.initiation()

        def send():
            for _ in range(4000):
                flood.sendto(message, world.addr)
        t = threading.Thread(target=send)
        t.start()
        for _ in range(20):
            link.connect(0.1)
            if link.cookie:
                break
        t.join()
    finally:
        flood.close()
    assert world.gw.counter("ctl_under_load") > 0
    cookie = link.cookie
    assert connected(link), "after it, with a cookie where one is asked for"
    # Beside the session's data: responses, cookie replies, and handshakes of its own after
    # stale initiations.
    began, ended = link.raw[0][0], link.raw[-1][0]
    own = [d for _, _, d in link.raw if d[0] == 5]
    assert {len(d) for _, _, d in link.raw if d[0] in (6, 7)} == {72, 192}
    assert {d[0] for _, _, d in link.raw if d[0] < 0x80} <= {5, 6, 7}
    assert len(own) <= 2 + (ended - began) / 5
    assert cookie, "a cookie came"
    until("a handshake with the cookie", 5,
          lambda: (link.connect(1) or link).result == 0 and link.answer is not None)


def test_roaming_peer_is_probed_and_followed(joined):
    """Our data comes from another port; the gateway probes both, and moves."""
    world, link, host = joined
    old = link.sock
    new = wire.udp_socket(world.topo.nucleus, world.topo.nucleus_addr, 0)
    try:
        link.sock = new
        until("traffic at the new address", 10, lambda: host.ping(GATEWAY, seconds=0.5))
    finally:
        old.close()
    assert world.gw.counter("ctl_roamed") > 0


def test_neither_crashed_nor_leaked(world):
    """After all of the above: alive, and no buffer lost."""
    assert world.gw.running()
    assert world.gw.counter("drop_no_mbuf") == 0
