# SPDX-License-Identifier: MIT OR Apache-2.0
"""The Omni dialect: initiation, response, macs and cookies (docs/protocol.md, "Handshake")."""
import struct
from dataclasses import dataclass

import nacl.bindings

from .hashes import blake2s
from .keytree import x25519_public
from .noise import Handshake, NoiseError

PROLOGUE = b"OmniNervous v1"
PROLOGUE_NUCLEUS = b"OmniNervous v1 nucleus"
INITIATION, RESPONSE, COOKIE = 5, 6, 7
INITIATION_LEN, RESPONSE_LEN, COOKIE_LEN = 512, 192, 72
OFFER = struct.Struct(">12s4x32s32s16sBB2sHHHH")
ANSWER = struct.Struct(">BBBxHHHH4x16s")


@dataclass
class Offer:
    timestamp: bytes
    cluster_id: bytes
    vip: bytes
    mode: int = 1
    version: int = 1
    ciphers: bytes = b"\x01\x02"
    lanes_send: int = 1
    lanes_accept: int = 64
    largest_frame: int = 1514
    features: int = 3
    proof: bytes = bytes(32)

    def pack(self, header):
        raw = OFFER.pack(self.timestamp, self.cluster_id, self.proof, self.vip, self.mode,
                         self.version, self.ciphers, self.lanes_send, self.lanes_accept,
                         self.largest_frame, self.features)
        return (header + raw).ljust(368, b"\0")

    @classmethod
    def unpack(cls, payload):
        (timestamp, cluster_id, proof, vip, mode, version, ciphers, send, accept, largest,
         features) = OFFER.unpack_from(payload, 16)
        return cls(timestamp, cluster_id, vip, mode, version, ciphers, send, accept, largest,
                   features, proof)


@dataclass
class Answer:
    result: int
    version: int = 1
    cipher: int = 2
    lanes_you_send: int = 1
    lanes_i_send: int = 1
    largest_frame: int = 1514
    features: int = 3
    vip: bytes = bytes(16)

    def pack(self, header):
        raw = ANSWER.pack(self.result, self.version, self.cipher, self.lanes_you_send,
                          self.lanes_i_send, self.largest_frame, self.features, self.vip)
        return (header + raw).ljust(88, b"\0")

    @classmethod
    def unpack(cls, payload):
        return cls(*ANSWER.unpack_from(payload, 24))


def add_macs(message, receiver, cookie=None):
    message += blake2s(message, key=blake2s(b"mac1----", receiver), size=16)
    return message + (blake2s(message, key=cookie, size=16) if cookie else bytes(16))


def mac1_valid(message, receiver):
    want = blake2s(message[:-32], key=blake2s(b"mac1----", receiver), size=16)
    return want == message[-32:-16]


def mac2_valid(message, cookie):
    return blake2s(message[:-16], key=cookie, size=16) == message[-16:]


def header(kind, *ids):
    return struct.pack(">BB6x", kind, 0) + b"".join(struct.pack(">Q", i) for i in ids)


def require(condition, what):
    if not condition:
        raise NoiseError(what)


class Initiator:
    def __init__(self, static, remote, psk=bytes(32), prologue=PROLOGUE):
        self.public, self.remote = x25519_public(static), remote
        self.noise = Handshake(True, prologue, static, remote, psk)

    def initiation(self, session_id, ephemeral, offer, proof_key=None, cookie=None):
        self.session_id = session_id
        head = header(INITIATION, session_id)
        keys = b"".join(self.noise.write_keys(ephemeral))
        self.proof_hash = self.noise.h
        if proof_key:
            offer.proof = blake2s(self.noise.h, key=proof_key)
        message = head + keys + self.noise.encrypt(offer.pack(head))
        message = add_macs(message, self.remote, cookie)
        require(len(message) == INITIATION_LEN, "length")
        self.mac1 = message[-32:-16]
        return message

    def open_response(self, message):
        """Answer, and sets peer_session_id, send and recv."""
        require(len(message) == RESPONSE_LEN, "length")
        require(message[:8] == header(RESPONSE), "header")
        require(mac1_valid(message, self.public), "mac1")
        self.peer_session_id, mine = struct.unpack_from(">QQ", message, 8)
        require(mine == self.session_id, "receiver")
        self.noise.read_keys(message[24:56])
        payload = self.noise.decrypt(message[56:160])
        require(payload[:24] == message[:24], "copy of the header")
        self.send, self.recv = self.noise.split()
        return Answer.unpack(payload)

    def open_cookie(self, message):
        require(len(message) == COOKIE_LEN and message[:8] == header(COOKIE), "header")
        require(struct.unpack_from(">Q", message, 8)[0] == self.session_id, "receiver")
        return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            message[40:72], self.mac1, message[16:40], blake2s(b"cookie--", self.remote))


class Responder:
    def __init__(self, static, prologue=PROLOGUE):
        self.public = x25519_public(static)
        self.noise = Handshake(False, prologue, static)

    def open_initiation(self, message):
        """Offer, and sets remote and peer_session_id. The proof is checked by proof_valid."""
        require(len(message) == INITIATION_LEN, "length")
        require(message[:8] == header(INITIATION), "header")
        require(mac1_valid(message, self.public), "mac1")
        (self.peer_session_id,) = struct.unpack_from(">Q", message, 8)
        self.noise.read_keys(message[16:48], message[48:96])
        self.proof_hash = self.noise.h
        payload = self.noise.decrypt(message[96:480])
        require(payload[:16] == message[:16], "copy of the header")
        self.remote = self.noise.rs
        self.offer = Offer.unpack(payload)
        return self.offer

    def proof_valid(self, proof_key):
        return blake2s(self.proof_hash, key=proof_key) == self.offer.proof

    def response(self, session_id, ephemeral, answer, psk=bytes(32), cookie=None):
        self.noise.psk = psk
        head = header(RESPONSE, session_id, self.peer_session_id)
        message = head + b"".join(self.noise.write_keys(ephemeral))
        message += self.noise.encrypt(answer.pack(head))
        message = add_macs(message, self.remote, cookie)
        require(len(message) == RESPONSE_LEN, "length")
        self.send, self.recv = self.noise.split()
        return message


def cookie_reply(replier_public, message, cookie, nonce):
    sealed = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        cookie, message[-32:-16], nonce, blake2s(b"cookie--", replier_public))
    return header(COOKIE) + message[8:16] + nonce + sealed
