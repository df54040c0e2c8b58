# SPDX-License-Identifier: MIT OR Apache-2.0
"""Of the file names on stdin, prints those that the compile commands in argv[1] know."""

import json
import os
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    known = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in json.load(f)}
for name in sys.stdin.read().split():
    if os.path.abspath(name) in known:
        print(name)
