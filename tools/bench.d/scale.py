# SPDX-License-Identifier: MIT OR Apache-2.0
"""scale: the data path with many peers and workers, memory per peer, handshakes per second."""
import json
import os
import statistics
import subprocess

from lab import BenchError, Lab, program, say, wanted

PEERS = (1, 100, 1000, 10000)
SIZES = (64, 1420)
WORKERS = (1, 2)
PAGES = 512  # of 2 MB
HELP = """\
scale      the stages of a worker (datapath) with 1, 100, 1000 and 10 000 peers, ten hosts each, the
           ratio to one peer; two workers at once, the ratio to one of them; memory per peer;
           handshakes per second of the responder's cryptography
  --peers N,N  --cipher C"""


def options(ap):
    ap.add_argument("--peers", type=lambda t: [int(x) for x in t.split(",")])
    ap.add_argument("--cipher", default="aesgcm")


def bench(*args):
    p = subprocess.run([program("bench"), *args], capture_output=True, text=True)
    if p.returncode != 0:
        raise BenchError(p.stderr.strip().splitlines()[-1] if p.stderr.strip() else "omni-bench")
    return p.stdout


def datapath(opts, op, size, peers, workers):
    args = ["datapath", "--json", "--op", op, "--cipher", opts.cipher, "--size", str(size),
            "--peers", str(peers)]
    args += ["--workers", str(workers)] if workers > 1 else []
    run = json.loads(bench(*args, *(["--quick"] if opts.quick else [])))
    # With bundles there is a second row; it would hide what a lookup costs.
    return next(r for r in run["results"] if not r.get("bundles")), run["memory"]


def peers_rows(opts, report, workers):
    memory = []
    for op in ("seal", "open"):
        for size in SIZES:
            subject = f"{op}, {size} B" + (f", {workers} workers" if workers > 1 else "")
            one = None
            if not wanted(opts, subject):
                continue
            for peers in opts.peers or PEERS:
                found, alone = [], []
                for i in range(opts.runs):
                    say(f"scale: {op}, {size} B, {peers} peers, {workers} workers, run {i + 1} of"
                        f" {opts.runs}")
                    result, memory = datapath(opts, op, size, peers, workers)
                    found.append(result["mpps"])
                    alone.append(result.get("one_mpps"))
                limit = statistics.median(alone) if workers > 1 else one
                report.add(subject, f"{peers} peers", found, "Mpps", limit)
                one = one or report.rows[-1]["value"]
    return memory


# What omni-bench handshake calls the rows of WireGuard's dialect.
WIREGUARD = (("responder, WireGuard", "responder_per_s"),
             ("initiator, WireGuard", "initiator_per_s"),
             ("stranger, WireGuard", "strangers_per_s"),
             ("mac1 alone, WireGuard", "mac1_per_s"),
             ("cookie reply, WireGuard", "cookie_replies_per_s"))


def run(opts, report):
    with Lab() as lab:
        if not lab.pages(PAGES):
            report.note(f"the kernel gave no {PAGES} hugepages of 2 MB: small pages are slower")
        for workers in WORKERS:
            if workers > len(os.sched_getaffinity(0)):
                report.absent(f"{workers} workers", "1 peers", "Mpps", "no CPU for each")
                continue
            memory = peers_rows(opts, report, workers)
            for m in memory[-1:] if workers == 1 else []:
                session = (m["bytes_per_peer"] + m["bytes_per_session"]) / 1024
                report.add("memory of a peer", "without a session", [m["bytes_per_peer"] / 1024],
                           "KiB")
                report.add("memory of a peer", "with a session", [session], "KiB")
        if not wanted(opts, "responder"):
            return
        found = [json.loads(bench("handshake", "--json", *(["--quick"] if opts.quick else [])))
                 for _ in range(opts.runs)]
        limit = sorted(f["x25519_limit_per_s"] for f in found)[len(found) // 2]
        report.add("responder", "handshakes", [f["handshakes_per_s"] for f in found], "1/s", limit)
        for name, key in WIREGUARD:
            report.add(name, "handshakes", [f["wireguard"][key] for f in found], "1/s", limit)
    report.note(f"{opts.runs} runs each, medians; {opts.cipher}; ten hosts for each of more than"
                " one peer. In brackets: the ratio to the first number of peers; of several"
                " workers, to one of them with the others idle; of handshakes, to five X25519"
                " operations alone")
