# SPDX-License-Identifier: MIT OR Apache-2.0
"""Control messages between peers: one deterministic CBOR map each (docs/protocol.md)."""
import ipaddress
import os

import cbor2

PROBE, ECHO, MOVE, CLOSE, CUT, ROUTES, WANT_ROUTES = range(1, 8)
TYPE, TOKEN, REASON, PAD, EVEN, VERSION, FIRST, TOTAL, PREFIXES = range(9)


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


def routes(version, prefixes=(), first=0, total=None):
    """Part of a table, from its prefix number `first` on; without prefixes its version alone."""
    nets = [ipaddress.ip_network(p) for p in prefixes]
    return encode({TYPE: ROUTES, VERSION: version, FIRST: first,
                   TOTAL: first + len(nets) if total is None else total,
                   PREFIXES: [[n.network_address.packed, n.prefixlen] for n in nets]})


def want_routes():
    return encode({TYPE: WANT_ROUTES})


def decode(payload):
    """The map; ValueError for what is not in its deterministic form."""
    fields = cbor2.loads(payload)
    if not isinstance(fields, dict) or encode(fields) != payload:
        raise ValueError("not deterministic CBOR")
    return fields
