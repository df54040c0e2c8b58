#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Write wireguard.txt, recorded WireGuard handshakes and data with fixed ephemerals, with the
Python implementation in tests/pywire. It first holds that one against the published figures."""
import hashlib
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from pywire import wireguard as wg  # noqa: E402

INIT_INDEX, RESP_INDEX = 0x11223344, 0xAABBCCDD
TIMESTAMP = bytes.fromhex("400000006a00000a075bcd15")


def check_published():
    for line in (HERE / "wireguard_kdf.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        key, data, *outs = [b"" if f == "-" else bytes.fromhex(f) for f in line.split(" ")]
        for n in (1, 2, 3):
            assert wg.kdf(n, key, data) == outs[:n]


def secret(label):
    return hashlib.blake2s(b"wireguard test secret " + label).digest()


def run(name, psk, lines):
    """One conversation: both messages are first answered with cookies, then taken."""
    init, resp = secret(b"initiator"), secret(b"responder")
    init_public, resp_public = wg.dh_public(init), wg.dh_public(resp)
    init_e, resp_e = secret(b"initiator e"), secret(b"responder e")
    cookies = [secret(b"cookie " + bytes([i]))[:16] for i in range(2)]
    nonces = [secret(b"nonce " + bytes([i]))[:24] for i in range(2)]

    def initiate(cookie=None):
        a = wg.Initiator(init, resp_public, psk)
        return a, a.initiation(INIT_INDEX, init_e, TIMESTAMP, cookie)

    def respond(message, cookie=None):
        b = wg.Responder(resp)
        assert b.open_initiation(message) == TIMESTAMP and b.remote == init_public
        return b, b.response(RESP_INDEX, resp_e, psk, cookie)

    a, plain_1 = initiate()
    reply_1 = wg.cookie_reply(resp_public, plain_1, cookies[0], nonces[0])
    assert a.open_cookie(reply_1) == cookies[0]
    a, message_1 = initiate(cookies[0])
    assert wg.mac2_valid(message_1, cookies[0]) and message_1[:-16] == plain_1[:-16]

    b, plain_2 = respond(message_1)
    reply_2 = wg.cookie_reply(init_public, plain_2, cookies[1], nonces[1])
    assert b.open_cookie(reply_2) == cookies[1]
    b, message_2 = respond(message_1, cookies[1])
    assert wg.mac2_valid(message_2, cookies[1])
    a.open_response(message_2)
    assert (a.send, a.recv, a.H) == (b.recv, b.send, b.H)

    near = wg.Session(a.send, a.recv, INIT_INDEX, RESP_INDEX)
    far = wg.Session(b.send, b.recv, RESP_INDEX, INIT_INDEX)
    packet = bytes(range(0x45, 0x45 + 53))
    keepalive, data = near.seal(), near.seal(packet)
    late = far.seal(packet, 0x0102030405060708)
    assert far.open(keepalive) == b"" and far.open(data) == packet + bytes(11)
    assert near.open(late) == packet + bytes(11)
    for field, value in (
            ("psk", psk), ("initiator_secret", init), ("initiator_public", init_public),
            ("responder_secret", resp), ("responder_public", resp_public),
            ("initiator_ephemeral", init_e), ("responder_ephemeral", resp_e),
            ("initiation", plain_1), ("initiation_cookie", cookies[0]),
            ("initiation_cookie_nonce", nonces[0]), ("initiation_cookie_reply", reply_1),
            ("initiation_with_cookie", message_1),
            ("response", plain_2), ("response_cookie", cookies[1]),
            ("response_cookie_nonce", nonces[1]), ("response_cookie_reply", reply_2),
            ("response_with_cookie", message_2),
            ("initiator_sends", a.send), ("responder_sends", b.send),
            ("keepalive", keepalive), ("packet", packet), ("data", data), ("late_data", late)):
        lines.append(f"{name}_{field} {value.hex()}")


def main():
    check_published()
    lines = [f"initiator_index {INIT_INDEX:08x}", f"responder_index {RESP_INDEX:08x}",
             f"timestamp {TIMESTAMP.hex()}"]
    run("plain", bytes(32), lines)
    run("psk", secret(b"psk"), lines)
    head = (
        "# SPDX-License-Identifier: MIT OR Apache-2.0",
        "# Made by tests/vectors/make_wireguard.py; not to be edited.",
        "# name value; indices as integers, all else as on the wire. keepalive has counter 0, data",
        "# (the packet, padded) 1, late_data of the responder 0x0102030405060708",
    )
    (HERE / "wireguard.txt").write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
