# SPDX-License-Identifier: MIT OR Apache-2.0
"""latency: round trips through two gateways on veth, and what idling costs."""
import time

from gateways import UDP_PORT, Gateway, RpcError, peer, refused
from lab import BenchError, Lab, Meter, RigError, TopoError, program, say, wanted
from probes import inside, iperf, reach
from report import percentile

UPLINKS = ("udp", "af_xdp")
POLICIES = ("poll", "adaptive")
VETH = {"a": "10.98.0.1", "b": "10.98.0.2"}
VIP = {"a": "10.97.0.1", "b": "10.97.0.2"}
OTHER = {"a": "b", "b": "a"}
ECHO_PORT = "7007"
# The client beside b's worker, the echo beside a's: while a frame is on its way through a worker,
# whoever shares its CPU waits for that frame anyway.
WORKER_CPU = {"a": 0, "b": 1}
CLIENT_CPU, ECHO_CPU = "1", "0"
LOAD_SIZE = "1300"
HELP = """\
latency    round trips of a UDP datagram (64 bytes) through two gateways on veth, idle: poll and
           adaptive, every uplink driver, beside the bare path: one every millisecond, at half of
           the load that goes through, and after a second of silence; CPU of idle gateways
  --uplink D,D  drivers (udp,af_xdp); --policy P,P"""


def options(ap):
    ap.add_argument("--uplink", type=lambda t: t.split(","), default=UPLINKS)
    ap.add_argument("--policy", type=lambda t: t.split(","), default=POLICIES)


def ports(driver):
    return {"uplink0": {"driver": driver, "interface": "up0"},
            "host0": {"driver": "tap", "interface": "omni0", "address": "vip"}}


def parse_pingpong(text):
    """(round trips in microseconds, how many were lost)."""
    lines = text.split()
    return [int(x) / 1000 for x in lines if x != "lost"], lines.count("lost")


def pingpong(ns, addr, count, interval_us):
    p = inside(ns, program("pingpong"), "--fifo", "--cpu", CLIENT_CPU, "--count", str(count),
               "--interval", str(interval_us), addr, ECHO_PORT,
               timeout=30 + count * (interval_us / 1e6 + 0.01))
    if p.returncode != 0:
        raise BenchError(p.stderr.strip())
    times, lost = parse_pingpong(p.stdout)
    if lost > count // 10:
        raise BenchError(f"{lost} of {count} round trips were lost")
    return times


def start(lab, ns, driver, policy):
    gw = {s: Gateway(lab, f"gw-{s}", ns[s], f"0@(0-1),1@{WORKER_CPU[s]}") for s in "ab"}
    for s, g in gw.items():
        o = OTHER[s]
        g.start(g.config(ports(driver), {"port": "uplink0", "listen": UDP_PORT}, ["host0"],
                         {o: peer(gw[o], VETH[o], VIP[o])}, idle=policy, vip=f"{VIP[s]}/24"))
    for g in gw.values():
        g.ready()
    gw["a"].wait_peer()
    return [g.process for g in gw.values()]


def under_load(lab, ns, addr, rate, seconds):
    """Round trips while so many bits per second of UDP go the same way."""
    server = lab.start(ns["b"], ["iperf3", "-s", "-1"], "iperf3")
    time.sleep(0.3)
    load = lab.start(ns["a"], ["iperf3", "-c", addr, "-u", "-l", LOAD_SIZE, "-b", str(int(rate)),
                               "-t", str(seconds + 2)], "iperf3")
    try:
        time.sleep(1)
        return pingpong(ns["a"], addr, seconds * 900, 1000)
    finally:
        lab.stop([load, server])


def figures(found, name, times, tail=True):
    for p in (50, 99, 99.9) if tail else (50, 99):
        found[f"{name} p{p}"] = percentile(times, p)


