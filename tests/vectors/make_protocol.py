#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Write omni_protocol.txt, the transcript that docs/protocol.md prints, with the Python
implementation in tests/pywire; omni_handshake.txt must be there. `--document` also writes the
transcript into the document, between its two marks."""
import pathlib
import struct
import sys
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from pywire import control, data, handshake, nucleus  # noqa: E402
from pywire.hashes import blake2s  # noqa: E402
from pywire.keytree import Cluster, Identity, vip_auto  # noqa: E402

DOCUMENT = HERE.parent.parent / "docs" / "protocol.md"
BEGIN, END = "<!-- transcript: begin -->\n", "<!-- transcript: end -->\n"
ISSUED = 1700000000
EPOCH = [bytes.fromhex("0102030405060708"), 7]


def read(name):
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    pairs = (line.split(" ") for line in lines if line and line[0] != "#")
    return {k: b"" if v == "-" else bytes.fromhex(v) for k, v in pairs}


def secret(label):
    return blake2s(b"test secret " + label)


def keys(out):
    cluster = Cluster("secret", "robotics", b"correct horse battery staple")
    a, b = Identity(secret(b"seed a")), Identity(secret(b"seed b"))
    out["Keys of a cluster"] = {
        "cluster_name": b"robotics",
        "cluster_secret": b"correct horse battery staple",
        "argon2id_salt": blake2s(b"omni cluster v1", b"robotics")[:16],
        "root": cluster.root, "cluster_seed": cluster.seed, "cluster_id": cluster.id,
        "proof_key": cluster.proof_key,
        "open_cluster_id": Cluster("open", "robotics").id,
        "static_cluster_id": Cluster("static", "robotics").id,
    }
    out["Two members"] = {
        "a_seed": a.seed, "a_ed25519": a.sign_public, "a_x25519_secret": a.secret,
        "a_x25519": a.public, "a_vip_auto": vip_auto(a.public),
        "b_seed": b.seed, "b_x25519": b.public, "psk_a_b": cluster.psk(a.public, b.public),
    }
    return cluster, a, b


def record(cluster, a, out):
    fields = nucleus.record_fields(cluster.id, a.sign_public, "10.200.0.1",
                                   [("192.0.2.1", 51820), ("2001:db8::1", 51820)], 1, ISSUED)
    signed = nucleus.sign_record(fields, a.seed + a.sign_public, cluster.seed + cluster.id)
    out["A's member record"] = {
        "record_bytes": signed[0], "record_signature_of_identity": signed[1],
        "record_signature_of_cluster": signed[2], "record": nucleus.encode(signed),
    }
    return signed


def hello(recorded, out):
    nonce = secret(b"hello")[:16]
    out["Nucleus hello"] = {
        "hello": (b"\x08" + bytes(7) + nonce).ljust(128, b"\0"),
        "hello_answer": b"\x08\x01" + bytes(6) + nonce + recorded["nucleus_responder_public"]
        + recorded["nucleus_cookie"],
    }


def handshakes(recorded, out):
    shown = {}
    for purpose in ("peer", "nucleus"):
        def get(name, purpose=purpose):
            return recorded[f"{purpose}_{name}"]
        b = handshake.Responder(get("responder_secret"), get("prologue"))
        b.noise.read_keys(get("initiation")[16:48], get("initiation")[48:96])
        shown[f"{purpose}_initiation_payload"] = b.noise.decrypt(get("initiation")[96:480])
        b.peer_session_id = int.from_bytes(get("initiation")[8:16], "big")
        b.noise.psk = get("psk")
        b.noise.write_keys(get("responder_ephemeral"))
        shown[f"{purpose}_response_payload"] = b.noise.decrypt(get("response")[56:160])
    out["Payloads of the handshakes"] = shown


def messages(cluster, b, rec, out):
    seen = [bytes([198, 51, 100, 7]), 40000]
    peer = [bytes([10, 200, 0, 2]), b.public]
    e = nucleus.encode
    n = nucleus
    out["Nucleus messages"] = {
        "register": n.register(1, rec),
        "register_ack": e({n.TYPE: n.REGISTER_ACK, n.ID: 1, n.RESULT: 0, n.SEEN: seen,
                           n.REGISTRATION: 0x12345678, n.LEASE: 90, n.EPOCH: EPOCH, n.COUNT: 2}),
        "register_refused": e({n.TYPE: n.REGISTER_ACK, n.ID: 1, n.RESULT: 1}),
        "heartbeat": n.heartbeat(2, 0x12345678, 1, EPOCH),
        "heartbeat_ack": e({n.TYPE: n.HEARTBEAT_ACK, n.ID: 2, n.EPOCH: [EPOCH[0], 9],
                            n.PEERS: [peer], n.REMOVED: [bytes([10, 200, 0, 3])], n.MORE: True}),
        "heartbeat_ack_resync": e({n.TYPE: n.HEARTBEAT_ACK, n.ID: 2, n.EPOCH: EPOCH,
                                   n.RESYNC: True}),
        "list": n.list_members(3),
        "list_ack": e({n.TYPE: n.LIST_ACK, n.ID: 3, n.EPOCH: EPOCH, n.PEERS: [peer],
                       n.CURSOR: 20}),
        "query_vip": n.query(4, vip="10.200.0.1"),
        "query_key": n.query(5, key=b.public),
        "peer_info": e({n.TYPE: n.PEER_INFO, n.ID: 4, n.FOUND: True, n.RECORD: rec,
                        n.SEEN: seen}),
        "peer_info_none": e({n.TYPE: n.PEER_INFO, n.ID: 5, n.FOUND: False}),
        "punch": e({n.TYPE: n.PUNCH, n.RECORD: rec, n.SEEN: seen}),
        "bye": n.bye(0x12345678),
        "error": e({n.TYPE: n.ERROR, n.ID: 6, n.CODE: 2, n.TEXT: "not registered"}),
    }
    return cluster


def controls(out):
    token = bytes.fromhex("a1a2a3a4a5a6a7a8")
    out["Control messages"] = {
        "probe": control.probe(token), "probe_of_24": control.probe(token, 24),
        "probe_of_39": control.probe(token, 39), "probe_of_40": control.probe(token, 40),
        "echo": control.echo(token), "move": control.move(token), "close": control.close(1),
        "cut": control.cut(),
        "routes": control.routes(7, ["10.1.0.0/16", "fd00:1::/32"], 1, 4),
        "routes_version": control.routes(7, total=4), "want_routes": control.want_routes(),
    }


def segment():
    """Of TCP, with 200 bytes of payload and the checksum of its pseudo header alone."""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 240, 7, 0x4000, 64, 6, 0, bytes([10, 200, 0, 1]),
                     bytes([10, 200, 0, 2]))
    ip = ip[:10] + struct.pack(">H", data.checksum(ip)) + ip[12:]
    pseudo = ip[12:] + struct.pack(">II", 220, 6)
    tcp = struct.pack(">HHIIBBHHH", 40000, 5201, 1, 1, 0x50, 0x18, 502,
                      ~data.checksum(pseudo) & 0xffff, 0)
    return bytes.fromhex("0202020202020202020202010800") + ip + tcp + bytes(range(200))


def sealed(recorded, out):
    """Everything goes from initiator to responder; bundle, fragments and so on by their kind."""
    session = int.from_bytes(recorded["responder_session_id"], "big")
    key = recorded["peer_initiator_sends"]
    frame = bytes.fromhex("0202020202020202020202010800") + bytes(range(46))
    first, second = bytes(range(256)), bytes(range(44))
    tcp = segment()
    plain = {
        "frame": (data.FRAME, 2, 5, frame),
        "bundle": (data.BUNDLE, 1, 6, b"\0\x3c" + frame + b"\0\x05" + b"small"),
        "fragment_1": (data.FRAGMENT, 1, 7, bytes.fromhex("00000009 0000 012c") + first),
        "fragment_2": (data.FRAGMENT, 1, 8, bytes.fromhex("00000009 0100 012c") + second),
        "segment_1": (data.SEGMENT, 1, 9, bytes.fromhex("0000000a 0000 00fe 0064 0000") +
                      tcp[:150]),
        "segment_2": (data.SEGMENT, 1, 10, bytes.fromhex("0000000a 0096 00fe 0064 0000") +
                      tcp[150:]),
        "control": (data.CONTROL, 0, 0, out["Control messages"]["probe"]),
        "keepalive": (data.KEEPALIVE, 0, 1, b""),
    }
    shown = {"data_key": key, "data_session_id": recorded["responder_session_id"]}
    for name, (kind, lane, sequence, payload) in plain.items():
        shown[f"{name}_plain"] = payload
        shown[f"{name}_header"] = data.header(session, sequence, lane, kind)
        shown[f"{name}_nonce"] = data.nonce_of(shown[f"{name}_header"])
        for cipher, suffix in ((1, "aesgcm"), (2, "chachapoly")):
            sender = data.Sender(cipher, key, session)
            shown[f"{name}_{suffix}"] = sender.seal(kind, payload, lane, sequence)
    sender = data.Sender(2, recorded["nucleus_initiator_sends"], session)
    shown["register_sealed"] = sender.seal(data.CONTROL, out["Nucleus messages"]["register"], 0, 0)
    out["Data messages"] = shown


def transcript():
    recorded = read("omni_handshake.txt")
    out = {}
    cluster, a, b = keys(out)
    rec = record(cluster, a, out)
    shown = ("initiator_session_id", "responder_session_id", "timestamp")
    out["Recorded handshakes"] = {k: v for k, v in recorded.items()
                                  if k in shown or k.startswith(("peer_", "nucleus_"))}
    handshakes(recorded, out)
    hello(recorded, out)
    messages(cluster, b, rec, out)
    controls(out)
    sealed(recorded, out)
    return out


def block(values):
    lines = ["```transcript"]
    for name, value in values.items():
        text = value.hex() or "-"
        if len(name) + len(text) < 96:
            lines.append(f"{name} {text}")
            continue
        lines += [name] + textwrap.wrap(text, 96, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines + ["```"]) + "\n"


def as_document(out):
    return BEGIN + "".join(f"\n### {title}\n\n{block(values)}" for title, values in out.items()) \
        + "\n" + END


def main():
    out = transcript()
    head = ["# SPDX-License-Identifier: MIT OR Apache-2.0",
            "# Made by tests/vectors/make_protocol.py; not to be edited.",
            "# name value; docs/protocol.md prints the same"]
    lines = [f"{k} {v.hex() or '-'}" for title, values in out.items()
             if title != "Recorded handshakes" for k, v in values.items()]
    (HERE / "omni_protocol.txt").write_text("\n".join(head + lines) + "\n", encoding="utf-8")
    if "--document" in sys.argv:
        text = DOCUMENT.read_text(encoding="utf-8")
        text = text[:text.index(BEGIN)] + as_document(out) + text[text.index(END) + len(END):]
        DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
