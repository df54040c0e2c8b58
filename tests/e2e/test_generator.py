# SPDX-License-Identifier: MIT OR Apache-2.0
"""omni-bench generate against devices that are ours and that are not: testpmd, a bridge of the
kernel, a device in Python that does to frames what we tell it, one gateway and two. Rates are low:
what is asserted is that everything is counted, not how fast anything is."""
import json
import os
import signal
import socket
import subprocess
import threading
import time
import xml.dom.minidom

import pytest

from conftest import fresh_prefix
from rig import Process, RigError, build_dir, until
from test_ports import in_ns, ip

BENCH = os.path.join(build_dir(), "app/bench/omni-bench")
TESTPMD = "/usr/bin/dpdk-testpmd"
NEEDS_TESTPMD = pytest.mark.skipif(not os.access(TESTPMD, os.X_OK), reason="no dpdk-testpmd")
SIZES = {"l2": 60, "udp4": 64, "udp6": 84}
# A shared machine may take a core away for the better part of a second.
SETTLE = "2"
ANYWHERE = "0@(0-1),1@(0-1)"
OUTGOING = 4  # packet type of what a socket's own host sends

pytestmark = pytest.mark.skipif(not os.access(BENCH, os.X_OK), reason="omni-bench is not built")


def bench(*args, ns=None, lcores="0@(0-1)", timeout=60):
    argv = [BENCH, "--lcores", lcores, "--", "generate", "--warm-up", "0.1", "--settle", SETTLE,
            *args]
    return subprocess.run((["ip", "netns", "exec", ns] if ns else []) + argv, timeout=timeout,
                          capture_output=True, text=True, check=False)


def measured(*args, status=0, **kw):
    """The JSON that it prints."""
    p = bench("--json", *args, **kw)
    assert p.returncode == status, p.stderr + p.stdout
    return json.loads(p.stdout)


def only(result):
    """The one direction of the one trial."""
    assert len(result["trials"]) == 1 and len(result["trials"][0]["directions"]) == 1
    return result["trials"][0]["directions"][0]


def assert_clean(d):
    """Every frame that was offered came once, in order, as it was."""
    assert d["sent"] > 0 and d["sent"] + d["missed"] == d["target"]
    assert d["received"] == d["sent"] and d["lost"] == 0
    assert d["received_bytes"] == d["sent_bytes"]
    for name in ("duplicates", "reordered", "corrupt", "too_old", "returned", "foreign",
                 "of_earlier_trials", "tx_dropped", "rx_dropped"):
        assert d[name] == 0, name
    latency = d["latency_ns"]
    assert latency["count"] == d["sent"] == sum(n for _, _, n in latency["buckets"])
    assert 0 < latency["min"] <= latency["p50"] <= latency["p99"] <= latency["max"]


# ---- One port whose device gives everything back ----

def test_one_port_and_any_device_of_dpdk():
    """A ring of DPDK's, named by its devargs, returns what is sent; every frame is ours alone."""
    r = measured("--tx", "driver=ethdev,device=net_ring0", "--ramp", "2kpps,1mpps,max", "--flows",
                 "1000", "--size", "imix", "--duration", "0.2", "--settle", "0.1")
    for trial, asked in zip(r["trials"], (2000, 1e6, None)):
        d = trial["directions"][0]
        assert trial["asked_pps"] == asked and d["target"] == (asked or 0) * 0.2
        assert d["received"] == d["sent"] > 0 and d["lost"] == 0
        for name in ("duplicates", "reordered", "corrupt", "returned", "foreign", "too_old"):
            assert d[name] == 0, name


# ---- testpmd between two memif ports ----

class Testpmd(Process):
    __test__ = False

    def __init__(self, directory, mode):
        self.sockets = [os.path.join(directory, f"m{i}.sock") for i in range(2)]
        devices = [a for i, s in enumerate(self.sockets) for a in
                   ("--vdev", f"net_memif{i},role=server,id=0,socket={s},socket-abstract=no")]
        super().__init__(None, [TESTPMD, "--lcores", ANYWHERE, "--no-huge", "-m", "256",
                                "--no-pci", "--no-shconf", "--no-telemetry", "--iova-mode=va",
                                "--file-prefix", os.path.basename(fresh_prefix()), *devices, "--",
                                f"--forward-mode={mode}", "--auto-start", "--nb-cores=1",
                                "--total-num-mbufs=8192"],
                         os.path.join(directory, "testpmd.log"))

    def start(self):
        # It ends when its input does.
        r, self.keep = os.pipe()
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(self.argv, stdin=r, stdout=out, stderr=out,
                                          start_new_session=True)
        os.close(r)
        # Its sockets are there before its ports are; who connects then is turned away for good.
        until("testpmd's ports", 20, lambda: "Checking link statuses" in self.text())
        return self

    def end(self):
        os.close(self.keep)
        try:
            self.wait(10)
        except RigError:
            pass

    def ports(self):
        return [a for o, s in zip(("--tx", "--rx"), self.sockets)
                for a in (o, f"driver=memif,socket={s},id=0")]


