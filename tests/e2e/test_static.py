# SPDX-License-Identifier: MIT OR Apache-2.0
"""Two sites that list each other and need no Nucleus; how programs are started and how they look
from outside. The VIPs on the TAPs are the ends of the traffic."""
import os
import socket
import time

import pytest

from conftest import drop_rig, make_rig
from rig import CLUSTER, SECRET, SEVEN, Gateway, Nucleus, until
from test_ports import in_ns
from topo import PORT, ip, run

HUGE = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"


@pytest.fixture(scope="module", params=[None, SEVEN], ids=["one worker", "seven workers"])
def sites(request, tmp_path_factory):
    """Two sites whose gateways each test starts as it likes."""
    rig = make_rig(tmp_path_factory, 2, hosts=False)
    rig.lcores = request.param or rig.lcores
    yield rig
    drop_rig(rig)


@pytest.fixture
def rig(sites):
    sites.driver = "af_xdp"
    yield sites
    sites.stop()


@pytest.fixture(params=["af_xdp", "udp"])
def any_rig(rig, request):
    """The same, for tests that are run over each kind of uplink."""
    rig.driver = request.param
    return rig


def start_both(rig, a=None, b=None, **kw):
    gw = {s: rig.gateway(s, conf or rig.static_config(s, "b" if s == "a" else "a"), wait=False,
                         **kw) for s, conf in (("a", a), ("b", b))}
    for g in gw.values():
        g.ready()
    return gw


def both_ways(rig, count=5):
    rig.reaches(rig.topo.gw("a"), rig.topo.vip("b"), 10)
    for frm, to in ("ab", "ba"):
        assert rig.vip_ping(frm, to, count=count, interval=0.05)[1] == count


@pytest.fixture
def hugepages():
    """256 pages of 2 MB for one test."""
    with open(HUGE, encoding="ascii") as f:
        before = f.read()
    with open(HUGE, "w", encoding="ascii") as f:
        f.write("256")
    with open(HUGE, encoding="ascii") as f:
        got = int(f.read())
    yield got
    with open(HUGE, "w", encoding="ascii") as f:
        f.write(before)


def test_static_peers_without_a_nucleus(any_rig):
    rig = any_rig
    gw = start_both(rig)
    both_ways(rig)
    for s, other in ("ab", "ba"):
        peers = gw[s].peers()
        assert [p["key"] for p in peers] == [rig.identity(other)[0].key]


def test_tcp_that_nobody_fits_to_the_path_travels_in_fragments(rig):
    conf = {s: rig.static_config(s, o, cluster={"tcp-mss": "off"})
            for s, o in ("ab", "ba")}
    for c in conf.values():
        c["ports"]["host0"]["offload"] = "off"  # segments would travel whole, in pieces that fit
    gw = start_both(rig, conf["a"], conf["b"])
    both_ways(rig)
    t = rig.topo
    assert rig.iperf(t.gw("a"), t.gw("b"), t.vip("b"), "-t", "1")["gbps"] > 0.05
    assert gw["a"].counter("fragments_sent") > 100
    assert gw["a"].counter("mss_clamped") == 0


def test_no_secret_at_all_listed_keys_only(rig):
    """A cluster with neither secret nor open: zero proofs, from listed keys alone."""
    conf = {s: rig.static_config(s, o, {"secret-file": None}) for s, o in ("ab", "ba")}
    start_both(rig, conf["a"], conf["b"])
    both_ways(rig)


def test_without_hugepages_it_says_so(any_rig):
    rig = any_rig
    with open(HUGE, encoding="ascii") as f:
        if int(f.read()) != 0:
            pytest.skip("this machine has hugepages reserved")
    gw = start_both(rig)
    both_ways(rig, 2)
    assert "hugepage" in gw["a"].text().lower()


def test_with_hugepages(any_rig, hugepages):
    rig = any_rig
    if hugepages < 256:
        pytest.skip(f"the kernel gave {hugepages} of 256 hugepages")
    start_both(rig)
    both_ways(rig)
    with open(HUGE.replace("nr_", "free_"), encoding="ascii") as f:
        assert int(f.read()) < 256, "they are used"


def test_processes_leave_nothing_behind(any_rig):
    rig = any_rig
    gw = start_both(rig)
    both_ways(rig, 1)
    runtime = [f"/run/dpdk/omni-{g.pid}" for g in gw.values()]
    assert all(os.path.isdir(d) for d in runtime)
    for g in gw.values():
        assert g.stop() == 0
        assert not os.path.exists(g.socket)
        assert "omni0" not in ip("-n", g.ns, "link").stdout
    assert not any(os.path.exists(d) for d in runtime)


