# SPDX-License-Identifier: MIT OR Apache-2.0
"""WireGuard's messages, written from its whitepaper (section 5.4), whose names stand here: C, H and
K are its chaining key, hash and temporary key. Shares no code with lib/, nor with the Noise core of
this folder. Primitives: hashlib, cryptography (OpenSSL), PyNaCl."""
import hashlib
import hmac
import struct
import time

import nacl.bindings
import nacl.exceptions
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
LABEL_MAC1, LABEL_COOKIE = b"mac1----", b"cookie--"
INITIATION, RESPONSE, COOKIE, DATA = 1, 2, 3, 4
INITIATION_LEN, RESPONSE_LEN, COOKIE_LEN, DATA_MIN_LEN = 148, 92, 64, 32
WINDOW = 8192
REJECT_AFTER_MESSAGES = 2**64 - 2**13 - 1
COOKIE_LIFE, COOKIE_LATENCY = 120, 5


class WireGuardError(Exception):
    """A message that the whitepaper says to drop."""


def require(condition, what):
    if not condition:
        raise WireGuardError(what)


# ---- Functions of section 5.4 ----

def dh(private, public):
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public))
    except ValueError as e:
        raise WireGuardError("shared secret of zeros") from e


def dh_public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(
        Encoding.Raw, PublicFormat.Raw)


def hash_(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def kdf(n, key, data):
    """KDF1, KDF2 or KDF3, by n, as a list."""
    def prf(k, d):
        return hmac.new(k, d, hashlib.blake2s).digest()
    t0, out, last = prf(key, data), [], b""
    for i in range(n):
        last = prf(t0, last + bytes([i + 1]))
        out.append(last)
    return out


def aead(key, counter, plain, auth):
    return ChaCha20Poly1305(key).encrypt(struct.pack("<4xQ", counter), plain, auth)


def aead_open(key, counter, sealed, auth):
    try:
        return ChaCha20Poly1305(key).decrypt(struct.pack("<4xQ", counter), sealed, auth)
    except InvalidTag as e:
        raise WireGuardError("tag") from e


def tai64n(ns=None):
    ns = time.time_ns() if ns is None else ns
    return struct.pack(">QI", 2**62 + 10 + ns // 10**9, ns % 10**9)


# ---- mac1, mac2 and cookies (5.4.4, 5.4.7) ----

def add_macs(message, receiver, cookie=None):
    message += mac(hash_(LABEL_MAC1, receiver), message)
    return message + (mac(cookie, message) if cookie else bytes(16))


def mac1_valid(message, receiver):
    return mac(hash_(LABEL_MAC1, receiver), message[:-32]) == message[-32:-16]


def mac2_valid(message, cookie):
    return mac(cookie, message[:-16]) == message[-16:]


def address_bytes(address):
    """What a cookie is made of: any coding of address and port will do."""
    return f"{address[0]}|{address[1]}".encode()


def cookie_reply(replier_public, message, cookie, nonce):
    """The answer to a message (initiation or response) from a box under load."""
    key = hash_(LABEL_COOKIE, replier_public)
    sealed = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        cookie, message[-32:-16], nonce, key)
    return struct.pack("<B3x", COOKIE) + message[4:8] + nonce + sealed


def cookie_open(message, replier_public, mac1, index):
    require(len(message) == COOKIE_LEN and message[:4] == b"\3\0\0\0", "header")
    require(struct.unpack_from("<I", message, 4)[0] == index, "receiver")
    try:
        return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            message[32:], mac1, message[8:32], hash_(LABEL_COOKIE, replier_public))
    except nacl.exceptions.CryptoError as e:
        raise WireGuardError("cookie") from e


# ---- First and second message (5.4.2, 5.4.3) and Split (5.4.5) ----

class Handshake:
    """What both sides keep: C, H, and who they are."""

    def __init__(self, static, responder_public):
        self.static, self.public = static, dh_public(static)
        self.C = hash_(CONSTRUCTION)
        self.H = hash_(hash_(self.C, IDENTIFIER), responder_public)

    def mix_public(self, ephemeral_public):
        self.C, = kdf(1, self.C, ephemeral_public)
        self.H = hash_(self.H, ephemeral_public)

    def mix_psk(self, psk):
        self.C, tau, key = kdf(3, self.C, psk)
        self.H = hash_(self.H, tau)
        return key

    def sent(self, message, cookie):
        message = add_macs(message, self.remote, cookie)
        self.mac1 = message[-32:-16]
        return message

    def open_cookie(self, message):
        """The cookie in a reply to the message that was sent last."""
        return cookie_open(message, self.remote, self.mac1, self.index)


