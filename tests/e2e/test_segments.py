# SPDX-License-Identifier: MIT OR Apache-2.0
"""Host ports that take and give 64 KB segments: bulk TCP and what may lie in its way."""
import os
import socket
import subprocess
import sys
import threading

import pytest

from rig import CLUSTER

SIZE = 100 << 20
TAP = "omni0"


def start(rig, mtu=1400, offload=(), l3=None):
    """Two gateways that know each other; the hosts are the gateways' own namespaces. `offload`:
    the sites whose TAP does without; `l3`: the port's driver in an L3 cluster."""
    gw = {}
    for site, other in (("a", "b"), ("b", "a")):
        conf = rig.static_config(site, [other], {"mode": "l3"} if l3 else None)
        conf["ports"]["host0"].update({"driver": l3 or "tap", "address": "vip", "mtu": mtu})
        if site in offload:
            conf["ports"]["host0"]["offload"] = "off"
        gw[site] = rig.gateway(site, conf, wait=False)
    for g in gw.values():
        g.ready()
        if not l3:  # else the first packet asks for a session
            g.wait_peers(1)
    for site, g in gw.items():
        rig.topo.exec(g.ns, "sysctl", "-qw", f"net.ipv6.conf.{TAP}.disable_ipv6=0")
        rig.topo.exec(g.ns, "ip", "addr", "add", f"fd80::{rig.topo.number(site)}/64", "dev", TAP,
                      "nodad")
    return gw["a"], gw["b"]


SERVER = """
import hashlib, socket, sys
s = socket.create_server((sys.argv[1], 5300), family=int(sys.argv[2]))
print("ready", flush=True)
s.settimeout(60)
c, _ = s.accept()
c.settimeout(60)
h, n = hashlib.sha256(), 0
while data := c.recv(1 << 20):
    h.update(data)
    n += len(data)
print(n, h.hexdigest(), flush=True)
"""

CLIENT = """
import hashlib, os, socket, sys
c = socket.create_connection((sys.argv[1], 5300), timeout=60)
h, left = hashlib.sha256(), int(sys.argv[2])
while left > 0:
    data = os.urandom(min(left, 1 << 20))
    h.update(data)
    c.sendall(data)
    left -= len(data)
c.shutdown(socket.SHUT_WR)
print(h.hexdigest())
"""


def transfer(rig, sender, receiver, addr, size=SIZE):
    """Send size random bytes over one TCP connection; they must arrive as they were."""
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    enter = ["ip", "netns", "exec"]
    with subprocess.Popen([*enter, receiver.ns, sys.executable, "-c", SERVER, addr,
                           str(int(family))], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline() == "ready\n"
            sent = subprocess.run([*enter, sender.ns, sys.executable, "-c", CLIENT, addr,
                                   str(size)], capture_output=True, text=True, timeout=120,
                                  check=True).stdout.split()
            assert server.stdout.readline().split() == [str(size), sent[0]]
        finally:
            server.kill()


def host_port(g):
    return next(p for p in g.ports() if p["name"] == "host0")


@pytest.mark.parametrize("family", [4, 6])
def test_bulk_tcp_arrives_whole_in_segments(rig, family):
    a, b = start(rig)
    assert "tso4" in host_port(a)["offloads"] and "gro" in host_port(a)["offloads"]
    transfer(rig, a, b, rig.topo.vip("b") if family == 4 else "fd80::2",
             SIZE if family == 4 else SIZE // 4)
    sent, got, count = host_port(a), host_port(b), a.counters()
    # But for the first one or two, which show the port where they go, they stay whole.
    assert 0 < sent["rx_segments"] - 5 < sent["rx_whole"] <= sent["rx_segments"]
    assert count["segments_sent"] == sent["rx_whole"] - count["segments_cut"]
    assert count["pieces_sent"] > 5 * count["segments_sent"]
    assert got["tx_whole"] == b.counter("segments_received")
    assert sent["rx_offload"] == sent["rx_bad_len"] == got["tx_failed"] == 0


@pytest.mark.parametrize("driver", ["tun", "tap"])
def test_bulk_tcp_in_an_l3_cluster_arrives_whole(rig, driver):
    rig.driver = "udp"
    a, b = start(rig, l3=driver)
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 2)
    sent, got, count = host_port(a), host_port(b), a.counters()
    assert 0 < sent["rx_segments"] - 5 < sent["rx_whole"] <= sent["rx_segments"]
    assert count["segments_sent"] == sent["rx_whole"] - count["segments_cut"] > 0
    assert got["tx_whole"] == b.counter("segments_received")
    assert sent["rx_offload"] == sent["rx_bad_len"] == got["tx_failed"] == 0
    # A segment's datagrams are equally long, and leave in one send.
    uplink = next(p for p in a.ports() if p["name"] == "uplink0")
    assert uplink["tx_runs"] < 1.2 * sent["rx_segments"]


def test_in_packets_to_and_from_who_takes_no_segments(rig):
    a, b = start(rig, offload="b", l3="tun")
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 4)
    transfer(rig, b, a, rig.topo.vip("a"), SIZE // 4)
    sent = host_port(a)
    assert sent["rx_segments"] > 0 and sent["rx_whole"] == sent["tx_whole"] == 0
    assert a.counter("segments_sent") == b.counter("segments_sent") == 0


def test_in_packets_over_a_path_that_loses_pieces(rig):
    a, b = start(rig, l3="tun")
    rig.topo.exec(rig.topo.router, "tc", "qdisc", "add", "dev", "rb", "root", "tbf", "rate",
                  "400mbit", "burst", "32kb", "limit", "64kb")
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 4)
    assert a.counter("ctl_cuts_received") > 0


