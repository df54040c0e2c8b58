#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Write keytree.txt with the Python implementation in tests/pywire. No arguments."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from pywire import keytree  # noqa: E402
from pywire.hashes import blake2s  # noqa: E402

RECORD = b"omni record v1\0" + b"a record's bytes"
CLUSTERS = (
    ("secret", "robotics", b"correct horse battery staple"),
    ("secret", "a", b"0123456789abcdef"),
    ("secret", "züri-☃-🤖", bytes(range(32))),
    ("secret", "n" * 64, b"p" * 300),
    ("open", "robotics", b""),
    ("open", "o" * 64, b""),
    ("static", "robotics", b""),
)


def seed(label):
    return blake2s(b"test seed " + label)


def main():
    lines = []
    members = [keytree.Identity(seed(bytes([i]))) for i in range(4)]
    for i, member in enumerate(members):
        lines.append(" ".join(["identity", member.seed.hex(), member.sign_public.hex(),
                               member.secret.hex(), member.public.hex(),
                               keytree.vip_auto(member.public).hex()]))
    for i, (kind, name, secret) in enumerate(CLUSTERS):
        cluster = keytree.Cluster(kind, name, secret)
        a, b = members[i % 4].public, members[(i + 1) % 4].public
        signature = cluster.sign(RECORD).hex() if cluster.seed else "-"
        proof = cluster.proof_key.hex() if cluster.proof_key else "-"
        lines.append(" ".join(["cluster", kind, name.encode().hex(), secret.hex() or "-",
                               cluster.id.hex(), proof, a.hex(), b.hex(),
                               cluster.psk(a, b).hex(), signature]))
    head = (
        "# SPDX-License-Identifier: MIT OR Apache-2.0",
        "# Made by tests/vectors/make_keytree.py; not to be edited.",
        "# identity seed ed25519_public x25519_secret x25519_public vip_auto",
        "# cluster kind name secret id proof_key key_a key_b psk signature_by_cluster_key",
        f"# what is signed: {RECORD.hex()}",
    )
    (HERE / "keytree.txt").write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
