#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Write hash.txt (BLAKE2s, HMAC, HKDF, Noise's KDF) with Python's hashlib and hmac. No arguments."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from pywire import hashes  # noqa: E402


def pattern(length, start):
    return bytes((start + 7 * i) & 255 for i in range(length))


def hexed(data):
    return data.hex() or "-"


def main():
    lines = []
    for key_len in (0, 1, 16, 31, 32):
        for size in (1, 16, 31, 32):
            for length in (0, 1, 63, 64, 65, 127, 128, 129, 480):
                key, data = pattern(key_len, 3), pattern(length, 5)
                digest = hashes.blake2s(data, key=key, size=size)
                lines.append(f"blake2s {hexed(key)} {hexed(data)} {digest.hex()}")
    for key_len in (0, 1, 32, 63, 64, 65, 200):
        for length in (0, 1, 64, 100):
            key, data = pattern(key_len, 9), pattern(length, 11)
            lines.append(f"hmac {hexed(key)} {hexed(data)} {hashes.hmac_blake2s(key, data).hex()}")
    for salt_len, info_len, size in ((0, 0, 32), (0, 15, 32), (0, 80, 1), (8, 3, 33), (32, 0, 64),
                                     (80, 20, 100), (0, 11, 255 * 32)):
        salt, ikm, info = pattern(salt_len, 1), pattern(32, 2), pattern(info_len, 4)
        out = hashes.hkdf(ikm, info, size, salt)
        lines.append(f"hkdf {hexed(salt)} {ikm.hex()} {hexed(info)} {out.hex()}")
    for length in (0, 32):
        ck, ikm = pattern(32, 6), pattern(length, 8)
        outs = hashes.noise_kdf(ck, ikm, 3)
        lines.append(f"kdf {ck.hex()} {hexed(ikm)} " + " ".join(o.hex() for o in outs))
    head = (
        "# SPDX-License-Identifier: MIT OR Apache-2.0",
        "# Made by tests/vectors/make_hash.py; not to be edited.",
        "# blake2s key in digest | hmac key in digest | hkdf salt ikm info out | kdf ck in a b c",
    )
    (HERE / "hash.txt").write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
