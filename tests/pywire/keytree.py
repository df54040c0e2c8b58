# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys of a cluster and of a box: Argon2id from PyNaCl, curves from cryptography (OpenSSL), the
conversion between them computed here."""
import hashlib
import ipaddress

import nacl.pwhash.argon2id
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from .hashes import blake2s, hkdf

P = 2**255 - 19
RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(*RAW)


def ed25519_public(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(*RAW)


def ed25519_sign(seed, message):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def ed25519_to_x25519_public(public):
    """RFC 7748 section 4.1: u = (1 + y) / (1 - y)."""
    y = int.from_bytes(public, "little") & (2**255 - 1)
    u = (1 + y) * pow(1 - y, P - 2, P) % P
    return u.to_bytes(32, "little")


def ed25519_to_x25519_secret(seed):
    """The scalar that RFC 8032 derives from the seed, clamped."""
    scalar = bytearray(hashlib.sha512(seed).digest()[:32])
    scalar[0] &= 248
    scalar[31] &= 127
    scalar[31] |= 64
    return bytes(scalar)


class Identity:
    def __init__(self, seed):
        self.seed = seed
        self.sign_public = ed25519_public(seed)
        self.secret = ed25519_to_x25519_secret(seed)
        self.public = x25519_public(self.secret)
        assert self.public == ed25519_to_x25519_public(self.sign_public)

    def sign(self, message):
        return ed25519_sign(self.seed, message)


def vip_auto(x25519_key):
    return b"\xfd" + blake2s(b"omni vip v1", x25519_key)[:15]


def vip_text(vip):
    return str(ipaddress.IPv6Address(vip))


class Cluster:
    """kind: "secret", "open" or "static"; secret only for the first."""

    def __init__(self, kind, name, secret=b""):
        self.kind, self.name = kind, name
        raw = name.encode()
        if kind == "static":
            self.id = blake2s(b"omni static v1", raw)
            self.seed = self.proof_key = None
            return
        if kind == "open":
            secret = b"open:" + raw
        salt = blake2s(b"omni cluster v1", raw)[:16]
        self.root = nacl.pwhash.argon2id.kdf(32, secret, salt, opslimit=3, memlimit=64 << 20)
        self.seed = hkdf(self.root, b"omni signal v1")
        self.id = ed25519_public(self.seed)
        self.proof_key = hkdf(self.root, b"omni member v1")

    def sign(self, message):
        return ed25519_sign(self.seed, message)

    def psk(self, a, b):
        if self.kind == "static":
            return bytes(32)
        return hkdf(self.root, b"omni psk v1" + min(a, b) + max(a, b))