@pytest.fixture(params=["io"])
def testpmd(request, tmp_path):
    p = Testpmd(str(tmp_path), request.param).start()
    yield p
    p.end()


@NEEDS_TESTPMD
@pytest.mark.parametrize("kind", ["l2", "udp4", "udp6"])
def test_testpmd_counts_are_exact(testpmd, kind):
    d = only(measured(*testpmd.ports(), "--traffic", kind, "--rate", "1000pps", "--duration", "1",
                      "--size", str(SIZES[kind]), "--flows", "300"))
    assert d["target"] == 1000
    assert_clean(d)


@NEEDS_TESTPMD
def test_testpmd_both_ways_with_a_mix_and_tags(testpmd):
    r = measured(*testpmd.ports(), "--bidirectional", "--size", "imix,1514", "--vlan", "7",
                 "--rate", "1000pps", "--duration", "0.6", "--burst", "8")
    assert [t["size"] for t in r["trials"]] == ["imix", 1514]
    for trial in r["trials"]:
        assert len(trial["directions"]) == 2
        for d in trial["directions"]:
            assert_clean(d)
    mix = r["trials"][0]["directions"][0]
    if mix["sent"] % 12 == 0:
        assert mix["sent_bytes"] * 12 == mix["sent"] * (7 * 64 + 4 * 576 + 1420)


@NEEDS_TESTPMD
@pytest.mark.parametrize("testpmd", ["mac"], indirect=True)
def test_testpmd_rewrites_macs(testpmd):
    """A device that changes MAC addresses, as routers do, changes nothing that is counted."""
    assert_clean(only(measured(*testpmd.ports(), "--rate", "500pps", "--duration", "0.6")))


@NEEDS_TESTPMD
def test_ramp_json_table_and_plot(testpmd, tmp_path):
    plot = str(tmp_path / "plot.svg")
    args = ("--ramp", "200pps..1000pps/3", "--duration", "0.3", "--plot", plot)
    r = measured(*testpmd.ports(), *args)
    assert r["mode"] == "ramp" and [t["asked_pps"] for t in r["trials"]] == [200, 600, 1000]
    for trial in r["trials"]:
        assert_clean(trial["directions"][0])
    svg = xml.dom.minidom.parse(plot)
    assert len([p for p in svg.getElementsByTagName("path")
                if p.getAttribute("class") == "curve"]) == 2 * 3  # and its sample in the legend
    assert len(svg.getElementsByTagName("circle")) == 3 + 2
    # testpmd's memif may crash when a second client comes.
    table = bench("--tx", "driver=ethdev,device=net_ring0", *args)
    assert table.returncode == 0
    lines = table.stdout.splitlines()
    assert lines[0].split()[:2] == ["SIZE", "DIR"]
    assert sum(line.split()[:2] == ["64", "->"] for line in lines) == 3


@NEEDS_TESTPMD
def test_two_lcores_and_a_rate_beyond_reach(testpmd):
    """Nobody offers a billion frames a second: it says what was offered, and what was not."""
    d = only(measured(*testpmd.ports(), "--rate", "1000mpps", "--duration", "0.2", "--wait", "9",
                      lcores=ANYWHERE))
    assert d["missed"] > 0 and d["sent"] + d["missed"] == d["target"] == 200_000_000
    assert d["offered_pps"] < 1e9
    assert d["received"] + d["lost"] + d["tx_dropped"] == d["sent"]
    assert d["duplicates"] == d["corrupt"] == d["foreign"] == 0


