# SPDX-License-Identifier: MIT OR Apache-2.0
"""Seven workers at each end of one veth pair: what they hand to each other, and what adds up."""
import os
import signal
import subprocess
import time

import pytest

from conftest import drop_rig, fresh_prefix
from rig import SEVEN, Rig, until
from topo import ROUTED, Topo, ip, run

WORKERS = 7


class Direct(Topo):
    """Two gateways and no router: what one sends on a queue, the other receives on the same one."""

    def uplink_addr(self, site):
        return f"{ROUTED}.0.{self.number(site)}"

    def namespaces(self):
        return [self.gw(s) for s in self.sites]

    def up(self):
        self.down()
        a, b = self.namespaces()
        for ns in (a, b):
            ip("netns", "add", ns)
            ip("-n", ns, "link", "set", "lo", "up")
            run("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1",
                "net.ipv6.conf.all.disable_ipv6=1")
        queues = ("numtxqueues", "2", "numrxqueues", "2")
        ip("link", "add", "up0", "netns", a, *queues, "type", "veth", "peer", "name", "up0",
           "netns", b, *queues)
        for s in self.sites:
            ip("-n", self.gw(s), "addr", "add", f"{self.uplink_addr(s)}/24", "dev", "up0")
            ip("-n", self.gw(s), "link", "set", "up0", "up")
        return self


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    topo = Direct(fresh_prefix(), 2, hosts=False)
    rig = Rig(topo, str(tmp_path_factory.mktemp("rig")))
    rig.lcores = SEVEN
    try:
        topo.up()
        rig.gw = {s: rig.gateway(s, rig.static_config(s, "b" if s == "a" else "a"), wait=False)
                  for s in "ab"}
        for g in rig.gw.values():
            g.ready()
        rig.reaches(topo.gw("a"), topo.vip("b"), 15)
        yield rig
    finally:
        drop_rig(rig)


def workers(gateway, *names):
    """Counters of those names, a tuple for each worker."""
    each = gateway.rpc("stats", {"per_worker": True})["workers"]
    return [tuple(w[n] for n in names) for w in each]


