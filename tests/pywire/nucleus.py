# SPDX-License-Identifier: MIT OR Apache-2.0
"""Member records and the messages between an edge and a Nucleus (docs/protocol.md)."""
import ipaddress
import os
import select
import time

import cbor2
import nacl.bindings
import nacl.exceptions

from . import data
from .handshake import PROLOGUE_NUCLEUS, RESPONSE_LEN, Initiator, Offer
from .peer import new_session_id, tai64n

CONTEXT = b"omni record v1\x00"
LIFE = 86400

REGISTER, REGISTER_ACK, HEARTBEAT, HEARTBEAT_ACK, LIST, LIST_ACK, QUERY_PEER, PEER_INFO, PUNCH, \
    BYE, ERROR = range(1, 12)
(TYPE, ID, RECORD, RESULT, REGISTRATION, SEEN, LEASE, EPOCH, COUNT, PEERS, REMOVED, MORE, CURSOR,
 VIP, KEY, FOUND, CODE, TEXT, RESYNC) = range(19)
(R_VERSION, R_CLUSTER, R_ED25519, R_VIP, R_DIALECTS, R_CANDIDATES, R_ISSUED, R_EXPIRES) = range(8)


def encode(value):
    return cbor2.dumps(value, canonical=True)


def decode(raw):
    value = cbor2.loads(raw)
    if encode(value) != raw:
        raise ValueError("not deterministic CBOR")
    return value


def address(text):
    return ipaddress.ip_address(text).packed


def record_fields(cluster_id, ed25519, vip, candidates=(), dialects=1, issued=None, expires=None):
    issued = int(time.time()) if issued is None else issued
    return {R_VERSION: 1, R_CLUSTER: cluster_id, R_ED25519: ed25519, R_VIP: address(vip),
            R_DIALECTS: dialects, R_CANDIDATES: [[address(a), p] for a, p in candidates],
            R_ISSUED: issued, R_EXPIRES: issued + LIFE if expires is None else expires}


def sign_record(fields, identity_secret, cluster_secret):
    """[bytes, signature of the identity, signature of the cluster]; secrets are Ed25519 keys of
    64 bytes (seed and public key)."""
    raw = encode(fields)
    return [raw] + [nacl.bindings.crypto_sign(CONTEXT + raw, key)[:64]
                    for key in (identity_secret, cluster_secret)]


def open_record(record, cluster_id):
    """The fields of a record whose two signatures hold; ValueError otherwise."""
    raw, by_identity, by_cluster = record
    fields = decode(raw)
    if fields[R_CLUSTER] != cluster_id:
        raise ValueError("foreign record")
    try:
        for signature, key in ((by_identity, fields[R_ED25519]), (by_cluster, cluster_id)):
            nacl.bindings.crypto_sign_open(signature + CONTEXT + raw, key)
    except nacl.exceptions.BadSignatureError:
        raise ValueError("forged record") from None
    return fields


def x25519_of(ed25519):
    return nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(ed25519)


def register(request, record):
    return encode({TYPE: REGISTER, ID: request, RECORD: record})


def heartbeat(request, registration, count, epoch):
    return encode({TYPE: HEARTBEAT, ID: request, REGISTRATION: registration, COUNT: count,
                   EPOCH: epoch})


def list_members(request, cursor=0):
    return encode({TYPE: LIST, ID: request, CURSOR: cursor})


def query(request, vip=None, key=None):
    return encode({TYPE: QUERY_PEER, ID: request,
                   **({VIP: address(vip)} if vip else {KEY: key})})


def bye(registration):
    return encode({TYPE: BYE, REGISTRATION: registration})


HELLO_LEN, HELLO_ANSWER_LEN = 128, 72


class Silence(Exception):
    """No answer came."""


class Edge:
    """A member's side of a session with a Nucleus, one request at a time."""

    def __init__(self, sock, identity, cluster, nucleus_addr):
        self.sock, self.identity, self.cluster = sock, identity, cluster
        self.addr = nucleus_addr
        self.request = 0
        self.registration = None
        self.epoch = None
        self.pushed = []    # messages without a request: PUNCH

    def receive(self, seconds=2):
        if not select.select([self.sock], [], [], seconds)[0]:
            raise Silence
        return self.sock.recv(65536)

    def hello(self, nonce=None, seconds=2):
        """(Nucleus key, address cookie)."""
        nonce = nonce or os.urandom(16)
        self.sock.sendto((b"\x08" + bytes(7) + nonce).ljust(HELLO_LEN, b"\0"), self.addr)
        answer = self.receive(seconds)
        assert len(answer) == HELLO_ANSWER_LEN and answer[:8] == b"\x08\x01" + bytes(6)
        assert answer[8:24] == nonce
        return answer[24:56], answer[56:72]

    def initiation(self, key, cookie, **changes):
        fields = {"timestamp": tai64n(), "cluster_id": self.cluster.id, "vip": bytes(16),
                  "ciphers": b"\x02\x00", "lanes_send": 1, "lanes_accept": 1}
        fields.update(changes)
        self.pending = Initiator(self.identity.secret, key, prologue=PROLOGUE_NUCLEUS)
        return self.pending.initiation(new_session_id(), os.urandom(32), Offer(**fields), None,
                                       cookie)

    def connect(self, seconds=2, **changes):
        """HELLO and the handshake; its Answer."""
        key, cookie = self.hello(seconds=seconds)
        self.sock.sendto(self.initiation(key, cookie, **changes), self.addr)
        response = self.receive(seconds)
        assert len(response) == RESPONSE_LEN
        i = self.pending
        answer = i.open_response(response)
        if answer.result == 0:
            self.sender = data.Sender(data.CIPHER_CHACHAPOLY, i.send, i.peer_session_id)
            self.receiver = data.Receiver(data.CIPHER_CHACHAPOLY, i.recv, i.session_id, 1)
        return answer

    def send(self, payload):
        self.sock.sendto(self.sender.seal(data.CONTROL, payload), self.addr)

    def ask(self, build, *args, seconds=2, **kw):
        """Send build(request, ...) and wait for the answer to it."""
        self.request += 1
        self.send(build(self.request, *args, **kw))
        end = time.monotonic() + seconds
        while True:
            datagram = self.receive(max(0.01, end - time.monotonic()))
            if not datagram[0] & 0x80:
                continue
            kind, _, _, payload = self.receiver.open(datagram)
            if kind != data.CONTROL:
                continue
            message = decode(payload)
            if message.get(ID) == self.request:
                return message
            self.pushed.append(message)

    def record(self, vip, **changes):
        fields = record_fields(self.cluster.id, self.identity.sign_public, vip, **changes)
        return sign_record(fields, self.identity.seed + self.identity.sign_public,
                           self.cluster.seed + self.cluster.id)

    def register(self, vip, record=None, **changes):
        answer = self.ask(register, record or self.record(vip, **changes))
        if answer[TYPE] == REGISTER_ACK and answer[RESULT] == 0:
            self.registration, self.epoch = answer[REGISTRATION], answer[EPOCH]
        return answer

    def heartbeat(self, count=0):
        return self.ask(heartbeat, self.registration, count, self.epoch)

    def members(self):
        """Every (VIP, key) of the room, page by page."""
        out, cursor = [], 0
        while True:
            page = self.ask(list_members, cursor)
            assert page[TYPE] == LIST_ACK, page
            out += [(str(ipaddress.ip_address(v)), k) for v, k in page[PEERS]]
            cursor = page.get(CURSOR, 0)
            if not cursor:
                return out

    def bye(self):
        self.send(bye(self.registration))
