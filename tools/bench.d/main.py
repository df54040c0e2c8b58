#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The work behind tools/bench: everything but the datapath scenario."""
import argparse
import importlib
import os
import signal
import subprocess
import sys
import tempfile

import check
import figure
import lab
import report

SCENARIOS = ("peers", "wire", "latency", "ports", "scale", "shaped", "reconnect")
TOOL = os.path.join(lab.TOP, "tools/bench")


def parse(argv):
    ap = argparse.ArgumentParser(prog="tools/bench", add_help=False)
    ap.add_argument("scenario", choices=SCENARIOS)
    ap.add_argument("-h", "--help", action="store_true")
    ap.add_argument("--json", action="store_true")
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("--runs", type=int)
    ap.add_argument("--only", type=lambda t: t.split(","))
    scenario = importlib.import_module(argv[0]) if argv[:1] and argv[0] in SCENARIOS else None
    if hasattr(scenario, "options"):
        scenario.options(ap)
    return ap.parse_args(argv)


def measure(options):
    scenario = importlib.import_module(options.scenario)
    if options.help:
        print(scenario.HELP)
        return 0
    if os.geteuid() != 0:
        lab.say("must run as root (network namespaces, hugepages)")
        return 1
    if options.runs is None:
        options.runs = 1 if options.quick and options.scenario in ("peers", "latency") else 3
    found = report.Report(options.scenario, lab.machine(), lab.commit(), options.quick)
    scenario.run(options, found)
    print(found.json() if options.json else found.text())
    return 0


def run_again(old, path):
    """The scenario of a saved run, with its --quick; its JSON goes to path."""
    argv = [TOOL, old["scenario"], "--json"] + (["--quick"] if old["quick"] else [])
    with open(path, "wb") as out:
        return subprocess.run(argv, stdout=out).returncode


def compare(argv):
    if not 1 <= len(argv) <= 2:
        lab.say("--check takes a saved run, and a second one or nothing")
        return 2
    old = check.read(argv[0])
    with tempfile.TemporaryDirectory() as d:
        new = argv[1] if len(argv) == 2 else os.path.join(d, "new.json")
        if len(argv) == 1 and run_again(old, new) != 0:
            lab.say(f"{old['scenario']} failed")
            return 2
        lines, worse = check.compare(old, check.read(new))
    print("\n".join(lines))
    return 1 if worse else 0


def draw(argv):
    if len(argv) != 1:
        lab.say("--figure takes one saved run of datapath")
        return 2
    print(figure.of_run(argv[0]))
    return 0


def main(argv):
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, lab.ended)
    try:
        if argv[:1] == ["--check"]:
            return compare(argv[1:])
        if argv[:1] == ["--figure"]:
            return draw(argv[1:])
        return measure(parse(argv))
    except (check.CheckError, lab.BenchError, lab.RigError, lab.TopoError) as e:
        lab.say(str(e))
        return 2 if isinstance(e, check.CheckError) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
