# SPDX-License-Identifier: MIT OR Apache-2.0
"""WireGuard peers of two kinds in a Topo's namespaces: wireguard-go, configured with wg(8), and
dpdk-omni with an L3 cluster. Tests speak to both through the same class."""
import base64
import collections
import copy
import dataclasses
import os
import re
import signal
import socket
import struct
import subprocess

import nacl.bindings

from conftest import fresh_prefix, raise_rig
from pcap import Capture, packets
from rig import Gateway, Identity, Process, until
from stream import Stream
from topo import PORT, Topo, ip, run

CLUSTER = "wg"
INNER4, INNER6 = "192.168.241", "fd00:241::"
OUTER6 = "2001:db8"
MTU = 1420
MTU_V6 = 1280  # no interface with an address of IPv6 has less
INITIATION, RESPONSE, COOKIE, DATA = 1, 2, 3, 4
CAUGHT_UP = 8  # seconds in which two ends find each other again: one retransmission and more


class WgTopo(Topo):
    """Sites without hosts; the uplinks have IPv6 addresses too."""

    def __init__(self, prefix, sites=2, mtu=1500):
        super().__init__(prefix, sites, hosts=False, mtu=mtu)

    def up(self):
        super().up()
        for ns in self.namespaces():
            # Each device's own: "all" does not reach those that are there. Without duplicate address
            # detection, during which the first packets wait for seconds.
            devs = run("ip", "netns", "exec", ns, "ls", "/proc/sys/net/ipv6/conf").stdout.split()
            keys = [f"net.ipv6.conf.{dev}.{key}" for key in
                    ("accept_dad=0", "dad_transmits=0", "router_solicitations=0", "accept_ra=0",
                     "disable_ipv6=0") for dev in devs]
            run("ip", "netns", "exec", ns, "sysctl", "-qw", *keys)
        run("ip", "netns", "exec", self.router, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        for s in self.sites:
            self.outer6(self.router, f"r{s}", self.gateway_addr(s, 6))
            self.outer6(self.gw(s), "up0", self.uplink_addr(s, 6))
            ip("-n", self.gw(s), "-6", "route", "add", "default", "via", self.gateway_addr(s, 6))
        return self

    @staticmethod
    def outer6(ns, dev, address):
        ip("-n", ns, "addr", "add", f"{address}/64", "dev", dev, "nodad")

    def uplink_addr(self, site, family=4):
        return super().uplink_addr(site) if family == 4 else f"{OUTER6}:{self.number(site)}::2"

    def gateway_addr(self, site, family=4):
        return super().gateway_addr(site) if family == 4 else f"{OUTER6}:{self.number(site)}::1"


def endpoint(address, port=PORT):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def key_pair(secret=None):
    """(private, public) as wg(8) prints them."""
    secret = secret or os.urandom(32)
    clamped = bytes([secret[0] & 248]) + secret[1:31] + bytes([secret[31] & 127 | 64])
    return tuple(base64.b64encode(x).decode()
                 for x in (clamped, nacl.bindings.crypto_scalarmult_base(clamped)))


def new_psk():
    return base64.b64encode(os.urandom(32)).decode()


@dataclasses.dataclass
class Peer:
    """What one end knows of another; lives on while the program restarts."""
    key: str
    name: str
    allowed: list
    endpoint: str = None
    psk: str = None
    keepalive: int = 0
    more: dict = dataclasses.field(default_factory=dict)  # of the gateway's configuration


class End:
    """One end of WireGuard tunnels. `inner` of family 4 and 6 are its addresses in there."""
    kind = None

    def __init__(self, rig, site, name=None, dev=None, net=(INNER4, INNER6), port=PORT, mtu=MTU,
                 uplink="up0"):
        self.rig = rig
        self.site = site
        self.name = name or site
        self.ns = rig.topo.gw(site)
        # Control sockets of wireguard-go lie in one directory for all namespaces.
        self.dev = dev or f"w{os.getpid() % 100000}{rig.number}{self.name}"
        self.port = port
        self.mtu = mtu
        self.uplink = uplink  # None: whatever the kernel's routes say
        self.private, self.key = key_pair()
        number = Topo.number(site)
        self.inner = {4: f"{net[0]}.{number}", 6: f"{net[1]}{number}"}
        self.peers = {}
        self.more = {}  # of the gateway's cluster

    def file(self, name, text):
        path = os.path.join(self.rig.dir, f"{self.name}.{name}")
        with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(text + "\n")
        return path

    def knows(self, other, allowed=None, at=None, psk=None, keepalive=0):
        """Take a peer (an End or a key) into the configuration, before start."""
        if isinstance(other, End):
            allowed = [other.inner[4] + "/32", other.inner[6] + "/128"] if allowed is None \
                else allowed
            peer = Peer(other.key, other.name, allowed, at, psk, keepalive)
        else:
            peer = Peer(other, "k" + other[:6].replace("/", "_").replace("+", "-"),
                        allowed or [], at, psk, keepalive)
        self.peers[peer.key] = peer
        return peer

    @staticmethod
    def key_of(other):
        return other.key if isinstance(other, End) else other

    def restart(self):
        self.stop()
        return self.start()

    def ping(self, other, family=4, count=3, **kw):
        """Replies to count pings."""
        kw.setdefault("interval", 0.05)
        return self.rig.ping(self.ns, other.inner[family], count, **kw)[1]

    def reaches(self, other, family=4, seconds=10):
        return self.rig.reaches(self.ns, other.inner[family], seconds)

    def stream(self, other, family=4, **kw):
        """A TCP connection to the other end, started."""
        return Stream(self.ns, other.ns, other.inner[family], **kw)

    def transfer(self, other, family=4, **kw):
        return self.stream(other, family, **kw).finish()

    def pings(self, other, family=4, **kw):
        """The same, from now until they are finished."""
        return Pings(self.ns, other.inner[family], **kw)

    def shell(self, *cmd, check=True, **kw):
        return self.rig.topo.exec(self.ns, *cmd, check=check, **kw)

    def deaf(self):
        """Take what datagram() sends, so that no ICMP answers."""
        nft(self.ns, """
            table ip quiet {
                chain in {
                    type filter hook input priority filter;
                    udp dport 9 drop
                }
            }""")

    def datagram(self, other):
        """One UDP packet that nobody answers."""
        self.shell("/usr/bin/python3", "-c", "import socket,sys; "
                   "socket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(b'x',(sys.argv[1],9))",
                   other.inner[4])


class GoEnd(End):
    """wireguard-go; addresses and routes are the kernel's as wg-quick would set them."""
    kind = "go"

    def start(self):
        self.process = Process(self.ns, ["wireguard-go", "-f", self.dev],
                               os.path.join(self.rig.dir, f"{self.name}.log"),
                               {"LOG_LEVEL": "verbose"})
        self.rig.processes.append(self.process)
        self.process.start()
        until("wireguard-go", 20, lambda: run("wg", "show", self.dev, check=False).returncode == 0)
        self.set("private-key", self.file("private", self.private), "listen-port", str(self.port))
        for peer in self.peers.values():
            self.put(peer)
        for address in (f"{self.inner[4]}/24", f"{self.inner[6]}/112"):
            ip("-n", self.ns, "addr", "add", address, "dev", self.dev)
        ip("-n", self.ns, "link", "set", self.dev, "mtu", str(self.mtu), "up")
        return self

    def pause(self):
        self.process.signal(signal.SIGSTOP)

    def resume(self):
        self.process.signal(signal.SIGCONT)

    def stop(self):
        self.process.stop()
        self.rig.processes.remove(self.process)

    def set(self, *args):
        run("ip", "netns", "exec", self.ns, "wg", "set", self.dev, *args)

    def show(self, what):
        """{key: value} of `wg show DEV WHAT`."""
        out = run("ip", "netns", "exec", self.ns, "wg", "show", self.dev, what).stdout
        return dict(line.split("\t", 1) for line in out.splitlines())

    def put(self, peer):
        """Add or change a peer at run time."""
        self.peers[peer.key] = peer
        args = ["peer", peer.key, "allowed-ips", ",".join(peer.allowed),
                "persistent-keepalive", str(peer.keepalive)]
        if peer.endpoint:
            args += ["endpoint", peer.endpoint]
        args += ["preshared-key", self.file("psk", peer.psk) if peer.psk else "/dev/null"]
        self.set(*args)

    def remove(self, other):
        self.peers.pop(self.key_of(other), None)
        self.set("peer", self.key_of(other), "remove")

    def new_key(self):
        self.private, self.key = key_pair()
        self.set("private-key", self.file("private", self.private))

    def forget_keys(self):
        """It seals with none of the keys it has: the next packet begins a handshake, as where they
        are too old. What comes is still opened. Another private key does that, and the same one
        again."""
        keys = "".join(f"private_key={base64.b64decode(k).hex()}\n"
                       for k in (key_pair()[0], self.private))
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"/var/run/wireguard/{self.dev}.sock")
            s.sendall(f"set=1\n{keys}\n".encode())
            assert s.recv(100) == b"errno=0\n\n"

    def listen(self, port):
        self.port = port
        self.set("listen-port", str(port))

    def endpoint_of(self, other):
        return self.show("endpoints")[self.key_of(other)]

    def set_mtu(self, mtu):
        self.mtu = mtu
        ip("-n", self.ns, "link", "set", self.dev, "mtu", str(mtu))
        if mtu >= 1280:  # the kernel took IPv6 away below
            ip("-n", self.ns, "addr", "replace", f"{self.inner[6]}/112", "dev", self.dev)

    def transferred(self, other):
        """(received, sent) bytes."""
        return tuple(map(int, self.show("transfer")[self.key_of(other)].split("\t")))

    def source_is_gone(self, other):
        """Its kernel says ENETUNREACH to a source address of IPv4 that is no more, and it waits
        for EINVAL: help it out by naming the endpoint again, which forgets the source."""
        self.set("peer", self.key_of(other), "endpoint", self.endpoint_of(other))

    def dropped_sources(self):
        """It does not count them."""

    def shook_hands(self, other):
        """When the last handshake was, in seconds since 1970; 0: none."""
        return int(self.show("latest-handshakes")[self.key_of(other)])


