# SPDX-License-Identifier: MIT OR Apache-2.0
"""Single ports against the kernel: what they take and pass, what they leave behind, and that every
buffer comes back. tests/ports/port_echo opens one port in namespace A; B is the kernel's side."""
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from rig import build_dir, until

ECHO = os.path.join(build_dir(), "tests/ports/port_echo")
PORT = 51820
OUR_MAC, ADDR_A, ADDR_B = "02:00:00:00:00:0a", "10.77.0.1", "10.77.0.2"
SO_RCVBUFFORCE = 33
HUGE = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

pytestmark = pytest.mark.skipif(not os.access(ECHO, os.X_OK), reason="port_echo is not built")


def ip(*args, check=True):
    return subprocess.run(["ip", *args], check=check, capture_output=True, text=True).stdout


class Pair:
    """Two namespaces, one veth pair."""

    def __init__(self, queues=1):
        self.a, self.b = f"op{os.getpid()}a", f"op{os.getpid()}b"
        self.running = []
        for ns in (self.a, self.b):
            ip("netns", "add", ns)
            ip("-n", ns, "link", "set", "lo", "up")
        n = str(queues)
        ip("link", "add", "va", "netns", self.a, "address", OUR_MAC, "numrxqueues", n,
           "numtxqueues", n, "type", "veth", "peer", "name", "vb", "netns", self.b,
           "numrxqueues", n, "numtxqueues", n)
        for ns, dev, last in ((self.a, "va", 1), (self.b, "vb", 2)):
            ip("-n", ns, "addr", "add", f"10.77.0.{last}/24", "dev", dev)
            ip("-n", ns, "addr", "add", f"fd77::{last}/64", "dev", dev, "nodad")
            ip("-n", ns, "link", "set", dev, "up")

    def down(self):
        for p in self.running:
            p.end()
        for ns in (self.a, self.b):
            ip("netns", "del", ns, check=False)

    def echo(self, *args, eal=()):
        p = Echo(self.a, args, eal)
        self.running.append(p)
        return p

    def xdp(self, *args, eal=()):
        return self.echo("--driver", "af_xdp", "--interface", "va", "--udp-port", str(PORT),
                         "--sleep", *args, eal=eal)

    def has_xdp(self):
        return "prog/xdp" in ip("-n", self.a, "-d", "link", "show", "va")


