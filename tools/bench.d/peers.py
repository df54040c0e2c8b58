# SPDX-License-Identifier: MIT OR Apache-2.0
"""peers: TCP, UDP and ping over one veth pair: bare, through dpdk-omni, through other overlays."""
from overlays import (ADDRESS, OVERLAYS, OTHER, command, give_address, install, version, wg_public,
                      wireguard_go)

from gateways import UDP_PORT, Gateway, RpcError, peer, refused
from lab import BenchError, Lab, Meter, RigError, TopoError, say, until, wanted
from ports import EAL
from probes import iperf, ping, reach
from report import percentile

UPLINKS = ("udp", "af_xdp")
DIALECTS = ("omni", "wireguard")
PAGES = 512  # of 2 MB, for both dpdk-testpmd
VETH = {"a": "10.98.0.1", "b": "10.98.0.2"}
METRICS = (("TCP", "Gb/s"), ("UDP 1300 B", "Gb/s"), ("UDP 64 B", "Mpps"), ("ping p50", "us"),
           ("ping p99", "us"), ("CPU, TCP", "s/GB"))


def kernel(what):
    with open(f"/proc/sys/net/ipv4/tcp_{what}", encoding="ascii") as f:
        return f.read().strip()


AVAILABLE = kernel("available_congestion_control").split()
HELP = """\
peers      iperf3 (TCP, UDP of 1300 and of 64 bytes) and ping over one veth pair: bare, through
           dpdk-omni (L2, TAP to TAP, each uplink driver; L3, TUN to TUN, in both dialects; one
           of them and wireguard-go), through dpdk-testpmd over the same AF_XDP and TAP ports
           without a tunnel, and through wireguard-go, nebula, tinc, fastd, n2n and OpenVPN as
           Debian packages them (installed if they are missing)
  --congestion C  TCP's congestion control (what the kernel is set to)"""


class Link:
    """Two namespaces and the veth pair between them: what an overlay is started on."""

    def __init__(self, lab):
        self.lab = lab
        self.path = lab.path
        self.address = VETH
        self.ns = {s: lab.space(s) for s in "ab"}
        lab.veth(*((self.ns[s], "up0", f"{VETH[s]}/24") for s in "ab"))


class Omni:
    """Two gateways with a TAP each that carries the address."""
    package, layer = None, "L2"

    def __init__(self, driver):
        self.driver = driver

    def ports(self):
        return {"uplink0": {"driver": self.driver, "interface": "up0"},
                "host0": {"driver": "tap", "interface": "omni0", "address": "vip"}}

    def why_not(self):
        return refused(self.ports(), {"port": "uplink0"})

    def start(self, link):
        # The kernel may move both threads: pinned, they would meet iperf3 on one core.
        gw = {s: Gateway(link.lab, f"omni-{s}", link.ns[s], "0@(0-1),1@(0-1)") for s in "ab"}
        for s, g in gw.items():
            o = OTHER[s]
            g.start(g.config(self.ports(), {"port": "uplink0", "listen": UDP_PORT}, ["host0"],
                             {o: peer(gw[o], VETH[o], ADDRESS[o])}, vip=f"{ADDRESS[s]}/24"))
        for g in gw.values():
            g.ready()
        gw["a"].wait_peer()
        self.note = f"{gw['a'].cipher()}; MTU 1500; idle: adaptive"
        return [g.process for g in gw.values()]


class OmniL3(Omni):
    """Two gateways that route, with a TUN each that carries the address."""
    layer = "L3"

    def __init__(self, driver, dialect):
        super().__init__(driver)
        self.dialect = dialect

    def ports(self):
        return {"uplink0": {"driver": self.driver, "interface": "up0"},
                "host0": {"driver": "tun", "interface": "omni0", "address": "vip"}}

    def configure(self, g, side, other):
        o = OTHER[side]
        member = {"key": other, "endpoint": f"{VETH[o]}:{UDP_PORT}", "dialect": self.dialect,
                  "vip": ADDRESS[o]}
        g.start(g.config(self.ports(), {"port": "uplink0", "listen": UDP_PORT}, ["host0"],
                         {o: member}, vip=f"{ADDRESS[side]}/24", mode="l3"))

    def start(self, link):
        gw = {s: Gateway(link.lab, f"omni-{s}", link.ns[s], "0@(0-1),1@(0-1)") for s in "ab"}
        for s, g in gw.items():
            self.configure(g, s, gw[OTHER[s]].identity.key)
        for g in gw.values():
            g.ready()
        reach(link.ns["a"], ADDRESS["b"])
        self.note = f"{self.dialect}, {gw['a'].cipher()}; idle: adaptive"
        return [g.process for g in gw.values()]


class OmniAndWireGuardGo(OmniL3):
    """A gateway on one side, wireguard-go on the other."""
    note = "ChaCha20-Poly1305; MTU 1420; a gateway sends to wireguard-go, which runs on one side"
    package = "wireguard-go"

    def __init__(self):
        super().__init__("udp", "wireguard")

    def start(self, link):
        key = command("wg", "genkey")
        g = Gateway(link.lab, "omni-a", link.ns["a"], "0@(0-1),1@(0-1)")
        self.configure(g, "a", wg_public(key))
        return [g.ready().process, wireguard_go(link, "b", key, g.identity.key)]