class OmniEnd(End):
    """dpdk-omni with one L3 cluster, a tun port and the uplink that all tests have."""
    kind = "omni"

    identity = None  # an Identity; else a WireGuard key

    def own_identity(self):
        """Omni's dialect takes no other. Before anybody knows this end."""
        self.identity = Identity()
        self.key = self.identity.key
        return self

    def identity_file(self):
        if self.identity is None:
            return self.file("private", self.private)
        return self.identity.write(os.path.join(self.rig.dir, f"{self.name}.identity"))

    def config(self):
        peers = {p.name: self.peer_config(p) for p in self.peers.values()}
        cluster = {"mode": "l3", "vip": f"{self.inner[4]}/24",
                   "addresses": [f"{self.inner[6]}/112"], "ports": ["host0"], "mtu": self.mtu,
                   "peers": peers, **self.more}
        return {
            "identity": self.identity_file(),
            "ports": {"uplink0": {"driver": self.rig.driver, "interface": self.uplink}
                      if self.uplink else {"driver": "udp"},
                      "host0": {"driver": "tun", "interface": self.dev,
                                "mtu": max(self.mtu, MTU_V6)}},
            "underlay": {"port": "uplink0", "listen": self.port},
            "clusters": {CLUSTER: cluster},
            "management": {"socket": os.path.join(self.rig.dir, f"{self.name}.sock")},
            "log": {"level": "debug"},
        }

    def peer_config(self, peer):
        c = {"key": peer.key, "dialect": "wireguard", "allowed-ips": peer.allowed,
             "keepalive": peer.keepalive}
        if peer.endpoint:
            c["endpoint"] = peer.endpoint
        if peer.psk:
            c["psk-file"] = self.file(f"psk.{peer.name}", peer.psk)
        return {**c, **peer.more}

    def start(self):
        self.gateway = Gateway(self.rig, self.site, self.config(), name=self.name)
        self.held = copy.deepcopy(self.peers)
        self.rig.processes.append(self.gateway)
        self.gateway.start()
        self.gateway.ready()
        until("its interface", 5, lambda: self.inner[4] in run(
            "ip", "-n", self.ns, "addr", "show", "dev", self.dev, check=False).stdout)
        return self

    def pause(self):
        self.gateway.signal(signal.SIGSTOP)

    def resume(self):
        self.gateway.signal(signal.SIGCONT)

    def stop(self):
        self.gateway.stop()
        self.rig.processes.remove(self.gateway)

    def put(self, peer):
        """Add a peer at run time, or change it in place."""
        self.peers[peer.key] = peer
        held = self.held.get(peer.key)
        if held:
            self.change(held, peer)
        else:
            self.add(peer)
        self.held[peer.key] = copy.deepcopy(peer)

    def change(self, held, peer):
        """The endpoint too, which it may have left since, unless what is allowed is all there is."""
        who = {"cluster": CLUSTER, "peer": peer.key}
        self.gateway.rpc("peer.allow", {**who, "allowed_ips": peer.allowed})
        if held != peer and dataclasses.replace(held, allowed=peer.allowed) == peer:
            return
        new = {"keepalive": peer.keepalive, "psk": peer.psk or ""}
        if peer.endpoint:
            new["endpoint"] = peer.endpoint
        self.gateway.rpc("peer.set", {**who, **new})

    def add(self, peer):
        params = {"cluster": CLUSTER, "name": peer.name, "key": peer.key,
                  "dialect": "wireguard", "allowed_ips": peer.allowed, "keepalive": peer.keepalive}
        if peer.endpoint:
            params["endpoint"] = peer.endpoint
        if peer.psk:
            params["psk"] = peer.psk
        self.gateway.rpc("peer.add", params)

    def remove(self, other):
        self.peers.pop(self.key_of(other), None)
        self.held.pop(self.key_of(other), None)
        self.gateway.rpc("peer.remove", {"cluster": CLUSTER, "peer": self.key_of(other)})

    def new_key(self):
        self.private, self.key = key_pair()
        self.restart()

    def listen(self, port):
        self.port = port
        self.restart()

    def set_mtu(self, mtu):
        self.mtu = mtu
        self.restart()

    def transferred(self, other):
        """(received, sent) bytes, as wg(8) would print them."""
        said = self.gateway.ctl("wg", "show", CLUSTER, "transfer").stdout
        rows = dict(line.split("\t", 1) for line in said.splitlines())
        return tuple(map(int, rows[self.key_of(other)].split("\t")))

    def shook_hands(self, other):
        said = self.gateway.ctl("wg", "show", CLUSTER, "latest-handshakes").stdout
        return int(dict(line.split("\t") for line in said.splitlines())[self.key_of(other)])

    def row(self, other):
        return next(p for p in self.gateway.peers() if p["key"] == self.key_of(other))

    def endpoint_of(self, other):
        return self.row(other)["endpoint"]

    def counter(self, name):
        return self.gateway.counter(name)

    def source_is_gone(self, other):
        """It needs no help."""

    def dropped_sources(self):
        """Packets whose source is not their peer's."""
        return self.counter("drop_source_address")