def test_in_frames_to_and_from_who_takes_no_segments(rig):
    a, b = start(rig, offload="b")
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 4)
    sent = host_port(a)
    # Every segment is a read of many frames.
    assert sent["rx_segments"] > 0 and sent["rx_frames"] > 5 * sent["rx_segments"]
    before = host_port(a)
    transfer(rig, b, a, rig.topo.vip("a"), SIZE // 4)
    got = host_port(a)
    # Frames leave joined.
    assert 0 < got["tx_segments"] - before["tx_segments"] < (
        got["tx_frames"] - before["tx_frames"]) / 2
    assert got["rx_whole"] == got["tx_whole"] == got["tx_failed"] == 0
    assert a.counter("segments_sent") == b.counter("segments_sent") == 0


def test_in_frames_over_a_path_that_loses_pieces(rig):
    a, b = start(rig)
    rig.topo.exec(rig.topo.router, "tc", "qdisc", "add", "dev", "rb", "root", "tbf", "rate",
                  "400mbit", "burst", "32kb", "limit", "64kb")
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 4)
    assert a.counter("ctl_cuts_received") > 0
    # And in the next connection not a single one.
    before = a.counter("segments_sent")
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 10)
    assert a.counter("segments_sent") == before
    assert host_port(a)["rx_segments"] > host_port(a)["rx_whole"]


def test_a_segment_leaves_in_one_send(rig):
    rig.driver = "udp"
    a, b = start(rig)
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 4)
    uplink = next(p for p in a.ports() if p["name"] == "uplink0")
    segments = host_port(a)["rx_segments"]
    assert SIZE // 4 / 65536 < segments
    assert uplink["tx_runs"] < 1.2 * segments


def test_without_offloads(rig):
    """Of the port, and of the kernel's side of it."""
    a, b = start(rig, offload="ab")
    assert host_port(a)["offloads"] == ""
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 10)
    for g in (a, b):
        p = host_port(g)
        assert p["rx_segments"] == p["tx_segments"] == p["rx_checksums"] == 0
        assert p["rx_offload"] == p["tx_failed"] == 0


def test_host_with_its_offloads_switched_off(rig):
    a, b = start(rig)
    for g in (a, b):
        rig.topo.exec(g.ns, "ethtool", "-K", TAP, "tx", "off", "tso", "off", "gso", "off", "gro",
                      "off")
    before = host_port(a)
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 10)
    after = host_port(a)
    assert after["rx_segments"] == before["rx_segments"]
    assert host_port(b)["tx_failed"] == 0


def test_vlan(rig):
    a, b = start(rig)
    for n, g in ((1, a), (2, b)):
        made = rig.topo.exec(g.ns, "ip", "link", "add", "link", TAP, "name", "v9", "type", "vlan",
                             "id", "9", check=False)
        if "Unknown device type" in made.stderr:
            pytest.skip("the kernel has no VLAN interfaces")
        rig.topo.exec(g.ns, "ip", "addr", "add", f"10.210.0.{n}/24", "dev", "v9")
        rig.topo.exec(g.ns, "ip", "link", "set", "v9", "up")
    transfer(rig, a, b, "10.210.0.2", SIZE // 4)
    assert host_port(a)["rx_segments"] > 0
    assert host_port(b)["tx_segments"] > 0


def test_jumbo_frames(rig):
    a, b = start(rig, mtu=9000)
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 4)
    assert host_port(a)["rx_segments"] > 0
    assert host_port(b)["tx_segments"] > 0
    assert host_port(a)["rx_bad_len"] == 0