@NEEDS_TESTPMD
def test_interrupted_it_says_what_there_is(testpmd):
    p = subprocess.Popen([BENCH, "--lcores", "0@(0-1)", "--", "generate", *testpmd.ports(),
                          "--rate", "500pps", "--duration", "60", "--json"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=20)
    assert p.returncode == 4, err
    r = json.loads(out)
    d = only(r)
    assert r["interrupted"] and 0 < d["sent"] < d["target"]
    assert d["received"] == d["sent"]


# ---- A device between two veth pairs, over AF_XDP ----

class Bad:
    """Forwards raw frames both ways between two interfaces; act(i, frame) says what becomes of
    test frame i: a list of frames. What it is told it counts."""

    def __init__(self, ns, a, b, act=None):
        self.act = act or (lambda i, frame: [frame])
        self.sockets = []
        for name in (a, b):
            s = in_ns(ns, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                                socket.htons(3)))
            in_ns(ns, lambda s=s, name=name: s.bind((name, 3)))
            s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
            s.settimeout(0.1)
            self.sockets.append(s)
        self.stop = False
        self.seen = 0
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(2)]
        for t in self.threads:
            t.start()

    def run(self, i):
        rx, tx = self.sockets[i], self.sockets[1 - i]
        while not self.stop:
            try:
                frame, address = rx.recvfrom(2048)
            except TimeoutError:
                continue
            if address[2] == OUTGOING:
                continue
            out = [frame]
            # UDP over IPv4; learning frames and what the kernel says go through.
            if i == 0 and frame[12:14] == b"\x08\0":
                out = self.act(self.seen, frame)
                self.seen += 1
            for f in out:
                tx.send(f)

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join()
        for s in self.sockets:
            s.close()


class Veths:
    """Namespace g has the generator's ports a0 and b0, namespace d the device's a1 and b1."""

    def __init__(self):
        prefix = fresh_prefix()
        self.g, self.d = f"{prefix}-g", f"{prefix}-d"
        for ns in (self.g, self.d):
            ip("netns", "add", ns)
            subprocess.run(["ip", "netns", "exec", ns, "sysctl", "-qw",
                            "net.ipv6.conf.all.disable_ipv6=1",
                            "net.ipv6.conf.default.disable_ipv6=1"], check=True)
        for side in "ab":
            ip("link", "add", f"{side}0", "netns", self.g, "type", "veth", "peer", "name",
               f"{side}1", "netns", self.d)
            ip("-n", self.g, "link", "set", f"{side}0", "up")
            ip("-n", self.d, "link", "set", f"{side}1", "up")

    def bridge(self):
        ip("-n", self.d, "link", "add", "name", "br0", "type", "bridge", "stp_state", "0",
           "mcast_snooping", "0", "forward_delay", "0")
        ip("-n", self.d, "link", "set", "br0", "up")
        for side in "ab":
            ip("-n", self.d, "link", "set", f"{side}1", "master", "br0")

    def measured(self, *args, **kw):
        return measured("--tx", "driver=af_xdp,interface=a0", "--rx", "driver=af_xdp,interface=b0",
                        *args, ns=self.g, **kw)

    def down(self):
        for ns in (self.g, self.d):
            ip("netns", "del", ns, check=False)


@pytest.fixture
def veths():
    v = Veths()
    yield v
    v.down()


@pytest.mark.parametrize("kind", ["l2", "udp4", "udp6"])
def test_bridge_of_the_kernel_learns_and_carries(veths, kind):
    """No frame is flooded back: the learning frames have told the bridge where everybody is."""
    veths.bridge()
    d = veths.measured("--traffic", kind, "--size", "100", "--rate", "500pps", "--duration", "0.5",
                       "--bidirectional", "--flows", "20", "--macs", "20")["trials"][0]
    for direction in d["directions"]:
        assert_clean(direction)


def bad_device(veths, act, *args):
    device = Bad(veths.d, "a1", "b1", act)
    try:
        return device, only(veths.measured("--rate", "400pps", "--duration", "1", "--warm-up", "0",
                                           *args))
    finally:
        device.end()


def test_loss_is_counted(veths):
    device, d = bad_device(veths, lambda i, f: [] if i % 10 == 3 else [f])
    assert device.seen == d["sent"]
    assert d["lost"] == len([i for i in range(d["sent"]) if i % 10 == 3])
    assert d["received"] == d["sent"] - d["lost"]
    assert abs(d["loss"] - d["lost"] / d["sent"]) < 1e-9
    assert d["duplicates"] == d["reordered"] == d["corrupt"] == 0


def test_duplicates_are_counted(veths):
    _, d = bad_device(veths, lambda i, f: [f, f] if i % 7 == 0 else [f])
    assert d["duplicates"] == len([i for i in range(d["sent"]) if i % 7 == 0])
    assert d["received"] == d["sent"] and d["lost"] == d["reordered"] == 0


