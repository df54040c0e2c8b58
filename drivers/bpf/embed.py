#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Write a file as a C array: embed.py INPUT OUTPUT NAME."""

import sys


def main():
    source, target, name = sys.argv[1:]
    with open(source, "rb") as f:
        data = f.read()
    lines = [
        "/* SPDX-License-Identifier: MIT OR Apache-2.0 OR GPL-2.0-only */",
        "#include <stddef.h>",
        f"extern const unsigned char {name}[];",
        f"extern const size_t {name}_len;",
        f"_Alignas(8) const unsigned char {name}[] = {{",
    ]
    for at in range(0, len(data), 16):
        lines.append("\t" + "".join(f"{b}," for b in data[at : at + 16]))
    lines += ["};", f"const size_t {name}_len = {len(data)};", ""]
    with open(target, "w", encoding="ascii") as f:
        f.write("\n".join(lines))


main()