class Initiator(Handshake):
    def __init__(self, static, remote, psk=bytes(32)):
        super().__init__(static, remote)
        self.remote, self.psk = remote, psk

    def initiation(self, index, ephemeral, timestamp=None, cookie=None):
        self.index, self.ephemeral = index, ephemeral
        e = dh_public(ephemeral)
        self.mix_public(e)
        self.C, key = kdf(2, self.C, dh(ephemeral, self.remote))
        static = aead(key, 0, self.public, self.H)
        self.H = hash_(self.H, static)
        self.C, key = kdf(2, self.C, dh(self.static, self.remote))
        stamp = aead(key, 0, timestamp or tai64n(), self.H)
        self.H = hash_(self.H, stamp)
        return self.sent(struct.pack("<B3xI", INITIATION, index) + e + static + stamp, cookie)

    def open_response(self, message):
        """Sets remote_index, send and recv."""
        require(len(message) == RESPONSE_LEN and message[:4] == b"\2\0\0\0", "header")
        require(mac1_valid(message, self.public), "mac1")
        remote_index, mine = struct.unpack_from("<II", message, 4)
        require(mine == self.index, "receiver")
        before = self.C, self.H
        try:
            e = message[12:44]
            self.mix_public(e)
            self.C, = kdf(1, self.C, dh(self.ephemeral, e))
            self.C, = kdf(1, self.C, dh(self.static, e))
            key = self.mix_psk(self.psk)
            aead_open(key, 0, message[44:60], self.H)
        except WireGuardError:
            self.C, self.H = before
            raise
        self.H = hash_(self.H, message[44:60])
        self.remote_index = remote_index
        self.send, self.recv = kdf(2, self.C, b"")


class Responder(Handshake):
    def __init__(self, static):
        super().__init__(static, dh_public(static))

    def open_initiation(self, message):
        """The timestamp; sets remote and remote_index. May be a replay."""
        require(len(message) == INITIATION_LEN and message[:4] == b"\1\0\0\0", "header")
        require(mac1_valid(message, self.public), "mac1")
        self.remote_index, = struct.unpack_from("<I", message, 4)
        self.e = message[8:40]
        self.mix_public(self.e)
        self.C, key = kdf(2, self.C, dh(self.static, self.e))
        self.remote = aead_open(key, 0, message[40:88], self.H)
        self.H = hash_(self.H, message[40:88])
        self.C, key = kdf(2, self.C, dh(self.static, self.remote))
        timestamp = aead_open(key, 0, message[88:116], self.H)
        self.H = hash_(self.H, message[88:116])
        return timestamp

    def response(self, index, ephemeral, psk=bytes(32), cookie=None):
        """Sets send and recv."""
        self.index = index
        e = dh_public(ephemeral)
        self.mix_public(e)
        self.C, = kdf(1, self.C, dh(ephemeral, self.e))
        self.C, = kdf(1, self.C, dh(ephemeral, self.remote))
        key = self.mix_psk(psk)
        nothing = aead(key, 0, b"", self.H)
        self.H = hash_(self.H, nothing)
        self.recv, self.send = kdf(2, self.C, b"")
        return self.sent(struct.pack("<B3xII", RESPONSE, index, self.remote_index) + e + nothing,
                         cookie)


# ---- Transport data (5.4.6) ----

class Session:
    """Both directions of one pair of keys; indices as 32-bit integers."""

    def __init__(self, send, recv, local_index, remote_index):
        self.send, self.recv = send, recv
        self.local_index, self.remote_index = local_index, remote_index
        self.counter = 0
        self.top, self.seen = -1, set()
        self.confirmed = False  # data came

    def seal(self, packet=b"", counter=None, pad=True):
        """A datagram; nothing sealed is a keepalive. An explicit counter is not kept."""
        if counter is None:
            counter, self.counter = self.counter, self.counter + 1
        plain = packet + bytes(-len(packet) % 16 if pad else 0)
        return (struct.pack("<B3xIQ", DATA, self.remote_index, counter)
                + aead(self.send, counter, plain, b""))

    def open(self, datagram):
        """The packet with its padding; b"" is a keepalive."""
        require(len(datagram) >= DATA_MIN_LEN and datagram[:4] == b"\4\0\0\0", "header")
        index, counter = struct.unpack_from("<IQ", datagram, 4)
        require(index == self.local_index, "receiver")
        require(counter < REJECT_AFTER_MESSAGES, "counter of a worn-out key")
        plain = aead_open(self.recv, counter, datagram[16:], b"")
        require(counter > self.top - WINDOW and counter not in self.seen, "replay")
        self.seen.add(counter)
        if counter > self.top:
            self.top = counter
            if len(self.seen) > 4 * WINDOW:
                self.seen = {c for c in self.seen if c > self.top - WINDOW}
        self.confirmed = True
        return plain