class Echo:
    def __init__(self, ns, args, eal):
        self.p = subprocess.Popen(
            ["ip", "netns", "exec", ns, ECHO, "--lcores", "0@(0-1)", "--log-level=error", *eal,
             "--", *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.opened = self.line()

    def line(self):
        text = self.p.stdout.readline()
        assert text, self.p.stderr.read()
        return json.loads(text)

    def stop(self):
        """Ask it to end; the counters it leaves. No buffer may be missing."""
        self.p.send_signal(signal.SIGTERM)
        out, _ = self.p.communicate(timeout=20)
        assert self.p.returncode == 0
        last = json.loads(out.splitlines()[-1])
        assert last["mbufs_missing"] == 0
        return last

    def end(self):
        if self.p.poll() is None:
            self.p.kill()
        self.p.wait()


@pytest.fixture
def pair():
    p = Pair()
    yield p
    p.down()


@pytest.fixture
def hugepages():
    with open(HUGE, encoding="ascii") as f:
        old = int(f.read())
    if old < 256:
        with open(HUGE, "w", encoding="ascii") as f:
            f.write("256")
    with open(HUGE, encoding="ascii") as f:
        if int(f.read()) < 256:
            pytest.skip("the kernel has no 512 MB for hugepages")
    yield
    with open(HUGE, "w", encoding="ascii") as f:
        f.write(str(old))


def in_ns(ns, make):
    """The value of make() in a namespace: a socket stays in the one where it was made."""
    with open("/proc/self/ns/net", encoding="ascii") as home, \
            open(f"/run/netns/{ns}", encoding="ascii") as there:
        setns(there.fileno())
        try:
            return make()
        finally:
            setns(home.fileno())


def setns(fd):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def udp(ns, family=socket.AF_INET):
    s = in_ns(ns, lambda: socket.socket(family, socket.SOCK_DGRAM))
    s.settimeout(1)
    return s


def reflected(s, to, count, size=100):
    """How many of count datagrams came back as they were."""
    good = 0
    for i in range(count):
        data = struct.pack("!I", i).ljust(size, b"\xa5")
        s.sendto(data, to)
        try:
            good += s.recv(65535) == data
        except TimeoutError:
            pass
    return good


def ping(ns, addr):
    return subprocess.run(["ip", "netns", "exec", ns, "ping", "-c", "2", "-i", "0.1", "-W", "2", addr],
                          capture_output=True, check=False).returncode == 0


def test_takes_our_port_and_passes_the_rest(pair):
    p = pair.xdp()
    assert p.opened["driver"] == "af_xdp" and p.opened["mode"] in ("copy", "zero-copy")
    assert pair.has_xdp()
    with udp(pair.b) as s:
        assert reflected(s, (ADDR_A, PORT), 100) == 100
        assert reflected(s, (ADDR_A, PORT), 20, 1472) == 20
    with udp(pair.a) as server, udp(pair.b) as s:
        server.bind((ADDR_A, PORT + 1))
        s.sendto(b"kernel", (ADDR_A, PORT + 1))
        assert server.recv(100) == b"kernel"
        s.sendto(b"f" * 4000, (ADDR_A, PORT + 1))
        assert server.recv(5000) == b"f" * 4000
    assert ping(pair.b, ADDR_A)
    last = p.stop()
    assert last["rx_frames"] == last["tx_frames"] == 120
    assert last["rx_dropped"] == last["tx_dropped"] == 0
    assert not pair.has_xdp()


def test_takes_ipv6(pair):
    p = pair.xdp("--role", "count")
    with udp(pair.b, socket.AF_INET6) as s:
        for _ in range(30):
            s.sendto(b"six", ("fd77::1", PORT))
    with udp(pair.a, socket.AF_INET6) as server, udp(pair.b, socket.AF_INET6) as s:
        server.bind(("fd77::1", PORT + 1))
        s.sendto(b"kernel", ("fd77::1", PORT + 1))
        assert server.recv(100) == b"kernel"
    assert p.stop()["rx_frames"] == 30


def ipv4_udp(dst, flags=0, options=b""):
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, 4 * words + 8 + 32, 0, flags, 64, 17, 0,
                       socket.inet_aton(ADDR_B), socket.inet_aton(dst)) + options
    total = sum(struct.unpack(f"!{2 * words}H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return (head[:10] + struct.pack("!H", total) + head[12:]
            + struct.pack("!HHHH", 4000, PORT, 8 + 32, 0) + b"y" * 32)


def test_doubtful_frames_go_to_the_kernel(pair):
    p = pair.xdp("--role", "count")
    ours, other = bytes.fromhex(OUR_MAC.replace(":", "")), b"\x02\0\0\0\0\x55"
    source, ipv4 = b"\x02\0\0\0\0\x0b", b"\x08\0"
    nop4 = b"\x01" * 4
    passed = [
        other + source + ipv4 + ipv4_udp(ADDR_A),
        ours + source + b"\x81\0\0\x0a" + ipv4 + ipv4_udp(ADDR_A),  # VLAN tag
        ours + source + ipv4 + ipv4_udp(ADDR_A, flags=0x2000),  # first fragment
        ours + source + ipv4 + ipv4_udp(ADDR_A, flags=0x0004),  # later fragment
        ours + source + ipv4 + ipv4_udp(ADDR_A)[:24],  # ends in the UDP header
        b"\xff" * 6 + source + ipv4 + ipv4_udp(ADDR_A),
    ]
    taken = [
        ours + source + ipv4 + ipv4_udp(ADDR_A),
        ours + source + ipv4 + ipv4_udp(ADDR_A, flags=0x4000),  # do not fragment
        ours + source + ipv4 + ipv4_udp(ADDR_A, options=nop4),
    ]
    raw = in_ns(pair.b, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    in_ns(pair.b, lambda: raw.bind(("vb", 0)))
    with raw:
        for frame in passed * 3 + taken * 5:
            raw.send(frame)
    assert p.stop()["rx_frames"] == 15


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("queues", [1, 2])
def test_takes_what_comes_in_fragments(queues, v6):
    """The kernel puts them together: two fragments, or three, among whole datagrams. Fragments to
    other ports are the kernel's own."""
    pair = Pair(queues)
    try:
        p = pair.xdp("--role", "count")
        addr = "fd77::1" if v6 else ADDR_A
        ip("-n", pair.b, "link", "set", "vb", "mtu", "1280" if v6 else "600")
        with udp(pair.b, socket.AF_INET6 if v6 else socket.AF_INET) as s:
            for i in range(60):
                s.sendto(bytes([0x80] * (1400, 100, 1350)[i % 3]), (addr, PORT))
                time.sleep(0.002)  # asleep in between, or nearly so
        with udp(pair.a, socket.AF_INET6 if v6 else socket.AF_INET) as server, \
                udp(pair.b, socket.AF_INET6 if v6 else socket.AF_INET) as s:
            server.bind((addr, PORT + 1))
            s.sendto(b"f" * 4000, (addr, PORT + 1))
            assert server.recv(5000) == b"f" * 4000
        last = p.stop()
        assert last["rx_by_kernel"] == 40 and last["rx_frames"] == 60
        assert last["rx_dropped"] == 0
    finally:
        pair.down()


@pytest.mark.parametrize("driver", ["af_xdp", "udp"])
def test_opens_before_there_is_carrier(pair, driver):
    ip("-n", pair.b, "link", "set", "vb", "down")
    p = pair.echo("--driver", driver, "--interface", "va", "--udp-port", str(PORT), "--sleep")
    ip("-n", pair.b, "link", "set", "vb", "up")
    with udp(pair.b) as s:
        until("an answer", 5, lambda: reflected(s, (ADDR_A, PORT), 1) == 1)
    p.stop()


def test_takes_everything_where_no_udp_port_is_named(pair):
    """A local port has its interface for itself: any MAC, any protocol, VLAN tags included."""
    p = pair.echo("--driver", "af_xdp", "--interface", "va", "--sleep", "--role", "count")
    assert json.loads(ip("-n", pair.a, "-d", "-j", "link", "show", "va"))[0]["promiscuity"] == 1
    ours, other = bytes.fromhex(OUR_MAC.replace(":", "")), b"\x02\0\0\0\0\x55"
    source = b"\x02\0\0\0\0\x0b"
    frames = [
        other + source + b"\x08\0" + ipv4_udp("10.1.2.3"),
        ours + source + b"\x81\0\0\x0a\x08\0" + ipv4_udp(ADDR_A),
        b"\xff" * 6 + source + b"\x08\x06" + bytes(46),
        b"\x01\x80\xc2\0\0\0" + source + b"\0\x26" + bytes(46),
        ours + source + b"\x88\xb5" + bytes(100),
    ]
    raw = in_ns(pair.b, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    in_ns(pair.b, lambda: raw.bind(("vb", 0)))
    with raw:
        for frame in frames * 40:
            raw.send(frame)
    assert not ping(pair.b, ADDR_A)
    last = p.stop()
    assert last["rx_frames"] >= 200
    assert json.loads(ip("-n", pair.a, "-d", "-j", "link", "show", "va"))[0]["promiscuity"] == 0


def test_what_the_host_forwards_is_not_ours(pair):
    """With forwarding on, only datagrams to the host's own addresses are taken."""
    ip("-n", pair.a, "tuntap", "add", "mode", "tun", "name", "out")
    ip("-n", pair.a, "addr", "add", "10.79.0.1/24", "dev", "out")
    ip("-n", pair.a, "link", "set", "out", "up")
    ip("-n", pair.b, "route", "add", "10.79.0.0/24", "via", ADDR_A)
    subprocess.run(["ip", "netns", "exec", pair.a, "sh", "-c",
                    "echo 1 > /proc/sys/net/ipv4/ip_forward"], check=True)
    p = pair.xdp("--role", "count")
    with udp(pair.b) as s:
        for _ in range(7):
            s.sendto(b"through", ("10.79.0.9", PORT))
        for _ in range(11):
            s.sendto(b"to us", ("10.79.0.1", PORT))
    assert p.stop()["rx_frames"] == 11


@pytest.mark.parametrize("mode", ["copy", "generic"])
def test_modes(pair, mode):
    p = pair.xdp("--mode", mode)
    assert p.opened["mode"] == mode
    with udp(pair.b) as s:
        assert reflected(s, (ADDR_A, PORT), 50) == 50
    p.stop()


def test_falls_back_to_generic_and_says_why(pair):
    ip("-n", pair.b, "link", "set", "vb", "mtu", "9000")
    p = pair.xdp()
    assert p.opened["mode"] == "generic"
    assert "native mode" in p.opened["why"]
    with udp(pair.b) as s:
        assert reflected(s, (ADDR_A, PORT), 50) == 50
    p.stop()


def refused(pair, *args):
    r = subprocess.run(["ip", "netns", "exec", pair.a, ECHO, "--lcores", "0@(0-1)",
                        "--log-level=error", "--", *args, "--seconds", "1"],
                       capture_output=True, text=True, timeout=30, check=False)
    assert r.returncode == 1
    return r.stderr


def test_refusals_say_what_is_wrong(pair):
    xdp = ("--driver", "af_xdp", "--udp-port", str(PORT), "--interface")
    assert "no such interface eth7 (have: lo, va)" in refused(pair, *xdp, "eth7")
    assert "3 queues, but va has 1" in refused(pair, *xdp, "va", "--queues", "3")
    assert "MTU 1400, but va has 1500" in refused(pair, *xdp, "va", "--mtu", "1400")
    first = pair.xdp()
    assert "another XDP program is attached" in refused(pair, *xdp, "va")
    first.stop()
    ip("-n", pair.a, "link", "set", "va", "mtu", "9000")
    assert "MTU 9000 needs frames of 9018 bytes" in refused(pair, *xdp, "va")
    ip("-n", pair.a, "link", "set", "va", "down")
    assert "va is down" in refused(pair, *xdp, "va")
    assert "exists already" in refused(pair, "--driver", "tap", "--interface", "va")
    assert "udp takes 1 to 64 UDP ports" in refused(pair, "--driver", "udp")


def test_kill_leaves_nothing_and_it_opens_again(pair):
    p = pair.xdp()
    assert pair.has_xdp()
    p.p.kill()
    p.p.wait()
    until("no XDP program", 2, lambda: not pair.has_xdp())
    again = pair.xdp()
    with udp(pair.b) as s:
        assert reflected(s, (ADDR_A, PORT), 50) == 50
    again.stop()


def test_link_goes_down_and_comes_back(pair):
    p = pair.xdp()
    with udp(pair.b) as s:
        assert reflected(s, (ADDR_A, PORT), 20) == 20
        ip("-n", pair.a, "link", "set", "va", "down")
        ip("-n", pair.a, "link", "set", "va", "up")
        until("an answer", 5, lambda: reflected(s, (ADDR_A, PORT), 1) == 1)
        assert reflected(s, (ADDR_A, PORT), 20) == 20
    assert p.stop()["link_up"] == 1


def test_interface_vanishes(pair):
    """The port falls silent, says so, and still gives every buffer back."""
    mac = json.loads(ip("-n", pair.b, "-j", "link", "show", "vb"))[0]["address"]
    p = pair.xdp("--role", "send", "--to-mac", mac, "--from", ADDR_A, "--to", ADDR_B)
    ip("-n", pair.b, "link", "del", "vb")
    assert p.stop()["link_up"] == 0


def test_opens_and_closes_under_traffic(pair):
    """Five rounds while datagrams come in: every buffer is back after each."""
    p = pair.xdp("--rounds", "5", "--seconds", "0.2")
    with udp(pair.b) as s:
        while p.p.poll() is None:
            for _ in range(200):
                s.sendto(b"z" * 1000, (ADDR_A, PORT))
    lines = [json.loads(t) for t in p.p.stdout.read().splitlines()]
    closes = [t for t in lines if t["event"] == "close"]
    assert len(closes) == 5
    assert all(t["mbufs_missing"] == 0 for t in closes)
    assert sum(t["rx_frames"] for t in closes) > 0


def test_with_hugepages(pair, hugepages):
    p = pair.xdp("--rounds", "2", "--seconds", "1.5")
    assert p.opened["hugepages"] == 1
    with udp(pair.b) as s:
        assert reflected(s, (ADDR_A, PORT), 50) == 50
    p.stop()


def test_without_hugepages(pair):
    p = pair.xdp(eal=("--no-huge",))
    assert p.opened["hugepages"] == 0
    with udp(pair.b) as s:
        assert reflected(s, (ADDR_A, PORT), 50) == 50
    p.stop()


@pytest.mark.parametrize("workers", [1, 2])
def test_two_queues(workers):
    """Every receive queue has a socket, however many workers share them."""
    pair = Pair(queues=2)
    try:
        p = pair.xdp("--queues", str(workers))
        assert p.opened["queues"] == workers
        for _ in range(8):
            with udp(pair.b) as s:
                assert reflected(s, (ADDR_A, PORT), 10) == 10
        assert p.stop()["rx_frames"] == 80
    finally:
        pair.down()


@pytest.mark.parametrize("odd", [(), ("--odd",)])
def test_sends_what_it_is_given(pair, odd):
    """Chains and buffers of another pool are copied first; the bytes are the same."""
    mac = json.loads(ip("-n", pair.b, "-j", "link", "show", "vb"))[0]["address"]
    with udp(pair.b) as s:
        s.bind((ADDR_B, PORT))
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        p = pair.xdp("--role", "send", "--to-mac", mac, "--from", ADDR_A, "--to", ADDR_B,
                     "--size", "500", "--count", "1000", *odd)
        want = bytes(i & 255 for i in range(500 - 42))
        for _ in range(1000):
            assert s.recv(2000) == want
        last = p.stop()
    assert last["tx_frames"] == 1000 and last["tx_dropped"] == 0
    assert last["tx_copied"] == (1000 if odd else 0)


@pytest.mark.parametrize("queues", [1, 2])
def test_tap_carries_frames_and_goes_with_its_process(pair, queues):
    p = pair.echo("--driver", "tap", "--interface", "t0", "--address", "10.80.0.1/24", "--mac",
                  "02:00:00:00:00:aa", "--queues", str(queues), "--sleep")
    link = json.loads(ip("-n", pair.a, "-j", "addr", "show", "t0"))[0]
    assert link["address"] == "02:00:00:00:00:aa" and link["mtu"] == 1500
    assert ("10.80.0.1", 24) in [(a["local"], a["prefixlen"]) for a in link["addr_info"]]
    ip("-n", pair.a, "neigh", "add", "10.80.0.2", "lladdr", "02:00:00:00:00:bb", "dev", "t0")
    with udp(pair.a) as s:
        assert reflected(s, ("10.80.0.2", 7), 100) == 100
        assert reflected(s, ("10.80.0.2", 7), 20, 1472) == 20
    last = p.stop()
    assert last["rx_dropped"] == last["tx_dropped"] == 0
    assert "t0" not in ip("-n", pair.a, "link", "show")


def test_tap_killed_leaves_no_interface(pair):
    p = pair.echo("--driver", "tap", "--interface", "t0")
    p.p.kill()
    p.p.wait()
    until("t0 to go", 2, lambda: "t0" not in ip("-n", pair.a, "link", "show"))
    pair.echo("--driver", "tap", "--interface", "t0").stop()


def test_tap_moves_to_another_namespace(pair):
    p = pair.echo("--driver", "tap", "--interface", "t0", "--address", "fd80::1/64", "--sleep")
    assert "fd80::1/64" in ip("-n", pair.a, "addr", "show", "t0")
    ip("-n", pair.a, "link", "set", "t0", "netns", pair.b)
    ip("-n", pair.b, "link", "set", "t0", "up")
    ip("-n", pair.b, "addr", "add", "10.80.0.1/24", "dev", "t0")
    ip("-n", pair.b, "neigh", "add", "10.80.0.2", "lladdr", "02:00:00:00:00:bb", "dev", "t0")
    with udp(pair.b) as s:
        assert reflected(s, ("10.80.0.2", 7), 50) == 50
    p.stop()


def tun(pair, *args):
    p = pair.echo("--driver", "tun", "--interface", "t0", "--address", "10.80.0.1/24", "--sleep",
                  "--role", "mirror", *args)
    ip("-n", pair.a, "addr", "add", "fd80::1/64", "dev", "t0", "nodad")
    return p


def stream(ns, family, here, there, total):
    """A TCP connection of the kernel with itself by way of the tun: seconds for total bytes."""
    listener = in_ns(ns, lambda: socket.socket(family, socket.SOCK_STREAM))
    client = in_ns(ns, lambda: socket.socket(family, socket.SOCK_STREAM))
    data = bytes(range(256)) * 256
    with listener, client:
        listener.bind((here, 7777))
        listener.listen()
        client.settimeout(10)
        client.connect((there, 7777))
        server, _ = listener.accept()
        server.settimeout(10)
        start = time.monotonic()
        sender = threading.Thread(target=client.sendall, args=(data * (total // len(data)),))
        with server:
            sender.start()
            got = bytearray()
            while len(got) < total:
                got += server.recv(1 << 20)
            sender.join()
        assert got == data * (total // len(data))
        return time.monotonic() - start


@pytest.mark.parametrize("queues", [1, 2])
def test_tun_carries_packets_and_goes_with_its_process(pair, queues):
    p = tun(pair, "--queues", str(queues))
    assert (p.opened["mtu"], p.opened["raw_ip"], p.opened["queues"]) == (1420, 1, queues)
    link = json.loads(ip("-n", pair.a, "-d", "-j", "addr", "show", "t0"))[0]
    assert link["link_type"] == "none" and link["mtu"] == 1420
    assert link["linkinfo"]["info_data"]["type"] == "tun"
    assert ("10.80.0.1", 24) in [(a["local"], a["prefixlen"]) for a in link["addr_info"]]
    assert ping(pair.a, "10.80.0.2") and ping(pair.a, "fd80::2")
    for family, here, there in ((socket.AF_INET, "10.80.0.1", "10.80.0.2"),
                                (socket.AF_INET6, "fd80::1", "fd80::2")):
        stream(pair.a, family, here, there, 16 << 20)
    last = p.stop()
    assert last["rx_dropped"] == last["tx_dropped"] == 0
    assert last["rx_segments"] > 100 and last["tx_segments"] > 100 and last["rx_whole"] == 0
    assert "t0" not in ip("-n", pair.a, "link", "show")


def test_tun_segments_stay_whole(pair):
    p = tun(pair, "--whole", "1400")
    stream(pair.a, socket.AF_INET, "10.80.0.1", "10.80.0.2", 16 << 20)
    stream(pair.a, socket.AF_INET6, "fd80::1", "fd80::2", 16 << 20)
    last = p.stop()
    assert last["rx_dropped"] == last["tx_dropped"] == 0
    assert last["rx_whole"] > 100 and last["tx_whole"] == last["rx_whole"]


def test_tun_without_offload(pair):
    p = tun(pair, "--no-offload", "--mtu", "1280", "--mac", "02:00:00:00:00:aa")
    assert (p.opened["mtu"], p.opened["offloads"]) == (1280, "")
    stream(pair.a, socket.AF_INET, "10.80.0.1", "10.80.0.2", 4 << 20)
    last = p.stop()
    assert last["rx_dropped"] == last["tx_dropped"] == last["rx_segments"] == 0
    assert last["tx_segments"] == 0


def test_tun_takes_nothing_but_ip(pair):
    """A frame of another type that the gateway would send is counted, and so is what the kernel's
    side sends without being IP."""
    p = tun(pair)
    raw = in_ns(pair.a, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM))
    with raw:
        for first in (b"\x00", b"\x50", b"\xf6"):
            raw.sendto(first + bytes(50), ("t0", 0x0800))
    assert ping(pair.a, "10.80.0.2")
    last = p.stop()
    assert last["rx_not_ip"] == last["rx_dropped"] == 3
    for kind, lost in (("0806", 100), ("0800", 0)):
        p = pair.echo("--driver", "tun", "--interface", "t0", "--role", "send", "--count", "100",
                      "--type", kind, "--seconds", "1", "--from", "10.80.0.2", "--to", "10.80.0.1")
        last = json.loads(p.p.communicate(timeout=20)[0].splitlines()[-1])
        assert (last["tx_not_ip"], last["tx_frames"]) == (lost, 100 - lost)
        assert last["tx_dropped"] == lost and last["mbufs_missing"] == 0


def test_tun_killed_leaves_no_interface(pair):
    p = tun(pair)
    p.p.kill()
    p.p.wait()
    until("t0 to go", 2, lambda: "t0" not in ip("-n", pair.a, "link", "show"))
    assert "exists already" in refused(pair, "--driver", "tun", "--interface", "va")


def test_memif_between_two_processes(pair, tmp_path):
    path = str(tmp_path / "m.sock")
    server = pair.echo("--driver", "memif", "--socket", path, "--server", "--role", "count")
    assert "another process has" in refused(pair, "--driver", "memif", "--socket", path, "--server")
    client = pair.echo("--driver", "memif", "--socket", path, "--role", "send", "--udp-port", "7",
                       "--seconds", "1.5")
    sent = client.p.communicate(timeout=20)[0]
    sent = json.loads(sent.splitlines()[-1])
    got = server.stop()
    assert sent["mbufs_missing"] == 0 and sent["link_up"] == 1
    assert sent["tx_frames"] > 0 and 0 < got["rx_frames"] <= sent["tx_frames"]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shared_queues(pair, path):
    """Two processes over virtio queues: what one sends the other, asleep until then, reflects."""
    first = pair.echo("--driver", "vhost", "--socket", path, "--server", "--sleep")
    assert "another process has" in refused(pair, "--driver", "vhost", "--socket", path, "--server")
    second = pair.echo("--driver", "virtio-user", "--socket", path, "--role", "send", "--udp-port", "7",
                       "--count", "32", "--seconds", "2", "--sleep")
    sent = json.loads(second.p.communicate(timeout=20)[0].splitlines()[-1])
    before = cpu_seconds(first.p.pid)
    time.sleep(1)
    assert cpu_seconds(first.p.pid) - before < 0.1
    got = first.stop()
    assert (sent["mbufs_missing"], sent["link_up"]) == (0, 1)
    assert sent["tx_frames"] == got["rx_frames"] == got["tx_frames"] == sent["rx_frames"] == 32


def test_virtio_queues_between_two_processes(pair, tmp_path):
    shared_queues(pair, str(tmp_path / "v.sock"))


def test_virtio_queues_in_hugepages(pair, tmp_path, hugepages):
    shared_queues(pair, str(tmp_path / "v.sock"))


def test_vhost_after_a_kill(pair, tmp_path):
    path = str(tmp_path / "v.sock")
    first = pair.echo("--driver", "vhost", "--socket", path, "--server")
    first.p.kill()
    first.p.wait()
    shared_queues(pair, path)


def test_dpdk_devices_are_checked(pair, tmp_path):
    assert "is a full path" in refused(pair, "--driver", "vhost", "--socket", "v.sock")
    assert "has made" in refused(pair, "--driver", "virtio-user", "--socket",
                                 str(tmp_path / "nobody"))
    if not os.path.exists("/dev/vhost-net"):
        assert "modprobe vhost-net" in refused(pair, "--driver", "virtio-user", "--interface", "v0")
    assert "is no PCI address" in refused(pair, "--driver", "pci", "--device", "eth0")
    assert "no PCI device" in refused(pair, "--driver", "pci", "--device", "ffff:1f:1f.7")
    assert "no virtual device" in refused(pair, "--driver", "ethdev", "--device", "eth0")


def test_any_dpdk_device(pair, tmp_path):
    """DPDK's pcap device as source and sink: what is in the one file stands in the other."""
    source, sink = str(tmp_path / "in.pcap"), str(tmp_path / "out.pcap")
    frames = [bytes(range(12)) + b"\x88\xb5" + bytes([i] * (46 + i)) for i in range(100)]
    with open(source, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    p = pair.echo("--driver", "ethdev", "--device",
                  f"net_pcap0,rx_pcap={source},tx_pcap={sink}", "--seconds", "1")
    got = json.loads(p.p.communicate(timeout=20)[0].splitlines()[-1])
    assert (got["rx_frames"], got["tx_frames"], got["mbufs_missing"]) == (100, 100, 0)
    with open(sink, "rb") as f:
        data = f.read()
    assert all(frame[14:] in data for frame in frames)


# ---- Kernel sockets

UDP_SEGMENT = 103


def sockets(pair, *args):
    return pair.echo("--driver", "udp", "--interface", "va", "--udp-port", str(PORT), *args)


def test_udp_reflects_single_and_joined_datagrams(pair):
    p = sockets(pair, "--sleep")
    assert p.opened["driver"] == "udp" and p.opened["mode"] == "socket"
    with udp(pair.b) as s:
        assert reflected(s, (ADDR_A, PORT), 100) == 100
        assert reflected(s, (ADDR_A, PORT), 20, 1472) == 20
        s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
        data = b"".join(struct.pack("!I", i).ljust(1000, b"\xa5") for i in range(40))
        s.sendto(data + b"the end", (ADDR_A, PORT))
        back = [s.recv(65535) for _ in range(41)]
        assert b"".join(back) == data + b"the end"
        assert [len(b) for b in back] == [1000] * 40 + [7]
    assert ping(pair.b, ADDR_A)
    last = p.stop()
    assert last["rx_frames"] == last["tx_frames"] == 161
    assert last["rx_joined"] == 1 and last["tx_runs"] >= 1
    assert last["rx_dropped"] == last["tx_dropped"] == 0
    assert not pair.has_xdp()


def test_udp_counts_what_the_kernel_refuses(pair):
    """Too long for the link, an address that is not ours, an interface that is down: no stall."""
    to = ("--role", "send", "--seconds", "1", "--to", ADDR_B, "--count", "500")
    ip("-n", pair.a, "link", "set", "va", "mtu", "1300")
    p = sockets(pair, *to, "--mtu", "1500", "--size", "1514", "--from", ADDR_A)
    last = json.loads(p.p.communicate(timeout=20)[0].splitlines()[-1])
    assert last["tx_too_long"] == 500 and last["tx_frames"] == 0 and last["mbufs_missing"] == 0
    p = sockets(pair, *to, "--from", "10.77.0.99")
    last = json.loads(p.p.communicate(timeout=20)[0].splitlines()[-1])
    assert last["tx_no_source"] + last["tx_no_route"] == 500 and last["mbufs_missing"] == 0
    p = sockets(pair, "--sleep")
    ip("-n", pair.a, "link", "set", "va", "down")
    ip("-n", pair.a, "link", "set", "va", "up")
    with udp(pair.b) as s:
        until("the link to come back", 5, lambda: reflected(s, (ADDR_A, PORT), 1) == 1)
    assert p.stop()["link_up"] == 1


def test_udp_sets_df(pair):
    """And asks nobody: a path that says it is narrow is still sent what fits the link."""
    p = sockets(pair, "--sleep")
    raw = in_ns(pair.b, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                              socket.htons(0x0800)))
    raw.settimeout(2)
    with raw, udp(pair.b) as s:
        s.sendto(b"\x80".ljust(1400, b"x"), (ADDR_A, PORT))  # as a data message begins
        while True:
            frame = raw.recv(65535)
            if len(frame) > 42 and frame[26:30] == socket.inet_aton(ADDR_A):
                break
        assert frame[20] & 0x40, "DF"
    p.stop()


def test_udp_survives_kill(pair):
    p = sockets(pair, "--sleep")
    p.end()
    p = sockets(pair, "--sleep")
    with udp(pair.b) as s:
        assert reflected(s, (ADDR_A, PORT), 5) == 5
    p.stop()
