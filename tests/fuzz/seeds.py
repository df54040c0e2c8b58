#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Write first inputs for the fuzz targets: seeds.py FOLDER makes FOLDER/TARGET/..."""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from pywire import nucleus  # noqa: E402
from pywire.keytree import Cluster, Identity  # noqa: E402


def vectors(file="omni_protocol.txt"):
    for line in (TESTS / "vectors" / file).read_text().splitlines():
        if line[0] != "#":
            name, value = line.split(" ")
            yield name, bytes.fromhex(value.replace("-", ""))


def join(edge, vip):
    """Steps of fuzz_nucleus: hello, handshake, REGISTER."""
    return bytes([edge << 6 | 4, edge << 6 | 5, edge << 6 | 6, vip])


def sealed(edge, message):
    n = len(message)
    return bytes([edge << 6 | 1]) + (bytes([n]) if n < 255 else b"\xff" + n.to_bytes(2, "big")) \
        + message


def signal():
    return {name: value for name, value in vectors() if value[:1] and value[0] >> 5 in (4, 5)}


def nucleus_steps():
    cluster, box = Cluster("open", "demo"), Identity(bytes(32))
    record = nucleus.sign_record(
        nucleus.record_fields(cluster.id, box.sign_public, "10.0.0.1", issued=1700000000),
        box.seed + box.sign_public, cluster.seed + cluster.id)
    out = {f"sealed_{name}": join(0, 0) + join(1, 1) + sealed(0, value)
           for name, value in signal().items()}
    out["all"] = b"".join(join(i, i) for i in range(4)) + bytes([7, 2, 0, 1, 1, 0, 0, 0]) * 3 \
        + bytes([7, 6, 1, 2, 2, 0, 0, 0, 8, 1, 7, 4, 0, 0, 0, 0, 0, 0, 9, 100, 9, 100]) + join(0, 1)
    out["record"] = join(0, 0) + sealed(0, nucleus.register(1, record))
    out["plain"] = bytes([0, 128]) + b"\x08" + bytes(127) + bytes([0, 20]) \
        + bytes.fromhex("000100002112a442") + bytes(12)
    return out


def config():
    texts = {p.name: p.read_text() for p in (TESTS.parent / "config").rglob("*.yaml")}
    return {name: re.sub(r"psk-file: *\S+,?", "", re.sub(
        r"secret-file: *\S+", 'secret: "0123456789abcdef"', text)).encode()
            for name, text in texts.items()}


def wg_quick():
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    return {"full": f"""\
[Interface]
PrivateKey = {key}
Address = 10.7.0.1, fd00:7::1/64
ListenPort = 51820
Table = 0x10
MTU = 1400
DNS = 1.1.1.1
PostUp = true
# phone
[Peer]
PublicKey = {key}
PresharedKey = {key}
AllowedIPs = 0.0.0.0/0, fd00:7::5
Endpoint = [2001:db8::1]:51820
PersistentKeepalive = 25
[peer]
publickey=QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2A=
allowedips=fd00:7::5
""".encode()}


def rpc():
    call = '{"jsonrpc":"2.0","id":1,"method":"echo","params":{"text":"x","number":3}}'
    batch = f'[{call},{{"jsonrpc":"2.0","method":"methods"}}]'
    return {"one": call.encode(), "batch": batch.encode()}


def link():
    """A request and a reply of ARP, a solicitation, an advertisement."""
    host, us = bytes([2, 0, 0, 0, 0, 0x11]), bytes([6, 0, 0, 0, 0, 0x33])
    near, ours = bytes([10, 2, 0, 5]), bytes([10, 2, 0, 1])
    local, target = bytes.fromhex("fe80" + "00" * 14), bytes.fromhex("fd000001" + "00" * 11 + "01")
    group = bytes.fromhex("ff02" + "00" * 9 + "01ff000001")

    def arp(op):
        return us + host + bytes([8, 6, 0, 1, 8, 0, 6, 4, 0, op]) + host + near + us + ours

    def nd(kind, flags, to):
        body = bytes([flags, 0, 0, 0]) + target + bytes([kind - 134, 1]) + host
        words = local + to + bytes([0, 32, 0, 58, kind, 0]) + body
        total = sum(int.from_bytes(words[i:i + 2], "big") for i in range(0, len(words), 2))
        check = ~(total % 0xffff) & 0xffff
        return us + host + bytes([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]) + local + to \
            + bytes([kind, 0]) + check.to_bytes(2, "big") + body

    return {"ask": arp(1), "answer": arp(2), "solicitation": nd(135, 0, group),
            "advertisement": nd(136, 0x60, local)}


def wg():
    """Messages as they are, and bytes to write over the target's own."""
    kinds = {"initiation": 0, "response": 1, "initiation_cookie_reply": 2,
             "response_cookie_reply": 3}
    out = {name: bytes([kinds[name.removeprefix("psk_")]]) + value
           for name, value in vectors("wireguard.txt") if name.removeprefix("psk_") in kinds}
    out |= {f"over_{i}": bytes([0x80 | i, 6, 0]) for i in range(4)}
    return out


def main():
    folder = pathlib.Path(sys.argv[1])
    for target, inputs in (("signal", signal()), ("nucleus", nucleus_steps()), ("rpc", rpc()),
                           ("handshake", {str(i): bytes([i, 0, 2, 1, 1, 1, 1, 5, 234])
                                          for i in range(4)}), ("config", config()),
                           ("wg", wg()), ("link", link()), ("wg_quick", wg_quick())):
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, value in inputs.items():
            (folder / target / name).write_bytes(value)


if __name__ == "__main__":
    main()
