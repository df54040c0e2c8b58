#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Write omni_handshake.txt, recorded Omni handshakes with fixed ephemerals, with the Python
implementation in tests/pywire. It first holds that one against the public IKpsk2 vector."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from pywire import handshake, keytree, noise  # noqa: E402
from pywire.hashes import blake2s  # noqa: E402

INIT_ID, RESP_ID = 0x8000011122334455, 0x80000299AABBCCDD
TIMESTAMP = bytes.fromhex("400000006a00000a075bcd15")


def check_public_vector():
    v = {}
    for line in (HERE / "noise_ikpsk2.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, value = line.split(" ")
            v[name] = bytes.fromhex(value)
    a = noise.Handshake(True, v["init_prologue"], v["init_static"], v["init_remote_static"],
                        v["init_psk"])
    b = noise.Handshake(False, v["resp_prologue"], v["resp_static"], psk=v["resp_psk"])
    message = b"".join(a.write_keys(v["init_ephemeral"])) + a.encrypt(v["payload_1"])
    assert message == v["ciphertext_1"]
    b.read_keys(message[:32], message[32:80])
    assert b.decrypt(message[80:]) == v["payload_1"]
    message = b"".join(b.write_keys(v["resp_ephemeral"])) + b.encrypt(v["payload_2"])
    assert message == v["ciphertext_2"]
    a.read_keys(message[:32])
    assert a.decrypt(message[32:]) == v["payload_2"]
    assert a.h == b.h == v["handshake_hash"]
    assert a.split() == b.split()[::-1]


def secret(label):
    return blake2s(b"test secret " + label)


def run(purpose, out):
    """One handshake, a cookie reply between two initiations; appends (name, value) to out."""
    nucleus = purpose == "nucleus"
    prologue = handshake.PROLOGUE_NUCLEUS if nucleus else handshake.PROLOGUE
    cluster = keytree.Cluster("secret", "robotics", b"correct horse battery staple")
    init, resp = secret(b"initiator"), secret(b"responder")
    init_public, resp_public = keytree.x25519_public(init), keytree.x25519_public(resp)
    init_e, resp_e = secret(b"initiator e"), secret(b"responder e")
    psk = bytes(32) if nucleus else cluster.psk(init_public, resp_public)
    proof_key = None if nucleus else cluster.proof_key
    ip = b"\0" * 10 + b"\xff\xff"
    cookie = secret(b"cookie")[:16]
    nonce = secret(b"nonce")[:24]

    def offer():
        if nucleus:
            return handshake.Offer(TIMESTAMP, cluster.id, bytes(16), 1, 1, b"\x02\0", 1, 1, 1200, 0)
        return handshake.Offer(TIMESTAMP, cluster.id, ip + bytes([10, 200, 0, 1]), 1, 1,
                               b"\x01\x02", 3, 64, 9000, 3)

    a = handshake.Initiator(init, resp_public, psk, prologue)
    plain = a.initiation(INIT_ID, init_e, offer(), proof_key)
    reply = handshake.cookie_reply(resp_public, plain, cookie, nonce)
    assert a.open_cookie(reply) == cookie

    a = handshake.Initiator(init, resp_public, psk, prologue)
    initiation = a.initiation(INIT_ID, init_e, offer(), proof_key, cookie)
    assert handshake.mac2_valid(initiation, cookie)
    b = handshake.Responder(resp, prologue)
    got = b.open_initiation(initiation)
    assert b.remote == init_public and b.peer_session_id == INIT_ID
    assert got.proof == bytes(32) if nucleus else b.proof_valid(cluster.proof_key)
    if nucleus:
        answer = handshake.Answer(0, 1, 2, 1, 1, 1200, 0, bytes(16))
    else:
        answer = handshake.Answer(0, 1, 1, 2, 4, 1514, 1, ip + bytes([10, 200, 0, 2]))
    response = b.response(RESP_ID, resp_e, answer, psk)
    assert a.open_response(response) == answer
    assert (a.send, a.recv) == (b.recv, b.send)

    for name, value in (
            ("prologue", prologue), ("initiator_secret", init), ("initiator_public", init_public),
            ("responder_secret", resp), ("responder_public", resp_public),
            ("initiator_ephemeral", init_e), ("responder_ephemeral", resp_e),
            ("cluster_id", cluster.id), ("proof_key", proof_key or b""), ("psk", psk),
            ("proof_hash", b.proof_hash), ("initiation_no_cookie", plain),
            ("cookie", cookie), ("cookie_nonce", nonce), ("cookie_reply", reply),
            ("initiation", initiation), ("response", response),
            ("handshake_hash", a.noise.h),
            ("initiator_sends", a.send), ("responder_sends", b.send)):
        out.append(f"{purpose}_{name} {value.hex() or '-'}")


def main():
    check_public_vector()
    lines = [f"initiator_session_id {INIT_ID:016x}", f"responder_session_id {RESP_ID:016x}",
             f"timestamp {TIMESTAMP.hex()}"]
    run("peer", lines)
    run("nucleus", lines)
    head = (
        "# SPDX-License-Identifier: MIT OR Apache-2.0",
        "# Made by tests/vectors/make_handshake.py; not to be edited.",
        "# name value; the payloads' fields stand in run() of that script",
    )
    (HERE / "omni_handshake.txt").write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
