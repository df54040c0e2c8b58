#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Turn public test vectors into the compact line format of tests/vectors/*.txt.

usage: import.py FOLDER

FOLDER holds wycheproof/*_test.json, noise/cacophony-25519.json and cbor/appendix_a.json as they
were published. Each line of the output is one record: fields separated by one space, byte strings
in hexadecimal, "-" for an empty one. Lines that begin with "#" are comments.
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent

APACHE = "SPDX-License-Identifier: Apache-2.0"
WYCHEPROOF = "C2SP/wycheproof, testvectors_v1/{}, commit dac1dd47"
CACOPHONY = "haskell-cryptography/cacophony, vectors/cacophony.txt, commit 8ee9d41e"
CBOR = "cbor/test-vectors, appendix_a.json: the examples of RFC 8949, appendix A"


def field(text):
    return text if text else "-"


def flags(test):
    return ",".join(test["flags"]) if test["flags"] else "-"


def write(name, licence, source, about, lines):
    head = [
        f"# {licence}",
        f"# Source: {source}",
        "# Made by tests/vectors/import.py; not to be edited.",
        f"# {about}",
    ]
    (HERE / name).write_text("\n".join(head + lines) + "\n", encoding="utf-8")
    print(f"{name}: {len(lines)} lines")


def wycheproof(folder, stem):
    path = folder / "wycheproof" / f"{stem}_test.json"
    return json.loads(path.read_text(encoding="utf-8"))["testGroups"]


def x25519(folder):
    lines = [
        " ".join([str(t["tcId"]), t["result"], t["private"], t["public"], t["shared"], flags(t)])
        for g in wycheproof(folder, "x25519")
        for t in g["tests"]
    ]
    write("x25519.txt", APACHE, WYCHEPROOF.format("x25519_test.json"),
          "tcId result private public shared flags", lines)


def aead(folder, stem, name, iv_bits):
    """256-bit keys, one nonce size and 128-bit tags only: what the wire uses."""
    lines = []
    for g in wycheproof(folder, stem):
        if (g["keySize"], g["ivSize"], g["tagSize"]) != (256, iv_bits, 128):
            continue
        for t in g["tests"]:
            parts = [field(t[k]) for k in ("key", "iv", "aad", "msg", "ct", "tag")]
            lines.append(" ".join([str(t["tcId"]), t["result"], *parts, flags(t)]))
    write(name, APACHE, WYCHEPROOF.format(f"{stem}_test.json")
          + f", groups of 256-bit keys, {iv_bits}-bit nonces, 128-bit tags",
          "tcId result key nonce aad msg ct tag flags", lines)


def ed25519(folder):
    lines = []
    for g in wycheproof(folder, "ed25519"):
        public = g["publicKey"]["pk"]
        for t in g["tests"]:
            lines.append(" ".join([str(t["tcId"]), t["result"], public, field(t["msg"]),
                                   field(t["sig"]), flags(t)]))
    write("ed25519.txt", APACHE, WYCHEPROOF.format("ed25519_test.json"),
          "tcId result public msg signature flags", lines)


def noise(folder):
    path = folder / "noise" / "cacophony-25519.json"
    wanted = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
    vectors = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    vector = next(v for v in vectors if v["protocol_name"] == wanted)
    lines = []
    for key in ("init_prologue", "init_static", "init_ephemeral", "init_remote_static",
                "resp_prologue", "resp_static", "resp_ephemeral", "handshake_hash"):
        lines.append(f"{key} {field(vector[key])}")
    lines.append(f"init_psk {vector['init_psks'][0]}")
    lines.append(f"resp_psk {vector['resp_psks'][0]}")
    for i, message in enumerate(vector["messages"], 1):
        lines.append(f"payload_{i} {field(message['payload'])}")
        lines.append(f"ciphertext_{i} {message['ciphertext']}")
    write("noise_ikpsk2.txt", "Licence: public domain", CACOPHONY,
          f"{wanted}: name value; messages 1 and 2 are the handshake, then alternating", lines)


def cbor(folder):
    path = folder / "cbor" / "appendix_a.json"
    lines = []
    for item in json.loads(path.read_text(encoding="utf-8")):
        if "diagnostic" in item:
            kind, text = "diagnostic", item["diagnostic"]
        else:
            kind, text = "json", json.dumps(item["decoded"], separators=(",", ":"))
        lines.append(f"{item['hex']} {int(item['roundtrip'])} {kind} {text}")
    write("cbor.txt", "Licence: as upstream", CBOR,
          "hex, 1 where encoding again gives the same bytes, then to the end of the line the "
          "value as `json TEXT` or `diagnostic TEXT`", lines)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    x25519(folder)
    aead(folder, "chacha20_poly1305", "chacha20_poly1305.txt", 96)
    aead(folder, "aes_gcm", "aes256_gcm.txt", 96)
    aead(folder, "xchacha20_poly1305", "xchacha20_poly1305.txt", 192)
    ed25519(folder)
    noise(folder)
    cbor(folder)


if __name__ == "__main__":
    main()
