# SPDX-License-Identifier: MIT OR Apache-2.0
"""reconnect: many WireGuard peers of one gateway at once, and handshakes per second."""
import json
import time

from gateways import UDP_PORT, Gateway
from lab import BenchError, Lab, ip, program, run as command, say, until, wanted

PEERS = 1000
RATES = (1000, 5000, 10000)
WAIT_S = 30
VETH = {"a": "10.98.0.1", "b": "10.98.0.2"}
# The swarm has the second core; it does as much as the gateway does, but for calls made ahead.
SHARED, APART = "0@0,1@0", "0@0,1@1"
PLACES = {"control and worker on one core": SHARED,
          "control alone on a core, worker beside the peers": APART}
SWARM = "10.50.0.0/16"  # omni-swarm's addresses
HELP = """\
reconnect  one gateway and 1000 WireGuard peers (omni-swarm, in one process, on the other side of a
           veth pair): seconds from the gateway's restart until each peer has a session, where the
           gateway calls them (they have a persistent keepalive) and where they call it; handshakes
           that it answers in a second as responder, and the share of a core that its control
           thread takes
  --peers N"""


def options(ap):
    ap.add_argument("--peers", type=int, default=PEERS)


class Swarm:
    """A gateway with a worker, and everything that its peers need."""

    def __init__(self, lab, peers, cores=SHARED):
        self.lab = lab
        self.peers = peers
        self.ns = {s: lab.space(s) for s in "ab"}
        lab.veth(*((self.ns[s], "up0", f"{VETH[s]}/24") for s in "ab"))
        ip("-n", self.ns["a"], "route", "add", SWARM, "via", VETH["b"])
        ip("-n", self.ns["b"], "route", "add", "local", SWARM, "dev", "lo")
        self.gateway = Gateway(lab, "omni", self.ns["a"], cores)
        printed = command(program("swarm"), "--print", "--peers", str(peers)).stdout
        self.known = [line.split() for line in printed.splitlines()]

    def start_gateway(self, keepalive):
        g = self.gateway
        peers = {f"p{i}": {"key": key, "endpoint": f"{address}:{UDP_PORT}", "vip": address,
                           "dialect": "wireguard", "keepalive": keepalive}
                 for i, (key, address) in enumerate(self.known)}
        config = g.config({"uplink0": {"driver": "udp", "interface": "up0"},
                           "host0": {"driver": "tun", "interface": "omni0", "routes": "off"}},
                          {"port": "uplink0", "listen": UDP_PORT}, ["host0"], peers,
                          vip="10.51.0.1/24", mode="l3")
        g.start(config)

    def start(self, *args):
        """omni-swarm, ready."""
        p = self.lab.start(self.ns["b"], ["taskset", "-c", "1", program("swarm"), "--peers",
                                          str(self.peers), *args, self.gateway.identity.key,
                                          VETH["a"], str(UDP_PORT)], "swarm")
        until("omni-swarm", 30, lambda: "ready" in p.text())
        return p

    def result(self, p):
        p.popen.wait(WAIT_S + 10)
        found = json.loads(p.text().strip().splitlines()[-1])
        self.lab.stop([p])
        return found

    def control_seconds(self):
        """CPU time of the gateway's main thread."""
        pid = self.gateway.process.pid
        with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0]) / 1e9


def seconds_from(found, begin_ns):
    if found["up"] < found["peers"]:
        raise BenchError(f"{found['up']} of {found['peers']} peers came up")
    return (found["last_ns"] - begin_ns) / 1e9


def gateway_calls(lab, peers):
    """(from the process's start, from its first initiation)."""
    s = Swarm(lab, peers)
    p = s.start("--seconds", str(WAIT_S))
    begin = time.monotonic_ns()
    s.start_gateway(keepalive=25)
    found = s.result(p)
    return seconds_from(found, begin), seconds_from(found, found["first_ns"])


def peers_call(lab, peers):
    s = Swarm(lab, peers)
    s.start_gateway(keepalive=0)
    s.gateway.ready()
    found = s.result(s.start("--call", "--seconds", str(WAIT_S)))
    return seconds_from(found, found["begin_ns"])


def at_rate(lab, peers, rate, seconds, cores):
    """(handshakes answered in a second, share of a core of the control thread)."""
    s = Swarm(lab, peers, cores)
    s.start_gateway(keepalive=0)
    s.gateway.ready()
    p = s.start("--rate", str(rate), "--seconds", str(seconds))
    cpu, begin = s.control_seconds(), time.monotonic()
    p.popen.wait(seconds + 10)
    share = (s.control_seconds() - cpu) / (time.monotonic() - begin)
    found = s.result(p)
    return found["answers"] / seconds, share


def reconnects(options, report):
    calls, from_first, called = [], [], []
    for i in range(options.runs):
        say(f"reconnect: {options.peers} peers, run {i + 1} of {options.runs}")
        with Lab() as lab:
            whole, first = gateway_calls(lab, options.peers)
            calls.append(whole)
            from_first.append(first)
        with Lab() as lab:
            called.append(peers_call(lab, options.peers))
    subject = f"{options.peers} peers"
    report.add(subject, "the gateway calls, from its start", calls, "s")
    report.add(subject, "the gateway calls, from its first message", from_first, "s")
    report.add(subject, "the peers call, from the first of them", called, "s")


def rates(options, report):
    for where, cores in PLACES.items():
        for rate in RATES[:1] if options.quick else RATES:
            answered, shares = [], []
            for i in range(options.runs):
                say(f"reconnect: {rate} handshakes a second, {where}, run {i + 1} of {options.runs}")
                with Lab() as lab:
                    n, share = at_rate(lab, options.peers, rate, 2 if options.quick else 5, cores)
                    answered.append(n)
                    shares.append(share)
            subject = f"{rate} initiations a second, {where}"
            report.add(subject, "answered", answered, "1/s", rate)
            report.add(subject, "control thread", shares, "cores")


def run(options, report):
    if wanted(options, "peers"):
        reconnects(options, report)
    if wanted(options, "initiations"):
        rates(options, report)
    report.note("gateway (control and one worker) on one core, all peers on the other, but where"
                " said; udp over veth; medians; the start includes DPDK's")