def flows(pair, count=24):
    """So many UDP flows at once, a few datagrams each, from a to b; how many arrived."""
    t = pair.topo
    listen = ("import socket,sys;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);"
              "s.bind(('',7000));s.settimeout(3);n=0\nprint('up',flush=True)\n"
              "try:\n while True: s.recv(99);n+=1\nexcept TimeoutError: print(n)")
    send = ("import socket,time\n"
            f"s=[socket.socket(socket.AF_INET,socket.SOCK_DGRAM) for _ in range({count})]\n"
            "for i in range(20):\n"
            f" for x in s: x.sendto(b'%d'%i,('{t.vip('b')}',7000))\n"
            " time.sleep(0.005)")
    with subprocess.Popen(["ip", "netns", "exec", t.gw("b"), "/usr/bin/python3", "-c", listen],
                          stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline() == "up\n"
        t.exec(t.gw("a"), "/usr/bin/python3", "-c", send)
        return int(p.stdout.readline())


def test_a_lane_for_each_worker(pair):
    for g in pair.gw.values():
        (s,) = [s for s in g.sessions() if s["slot"] == "current"]
        assert s["lanes_tx"] == s["lanes_rx"] == 1 + WORKERS


def test_all_workers_are_seen(pair):
    status = pair.gw["a"].status()
    assert [w["worker"] for w in status["workers"]] == list(range(1, WORKERS + 1))
    ports = {p["name"]: p["queues"] for p in pair.gw["a"].ports()}
    assert ports == {"uplink0": 2, "host0": WORKERS}
    stages = pair.gw["a"].rpc("stages", {"per_worker": True})
    assert {s.get("worker", 0) for s in stages} == set(range(WORKERS + 1))
    shown = pair.gw["a"].ctl("stages", "--per-worker").stdout
    assert len(shown.splitlines()) == 1 + len(stages) and "worker" in shown.splitlines()[0].lower()


def test_flows_spread_and_nothing_is_lost(pair):
    """Several workers seal, both that have an uplink queue receive, and the sums agree."""
    a, b = pair.gw["a"], pair.gw["b"]
    before = {"a": workers(a, "sealed", "uplink_tx"), "b": workers(b, "uplink_rx", "opened")}
    assert flows(pair) == 24 * 20
    after = {"a": workers(a, "sealed", "uplink_tx"), "b": workers(b, "uplink_rx", "opened")}
    gained = {s: [tuple(x - y for x, y in zip(one, two)) for one, two in zip(after[s], before[s])]
              for s in "ab"}
    assert sum(n > 0 for n, _ in gained["a"]) >= 3, gained
    assert [n > 0 for _, n in gained["a"]] == [True, True] + [False] * 5, gained
    assert [n > 0 for n, _ in gained["b"]] == [True, True] + [False] * 5, gained
    # Keepalives and control apart, what was sealed is what was opened.
    assert sum(n for _, n in gained["b"]) >= sum(n for n, _ in gained["a"]) >= 1
    for g in (a, b):
        drops = {k: v for k, v in g.counters().items() if k.startswith("drop_") and v}
        assert set(drops) <= {"drop_lane_owner", "drop_no_key", "drop_nobody", "drop_no_path",
                              "drop_split_horizon"}, drops
        # One datagram at most for each lane that was claimed by two at once.
        assert drops.get("drop_lane_owner", 0) <= WORKERS + 1


def test_frames_are_handed_to_who_has_the_queue(pair):
    a = pair.gw["a"]
    handed = workers(a, "handed_frames")
    assert handed[0] == handed[1] == (0,), "they have a queue of every port"
    assert sum(n for (n,) in handed) > 0
    each = workers(a, "uplink_tx", "opened", "handed_datagrams")
    total = a.counters()
    for i, name in enumerate(("uplink_tx", "opened", "handed_datagrams")):
        assert sum(w[i] for w in each) == total[name]


def test_a_flow_stays_in_order(pair):
    """TCP across, both ways, and what a reader of the counters would call disorder."""
    t = pair.topo
    for reverse in ((), ("-R",)):
        r = pair.iperf(t.gw("a"), t.gw("b"), t.vip("b"), "-t", "1", *reverse)
        assert r["gbps"] > 0.01
    a = pair.gw["a"].counters()
    assert a["drop_replayed"] == 0 and a["drop_bad_tag"] == 0


def test_idle_workers_sleep(pair):
    """Seven workers of two gateways on two CPUs: together under a tenth of one."""
    def cpu(g):
        with open(f"/proc/{g.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def idle():
        before = sum(cpu(g) for g in pair.gw.values())
        time.sleep(2)
        return sum(cpu(g) for g in pair.gw.values()) - before < 0.2

    until("the workers to rest", 20, idle)


# ---- Source ports of lanes ----

LANE_PORTS = 41000


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    """The same over kernel sockets, with a router between that can be told to lose ports."""
    topo = Topo(fresh_prefix(), 2, hosts=False)
    rig = Rig(topo, str(tmp_path_factory.mktemp("routed")))
    rig.lcores, rig.driver = SEVEN, "udp"
    try:
        topo.up()
        rig.gw = {}
        for s, o in ("ab", "ba"):
            conf = rig.static_config(s, o)
            conf["underlay"]["lane-ports"] = LANE_PORTS if s == "a" else "off"
            rig.gw[s] = rig.gateway(s, conf, wait=False)
        for g in rig.gw.values():
            g.ready()
        rig.reaches(topo.gw("a"), topo.vip("b"), 15)
        yield rig
    finally:
        drop_rig(rig)


def lane_ports(gateway):
    return gateway.peers()[0]["lane_ports"]


def ports_in_use(routed):
    flows(routed, 4)
    return lane_ports(routed.gw["a"]) >= 3


def test_one_tunnel_is_opened_by_many(routed):
    """Lanes that are in use get their ports, the other end's sockets share what comes from them,
    nothing is lost, and nobody moves."""
    a, b = routed.gw["a"], routed.gw["b"]

    def spread():
        return ports_in_use(routed) and a.counters()["ctl_handshakes_done"] + \
            b.counters()["ctl_handshakes_done"] >= 2

    until("lanes to have their ports, and new keys", 20, spread, every=0.1)
    flows(routed)
    before = workers(b, "uplink_rx", "opened")
    assert flows(routed) == 24 * 20
    gained = [tuple(x - y for x, y in zip(one, two))
              for one, two in zip(workers(b, "uplink_rx", "opened"), before)]
    assert sum(rx > 20 for rx, _ in gained) >= 2, gained
    assert sum(opened > 20 for _, opened in gained) >= 2, gained
    assert lane_ports(b) == 0
    for g in (a, b):
        counters = g.counters()
        assert counters["ctl_roamed"] == counters["drop_bad_tag"] == counters["drop_replayed"] == 0
        assert g.peers()[0]["endpoint"].endswith(":51820")
    assert a.counters()["ctl_lane_ports_proven"] >= 3


def test_a_tunnel_over_lane_ports_stays_in_order(routed):
    t = routed.topo
    for reverse in ((), ("-R",)):
        r = routed.iperf(t.gw("a"), t.gw("b"), t.vip("b"), "-t", "1", *reverse)
        assert r["gbps"] > 0.01
    for g in routed.gw.values():
        assert g.counters()["drop_replayed"] == 0


def test_ports_that_the_path_loses_are_given_up(routed):
    """The router lets nothing through from there any more: everything takes the main port."""
    a, t = routed.gw["a"], routed.topo
    rule = ("ipproto", "udp", "sport", f"{LANE_PORTS}-{LANE_PORTS + WORKERS - 1}", "blackhole")
    until("lanes to have their ports", 20, lambda: ports_in_use(routed), every=0.1)
    ip("-n", t.router, "rule", "add", *rule)

    def fallen():
        flows(routed, 4)
        return lane_ports(a) == 0

    try:
        until("lanes to leave from the main port", 30, fallen, every=0.1)
        assert flows(routed) == 24 * 20
    finally:
        ip("-n", t.router, "rule", "del", *rule)
    counters = a.counters()
    assert counters["ctl_lane_ports_lost"] >= 3 and counters["ctl_roamed"] == 0
    assert routed.gw["b"].counters()["ctl_roamed"] == 0


def test_lane_ports_must_leave_out_the_main_one(routed):
    conf = routed.static_config("b", "a")
    conf["underlay"]["lane-ports"] = 51815
    routed.gw["b"].signal(signal.SIGTERM)
    assert routed.gw["b"].wait(5) == 0
    status, said = routed.run_gateway("b", conf)
    assert status == 1 and "lane-ports 51815 to 51821" in said, said


def test_stops_by_itself(pair):
    """SIGTERM ends all workers; nothing of the ports stays."""
    g = pair.gw["b"]
    g.signal(signal.SIGTERM)
    assert g.wait(5) == 0
    assert "omni0" not in ip("-n", pair.topo.gw("b"), "link").stdout


def test_poll_on_shared_cpus_is_warned_of(pair):
    conf = pair.static_config("b", "a")
    conf["workers"] = {"idle": "poll"}
    if pair.gw["b"].running():
        assert pair.gw["b"].stop() == 0
    g = pair.gateway("b", conf)
    assert "workers share CPUs" in g.text()
    pair.reaches(pair.topo.gw("b"), pair.topo.vip("a"), 15)
    g.signal(signal.SIGTERM)
    assert g.wait(10) == 0
