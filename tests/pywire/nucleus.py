# SPDX-License-Identifier: MIT OR Apache-2.0
"""Member records and the messages between an edge and a Nucleus (docs/protocol.md)."""
import ipaddress
import time

import cbor2
import nacl.bindings
import nacl.exceptions

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