def test_two_connections_both_ways(rig):
    a, b = start(rig)
    errors = []

    def run(*args):
        try:
            transfer(*args)
        except (AssertionError, subprocess.SubprocessError) as e:
            errors.append(e)

    ways = [threading.Thread(target=run, args=(rig, a, b, rig.topo.vip("b"), SIZE // 4)),
            threading.Thread(target=run, args=(rig, b, a, "fd80::1", SIZE // 4))]
    for t in ways:
        t.start()
    for t in ways:
        t.join()
    assert not errors


UDP_SERVER = """
import hashlib, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 5301))
s.settimeout(30)
print("ready", flush=True)
while True:
    data, client = s.recvfrom(70000)
    s.sendto(hashlib.sha256(data).digest(), client)
"""

# One large send at a time, again until every datagram of it was answered with its hash.
UDP_CLIENT = """
import hashlib, os, socket, sys
addr, count, size, segment = sys.argv[1], *map(int, sys.argv[2:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.5)
if segment:
    s.setsockopt(socket.SOL_UDP, 103, segment)  # UDP_SEGMENT
for _ in range(count):
    data = os.urandom(size)
    part = segment or size
    want = {hashlib.sha256(data[i:i + part]).digest() for i in range(0, size, part)}
    for tries in range(20):
        s.sendto(data, (addr, 5301))
        got = set()
        try:
            while got != want:
                answer = s.recv(64)
                got |= {answer} & want
            break
        except TimeoutError:
            pass
    else:
        sys.exit("lost or damaged")
"""


@pytest.mark.parametrize("size, segment", [(8000, 0), (60000, 0), (40000, 1300)])
def test_large_datagrams(rig, size, segment):
    """In IP fragments, and as runs that the kernel leaves to us to cut."""
    a, b = start(rig)
    addr, count = rig.topo.vip("b"), 20
    enter = ["ip", "netns", "exec"]
    with subprocess.Popen([*enter, b.ns, sys.executable, "-c", UDP_SERVER, addr],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as server:
        try:
            assert server.stdout.readline() == "ready\n"
            subprocess.run([*enter, a.ns, sys.executable, "-c", UDP_CLIENT, addr, str(count),
                            str(size), str(segment)], timeout=60, check=True)
        finally:
            server.kill()
    if segment and "uso" in host_port(a)["offloads"]:
        assert host_port(a)["rx_segments"] >= count


def joined_by_virtio(rig, offload):
    """The cluster's ports of two gateways: a TAP each, and between them virtio queues."""
    gw, path = {}, os.path.join(rig.dir, "lan.sock")
    for site, driver, more in (("a", "vhost", {"role": "server"}), ("b", "virtio-user", {})):
        conf = rig.static_config(site, [])
        conf["ports"]["host0"].update({"address": "vip"})
        conf["ports"]["lan0"] = {"driver": driver, "socket": path, "offload": offload, **more}
        conf["clusters"][CLUSTER]["ports"].append("lan0")
        gw[site] = rig.gateway(site, conf)
        rig.topo.exec(gw[site].ns, "sysctl", "-qw", f"net.ipv6.conf.{TAP}.disable_ipv6=0")
        rig.topo.exec(gw[site].ns, "ip", "addr", "add", f"fd80::{rig.topo.number(site)}/64", "dev",
                      TAP, "nodad")
    return gw["a"], gw["b"]


def lan_port(g):
    return next(p for p in g.ports() if p["name"] == "lan0")


@pytest.mark.parametrize("family", [4, 6])
def test_segments_over_virtio_queues(rig, family):
    a, b = joined_by_virtio(rig, "on")
    for sender, receiver, number in ((a, b, 2), (b, a, 1)):
        addr = rig.topo.vip("ab"[number - 1]) if family == 4 else f"fd80::{number}"
        before = lan_port(sender), lan_port(receiver)
        transfer(rig, sender, receiver, addr, SIZE // 4)
        sent, got = lan_port(sender), lan_port(receiver)
        segments = sent["tx_segments"] - before[0]["tx_segments"]
        assert segments > 0
        assert segments < (sent["tx_frames"] - before[0]["tx_frames"]) / 3
        assert got["rx_offload"] == got["rx_dropped"] == 0
        # What the queue had no room for was dropped before.
        lost = sent["tx_dropped"] - before[0]["tx_dropped"]
        assert segments - lost <= got["rx_segments"] - before[1]["rx_segments"] <= segments


def test_virtio_queues_without_offloads(rig):
    a, b = joined_by_virtio(rig, "off")
    transfer(rig, a, b, rig.topo.vip("b"), SIZE // 10)
    assert "tx_segments" not in lan_port(a) and lan_port(a)["offloads"] == ""