def test_reordering_is_counted(veths):
    """Of every ten frames of one flow the first comes behind the third."""
    held = []

    def act(i, frame):
        if i % 10 == 0:
            held.append(frame)
            return []
        return [frame, held.pop()] if i % 10 == 2 and held else [frame]

    _, d = bad_device(veths, act, "--flows", "1")
    late = len([i for i in range(d["sent"]) if i % 10 == 2])
    assert d["reordered"] == late and d["reordered_by_most"] == 2
    assert d["received"] + d["lost"] == d["sent"] and d["lost"] == len(held)
    assert d["duplicates"] == 0


def test_changed_and_foreign_frames_are_counted(veths):
    def act(i, frame):
        if i % 20 == 5:  # one bit of the body
            return [frame[:70] + bytes([frame[70] ^ 4]) + frame[71:]]
        if i % 20 == 6:  # cut short
            return [frame[:-3]]
        if i % 20 == 7:  # another address
            return [frame[:33] + b"\xfe" + frame[34:]]
        if i % 20 == 8:
            return [frame, b"\xff" * 6 + b"\2\0\0\0\0\1" + b"\x08\x06" + bytes(46)]
        return [frame]

    _, d = bad_device(veths, act, "--size", "120")
    changed = len([i for i in range(d["sent"]) if i % 20 in (5, 6, 7)])
    assert d["corrupt"] == changed == d["lost"]
    assert d["foreign"] == len([i for i in range(d["sent"]) if i % 20 == 8])


def test_search_ends_where_the_device_does(veths):
    """A device that takes 500 frames a second and 25 at once."""
    bucket = {"level": 25.0, "at": time.monotonic()}

    def act(_, frame):
        now = time.monotonic()
        bucket["level"] = min(25.0, bucket["level"] + (now - bucket["at"]) * 500)
        bucket["at"] = now
        if bucket["level"] < 1:
            return []
        bucket["level"] -= 1
        return [frame]

    device = Bad(veths.d, "a1", "b1", act)
    try:
        r = veths.measured("--rfc2544", "--rate", "2kpps", "--size", "64,512", "--duration", "0.5",
                           "--settle", "0.5", "--resolution", "4")
    finally:
        device.end()
    assert [t["size"] for t in r["throughput"]] == [64, 512]
    for t in r["throughput"]:
        trials = [x for x in r["trials"] if x["size"] == t["size"]]
        assert t["trials"] == len(trials) <= 8
        passed = [x["directions"][0]["offered_pps"] for x in trials if x["passed"]]
        failed = [x["directions"][0]["offered_pps"] for x in trials if not x["passed"]]
        assert passed and failed
        assert 0 < t["pps"] <= max(passed) * 1.02
        # Half a second and what the bucket holds at first.
        assert t["pps"] < 600


def test_link_down_and_nothing_back(veths):
    ports = ("--tx", "driver=af_xdp,interface=a0", "--rx", "driver=af_xdp,interface=b0", "--rate",
             "100pps", "--duration", "0.3", "--wait", "0.3")
    p = bench(*ports, ns=veths.g)
    assert p.returncode == 3 and "not one test frame came back" in p.stderr
    ip("-n", veths.d, "link", "set", "b1", "down")
    p = bench(*ports, ns=veths.g)
    assert p.returncode == 1 and "port rx: the link is down" in p.stderr