KINDS = {"go": GoEnd, "omni": OmniEnd}


class Pings:
    """ping in the background, ten a second, until finish()."""

    def __init__(self, ns, address, interval=0.1):
        self.popen = subprocess.Popen(
            ["ip", "netns", "exec", ns, "ping", "-n", "-D", "-i", str(interval), address],
            stdout=subprocess.PIPE, text=True)

    def finish(self):
        """How many were sent and answered, the ones that were not, and the longest time between
        two answers."""
        self.popen.send_signal(signal.SIGINT)
        said = self.popen.communicate(timeout=20)[0]
        replies = re.findall(r"^\[([\d.]+)\].* icmp_seq=(\d+) .*time=", said, re.M)
        sent = int(re.search(r"(\d+) packets transmitted", said).group(1))
        times = [float(t) for t, _ in replies]
        gaps = [b - a for a, b in zip(times, times[1:])]
        # The last one may be on its way.
        lost = sorted(set(range(1, sent)) - {int(n) for _, n in replies})
        return {"sent": sent, "answered": len(replies), "lost": lost,
                "gap": round(max(gaps, default=0), 3)}


# Kinds of the two ends and the driver of the gateway's uplink. Two of wireguard-go show that a test
# asks for what WireGuard does: run with OMNI_WG_REFERENCE=1.
Pairing = collections.namedtuple("Pairing", "a b driver")
Pairing.__str__ = lambda p: f"{p.a}-{p.b}" + (f"-{p.driver}" if p.driver else "")


