# SPDX-License-Identifier: MIT OR Apache-2.0
"""Control messages between peers: one deterministic CBOR map each (docs/protocol.md)."""
import os

import cbor2

PROBE, ECHO, MOVE, CLOSE, CUT = 1, 2, 3, 4, 5
TYPE, TOKEN, REASON, PAD, EVEN = range(5)


def encode(fields):
    return cbor2.dumps(fields, canonical=True)


def probe(token=None, size=0):
    """A PROBE, padded to exactly `size` bytes if given."""
    fields = {TYPE: PROBE, TOKEN: token or os.urandom(8)}
    if not size:
        return encode(fields)
    for even in ({}, {EVEN: 0}):
        for n in range(size, -1, -1):
            raw = encode({**fields, PAD: bytes(n), **even})
            if len(raw) == size:
                return raw
            if len(raw) < size:
                break
    raise ValueError(f"no padding makes a PROBE of {size} bytes")


def echo(token):
    return encode({TYPE: ECHO, TOKEN: token})


def move(token=None):
    return encode({TYPE: MOVE, TOKEN: token or os.urandom(8)})


def close(reason=0):
    return encode({TYPE: CLOSE, REASON: reason})


def cut():
    return encode({TYPE: CUT})


def decode(payload):
    """The map; ValueError for what is not in its deterministic form."""
    fields = cbor2.loads(payload)
    if not isinstance(fields, dict) or encode(fields) != payload:
        raise ValueError("not deterministic CBOR")
    return fields
