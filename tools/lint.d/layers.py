# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks that includes and meson dependencies follow the layers. Reads file names from stdin."""

import re
import sys

# Who may include whom. A library not named here is an error: put it into its place first.
LAYERS = {
    "base": "",
    "wire": "base",
    "config": "wire base",
    "mgmt": "base",
    "crypto": "wire base",
    "aead": "base",
    "replay": "wire base",
    "noise": "crypto wire base",
    "signal": "crypto wire base",
    "rcu": "base",
    "stats": "base",
    "xring": "wire base",
    "port": "base",
    "segment": "wire base",
    "fdb": "rcu base",
    "fib": "rcu base",
    "session": "aead replay rcu wire base",
    "nucleus": "noise signal replay crypto wire base",
    "node": "aead session fdb fib port segment xring stats rcu replay wire base",
    "ctl": "config mgmt noise signal aead session fdb fib port xring stats rcu crypto wire base",
    "drivers": "port segment base",
}

# Programs wire things together, so they see everything except for these, which stay small.
APPS = {
    "nucleus": "nucleus noise signal replay crypto wire base",
    "omnictl": "config crypto wire base",
}

# Libraries that know nothing of DPDK: they run in the Nucleus, in tools and in plain tests.
NO_DPDK = "base wire config mgmt crypto aead replay noise signal stats nucleus segment".split()

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
DEPENDENCY = re.compile(r"\b(\w+)_dep\b")


def place(path):
    """The library (or app/NAME) that a path belongs to, or None where no layer rules it."""
    parts = path.split("/")
    if parts[0] == "lib" and len(parts) > 2:
        return parts[1]
    if parts[0] == "drivers":
        return "drivers"
    if parts[0] == "app" and len(parts) > 2:
        return "app/" + parts[1]
    return None


def allowed_for(lib):
    if lib.startswith("app/"):
        name = lib[len("app/"):]
        # The gateway is also a door to the Nucleus (dpdk-omni --mode nucleus).
        return set(APPS[name].split()) if name in APPS else set(LAYERS) | {"app/nucleus"}
    return set(LAYERS[lib].split())


def has_dpdk(lib):
    return not (lib in NO_DPDK or lib in ("app/nucleus", "app/omnictl"))


def check(path, lib, owners, owners_by_path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    allowed = allowed_for(lib) | {lib}
    if path.endswith("meson.build"):
        used = [(d, d) for d in DEPENDENCY.findall(text) if d in LAYERS]
        dpdk = "dpdk_dep" in text
    else:
        here = {p.split("/")[-1] for p, o in owners_by_path.items() if o == lib}
        names = [n for n in INCLUDE.findall(text) if n not in here]
        used = [(n, owners[n.split("/")[-1]]) for n in names if n.split("/")[-1] in owners]
        dpdk = any(n.startswith("rte_") for n in names)
        for name, owner in used:
            if owner != lib and not name.startswith("omni_"):
                yield f"{path}: includes {name}, which is private to {owner}"
    for name, owner in used:
        if owner not in allowed:
            yield f"{path}: {lib} may not use {name} of {owner}"
    if dpdk and not has_dpdk(lib):
        yield f"{path}: {lib} is free of DPDK"


def main():
    placed = [(p, place(p)) for p in sys.stdin.read().split()]
    placed = [(p, lib) for p, lib in placed if lib is not None]
    headers = {p: lib for p, lib in placed if p.endswith(".h")}
    # A name of a library counts before the same name in a program.
    owners = {p.split("/")[-1]: lib for p, lib in
              sorted(headers.items(), key=lambda h: not h[1].startswith("app/"))}
    faults = []
    for path, lib in placed:
        if not lib.startswith("app/") and lib not in LAYERS:
            faults.append(f"{path}: {lib} has no place in the table of tools/lint.d/layers.py")
            continue
        if path.startswith("drivers/bpf/"):
            continue
        faults.extend(check(path, lib, owners, headers))
    print("\n".join(faults))
    return 1 if faults else 0


sys.exit(main())