def measure(lab, ns, addr, programs, opts):
    """{metric: value} of one path."""
    seconds = 1 if opts.quick else 4
    lab.start(ns["b"], [program("pingpong"), "--echo", "--fifo", "--cpu", ECHO_CPU, addr,
                        ECHO_PORT], "echo")
    reach(ns["a"], addr)
    found = {}
    pingpong(ns["a"], addr, 100, 1000)
    figures(found, "idle", pingpong(ns["a"], addr, seconds * 1000, 1000))
    if programs:
        time.sleep(0.5)
        meter = Meter(programs)
        time.sleep(1 if opts.quick else 5)
        found["CPU idle"] = 100 * meter.share() / len(programs)
    figures(found, "after 1 s", pingpong(ns["a"], addr, 2 if opts.quick else 15, 1000000), False)
    full = iperf(lab, ns["a"], ns["b"], addr, 1, "-u", "-b", "0", "-l", LOAD_SIZE)["gbps"]
    figures(found, "half load", under_load(lab, ns, addr, full * 1e9 / 2, seconds))
    return found


def keep_awake(lab):
    """A loop of idle priority on both CPUs: none of them has to be woken from a halt."""
    for cpu in "01":
        lab.start(None, ["chrt", "-i", "0", "taskset", "-c", cpu, "sh", "-c",
                         "while :; do :; done"], "awake")


def once(driver, policy, opts):
    """One path from nothing to nothing; driver None: bare, poll: with CPUs that never halt."""
    with Lab() as lab:
        ns = {s: lab.space(s) for s in "ab"}
        lab.veth(*((ns[s], "up0", f"{VETH[s]}/24") for s in "ab"))
        try:
            programs = start(lab, ns, driver, policy) if driver else []
            if not driver and policy == "poll":
                keep_awake(lab)
            return measure(lab, ns, (VIP if driver else VETH)["b"], programs, opts), None
        except (BenchError, RigError, RpcError, TopoError, OSError) as e:
            return {}, str(e).replace("\n", " ")[:160]


def unit(metric):
    return "% of a core" if metric == "CPU idle" else "us"


def add_path(report, name, runs, bare, reasons):
    metrics = list(dict.fromkeys(m for r in runs for m in r))
    if not metrics:
        report.absent(name, "idle p50", "us", "; ".join(reasons))
    for m in metrics:
        report.add(name, m, [r.get(m) for r in runs], unit(m), note="; ".join(reasons) or None)
        limit, mine = bare.get(m), report.rows[-1]
        if limit and mine["value"] is not None:
            report.add(f"{name}, added", m, [r[m] - limit for r in runs if m in r], unit(m))


def run(opts, report):
    paths = {"bare, poll": (None, "poll"), "bare, adaptive": (None, "adaptive")}
    for driver in opts.uplink:
        why = refused(ports(driver), {"port": "uplink0"})
        if why:
            report.absent(driver, "idle p50", "us", why)
            continue
        paths.update({f"{driver}, {p}": (driver, p) for p in opts.policy
                      if wanted(opts, f"{driver}, {p}")})
    runs = {name: [] for name in paths}
    reasons = {name: [] for name in paths}
    for i in range(opts.runs):
        for name, (driver, policy) in paths.items():
            say(f"latency: run {i + 1} of {opts.runs}: {name}")
            found, why = once(driver, policy, opts)
            runs[name].append(found)
            if why and why not in reasons[name]:
                reasons[name].append(why)
    bare = {p: {} for p in POLICIES}
    for name, (driver, policy) in paths.items():
        add_path(report, name, runs[name], bare[policy] if driver else {}, reasons[name])
        if not driver:
            bare[policy] = {r["metric"]: r["value"] for r in report.rows if r["subject"] == name}
    report.note("round trips of a UDP datagram with 64 bytes of payload, client and echo blocking in"
                " recv(); added: less the median of the bare path of the same runs. A worker that"
                " polls keeps its CPU awake, so bare, poll has a loop of idle priority on both CPUs"
                " in its place; on bare, adaptive the CPUs halt as they do under adaptive")
    report.note("worker a on CPU 0, worker b on CPU 1, both control threads on either; the client"
                " on CPU 1 and the echo on CPU 0, both with real-time priority, on the bare path"
                " too")
    report.note("half load: iperf3 sends UDP of 1300 bytes at half the rate that arrived when it"
                " sent without limit, on the same two CPUs. CPU idle: of one gateway")
