# SPDX-License-Identifier: MIT OR Apache-2.0
"""wire: two gateways, one core each, memif between them, null ports as source and sink."""
import json
import subprocess
import time

from gateways import Gateway, RpcError, peer, wait
from lab import BenchError, Lab, RigError, program, say, wanted

SIZES = (64, 512, 1420, "imix")
IMIX_MEAN = (7 * 64 + 4 * 576 + 1420) / 12
CIPHERS = ("aesgcm", "chachapoly")
FLOWS = 16
PAGES = 512  # of 2 MB, for both gateways
ADDRESS = {"a": "192.0.2.1", "b": "192.0.2.2"}
MAC = {"a": "02:00:5e:00:00:0a", "b": "02:00:5e:00:00:0b"}
HOST = {"a": "02:00:00:0a:00:00", "b": "02:00:00:0b:00:00"}  # the first flow's
OTHER = {"a": "b", "b": "a"}
HELP = """\
wire       two gateways with one worker on a core each, joined by memif as uplink; a null port makes
           frames on one side and takes them on the other. Delivered Mpps and Gb/s of inner frames,
           loss, cycles per frame of both. Needs two cores and 1 GiB of hugepages.
  --size S,S frame sizes (64,512,1420,imix); --cipher C,C"""


def options(ap):
    ap.add_argument("--size", type=lambda t: [x if x == "imix" else int(x) for x in t.split(",")])
    ap.add_argument("--cipher", type=lambda t: t.split(","))


def bits(size):
    return 8 * (IMIX_MEAN if size == "imix" else size)


def start(lab, size, cipher):
    """Both gateways with a session between them; a sends, b only says where its hosts are."""
    # A worker has a core; the two control threads sleep nearly always and are on both.
    gw = {s: Gateway(lab, s, lab.space(s), f"0@(0-1),1@{n}") for n, s in enumerate("ab")}
    made = {"a": {"size": size}, "b": {"size": 64, "rate": FLOWS}}
    for s, g in gw.items():
        o = OTHER[s]
        ports = {"uplink0": {"driver": "memif", "socket": lab.path("memif.sock"), "mac": MAC[s],
                             "role": "server" if s == "a" else "client"},
                 "host0": {"driver": "null", "mac": HOST[s],
                           "generate": dict(made[s], flows=FLOWS, to=HOST[o])}}
        underlay = {"port": "uplink0", "address": f"{ADDRESS[s]}/24",
                    "next-hop": {"mac": MAC[o]}}
        link = peer(gw[o], ADDRESS[o], **{"path-mtu": 1500})
        g.start(g.config(ports, underlay, ["host0"], {o: link}, idle="poll", cipher=cipher))
        g.ready()
    gw["a"].wait_peer()
    return gw["a"], gw["b"]


def snapshot(a, b):
    """What both have counted, and when."""
    return {"t": time.monotonic(), "sent": a.port("host0")["rx_frames"],
            "got": b.port("host0")["tx_frames"], "a": a.stages(), "b": b.stages()}


def cycles(before, after, side, frames):
    """Of all stages, per frame that was delivered or made."""
    total = sum(c for _, c in after[side].values()) - sum(c for _, c in before[side].values())
    return total / frames if frames else None


def once(size, cipher, seconds):
    """One start of both: what was delivered."""
    with Lab() as lab:
        if not lab.pages(PAGES):
            raise BenchError(f"the kernel gives no {PAGES} hugepages of 2 MB")
        a, b = start(lab, size, cipher)
        wait("frames at the sink", 15, lambda: b.port("host0")["tx_frames"] > 0)
        time.sleep(1.5)  # b has sent once from each of its hosts, and they are learned
        before = snapshot(a, b)
        time.sleep(seconds)
        after = snapshot(a, b)
        span = after["t"] - before["t"]
        sent, got = (after[k] - before[k] for k in ("sent", "got"))
        return {"mpps": got / span / 1e6, "lost": 100 * max(0.0, 1 - got / sent) if sent else None,
                "a": cycles(before, after, "a", sent), "b": cycles(before, after, "b", got)}


def pipeline_limit(size, cipher):
    """Mpps of the slower of seal and open alone, from omni-bench; None for a mix."""
    if size == "imix":
        return None
    rates = []
    for op in ("seal", "open"):
        p = subprocess.run([program("bench"), "datapath", "--json", "--quick", "--op", op,
                            "--cipher", cipher, "--size", str(size), "--flows", str(FLOWS)],
                           capture_output=True, text=True)
        if p.returncode != 0:
            return None
        rates.append(json.loads(p.stdout)["results"][0]["mpps"])
    return min(rates)


def subject_of(size, cipher):
    return f"{cipher}, {size}" + ("" if size == "imix" else " B")


def measure(size, cipher, opts, report):
    found, reasons = [], []
    with Lab() as lab:
        lab.pages(256)
        limit = pipeline_limit(size, cipher)
    for i in range(opts.runs):
        say(f"wire: {cipher}, {size}, start {i + 1} of {opts.runs}")
        try:
            found.append(once(size, cipher, 1 if opts.quick else 2))
        except (BenchError, RigError, RpcError, OSError) as e:
            reasons.append(str(e).replace("\n", " ")[:160])
    subject = subject_of(size, cipher)
    mpps = [f["mpps"] for f in found]
    note = "Mpps of each start: " + " ".join(f"{m:.2f}" for m in sorted(mpps))
    report.add(subject, "delivered", mpps, "Mpps", limit, ". ".join([note, *reasons]))
    report.add(subject, "inner", [m * bits(size) / 1e3 for m in mpps], "Gb/s")
    report.add(subject, "lost", [f["lost"] for f in found], "%")
    report.add(subject, "sealing side", [f["a"] for f in found], "cycles")
    report.add(subject, "opening side", [f["b"] for f in found], "cycles")


def run(opts, report):
    sizes = opts.size or ((64, 1420) if opts.quick else SIZES)
    for cipher in opts.cipher or (CIPHERS[:1] if opts.quick else CIPHERS):
        for size in sizes:
            if wanted(opts, subject_of(size, cipher)):
                measure(size, cipher, opts, report)
    report.note(f"{opts.runs} starts of both gateways for each row, medians; memif has a fast and a"
                " slow mode between starts on some machines. In brackets the ratio to the slower of"
                " `datapath` seal and open in the same run")
    report.note("the source makes frames as fast as they are taken, so loss says how much faster"
                " one side is than the other. Cycles are those of all stages, per frame made on"
                " the sealing side and per frame delivered on the opening side")
    report.note("idle: poll; a worker each on CPU 0 and CPU 1, both control threads on either;"
                f" {FLOWS} flows; path MTU 1500")