class Testpmd:
    """Two dpdk-testpmd in the gateways' place, over the same ports with DPDK's own drivers."""
    package, layer = "dpdk-dev", "L2"
    note = "net_af_xdp and net_tap, io: frames pass unseen and unencrypted; MTU 1500"

    def start(self, link):
        if not link.lab.pages(PAGES):
            raise BenchError(f"the kernel gives no {PAGES} hugepages of 2 MB")
        programs = {}
        for s in "ab":
            link.lab.offloads(link.ns[s], "up0", False)
            programs[s] = link.lab.start(
                link.ns[s], ["dpdk-testpmd", "--lcores", "0@(0-1),1@(0-1)", *EAL, "--file-prefix",
                             f"{link.lab.prefix}{s}", "--vdev", "net_af_xdp0,iface=up0", "--vdev",
                             f"net_tap0,iface=io{s}", "--", "--total-num-mbufs=32768",
                             "--auto-start", "--forward-mode=io", "--stats-period=1"],
                f"testpmd-{s}")
        for s, p in programs.items():
            until("dpdk-testpmd", 15, lambda p=p: "Rx-pps" in p.text() or not p.running())
            give_address(link, s, f"io{s}")
        return list(programs.values())


class Bare:
    package, layer, note = None, "-", "no tunnel; veth as the kernel makes it"

    def start(self, link):
        return []


def options(ap):
    ap.add_argument("--congestion", choices=AVAILABLE, default=kernel("congestion_control"))


def measure(link, subject, programs, options):
    """One value per metric."""
    seconds, pings = options.seconds, options.pings
    addr = VETH["b"] if isinstance(subject, Bare) else ADDRESS["b"]
    a, b = link.ns["a"], link.ns["b"]
    reach(a, addr)
    times = ping(a, addr, pings)
    if len(times) < pings * 0.9:
        raise BenchError(f"{len(times)} of {pings} pings came back")
    found = {"ping p50": percentile(times, 50), "ping p99": percentile(times, 99)}
    meter = Meter(programs)
    tcp = iperf(link.lab, a, b, addr, seconds, "-C", options.congestion)
    found["TCP"] = tcp["gbps"]
    if programs:
        found["CPU, TCP"] = meter.seconds() / (tcp["bytes"] / 1e9)
    for size, metric, field in (("1300", "UDP 1300 B", "gbps"), ("64", "UDP 64 B", "mpps")):
        found[metric] = iperf(link.lab, a, b, addr, max(1, seconds // 2), "-u", "-b", "0", "-l",
                              size)[field]
    return found


def once(subject, options):
    """Everything of one subject in namespaces of its own; the values, or why there are none."""
    with Lab() as lab:
        link = Link(lab)
        try:
            programs = subject.start(link)
            return measure(link, subject, programs, options), None
        except (BenchError, RigError, RpcError, TopoError, OSError) as e:
            last = [p.tail(2) for p in lab.programs if p.popen and not p.running()]
            return {}, " ".join([str(e), *last]).replace("\n", " ")[:200]


def subjects(options):
    """{name: subject, or the reason why there is none}."""
    found = {"bare": Bare()}
    for driver in UPLINKS:
        omni = Omni(driver)
        found[f"dpdk-omni, {driver}"] = omni.why_not() or omni
    for dialect in DIALECTS:
        found[f"dpdk-omni, udp, L3, {dialect}"] = OmniL3("udp", dialect)
    found["dpdk-testpmd, af_xdp"] = Testpmd()
    install()
    found["dpdk-omni and wireguard-go"] = OmniAndWireGuardGo()
    for name, kind in OVERLAYS.items():
        number = version(kind.package)
        title = f"{name} {number.split('-')[0]}" if number else name
        found[title] = kind() if number else f"package {kind.package} is not installed"
    return {n: s for n, s in found.items() if n == "bare" or wanted(options, n)}


def note_of(subject, reasons):
    said = [f"{subject.layer}; {subject.note}" if subject.layer != "-" else subject.note]
    return ". ".join(said + [f"failed: {r}" for r in reasons])


def run(options, report):
    options.seconds, options.pings = (2, 300) if options.quick else (5, 1000)
    found = subjects(options)
    runs = {n: [] for n in found}
    reasons = {n: [] for n in found}
    for i in range(options.runs):
        for name, subject in found.items():
            if isinstance(subject, str):
                continue
            say(f"peers: run {i + 1} of {options.runs}: {name}")
            values, reason = once(subject, options)
            runs[name].append(values)
            if reason and reason not in reasons[name]:
                reasons[name].append(reason)
    bare = {}
    for name, subject in found.items():
        if isinstance(subject, str):
            report.absent(name, "TCP", "Gb/s", subject)
            continue
        for metric, unit in METRICS:
            values = [r.get(metric) for r in runs[name]]
            report.add(name, metric, values, unit, bare.get(metric),
                       note_of(subject, reasons[name]))
            if name == "bare":
                bare[metric] = report.rows[-1]["value"]
    report.note(f"medians of {options.runs} runs of {options.seconds} s in turn; in brackets the"
                " ratio to the bare path of the same runs")
    report.note(f"TCP with {options.congestion.upper()}; BBR paces itself, which slows the bare path"
                " more than the others")
    report.note("programs, iperf3 and ping share all cores; veth has the kernel's default offloads"
                " (checksums and TSO on), no IPv6; CPU: user and system time of the overlay's own"
                " programs on both sides per GB delivered")
