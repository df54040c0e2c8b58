# SPDX-License-Identifier: MIT OR Apache-2.0
"""shaped: TCP through two gateways over an uplink that tc holds to a rate."""
import gateways
import latency
from gateways import RpcError
from lab import BenchError, Lab, RigError, TopoError, ip, run as command, say, wanted
from probes import iperf, reach

RATES = (100, 1000)  # Mb/s
MTU = 1500
# What one datagram of the path leaves of it for TCP: 1500 less the tunnel's 68 (IPv4 20, UDP 8,
# data header 24, tag 16) is the inner frame; less its Ethernet header (14) and TCP/IP (52 with
# time stamps) its payload. Bare: 1500 less 52. Both take 14 bytes of Ethernet more, which tc counts.
HEADERS = {"tunnel": 68, "ethernet": 14, "tcp": 52}
HELP = """\
shaped     TCP, one stream, through two gateways (L2) over an uplink shaped with tc tbf to 100 Mb/s
           and 1 Gb/s, MTU 1500, each uplink driver: the ratio to the bare path, and to what the
           headers leave of it
  --uplink D,D  drivers (udp,af_xdp)"""


def options(ap):
    ap.add_argument("--uplink", type=lambda t: t.split(","), default=latency.UPLINKS)


def headers_leave(mtu=MTU):
    """Part of the bare path's TCP payload that frames of one datagram each can carry."""
    bare = mtu - HEADERS["tcp"]
    return (bare - HEADERS["tunnel"] - HEADERS["ethernet"]) / bare


def shaped_link(lab, rate):
    """Two namespaces, and a bridge between them that lets so many Mb/s pass each way. The bridge
    shapes, for AF_XDP sends past its own interface's queue. Frames are those of a wire."""
    ns = {s: lab.space(s) for s in "ab"}
    bridge = lab.space("r")
    ip("-n", bridge, "link", "add", "br0", "up", "type", "bridge", "stp_state", "0")
    # 10 ms at the full rate at once, so that the kernel's clock does not lower the rate.
    burst = max(rate * 1000 * 10 // 8, 32000)
    for s in "ab":
        lab.veth((ns[s], "up0", f"{latency.VETH[s]}/24"), (bridge, f"r{s}", None))
        ip("-n", bridge, "link", "set", f"r{s}", "master", "br0")
        lab.offloads(ns[s], "up0", False)
        command("tc", "-n", bridge, "qdisc", "add", "dev", f"r{s}", "root", "tbf", "rate",
                f"{rate}mbit", "burst", str(burst), "latency", "20ms")
    return ns


def once(driver, rate, seconds):
    """Gb/s of TCP at one rate; driver None: bare."""
    with Lab() as lab:
        ns = shaped_link(lab, rate)
        try:
            if driver:
                latency.start(lab, ns, driver, "adaptive")
            addr = (latency.VIP if driver else latency.VETH)["b"]
            reach(ns["a"], addr)
            return iperf(lab, ns["a"], ns["b"], addr, seconds)["gbps"], None
        except (BenchError, RigError, RpcError, TopoError, OSError) as e:
            return None, str(e).replace("\n", " ")[:160]


def run(opts, report):
    seconds = 2 if opts.quick else 8
    paths = [None]
    for driver in opts.uplink:
        why = gateways.refused(latency.ports(driver), {"port": "uplink0"})
        if why:
            report.absent(driver, "TCP", "Gb/s", why)
        else:
            paths.append(driver)
    for rate in RATES:
        bare = None
        for driver in paths:
            subject = f"{driver or 'bare'}, {rate} Mb/s"
            if driver and not wanted(opts, subject):
                continue
            found, reasons = [], []
            for i in range(opts.runs):
                say(f"shaped: {rate} Mb/s, {driver or 'bare'}, run {i + 1} of {opts.runs}")
                value, why = once(driver, rate, seconds)
                found.append(value)
                reasons += [why] if why else []
            report.add(subject, "TCP", found, "Gb/s", bare, "; ".join(reasons) or None)
            bare = bare or report.rows[-1]["value"]
            if driver and bare:
                report.add(subject, "TCP of what headers leave", found, "Gb/s",
                           bare * headers_leave())
    report.note(f"in brackets the ratio to the bare path, and to {headers_leave():.3f} of it: what"
                " headers leave where a TCP segment fits one datagram. A bridge between two veth"
                " pairs shapes both ways with tc tbf, 20 ms of queue; checksum and segmentation"
                " offloads of both uplinks are off, so that frames are those of a wire")
