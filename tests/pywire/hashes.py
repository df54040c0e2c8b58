# SPDX-License-Identifier: MIT OR Apache-2.0
"""BLAKE2s and what is built on it, over hashlib and hmac."""
import hashlib
import hmac


def blake2s(*parts, key=b"", size=32):
    h = hashlib.blake2s(key=key, digest_size=size)
    for part in parts:
        h.update(part)
    return h.digest()


def hmac_blake2s(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def hkdf(ikm, info, length=32, salt=b""):
    """RFC 5869. An empty salt counts as a block of zeros."""
    prk = hmac_blake2s(salt or bytes(32), ikm)
    out, block, i = b"", b"", 0
    while len(out) < length:
        i += 1
        block = hmac_blake2s(prk, block + info + bytes([i]))
        out += block
    return out[:length]


def noise_kdf(chaining_key, ikm, count):
    """Noise's HKDF: count outputs of 32 bytes."""
    temp = hmac_blake2s(chaining_key, ikm)
    outs, last = [], b""
    for i in range(1, count + 1):
        last = hmac_blake2s(temp, last + bytes([i]))
        outs.append(last)
    return outs