def test_tap_ports_in_a_bridge(veths):
    """Two taps of ours, joined by the kernel's bridge: ports need be no hardware."""
    ip("-n", veths.g, "link", "add", "name", "br0", "type", "bridge", "stp_state", "0",
       "mcast_snooping", "0", "forward_delay", "0")
    ip("-n", veths.g, "link", "set", "br0", "up")
    p = subprocess.Popen(["ip", "netns", "exec", veths.g, BENCH, "--lcores", "0@(0-1)", "--",
                          "generate", "--tx", "driver=tap,interface=t0", "--rx",
                          "driver=tap,interface=t1", "--rate", "300pps", "--duration", "4",
                          "--warm-up", "2", "--json"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for name in ("t0", "t1"):
        until(name, 10, lambda name=name: name in ip("-n", veths.g, "link", "show"))
        ip("-n", veths.g, "link", "set", name, "master", "br0")
    out, err = p.communicate(timeout=30)
    assert p.returncode == 0, err
    d = only(json.loads(out))
    assert d["received"] == d["sent"] and d["duplicates"] == d["corrupt"] == 0


# ---- Gateways ----

def local_memifs(rig, site, names):
    """A configuration with local ports on memif, ours the servers."""
    ports = {n: {"driver": "memif", "socket": os.path.join(rig.dir, f"{site}-{n}.sock"),
                 "role": "server"} for n in names}
    conf = rig.static_config(site, "b" if site == "a" else "a")
    conf["ports"] = {"uplink0": conf["ports"]["uplink0"], **ports}
    conf["clusters"]["demo"]["ports"] = list(names)
    return conf


def memif_of(rig, site, name):
    return f"driver=memif,socket={os.path.join(rig.dir, f'{site}-{name}.sock')},id=0"


def test_through_one_gateway(rig):
    """Two local ports of one cluster: plain L2 forwarding."""
    g = rig.gateway("a", local_memifs(rig, "a", ("l0", "l1")), lcores=ANYWHERE)
    r = measured("--tx", memif_of(rig, "a", "l0"), "--rx", memif_of(rig, "a", "l1"), "--rate",
                 "500pps", "--duration", "1", "--bidirectional", "--flows", "40", "--macs", "10",
                 "--size", "imix")
    sent = 0
    for d in r["trials"][0]["directions"]:
        assert_clean(d)
        sent += d["sent"]
    ports = {p["name"]: p for p in g.ports()}
    assert ports["l0"]["tx_frames"] + ports["l1"]["tx_frames"] >= sent
    assert len(g.fdb()) == 20


@pytest.mark.parametrize("kind", ["l2", "udp6"])
def test_through_two_gateways(rig, kind):
    """A local port at each end of a tunnel, full frames included: they go in fragments."""
    gw = [rig.gateway(s, local_memifs(rig, s, ("l0",)), wait=False, lcores=ANYWHERE) for s in "ab"]
    for g in gw:
        g.ready()
    for g in gw:
        g.wait_peers(1)
    r = measured("--tx", memif_of(rig, "a", "l0"), "--rx", memif_of(rig, "b", "l0"), "--rate",
                 "300pps", "--duration", "1", "--bidirectional", "--size", "100,1514", "--traffic",
                 kind)
    assert [t["size"] for t in r["trials"]] == [100, 1514]
    for trial in r["trials"]:
        for d in trial["directions"]:
            assert_clean(d)


# ---- What cannot be ----

def test_wrong_words_are_named():
    null = ("--tx", "driver=null")
    for args, text in (
            ((), "a port to send from"),
            (("--tx", "interface=x"), "no driver"),
            (("--tx", "driver=null,speed=9"), '"speed" is not known'),
            ((*null,), "a rate (or max)"),
            ((*null, "--rate", "10"), "is no rate"),
            ((*null, "--rate", "110%"), "is no rate"),
            ((*null, "--rate", "1pps", "--size", "20"), "from 60 to"),
            ((*null, "--rate", "1pps", "--bidirectional"), "--rx and another port"),
            ((*null, "--rate", "1pps", "--flows", "2", "--macs", "3"), "no more pairs"),
            ((*null, "--ramp", "1pps..9pps"), "FROM..TO/N"),
            ((*null, "--rate", "1pps", "--to", "02:00"), "MAC or MAC,MAC"),
            ((*null, "--rate", "1pps", "more"), '"more"'),
            ((*null, "--rate", "1pps", "--traffic", "udp6", "--size", "60"), "expected 80 to")):
        p = bench(*args)
        assert p.returncode == 2 and text in p.stderr, (args, p.returncode, p.stderr)


def test_ports_that_cannot_be():
    for port, text in (("driver=floppy", "unknown driver"),
                       ("driver=af_xdp,interface=nosuch0", "no such interface"),
                       ("driver=memif,socket=relative", "full path"),
                       ("driver=ethdev,device=eth0", "no virtual device")):
        p = bench("--tx", port, "--rate", "1pps")
        assert p.returncode == 1 and text in p.stderr, (port, p.returncode, p.stderr)
    p = bench("--tx", "driver=null", "--rate", "100pps", "--duration", "0.2")
    assert p.returncode == 3, p.stderr


def test_help_is_there():
    p = bench("--help")
    assert p.returncode == 0
    for word in ("--tx PORT", "--rfc2544", "Exit status", "--plot"):
        assert word in p.stdout
