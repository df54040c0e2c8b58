# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks licence lines, sizes of files and functions, and words that mark unfinished work.

Reads file names from stdin.
"""

import re
import sys

SPDX = "SPDX-License-Identifier: "
FILE_MAX = 800  # lines
FUNCTION_MAX = 110  # lines, braces included
SOURCE = re.compile(r"\.(c|h|py|sh|yaml|yml|service|in)$|(^|/)meson(\.build|_options\.txt)$")
CODE = re.compile(r"\.(c|h|py|sh)$")
GENERATED = re.compile(r"^tests/vectors/.*\.txt$")
# In two halves, so that this file passes its own check.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


def functions(lines):
    """(first line, length) of each function body: a brace alone in column 0 to its end."""
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            yield start, i - start + 1
            start = None


def check(path):
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read()
    except UnicodeDecodeError:
        return
    lines = text.splitlines()
    script = text.startswith("#!")
    if (SOURCE.search(path) or script) and lines:
        if not any(SPDX in line for line in lines[:3]):
            yield f"{path}:1: no SPDX line among the first three"
    if (CODE.search(path) or script) and len(lines) > FILE_MAX:
        yield f"{path}: {len(lines)} lines, at most {FILE_MAX}"
    if path.endswith((".c", ".h")):
        for start, length in functions(lines):
            if length > FUNCTION_MAX:
                yield f"{path}:{start}: a function of {length} lines, at most {FUNCTION_MAX}"
    if not GENERATED.match(path):
        for i, line in enumerate(lines):
            if UNFINISHED.search(line):
                yield f"{path}:{i + 1}: unfinished: {line.strip()}"


def main():
    faults = [f for p in sys.stdin.read().splitlines() for f in check(p)]
    print("\n".join(faults))
    return 1 if faults else 0


sys.exit(main())