def test_stops_while_a_name_is_looked_up(rig):
    """Who looks up names waits for half a minute where a server says nothing."""
    ns = rig.topo.gw("a")
    rig.topo.set_hosts(ns, "")
    resolv = f"/etc/netns/{ns}/resolv.conf"
    with open(resolv, "w", encoding="ascii") as f:
        f.write("nameserver 127.0.0.1\n")
    with in_ns(ns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as silent:
        silent.bind(("127.0.0.1", 53))
        silent.settimeout(5)
        conf = rig.static_config("a", "b")
        conf["nucleus"] = ["nowhere.example:51820"]
        g = rig.gateway("a", conf)
        assert silent.recv(512)
        began = time.monotonic()
        assert g.stop() == 0
        assert time.monotonic() - began < 2
    os.unlink(resolv)


def test_auto_takes_aes_where_the_cpu_has_it(rig):
    with open("/proc/cpuinfo", encoding="ascii") as f:
        if " aes " not in f.read():
            pytest.skip("this CPU has no AES instructions")
    gw = start_both(rig)
    both_ways(rig, 1)
    assert gw["a"].ciphers() == ["aesgcm"]


def test_auto_takes_chachapoly_where_one_cpu_lacks_aes(rig):
    gw = {s: rig.gateway(s, rig.static_config(s, o), env={"OMNI_CPU_MASK": "aes"} if s == "b" else None)
          for s, o in ("ab", "ba")}
    both_ways(rig, 1)
    for g in gw.values():
        assert g.ciphers() == ["chachapoly"]


def test_ciphers_that_exclude_each_other_are_refused_by_name(rig):
    conf = {s: rig.static_config(s, o, {"cipher": c})
            for s, o, c in (("a", "b", "aesgcm"), ("b", "a", "chachapoly"))}
    gw = start_both(rig, conf["a"], conf["b"])
    until("a refusal", 8, lambda: sum(g.counter("ctl_was_refused") for g in gw.values()) > 0)
    assert not gw["a"].up_peers() and not gw["b"].up_peers()


def test_endpoint_by_name(rig):
    """A DNS name (here of /etc/hosts) instead of an address."""
    t = rig.topo
    t.set_hosts(t.gw("a"), f"{t.uplink_addr('b')} site-b.example\n")
    conf = rig.static_config("a", "b")
    conf["clusters"][CLUSTER]["peers"]["siteb"]["endpoint"] = f"site-b.example:{PORT}"
    quiet = rig.static_config("b", "a")
    del quiet["clusters"][CLUSTER]["peers"]["sitea"]["endpoint"]
    start_both(rig, conf, quiet)
    both_ways(rig, 2)


def test_nucleus_by_name(rig):
    t = rig.topo
    for s in "ab":
        t.set_hosts(t.gw(s), f"{t.nucleus_addr} nucleus.example\n")
    rig.start(Nucleus(rig))
    conf = {s: rig.config(s, nucleus=[f"nucleus.example:{PORT}"]) for s in "ab"}
    for c in conf.values():
        c["nucleus"] = [f"nucleus.example:{PORT}"]
    start_both(rig, conf["a"], conf["b"])
    both_ways(rig, 2)


def own_ipv4(t, site, address):
    """The only one of its uplink from now on, with the default route; None: it has none."""
    ip("-n", t.gw(site), "-4", "addr", "flush", "dev", "up0")
    if address is not None:
        ip("-n", t.gw(site), "addr", "add", f"{address}/24", "dev", "up0")
        ip("-n", t.gw(site), "route", "replace", "default", "via", t.gateway_addr(site))


def test_peer_that_changes_its_address(any_rig):
    """The other side probes the new address, and traffic follows."""
    rig = any_rig
    t = rig.topo
    quiet = rig.static_config("b", "a")
    del quiet["clusters"][CLUSTER]["peers"]["sitea"]["endpoint"]
    gw = start_both(rig, None, quiet)
    both_ways(rig, 2)
    new = "10.99.1.9"
    try:
        own_ipv4(t, "a", new)
        # A router that still knew the old address would go on delivering to it.
        ip("-n", t.router, "neigh", "flush", "dev", "ra")
        rig.reaches(t.gw("a"), t.vip("b"), 10)
        rig.reaches(t.gw("b"), t.vip("a"), 10)
        until("B to send to the new address", 5,
              lambda: gw["b"].peers()[0]["endpoint"] == f"{new}:{PORT}")
    finally:
        own_ipv4(t, "a", t.uplink_addr("a"))


def test_underlay_of_ipv6(any_rig):
    """The router, the handshakes and full-size frames in fragments, all over IPv6. There is no other
    address: an initiation of the test before, which the router kept until somebody answered its ARP
    requests, would lead to it."""
    rig = any_rig
    t = rig.topo
    conf = {}

    def sysctl(ns, key, value):
        run("ip", "netns", "exec", ns, "sysctl", "-qw", f"net.ipv6.conf.{key}={value}")

    for ns in (t.router, t.gw("a"), t.gw("b")):
        sysctl(ns, "all.disable_ipv6", 0)
    sysctl(t.router, "all.forwarding", 1)
    try:
        for n, (s, o) in enumerate(("ab", "ba"), 1):
            own_ipv4(t, s, None)
            net = f"2001:db8:{n}::"
            ip("-n", t.router, "addr", "add", f"{net}1/64", "dev", f"r{s}", "nodad")
            ip("-n", t.gw(s), "addr", "add", f"{net}2/64", "dev", "up0", "nodad")
            ip("-n", t.gw(s), "-6", "route", "add", "default", "via", f"{net}1")
            conf[s] = rig.static_config(s, o)
            peer = conf[s]["clusters"][CLUSTER]["peers"][f"site{o}"]
            peer["endpoint"] = f"[2001:db8:{3 - n}::2]:{PORT}"
        gw = start_both(rig, conf["a"], conf["b"])
        both_ways(rig)
        assert rig.vip_ping("a", "b", size=1472, count=5, interval=0.05)[1] == 5
        assert gw["a"].peers()[0]["endpoint"] == f"[2001:db8:2::2]:{PORT}"
    finally:
        for s in "ab":
            own_ipv4(t, s, t.uplink_addr(s))
        for ns, dev in ((t.router, "ra"), (t.router, "rb"), (t.gw("a"), "up0"), (t.gw("b"), "up0")):
            ip("-n", ns, "-6", "addr", "flush", "dev", dev, "scope", "global")
            sysctl(ns, "all.disable_ipv6", 1)


def test_auto_takes_udp_where_zero_copy_is_refused(rig):
    """Veth has no zero-copy; the reason stands beside the port."""
    rig.driver = "auto"
    gw = start_both(rig)
    both_ways(rig)
    up = next(p for p in gw["a"].ports() if p["name"] == "uplink0")
    assert up["driver"] == "udp" and up["mode"] == "socket" and "zero-copy" in up["why"], up
    assert "prog/xdp" not in ip("-d", "-n", gw["a"].ns, "link", "show", "up0").stdout
    assert "zero-copy" in gw["a"].text()


def test_udp_on_any_interface(rig):
    """No interface named: the kernel's routes choose. A second gateway on the port is refused."""
    conf = {s: rig.static_config(s, o) for s, o in ("ab", "ba")}
    for c in conf.values():
        c["ports"]["uplink0"] = {"driver": "udp"}
    conf["b"]["underlay"]["address"] = rig.topo.uplink_addr("b") + "/24"
    gw = start_both(rig, conf["a"], conf["b"])
    both_ways(rig)
    for s, o in ("ab", "ba"):
        assert gw[s].peers()[0]["endpoint"] == f"{rig.topo.uplink_addr(o)}:{PORT}"
    again = dict(conf["a"], management={"socket": os.path.join(rig.dir, "again.sock")})
    again["ports"]["host0"]["interface"] = "omni9"
    status, said = rig.run_gateway("a", again, name="again")
    assert status == 1 and f"UDP port {PORT}" in said and "another gateway" in said


def test_uplinks_over_memif(rig):
    """Two gateways joined by shared memory: static next hops, no kernel below."""
    path = os.path.join(rig.dir, "memif.sock")
    macs = {"a": "02:00:5e:00:00:0a", "b": "02:00:5e:00:00:0b"}
    conf = {}
    for s, o in ("ab", "ba"):
        c = rig.static_config(s, o)
        c["ports"]["uplink0"] = {"driver": "memif", "socket": path, "mac": macs[s],
                                 "role": "server" if s == "a" else "client"}
        c["underlay"].update(address=f"{rig.topo.uplink_addr(s)}/16",
                             **{"next-hop": {"mac": macs[o]}})
        conf[s] = c
    gw = {"a": rig.gateway("a", conf["a"])}
    gw["b"] = rig.gateway("b", conf["b"])
    both_ways(rig)
    assert rig.vip_ping("a", "b", size=1472, count=3)[1] == 3
    assert gw["b"].stop() == 0
    rig.gateway("b", conf["b"])
    both_ways(rig, 2)


def test_uplinks_over_virtio_queues(rig):
    """A vhost uplink and a virtio-user one: the frontend may go and come again."""
    path = os.path.join(rig.dir, "vhost.sock")
    conf = {s: rig.static_config(s, o) for s, o in ("ab", "ba")}
    conf["a"]["ports"]["uplink0"] = {"driver": "vhost", "socket": path, "role": "server"}
    conf["b"]["ports"]["uplink0"] = {"driver": "virtio-user", "socket": path,
                                     "mac": "02:00:5e:00:00:0b"}
    for s in "ab":
        conf[s]["underlay"].update(address=f"{rig.topo.uplink_addr(s)}/16",
                                   **{"next-hop": {"mac": "02:00:5e:00:00:0c"}})
    a = rig.gateway("a", conf["a"])
    b = rig.gateway("b", conf["b"])
    both_ways(rig)
    assert rig.vip_ping("a", "b", size=1472, count=3)[1] == 3
    before = a.cpu_seconds(), b.cpu_seconds()
    time.sleep(2)
    assert a.cpu_seconds() - before[0] < 0.2 and b.cpu_seconds() - before[1] < 0.2
    assert b.stop() == 0
    rig.gateway("b", conf["b"])
    both_ways(rig, 2)


def test_flags_instead_of_a_file(rig):
    """dpdk-omni -- --nucleus H:P --cluster C --secret-file F --vip A"""
    rig.start(Nucleus(rig))
    for s in "ab":
        _, key = rig.identity(s)
        g = Gateway(rig, s, None, args=(
            "--nucleus", f"{rig.topo.nucleus_addr}:{PORT}", "--cluster", CLUSTER, "--secret-file",
            rig.secret, "--vip", rig.topo.vip(s), "--identity", key, "--socket",
            os.path.join(rig.dir, f"{s}.sock")))
        rig.start(g)
    both_ways(rig)
    for s in "ab":
        addr = ip("-n", rig.topo.gw(s), "addr", "show", "omni0").stdout
        assert f"{rig.topo.vip(s)}/24" in addr


def test_secret_argument_is_blanked(rig):
    """--secret works, is warned about, and is not to be read in the process list."""
    _, key = rig.identity("a")
    g = Gateway(rig, "a", None, args=(
        "--nucleus", f"{rig.topo.nucleus_addr}:{PORT}", "--cluster", CLUSTER, "--secret", SECRET,
        "--vip", rig.topo.vip("a"), "--identity", key, "--interface", "up0", "--socket",
        os.path.join(rig.dir, "a.sock")))
    rig.start(g)
    with open(f"/proc/{g.pid}/cmdline", "rb") as f:
        line = f.read()
    assert b"--secret" in line and SECRET.encode() not in line
    assert "--secret" in g.text() and SECRET not in g.text()


def test_open_cluster_is_warned_about(rig):
    rig.start(Nucleus(rig))
    conf = {s: rig.config(s, cluster={"secret-file": None, "open": True}) for s in "ab"}
    gw = start_both(rig, conf["a"], conf["b"])
    both_ways(rig, 2)
    assert "open" in gw["a"].text()
    assert "open" in str(gw["a"].status())


def test_peer_add_and_remove(rig):
    """Through management: a peer that the file does not list."""
    conf = {s: rig.static_config(s, o) for s, o in ("ab", "ba")}
    listed = conf["a"]["clusters"][CLUSTER].pop("peers")["siteb"]
    gw = start_both(rig, conf["a"], conf["b"])
    time.sleep(0.5)
    key = rig.identity("b")[0].key
    gw["a"].rpc("peer.add", {"cluster": CLUSTER, "name": "siteb", **listed})
    both_ways(rig, 2)
    gw["a"].rpc("peer.remove", {"cluster": CLUSTER, "peer": key})
    until("the peer to be gone", 3, lambda: key not in {p["key"] for p in gw["a"].peers()})
    assert rig.vip_ping("a", "b", count=1, wait=0.5)[1] == 0

