# SPDX-License-Identifier: MIT OR Apache-2.0
"""Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, written from the Noise specification (revision 34) as a
walk over the pattern's tokens."""
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from .hashes import blake2s, noise_kdf
from .keytree import x25519_public

NAME = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
PATTERN = (("e", "es", "s", "ss"), ("e", "ee", "se", "psk"))


class NoiseError(Exception):
    """The handshake fails: a low-order point, or something not authentic."""


def dh(secret, public):
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(
            X25519PublicKey.from_public_bytes(public))
    except ValueError as e:
        raise NoiseError("low-order point") from e


class Handshake:
    """One side of a handshake. Statics and ephemerals are secrets of 32 bytes."""

    def __init__(self, initiator, prologue, static, remote=None, psk=bytes(32)):
        self.initiator, self.psk = initiator, psk
        self.s, self.rs = static, remote
        self.e = self.re = None
        self.turn = 0
        self.h = blake2s(NAME) if len(NAME) > 32 else NAME.ljust(32, b"\0")
        self.ck, self.k, self.n = self.h, None, 0
        self.mix_hash(prologue)
        self.mix_hash(remote if initiator else x25519_public(static))

    # Symmetric state

    def mix_hash(self, data):
        self.h = blake2s(self.h, data)

    def mix_key(self, ikm):
        self.ck, self.k = noise_kdf(self.ck, ikm, 2)
        self.n = 0

    def mix_key_and_hash(self, ikm):
        self.ck, temp, self.k = noise_kdf(self.ck, ikm, 3)
        self.mix_hash(temp)
        self.n = 0

    def nonce(self):
        self.n += 1
        return struct.pack("<IQ", 0, self.n - 1)

    def encrypt(self, plain):
        sealed = ChaCha20Poly1305(self.k).encrypt(self.nonce(), plain, self.h)
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed):
        try:
            plain = ChaCha20Poly1305(self.k).decrypt(self.nonce(), sealed, self.h)
        except InvalidTag as e:
            raise NoiseError("not authentic") from e
        self.mix_hash(sealed)
        return plain

    # Tokens

    def mix_dh(self, token):
        mine, other = token if self.initiator else reversed(token)
        secret = self.e if mine == "e" else self.s
        public = self.re if other == "e" else self.rs
        self.mix_key(dh(secret, public))

    def write_keys(self, ephemeral):
        """The keys of the next message, as a list of byte strings."""
        out = []
        for token in PATTERN[self.turn]:
            if token == "e":
                self.e = ephemeral
                out.append(x25519_public(ephemeral))
                self.mix_hash(out[-1])
                self.mix_key(out[-1])
            elif token == "s":
                out.append(self.encrypt(x25519_public(self.s)))
            elif token == "psk":
                self.mix_key_and_hash(self.psk)
            else:
                self.mix_dh(token)
        self.turn += 1
        return out

    def read_keys(self, *keys):
        """The inverse: keys as write_keys returned them."""
        keys = list(keys)
        for token in PATTERN[self.turn]:
            if token == "e":
                self.re = keys.pop(0)
                self.mix_hash(self.re)
                self.mix_key(self.re)
            elif token == "s":
                self.rs = self.decrypt(keys.pop(0))
            elif token == "psk":
                self.mix_key_and_hash(self.psk)
            else:
                self.mix_dh(token)
        self.turn += 1

    def split(self):
        """(send, receive)"""
        first, second = noise_kdf(self.ck, b"", 2)
        return (first, second) if self.initiator else (second, first)