def ends_of(*drivers):
    """Parameters of a test's pairs: the gateway as the one that begins, and as the one called; over
    the first driver and over the last."""
    if os.environ.get("OMNI_WG_REFERENCE"):
        return [Pairing("go", "go", None)]
    kinds = [("omni", "go"), ("go", "omni")]
    return [Pairing(*k, d) for k, d in zip(kinds, drivers * 2)]


def wg_rig(tmp_path_factory, pairing, sites=2, mtu=1500):
    """A rig with the pair as rig.ends, not yet started; more sites have wireguard-go."""
    rig = raise_rig(tmp_path_factory, WgTopo(fresh_prefix(), sites, mtu))
    rig.driver = pairing.driver or "udp"
    rig.ends = [KINDS[kind](rig, site) for kind, site in
                zip([*pairing[:2], *["go"] * sites], rig.topo.sites)]
    return rig


def meet(a, b):
    """Both ways. A gateway that was restarted has forgotten its sessions, which the other end notices
    after 15 s only: it speaks first."""
    first, second = (b, a) if b.kind == "omni" else (a, b)
    first.reaches(second)
    second.reaches(first)


# ---- What is on the wire ----

Datagram = collections.namedtuple("Datagram", "time src dst sport dport ip_len tos payload")


def read_datagrams(path):
    """Every UDP datagram of a capture, ICMP and the like left out."""
    with open(path, "rb") as f:
        raw = f.read()
    for start, end in packets(raw):
        seconds, fraction = struct.unpack_from("<II", raw, start - 16)
        kind, = struct.unpack_from(">H", raw, start + 12)
        l3 = start + 14
        if kind == 0x0800 and raw[l3 + 9] == 17:
            l4, addresses = l3 + 4 * (raw[l3] & 15), (raw[l3 + 12:l3 + 16], raw[l3 + 16:l3 + 20])
            ip_len, tos = struct.unpack_from(">H", raw, l3 + 2)[0], raw[l3 + 1]
        elif kind == 0x86dd and raw[l3 + 6] == 17:
            l4, addresses = l3 + 40, (raw[l3 + 8:l3 + 24], raw[l3 + 24:l3 + 40])
            ip_len = struct.unpack_from(">H", raw, l3 + 4)[0] + 40
            tos = (raw[l3] & 15) << 4 | raw[l3 + 1] >> 4
        else:
            continue
        sport, dport = struct.unpack_from(">HH", raw, l4)
        yield Datagram(seconds + fraction / 1e6, *addresses, sport, dport, ip_len, tos,
                       raw[l4 + 8:min(end, l3 + ip_len)])


