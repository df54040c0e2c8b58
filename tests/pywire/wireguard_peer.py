# SPDX-License-Identifier: MIT OR Apache-2.0
"""A WireGuard peer in user space over a UDP socket, and an IP host behind it.

Peer is the protocol: one socket, one other side, initiator and responder. It does what it is told
and runs no timers, so that tests see every datagram. Host answers pings and can ping.
"""
import collections
import os
import select
import threading
import time

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Raw

from . import wireguard as wg


def new_index():
    return int.from_bytes(os.urandom(4), "little")


class Peer:
    """Start it, and it answers by itself in a thread of its own."""

    def __init__(self, sock, secret, remote_public, remote_addr=None, *, psk=bytes(32),
                 answer_initiations=True, under_load=False):
        self.sock, self.secret, self.public = sock, secret, wg.dh_public(secret)
        self.remote_public, self.remote_addr, self.psk = remote_public, remote_addr, psk
        self.answer_initiations = answer_initiations
        self.under_load = under_load    # answer what has no good mac2 with cookies
        self.session = None             # the one to send in
        self.sessions = {}              # by local index
        self.pending = None             # the Initiator that waits
        self.answered = None            # the Responder that answered last
        self.cookie = None              # (value, monotonic time it came)
        self.cookie_secret = os.urandom(32)
        self.newest = bytes(12)         # timestamp of the other side
        self.on_packet = None           # called with (peer, packet), its padding gone
        self.packets = collections.deque(maxlen=10000)  # what came through, likewise
        self.raw = collections.deque(maxlen=10000)      # (time, address, datagram)
        self.refused = collections.Counter()
        self.keepalives = 0
        self.cookies = 0                # taken
        self.lock = threading.RLock()
        self.wake = threading.Condition(self.lock)
        self.thread = None
        self.stopping = False

    # ---- running ----

    def __enter__(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stopping = True
        self.thread.join(5)
        self.sock.close()

    def _run(self):
        while not self.stopping:
            if not select.select([self.sock], [], [], 0.05)[0]:
                continue
            try:
                datagram, addr = self.sock.recvfrom(65536)
            except ConnectionError:     # an ICMP error came back
                continue
            with self.lock:
                self.raw.append((time.monotonic(), addr, datagram))
                try:
                    self._receive(datagram, addr[:2])
                except wg.WireGuardError as e:
                    self.refused[str(e)] += 1
                self.wake.notify_all()

    def wait(self, check, seconds=3):
        """Until check() is true, while datagrams arrive."""
        with self.lock:
            return self.wake.wait_for(check, seconds)

    # ---- receiving ----

    def _receive(self, datagram, addr):
        kind = datagram[:1]
        if kind == b"\4":
            self._data(datagram, addr)
        elif kind == b"\1" and self.answer_initiations:
            self._initiation(datagram, addr)
        elif kind == b"\2" and self.pending:
            self._response(datagram, addr)
        elif kind == b"\3" and (self.pending or self.answered):
            self._cookie(datagram)
        else:
            self.refused["unknown type"] += 1

    def cookie_of(self, addr):
        return wg.mac(self.cookie_secret, wg.address_bytes(addr))

    def _load_check(self, datagram, addr):
        """True where the message may be worked on; else its sender got a cookie."""
        wg.require(wg.mac1_valid(datagram, self.public), "mac1")
        if not self.under_load or wg.mac2_valid(datagram, self.cookie_of(addr)):
            return True
        self.sock.sendto(wg.cookie_reply(self.public, datagram, self.cookie_of(addr),
                                         os.urandom(24)), addr)
        self.refused["under load"] += 1
        return False

    def _initiation(self, datagram, addr):
        wg.require(len(datagram) == wg.INITIATION_LEN, "length")
        if not self._load_check(datagram, addr):
            return
        r = wg.Responder(self.secret)
        timestamp = r.open_initiation(datagram)
        wg.require(r.remote == self.remote_public, "stranger")
        wg.require(timestamp > self.newest, "old timestamp")
        self.newest = timestamp
        self.remote_addr = addr
        self.sock.sendto(r.response(new_index(), os.urandom(32), self.psk, self.held_cookie()),
                         addr)
        self.answered = r
        self._keys(wg.Session(r.send, r.recv, r.index, r.remote_index))

    def _response(self, datagram, addr):
        wg.require(len(datagram) == wg.RESPONSE_LEN, "length")
        if not self._load_check(datagram, addr):
            return
        i = self.pending
        i.open_response(datagram)
        self.pending, self.remote_addr = None, addr
        self._keys(wg.Session(i.send, i.recv, i.index, i.remote_index))
        self.session = self.sessions[i.index]
        if self.confirm:
            self.send(b"")

    def _cookie(self, datagram):
        sent = self.pending or self.answered
        self.cookie = sent.open_cookie(datagram), time.monotonic()
        self.cookies += 1

    def held_cookie(self):
        """The cookie for a next message, or None."""
        if not self.cookie or time.monotonic() - self.cookie[1] > wg.COOKIE_LIFE - wg.COOKIE_LATENCY:
            return None
        return self.cookie[0]

    def _keys(self, session):
        """A responder sends in them only when data came, unless it has no others."""
        self.sessions[session.local_index] = session
        if self.session is None:
            self.session = session

    def _data(self, datagram, addr):
        session = self.sessions.get(int.from_bytes(datagram[4:8], "little"))
        wg.require(session is not None, "receiver")
        fresh = not session.confirmed
        plain = session.open(datagram)
        if fresh:
            self.session = session
        self.remote_addr = addr
        if not plain:
            self.keepalives += 1
            return
        packet = trimmed(plain)
        self.packets.append(packet)
        if self.on_packet:
            self.on_packet(self, packet)

    # ---- sending ----

    confirm = True

    def send(self, packet, **how):
        """A packet (or nothing: a keepalive) in the present session; how as Session.seal."""
        with self.lock:
            self.sock.sendto(self.session.seal(packet, **how), self.remote_addr)

    def send_raw(self, datagram):
        self.sock.sendto(datagram, self.remote_addr)

    def initiation(self, **changes):
        """An initiation as bytes; its response is awaited from now on. changes: timestamp,
        cookie, index, ephemeral."""
        fields = {"index": new_index(), "ephemeral": os.urandom(32),
                  "cookie": self.held_cookie()}
        fields.update(changes)
        with self.lock:
            self.pending = wg.Initiator(self.secret, self.remote_public, self.psk)
            return self.pending.initiation(**fields)

    def connect(self, seconds=3, confirm=True, **changes):
        """Initiate, and wait: True when a session stands. A cookie is obeyed by a second try."""
        self.confirm = confirm
        cookies = self.cookies
        self.send_raw(self.initiation(**changes))
        self.wait(lambda: self.pending is None or self.cookies > cookies, seconds)
        if self.pending and self.cookies > cookies:
            self.send_raw(self.initiation(**changes))
            self.wait(lambda: self.pending is None, seconds)
        return self.pending is None


def trimmed(plain):
    """A packet without its padding, by the length in its header."""
    if plain[0] >> 4 == 4 and len(plain) >= 20:
        length = int.from_bytes(plain[2:4], "big")
    elif plain[0] >> 4 == 6 and len(plain) >= 40:
        length = 40 + int.from_bytes(plain[4:6], "big")
    else:
        raise wg.WireGuardError("not IP")
    wg.require(length <= len(plain), "longer than its datagram")
    return plain[:length]


class Host:
    """An IP host behind a Peer, with one address of each family that it is given."""

    def __init__(self, peer, *addresses):
        self.peer, self.addresses = peer, addresses
        self.replies = {}       # (id, sequence) -> (source, payload, TTL)
        self.requests = []      # pings that came: (source, payload, TTL)
        self.others = []        # everything else, as scapy has it
        peer.on_packet = self._packet

    def _packet(self, _peer, raw):
        v6 = raw[0] >> 4 == 6
        packet = (IPv6 if v6 else IP)(raw)
        ttl = packet.hlim if v6 else packet.ttl
        ask, answer = (ICMPv6EchoRequest, ICMPv6EchoReply) if v6 else (ICMP, ICMP)
        echo = packet.payload
        if isinstance(echo, ask) and echo.type in (8, 128) and packet.dst in self.addresses:
            body = bytes(echo.data if v6 else echo.payload)
            self.requests.append((packet.src, body, ttl))
            self.peer.send(bytes(self._echo(packet.dst, packet.src, False, echo.id, echo.seq, body)))
        elif isinstance(echo, answer) and echo.type in (0, 129):
            body = bytes(echo.data if v6 else echo.payload)
            self.replies[echo.id, echo.seq] = (packet.src, body, ttl)
        else:
            self.others.append(packet)

    @staticmethod
    def _echo(src, dst, ask, ident, seq, body, ttl=64):
        if ":" in dst:
            kind = ICMPv6EchoRequest if ask else ICMPv6EchoReply
            return IPv6(src=src, dst=dst, hlim=ttl) / kind(id=ident, seq=seq, data=body)
        return (IP(src=src, dst=dst, ttl=ttl) / ICMP(type=8 if ask else 0, id=ident, seq=seq) /
                Raw(body))

    def ping(self, target, size=56, seconds=3, ttl=64, source=None):
        """True when target answers an echo request with the same bytes."""
        source = source or next(a for a in self.addresses if (":" in a) == (":" in target))
        seq = int.from_bytes(os.urandom(2), "big")
        body = bytes(i & 0xff for i in range(size))
        self.peer.send(bytes(self._echo(source, target, True, 77, seq, body, ttl)))
        self.peer.wait(lambda: (77, seq) in self.replies, seconds)
        return self.replies.get((77, seq), (None, None, None))[1] == body
