# SPDX-License-Identifier: MIT OR Apache-2.0
"""A whole static-peer gateway in user space over a UDP socket, initiator and responder.

Link is the protocol: one socket, one peer, sessions, control messages. Host stands behind it and
speaks ARP and ICMP by scapy. Written from docs/protocol.md; shares nothing with lib/.
"""
import collections
import ctypes
import ipaddress
import os
import select
import socket
import struct
import threading
import time

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from . import control, data
from .handshake import (INITIATION, INITIATION_LEN, RESPONSE, RESPONSE_LEN, COOKIE, Answer,
                        Initiator, Offer, Responder)
from .noise import NoiseError

CLONE_NEWNET = 0x40000000
_ns_lock = threading.Lock()


def udp_socket(namespace, address, port):
    """A UDP socket that lives in a network namespace; the caller stays where it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    with _ns_lock, open("/proc/self/ns/net", "rb") as home, \
            open(f"/run/netns/{namespace}", "rb") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            s.bind((address, port))
            return s
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


def tai64n(now=None):
    ns = time.time_ns() if now is None else now
    return struct.pack(">QI", (1 << 62) + 10 + ns // 10**9, ns % 10**9)


def mapped(vip):
    """A VIP as the handshake carries it: 16 bytes, IPv4 mapped."""
    a = ipaddress.ip_address(vip)
    return a.packed if a.version == 6 else bytes(10) + b"\xff\xff" + a.packed


def new_session_id(index=None):
    index = int.from_bytes(os.urandom(3), "big") & 0x7fffff if index is None else index
    return 1 << 63 | index << 40 | int.from_bytes(os.urandom(5), "big")


class Session:
    def __init__(self, cipher, send_key, recv_key, local_id, remote_id, lanes_recv, lanes_send,
                 largest):
        self.cipher = cipher
        self.local_id, self.remote_id = local_id, remote_id
        self.lanes_send, self.lanes_recv = lanes_send, lanes_recv
        self.sender = data.Sender(cipher, send_key, remote_id)
        self.receiver = data.Receiver(cipher, recv_key, local_id, lanes_recv, largest)
        self.confirmed = False  # a responder's: data came


class Link:
    """One peer over one socket. Start it, and it answers by itself in a thread of its own."""

    def __init__(self, sock, identity, cluster, vip, remote_public, remote_addr=None, *,
                 ciphers=b"\x01\x02", mode=1, lanes_send=2, lanes_accept=8, largest=1514,
                 psk=None, answer_initiations=True, echo=True):
        self.sock, self.identity, self.cluster = sock, identity, cluster
        self.vip, self.remote_public, self.remote_addr = vip, remote_public, remote_addr
        self.ciphers, self.mode, self.largest = ciphers, mode, largest
        self.lanes_send, self.lanes_accept = lanes_send, lanes_accept
        self.psk = psk if psk is not None else cluster.psk(identity.public, remote_public)
        self.answer_initiations, self.echo = answer_initiations, echo
        self.session = None
        self.sessions = {}      # by local id
        self.pending = None     # an Initiator that waits
        self.answer = None      # the last response's
        self.cookie = None
        self.on_frame = None    # called with (link, frame, kind) for each whole frame
        self.raw = collections.deque(maxlen=10000)      # (time, address, datagram)
        self.controls = collections.deque(maxlen=10000)  # decoded control maps
        self.refused = collections.Counter()
        self.kinds = collections.Counter()
        self.offers = []
        self.keepalives = 0
        self.result = 0         # what a responder's answers say
        self.lock = threading.RLock()
        self.wake = threading.Condition(self.lock)
        self.thread = None
        self.stopping = False

    # ---- running ----

    def start(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def stop(self):
        self.stopping = True
        if self.thread:
            self.thread.join(5)
        self.sock.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def _run(self):
        while not self.stopping:
            if not select.select([self.sock], [], [], 0.05)[0]:
                continue
            datagram, addr = self.sock.recvfrom(65536)
            with self.lock:
                self.raw.append((time.monotonic(), addr, datagram))
                try:
                    self._receive(datagram, addr)
                except (data.Refused, NoiseError, ValueError) as e:
                    self.refused[str(e)] += 1
                self.wake.notify_all()

    def wait(self, check, seconds=3):
        """Until check() is true, while datagrams arrive."""
        with self.lock:
            return self.wake.wait_for(check, seconds)

    # ---- receiving ----

    def _receive(self, datagram, addr):
        kind = datagram[0]
        if kind & 0x80:
            self._data(datagram, addr)
        elif kind == INITIATION and len(datagram) == INITIATION_LEN:
            if self.answer_initiations:
                self._initiation(datagram, addr)
        elif kind == RESPONSE and len(datagram) == RESPONSE_LEN and self.pending:
            self._response(datagram)
        elif kind == COOKIE and self.pending:
            self.cookie = self.pending.open_cookie(datagram)
        else:
            self.refused["unknown type"] += 1

    def _initiation(self, datagram, addr):
        r = Responder(self.identity.secret)
        offer = r.open_initiation(datagram)
        self.offers.append(offer)
        if r.remote != self.remote_public:
            raise ValueError("initiation from a stranger")
        if offer.cluster_id != self.cluster.id:
            raise ValueError("initiation for another cluster")
        zero = self.cluster.proof_key is None
        if offer.proof != bytes(32) if zero else not r.proof_valid(self.cluster.proof_key):
            raise ValueError("wrong proof")
        cipher = next((c for c in offer.ciphers if c and c in self.ciphers), 0)
        answer = Answer(self.result, version=1, cipher=cipher,
                        lanes_you_send=min(offer.lanes_send, self.lanes_accept),
                        lanes_i_send=min(offer.lanes_accept, self.lanes_send),
                        largest_frame=min(offer.largest_frame, self.largest), features=3,
                        vip=mapped(self.vip))
        local = new_session_id()
        self.sock.sendto(r.response(local, os.urandom(32), answer, self.psk), addr)
        if self.result == 0:
            self.remote_addr = addr
            self._keys(Session(cipher, r.send, r.recv, local, r.peer_session_id,
                               answer.lanes_you_send, answer.lanes_i_send, answer.largest_frame))

    def _response(self, datagram):
        i = self.pending
        answer = i.open_response(datagram)
        self.pending, self.answer = None, answer
        if answer.result != 0:
            return
        self._keys(Session(answer.cipher, i.send, i.recv, i.session_id, i.peer_session_id,
                           answer.lanes_i_send, answer.lanes_you_send, answer.largest_frame))
        if self.confirm:
            self.session.confirmed = True
            self.send(data.KEEPALIVE)

    def _keys(self, session):
        self.sessions[session.local_id] = session
        self.session = session

    def _data(self, datagram, addr):
        local, = struct.unpack_from(">Q", datagram)
        session = self.sessions.get(local)
        if session is None:
            raise data.Refused("session id")
        kind, lane, _, payload = session.receiver.open(datagram)
        session.confirmed = True
        fields = control.decode(payload) if kind == data.CONTROL else {}
        # A PROBE may come from the source port of any lane; its ECHO goes there all the same.
        if lane == 0 and fields.get(control.TYPE) != control.PROBE:
            self.remote_addr = addr
        self.kinds[kind] += 1
        if kind == data.KEEPALIVE:
            self.keepalives += 1
        elif kind == data.CONTROL:
            self.controls.append((fields, len(datagram)))
            if fields[control.TYPE] == control.PROBE and self.echo:
                self._send_on(session, data.CONTROL, control.echo(fields[control.TOKEN]), addr)
        else:
            for frame in session.receiver.frames(kind, lane, payload):
                if self.on_frame:
                    self.on_frame(self, frame, kind)

    # ---- sending ----

    def _send_on(self, session, kind, payload, addr=None, lane=0):
        self.sock.sendto(session.sender.seal(kind, payload, lane), addr or self.remote_addr)

    def send(self, kind, payload=b"", lane=0):
        with self.lock:
            self._send_on(self.session, kind, payload, None, lane)

    def send_raw(self, datagram):
        self.sock.sendto(datagram, self.remote_addr)

    def send_frame(self, frame, lane=1, piece=None, order=None):
        """One Ethernet frame, in fragments of `piece` bytes if given."""
        with self.lock:
            if piece:
                for d in self.session.sender.fragments(frame, piece, lane, order):
                    self.send_raw(d)
            else:
                self._send_on(self.session, data.FRAME, frame, None, lane)

    # ---- initiating ----

    confirm = True

    def initiation(self, **changes):
        """An initiation of ours, as bytes; the response to it is awaited from now on. changes
        are fields of the offer, or proof_key, cookie."""
        proof_key = changes.pop("proof_key", self.cluster.proof_key)
        cookie = changes.pop("cookie", None)
        fields = {"timestamp": tai64n(), "cluster_id": self.cluster.id, "vip": mapped(self.vip),
                  "mode": self.mode, "ciphers": self.ciphers.ljust(2, b"\0"),
                  "lanes_send": self.lanes_send, "lanes_accept": self.lanes_accept,
                  "largest_frame": self.largest}
        fields.update(changes)
        with self.lock:
            self.answer = None
            self.pending = Initiator(self.identity.secret, self.remote_public, self.psk)
            return self.pending.initiation(new_session_id(), os.urandom(32), Offer(**fields),
                                           proof_key, cookie)

    def connect(self, seconds=3, confirm=True, **changes):
        """Initiate, and wait for the answer: an Answer, or None for silence. A cookie reply is
        obeyed by a second try, unless the caller brings a cookie of its own."""
        self.confirm = confirm
        with self.lock:
            self.cookie = None
        self.send_raw(self.initiation(**changes))
        self.wait(lambda: self.answer is not None or self.cookie is not None, seconds)
        if self.answer is None and self.cookie and "cookie" not in changes:
            self.send_raw(self.initiation(cookie=self.cookie, **changes))
            self.wait(lambda: self.answer is not None, seconds)
        return self.answer

    def probe(self, size=0, seconds=2):
        """A PROBE (padded so that the payload has `size` bytes); True when it is echoed."""
        token = os.urandom(8)
        self.send(data.CONTROL, control.probe(token, size))
        return self.wait(lambda: any(f[control.TYPE] == control.ECHO and f[control.TOKEN] == token
                                     for f, _ in self.controls), seconds)


class Host:
    """An Ethernet host behind a Link: answers ARP and pings, and can ping."""

    def __init__(self, link, address, mac=None, piece=None, lane=1):
        self.link, self.address = link, address
        self.mac = mac or "02:00:00:%02x:%02x:%02x" % tuple(os.urandom(3))
        self.piece = piece      # fragments of that size for frames over it
        self.lane = lane
        self.neighbours = {}
        self.replies = {}       # id, sequence -> (payload, kind)
        self.requests = []      # ICMP requests seen: (source, payload, kind)
        self.frames = []
        link.on_frame = self._frame

    def _out(self, packet):
        raw = bytes(packet)
        self.link.send_frame(raw, self.lane, self.piece if len(raw) > (self.piece or 0) else None)

    def _frame(self, _link, raw, kind):
        frame = Ether(raw)
        self.frames.append((raw, kind))
        if ARP in frame:
            arp = frame[ARP]
            self.neighbours[arp.psrc] = arp.hwsrc
            if arp.op == 1 and arp.pdst == self.address:
                self._out(Ether(dst=arp.hwsrc, src=self.mac) /
                          ARP(op=2, hwsrc=self.mac, psrc=self.address, hwdst=arp.hwsrc,
                              pdst=arp.psrc))
        elif ICMP in frame and frame[IP].dst == self.address:
            icmp = frame[ICMP]
            body = bytes(icmp.payload)
            if icmp.type == 8:
                self.requests.append((frame[IP].src, body, kind))
                self._out(Ether(dst=frame.src, src=self.mac) /
                          IP(src=self.address, dst=frame[IP].src) /
                          ICMP(type=0, id=icmp.id, seq=icmp.seq) / Raw(body))
            elif icmp.type == 0:
                self.replies[icmp.id, icmp.seq] = (body, kind)

    def arp(self, target, seconds=3):
        """Resolve an address by broadcast ARP requests, as a kernel does; its MAC or None."""
        self.neighbours.pop(target, None)
        end = time.monotonic() + seconds
        while target not in self.neighbours and time.monotonic() < end:
            self._out(Ether(dst="ff:ff:ff:ff:ff:ff", src=self.mac) /
                      ARP(op=1, hwsrc=self.mac, psrc=self.address, pdst=target))
            self.link.wait(lambda: target in self.neighbours, min(0.3, seconds))
        return self.neighbours.get(target)

    def echo_request(self, target, seq, size=56, ident=77):
        body = bytes(i & 0xff for i in range(size))
        return bytes(Ether(dst=self.neighbours[target], src=self.mac) /
                     IP(src=self.address, dst=target) / ICMP(type=8, id=ident, seq=seq) / Raw(body))

    def ping(self, target, size=56, seconds=3, seq=None):
        """True when target answers an echo request with the same bytes."""
        if target not in self.neighbours and not self.arp(target, seconds):
            return False
        seq = int.from_bytes(os.urandom(2), "big") if seq is None else seq
        self._out(Ether(self.echo_request(target, seq, size)))
        self.link.wait(lambda: (77, seq) in self.replies, seconds)
        got = self.replies.get((77, seq))
        return got is not None and got[0] == bytes(i & 0xff for i in range(size))
