#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The demonstration behind tools/demo: two sites, one router between them, everything checked."""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, os.path.join(TOP, "tests/e2e"))

from pcap import Capture, Summary  # noqa: E402
from rig import CLUSTER, Nucleus, Rig, RigError  # noqa: E402
from topo import PORT, Topo, ip  # noqa: E402

# How much of each kind crosses the tunnel while the router is captured: enough to mean something,
# little enough that tcpdump sees every packet and the files stay under 150 MB.
CAPTURED_BYTES = 24 << 20
CAPTURED_RATE = "400M"
TCP_SECONDS = 4
UDP_SECONDS = 3
# A datagram that crosses the tunnel as one: 1500 less 68 of the tunnel and 42 of its own headers.
UDP_PAYLOAD = "1350"
PINGS = 400
PING_INTERVAL = 0.005

began = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - began:5.1f} s] {text}", flush=True)


def show(title, text):
    print(f"\n  {title}")
    for line in text.rstrip().splitlines():
        print("    " + line)
    print(flush=True)


def percentile(times, p):
    return times[min(len(times) - 1, int(len(times) * p / 100))] if times else float("nan")


class Demo:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="omni-demo-")
        os.chmod(self.dir, 0o755)
        self.topo = Topo(f"omnidemo{os.getpid()}")
        self.rig = None
        self.captures = []
        self.failures = []
        self.checks = 0
        self.table = {}
        # 16 bytes that no packet between the sites may show. iperf3 takes the payload of TCP from
        # a file; for UDP it knows one pattern of its own.
        self.markers = {"ping": os.urandom(16), "tcp": os.urandom(16), "udp": b"0123456789012345"}

    def check(self, held, text):
        self.checks += 1
        if held:
            say(f"  ok: {text}")
        else:
            say(f"  FAILED: {text}")
            self.failures.append(text)

    # ---- steps, in their order ----

    def namespaces(self):
        say("network namespaces: site A, site B, a host behind each, a Nucleus, and a router that"
            " joins only their uplinks")
        self.topo.up()
        self.rig = Rig(self.topo, self.dir)

    def measure(self, name, client, server, addr):
        """Ping and iperf3 figures of one path."""
        _, got, times = self.rig.ping(client, addr, PINGS, PING_INTERVAL)
        tcp = self.rig.iperf(client, server, addr, "-t", str(TCP_SECONDS))
        udp = self.rig.iperf(client, server, addr, "-t", str(UDP_SECONDS), "-b", "0",
                             "-l", UDP_PAYLOAD, udp=True)
        self.table[name] = {"p50": percentile(times, 50), "p99": percentile(times, 99),
                            "pings": got, "tcp": tcp["gbps"], "udp": udp["gbps"]}
        return self.table[name]

    def bare(self):
        say("the bare path, uplink to uplink through the router, nothing of ours running")
        t = self.topo
        self.rig.reaches(t.gw("a"), t.uplink_addr("b"))
        self.measure("bare", t.gw("a"), t.gw("b"), t.uplink_addr("b"))
        # From here on the uplinks behave like wires: finished checksums, single frames.
        t.offloads(False)

    def capture_begin(self):
        say("tcpdump on both sides of the router, before anything of ours sends")
        for site in "ab":
            path = os.path.join(self.dir, f"router-{site}.pcap")
            self.captures.append(Capture(self.topo.router, f"r{site}", path).start())

    def programs(self):
        t = self.topo
        say(f"start omni-nucleus on {t.nucleus_addr}:{PORT}")
        self.rig.start(Nucleus(self.rig))
        gateways = []
        for site in "ab":
            _, key = self.rig.identity(site)
            config = self.rig.config(site, cluster={"cipher": self.args.cipher})
            assert os.path.exists(key)
            say(f"start dpdk-omni at site {site.upper()}: AF_XDP on up0, TAP omni0,"
                f" VIP {t.vip(site)}")
            gateways.append(self.rig.gateway(site, config, wait=False))
        for g in gateways:
            g.ready()
        self.a, self.b = gateways
        for g in gateways:
            t.join_tap(g.site)
            g.wait_peers(1, 20)
        say("each has found the other through the Nucleus and holds a session with it")

    def traffic(self):
        """What is captured: pings and iperf3 whose payloads carry the markers."""
        t, m = self.topo, self.markers
        addr = t.host_addr("b")
        inside = os.path.join(self.dir, "inside.pcap")
        payload = os.path.join(self.dir, "payload")
        with open(payload, "wb") as f:
            f.write(m["tcp"] * (CAPTURED_BYTES // 16))
        say(f"host A pings host B at {addr} by Ethernet")
        self.rig.reaches(t.host("a"), addr, 10)
        for what in ("ping", "tcp", "udp"):
            # Beside host B, where the payload is in the clear: shows that the markers are there.
            seen = Capture(t.host("b"), "eth0", inside, packets=500).start()
            self.captures.append(seen)
            if what == "ping":
                sent, got, _ = self.rig.ping(t.host("a"), addr, 50, 0.02, 200,
                                             pattern=m["ping"].hex())
                self.check(got == sent, f"{got} of {sent} pings with a marker answered")
            elif what == "tcp":
                r = self.rig.iperf(t.host("a"), t.host("b"), addr, "-F", payload,
                                   "-b", CAPTURED_RATE)
                self.check(r["gbps"] > 0, f"iperf3 TCP with a marker crossed"
                           f" ({CAPTURED_BYTES >> 20} MB)")
            else:
                r = self.rig.iperf(t.host("a"), t.host("b"), addr, "-b", CAPTURED_RATE,
                                   "-l", UDP_PAYLOAD, "-n", str(CAPTURED_BYTES),
                                   "--repeating-payload", udp=True)
                self.check(r["gbps"] > 0, f"iperf3 UDP with a marker crossed"
                           f" ({CAPTURED_BYTES >> 20} MB, {r['lost']:.2f} % lost)")
            seen.stop()
            self.check(Summary(inside).holds(m[what]),
                       f"the {what} marker is visible inside site B, in the clear")
        mac = self.link_address(t.host("a"), "eth0")
        neighbours = ip("-n", t.host("b"), "neigh", "show", t.host_addr("a")).stdout
        self.check(mac in neighbours, "ARP crossed: host B knows host A's own Ethernet address")

    @staticmethod
    def link_address(ns, interface):
        words = ip("-n", ns, "link", "show", interface).stdout.split()
        return words[words.index("link/ether") + 1]

    def uplink_counters(self, g):
        port = next(p for p in g.ports() if p["name"] == "uplink0")
        return {"tx": port["tx_frames"], "rx": port["rx_frames"] + port["rx_dropped"],
                "lost": port["tx_dropped"]}

    def capture_end(self):
        say("stop tcpdump, and compare what it saw with what the gateways counted")
        # Heartbeats and keepalives go on: read the counters on both sides of the stop.
        time.sleep(0.3)
        low = {g.site: self.uplink_counters(g) for g in (self.a, self.b)}
        outer = self.captures[:2]
        for c in outer:
            c.stop()
        high = {g.site: self.uplink_counters(g) for g in (self.a, self.b)}
        for site, c in zip("ab", outer):
            s = Summary(c.path)
            addr = self.topo.uplink_addr(site)
            name = f"side {site.upper()}"
            self.check(c.lost() == 0, f"{name}: tcpdump missed nothing")
            for word, seen in (("tx", s.sent_by(addr)), ("rx", s.sent_to(addr))):
                lo, hi = low[site][word], high[site][word]
                did = "sent" if word == "tx" else "received"
                self.check(seen > 0 and lo <= seen <= hi,
                           f"{name}: {seen} datagrams captured, {lo} to {hi} counted as {did}")
            self.check(not s.other, f"{name}: of {s.total} packets only ARP ({s.arp}), ND ({s.nd})"
                       f" and UDP to port {PORT}" + (f"; also {s.other[:3]}" if s.other else ""))
            for what, marker in self.markers.items():
                self.check(not s.holds(marker), f"{name}: the {what} marker is nowhere")

    def tunnel(self):
        say("figures across the tunnel (no capture now)")
        t = self.topo
        self.measure("tunnel", t.host("a"), t.host("b"), t.host_addr("b"))

    def operator(self):
        for g in (self.a, self.b):
            site = f"site {g.site.upper()}"
            for command in ("peers", "sessions", "fdb", "ports"):
                show(f"{site}: omnictl {command}", g.ctl(command).stdout)
            show(f"{site}: omnictl stats (those that are not zero)", g.ctl("stats").stdout)
        for g, other in ((self.a, "b"), (self.b, "a")):
            self.check(len(g.ciphers()) == 1, f"site {g.site.upper()} holds one session")
            macs = str(g.fdb()).lower()
            self.check(self.link_address(self.topo.host(other), "eth0") in macs,
                       f"site {g.site.upper()} learned the far host's address")

    def stop(self):
        say("SIGTERM to the gateways, then to the Nucleus")
        for g in (self.a, self.b):
            status = g.stop()
            self.check(status == 0, f"gateway {g.site.upper()} ended with status {status}")
            link = ip("-d", "-n", self.topo.gw(g.site), "link", "show", "up0").stdout
            links = ip("-n", self.topo.gw(g.site), "link").stdout
            self.check("xdp" not in link and "omni0" not in links,
                       f"gateway {g.site.upper()} left no XDP program and no interface")
        status = self.rig.processes[0].stop()
        self.check(status == 0, f"the Nucleus ended with status {status}")

    def figures(self):
        bare, tunnel = self.table["bare"], self.table["tunnel"]
        session = self.cipher
        print(f"\n  {'':22}{'bare veth':>12}{'tunnel':>12}{'':>12}")
        for label, key, unit in (("ping p50", "p50", "us"), ("ping p99", "p99", "us")):
            print(f"  {label + ', ' + unit:22}{bare[key]:12.0f}{tunnel[key]:12.0f}"
                  f"{tunnel[key] - bare[key]:+11.0f}")
        for label, key in (("TCP, Gb/s", "tcp"), ("UDP, Gb/s", "udp")):
            share = 100 * tunnel[key] / bare[key] if bare[key] else 0
            print(f"  {label:22}{bare[key]:12.2f}{tunnel[key]:12.2f}{share:10.1f} %")
        print(f"\n  cipher {session}, cluster {CLUSTER}; iperf3 and both gateways share"
              f" {os.cpu_count()} cores; UDP payload {UDP_PAYLOAD} bytes\n", flush=True)
        self.check(tunnel["pings"] == PINGS, f"{tunnel['pings']} of {PINGS} pings answered")
        self.check(tunnel["tcp"] > 0 and tunnel["udp"] > 0, "TCP and UDP crossed the tunnel")

    @property
    def cipher(self):
        return self._cipher

    def run(self):
        self.namespaces()
        self.bare()
        self.capture_begin()
        self.programs()
        self.traffic()
        self.capture_end()
        self.tunnel()
        self._cipher = self.a.ciphers()[0]
        self.operator()
        self.stop()
        self.figures()

    def clean(self):
        for c in self.captures:
            c.abort()
        if self.rig:
            self.rig.stop()
        self.topo.down()
        if self.args.keep:
            shutil.copytree(self.dir, self.args.keep, dirs_exist_ok=True)
        shutil.rmtree(self.dir, ignore_errors=True)


def interrupted(number, _frame):
    raise KeyboardInterrupt(signal.Signals(number).name)


def main():
    ap = argparse.ArgumentParser(prog="tools/demo")
    ap.add_argument("--cipher", choices=["auto", "aesgcm", "chachapoly"], default="auto")
    ap.add_argument("--keep", metavar="DIR")
    demo = Demo(ap.parse_args())
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, interrupted)
    try:
        demo.run()
    except KeyboardInterrupt as e:
        demo.failures.append(f"interrupted {e}")
    except (RigError, RuntimeError, OSError, KeyError, StopIteration) as e:
        demo.failures.append(str(e) or repr(e))
        if not isinstance(e, RigError):
            traceback.print_exc()
    finally:
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(s, signal.SIG_IGN)
        if demo.failures and demo.rig:
            print("\nlast lines of the programs:\n" + demo.rig.tails(), flush=True)
        say("clean up")
        demo.clean()
    if demo.failures:
        print(f"\ntools/demo: {len(demo.failures)} failed:")
        for f in demo.failures:
            print("  " + f)
        return 1
    print(f"\ntools/demo: all {demo.checks} checks held: encrypted Ethernet between two sites")
    return 0


if __name__ == "__main__":
    sys.exit(main())