class Wire:
    """A capture on the router's side of a site's uplink, from `with` to its end. Kernels cut
    batches of datagrams into single ones before it."""

    def __init__(self, rig, site, expression=()):
        self.topo = rig.topo
        self.path = os.path.join(rig.dir, f"wire{len(os.listdir(rig.dir))}.pcap")
        self.capture = Capture(rig.topo.router, f"r{site}", self.path, expression)

    def batches(self, state):
        for s in self.topo.sites:
            run("ip", "netns", "exec", self.topo.gw(s), "ethtool", "-K", "up0", "gso", state,
                "tx-udp-segmentation", state, check=False)

    def __enter__(self):
        self.batches("off")
        self.capture.start()
        return self

    def __exit__(self, *exc):
        self.capture.stop()
        self.batches("on")
        self.all = list(read_datagrams(self.path))

    def of_type(self, kind, sport=None):
        return [d for d in self.all if d.payload[:4] == bytes([kind, 0, 0, 0])
                and sport in (None, d.sport)]

    def keepalives(self):
        return [d for d in self.of_type(DATA) if len(d.payload) == 32]


def mtu_of(ns, dev):
    text = ip("-n", ns, "link", "show", "dev", dev).stdout
    return int(re.search(r"mtu (\d+)", text).group(1))


def nft(ns, text):
    subprocess.run(["ip", "netns", "exec", ns, "nft", "-f", "-"], input=text, text=True,
                   check=True)
