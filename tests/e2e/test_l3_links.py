# SPDX-License-Identifier: MIT OR Apache-2.0
"""Links of L3 clusters: kernel interfaces, hosts behind a NIC, members on demand, prefixes told."""
import re

import pytest

from rig import CLUSTER, until
from topo import PORT, ip, run

LAN = {"a": "10.1.0", "b": "10.2.0"}


def ping(topo, ns, to, count=1, wait=4, check=True):
    return topo.exec(ns, "ping", "-n", "-c", str(count), "-i", "0.2", "-W", str(wait), to,
                     check=check)


def host_config(rig, site, driver="tun", cluster=None, **port):
    """One kernel interface that carries the VIP, and a Nucleus."""
    conf = rig.config(site, cluster=dict({"mode": "l3"}, **(cluster or {})))
    conf["ports"]["host0"] = dict({"driver": driver, "interface": "omni0"}, **port)
    return conf


def lan_config(rig, site, far, **cluster):
    """A NIC that routes for the subnet behind it; the other side's is accepted."""
    conf = rig.config(site, cluster=dict({
        "mode": "l3", "ports": ["lan"], "advertise": [f"{LAN[site]}.0/24"],
        "accept": ["10.0.0.0/8"]}, **cluster))
    conf["ports"] = {"uplink0": conf["ports"]["uplink0"],
                     "lan": {"driver": "af_xdp", "interface": "lan0",
                             "address": f"{LAN[site]}.1/24"}}
    assert far != site
    return conf


def lan_host(rig, site):
    """The host of a site in its LAN, with the gateway as its router."""
    t = rig.topo
    ip("-n", t.gw(site), "link", "set", "lan0", "nomaster", "up")
    ns = t.host(site)
    ip("-n", ns, "addr", "flush", "dev", "eth0")
    ip("-n", ns, "addr", "add", f"{LAN[site]}.5/24", "dev", "eth0")
    ip("-n", ns, "route", "add", "default", "via", f"{LAN[site]}.1")
    run("ip", "netns", "exec", ns, "ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso",
        "off", "gro", "off", check=False)
    return ns


def routes(g):
    return {r["prefix"]: r for r in g.rpc("routes")}


@pytest.mark.parametrize("driver", ["tun", "tap"])
def test_members_on_demand(rig, driver):
    t = rig.topo
    rig.nucleus()
    g = {s: rig.gateway(s, host_config(rig, s, driver)) for s in "ab"}
    for s in "ab":
        until("a registration", 10, lambda s=s: g[s].status()["nucleus"][0]["state"]
              == "registered")
    assert not g["a"].peers()
    link = ip("-n", t.gw("a"), "-o", "link", "show", "omni0").stdout
    assert "mtu 1420" in link and "UP" in link
    assert f"{t.vip('a')}/24" in ip("-n", t.gw("a"), "-o", "addr", "show", "omni0").stdout
    # The first packet waits while the other side is found and called.
    ping(t, t.gw("a"), t.vip("b"))
    assert routes(g["a"])[f"{t.vip('b')}/32"]["kind"] == "peer"
    assert len(g["a"].up_peers()) == 1
    ping(t, t.gw("b"), t.vip("a"), count=5)
    # Nobody is there, which the sender hears.
    gone = ping(t, t.gw("a"), "10.200.0.77", check=False)
    assert gone.returncode != 0 and "Unreachable" in gone.stdout
    assert routes(g["a"])["10.200.0.77/32"]["kind"] == "reject"
    assert g["a"].counter("ctl_asks_in_vain") == 1


def test_a_member_killed_and_restarted_is_reached(rig):
    """It knows nobody and sends nothing: the other one, which sends on, finds out and calls."""
    t = rig.topo
    rig.nucleus()
    g = {s: rig.gateway(s, host_config(rig, s)) for s in "ab"}
    rig.reaches(t.gw("a"), t.vip("b"), 15)
    g["b"].kill()
    g["b"].start()
    rig.reaches(t.gw("a"), t.vip("b"), 10)


def test_a_nucleus_that_never_answered_is_told(rig):
    g = rig.gateway("a", host_config(rig, "a"))
    until("its silence in the log", 10, lambda: "nucleus does not answer nucleus=" in g.text())
    rig.nucleus()
    until("a registration", 10, lambda: g.status()["nucleus"][0]["state"] == "registered")
    assert g.text().count("does not answer") == 1


def test_members_that_speak_wireguard(rig):
    """One of them says so in its record; the other speaks both."""
    t = rig.topo
    rig.nucleus()
    said = {"a": None, "b": {"dialect": "wireguard"}}
    g = {s: rig.gateway(s, host_config(rig, s, cluster=said[s])) for s in "ab"}
    for s in "ab":
        until("a registration", 10, lambda s=s: g[s].status()["nucleus"][0]["state"]
              == "registered")
    for frm, to in ("ab", "ba"):
        ping(t, t.gw(frm), t.vip(to), count=3)
        row, = g[frm].peers()
        assert (row["dialect"], row["origin"]) == ("wireguard", "nucleus")
    shown = g["a"].ctl("wg", "show").stdout
    assert f"allowed ips: {t.vip('b')}/32" in shown, shown
    assert g["b"].rpc("config")["clusters"]["demo"]["dialect"] == "wireguard"


def test_address_follows_from_the_key(rig):
    t = rig.topo
    for s in "ab":
        t.exec(t.gw(s), "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0",
               "net.ipv6.conf.default.disable_ipv6=0")
    rig.nucleus()
    g = {s: rig.gateway(s, host_config(rig, s, cluster={"vip": "auto"})) for s in "ab"}
    for s in "ab":
        until("a registration", 10, lambda s=s: g[s].status()["nucleus"][0]["state"]
              == "registered")
    vip = g["b"].status()["clusters"][0]["vip"].split("/")[0]
    assert vip.startswith("fd")
    ping(t, t.gw("a"), vip)
    assert routes(g["a"])[f"{vip}/128"]["kind"] == "peer"


def test_subnets_behind_nics(rig):
    t = rig.topo
    rig.nucleus()
    host = {s: lan_host(rig, s) for s in "ab"}
    g = {s: rig.gateway(s, lan_config(rig, s, "b" if s == "a" else "a")) for s in "ab"}
    for s in "ab":
        until("a registration", 10, lambda s=s: g[s].status()["nucleus"][0]["state"]
              == "registered")
    # The gateway answers for itself, and for members that nobody has asked for yet.
    ping(t, host["a"], f"{LAN['a']}.1")
    ping(t, host["a"], t.vip("a"))
    # What this host sends first is of a subnet that b is told of as it comes.
    until("a ping", 5, lambda: ping(t, host["a"], t.vip("b"), wait=1, check=False).returncode
          == 0)
    near = g["a"].rpc("neighbours")
    assert [(n["address"], n["state"]) for n in near] == [(f"{LAN['a']}.5", "reachable")]
    # With the session comes what is behind the other side.
    until("the prefix of b", 5, lambda: routes(g["a"])[f"{LAN['b']}.0/24"]["kind"] == "peer")
    ping(t, host["a"], f"{LAN['b']}.5", count=5)
    seen = t.exec(host["b"], "ping", "-n", "-c", "1", "-t", "2", "-W", "3", f"{LAN['a']}.5",
                  check=False).stdout
    assert re.search("Time to live exceeded", seen)
    # Nobody on that link: asked for three times, then the sender hears.
    gone = ping(t, host["a"], f"{LAN['b']}.99", wait=6, check=False)
    assert gone.returncode != 0 and "Unreachable" in gone.stdout
    # The link goes down, and its prefix with it; and comes back.
    ip("-n", host["b"], "link", "set", "eth0", "down")
    until("the prefix of b to go", 5, lambda: f"{LAN['b']}.0/24" not in routes(g["a"]))
    ip("-n", host["b"], "link", "set", "eth0", "up")
    ip("-n", host["b"], "route", "add", "default", "via", f"{LAN['b']}.1")
    until("the prefix of b to come back", 5, lambda: f"{LAN['b']}.0/24" in routes(g["a"]))
    until("a ping", 8, lambda: ping(t, host["a"], f"{LAN['b']}.5", check=False).returncode == 0)
    assert g["a"].counter("ctl_neighbours_duplicate") == 0


def test_the_host_is_told_of_routes(rig):
    t = rig.topo
    rig.nucleus()
    lan_host(rig, "b")
    g = {"a": rig.gateway("a", host_config(rig, "a", cluster={"accept": ["10.2.0.0/16"]})),
         "b": rig.gateway("b", lan_config(rig, "b", "a"))}
    until("a registration", 10, lambda: g["b"].status()["nucleus"][0]["state"] == "registered")
    until("a ping", 10, lambda: ping(t, t.gw("a"), t.vip("b"), check=False).returncode == 0)
    until("a kernel route", 5, lambda: "10.2.0.0/24" in
          ip("-n", t.gw("a"), "route", "show", "dev", "omni0").stdout)
    ping(t, t.gw("a"), "10.2.0.5", count=3)
    g["b"].stop()
    until("no kernel route", 5, lambda: "10.2.0.0/24" not in
          ip("-n", t.gw("a"), "route", "show", "dev", "omni0").stdout)


def test_the_hosts_own_subnet_is_told(rig):
    """b's host has an address in the subnet behind it, which b lists as it lists all."""
    t = rig.topo
    rig.nucleus()
    ip("-n", t.gw("b"), "addr", "add", "10.2.0.1/24", "dev", "lo")
    g = {}
    for s, cluster in (("a", {"accept": ["10.2.0.0/16"]}), ("b", {"advertise": ["10.2.0.0/24"]})):
        conf = host_config(rig, s, cluster=cluster)
        conf["ports"]["uplink0"] = {"driver": "udp"}
        g[s] = rig.gateway(s, conf)
    until("a registration", 10, lambda: g["b"].status()["nucleus"][0]["state"] == "registered")
    until("a ping", 10, lambda: ping(t, t.gw("a"), t.vip("b"), check=False).returncode == 0)
    until("a kernel route", 5, lambda: "10.2.0.0/24" in
          ip("-n", t.gw("a"), "route", "show", "dev", "omni0").stdout)
    ping(t, t.gw("a"), "10.2.0.1", count=3)
    assert g["a"].counter("ctl_routes_refused") == 0


def test_the_tunnel_does_not_enter_itself(rig):
    """A peer's endpoint inside its own prefixes, on an underlay that the kernel routes."""
    t = rig.topo
    far = t.uplink_addr("b")
    conf = rig.static_config("a", "b", cluster={"mode": "l3"})
    conf["ports"] = {"uplink0": {"driver": "udp"}, "host0": {"driver": "tun",
                                                             "interface": "omni0"}}
    peer = conf["clusters"][CLUSTER]["peers"]["siteb"]
    peer["allowed-ips"] = [f"{far}/32", "10.77.0.0/16"]
    g = rig.gateway("a", conf)
    until("the peer to be called", 5, lambda: g.counter("ctl_handshakes_sent") > 0)
    until("the harmless route", 5, lambda: "10.77.0.0/16" in
          ip("-n", t.gw("a"), "route", "show", "dev", "omni0").stdout)
    assert far not in ip("-n", t.gw("a"), "route", "show", "dev", "omni0").stdout
    assert g.counter("ctl_routing_loop") == 0
    # Somebody sets such a route by hand: the endpoint is not sent to.
    ip("-n", t.gw("a"), "route", "add", f"{far}/32", "dev", "omni0")
    until("the loop to be seen", 8, lambda: g.counter("ctl_routing_loop") > 0)
    assert "leads into the overlay" in g.peers()[0]["reason"]
    before = g.ports()
    ip("-n", t.gw("a"), "route", "del", f"{far}/32", "dev", "omni0")
    until("the way back", 8, lambda: "overlay" not in (g.peers()[0]["reason"] or ""))
    assert before and PORT


def test_members_behind_a_nat_are_called(rig):
    """Nobody can send to b first: it hears of the caller from the Nucleus, and calls."""
    t = rig.topo
    for rule in ("table ip nat", "chain ip nat post { type nat hook postrouting priority 100; }",
                 "rule ip nat post ip saddr 10.99.2.0/24 masquerade", "table ip guard",
                 "chain ip guard only { type filter hook forward priority 0; }",
                 "rule ip guard only ip daddr 10.99.2.0/24 ct state new drop"):
        t.exec(t.router, "nft", f"add {rule}")
    rig.nucleus()
    g = {s: rig.gateway(s, host_config(rig, s)) for s in "ab"}
    for s in "ab":
        until("a registration", 10, lambda s=s: g[s].status()["nucleus"][0]["state"]
              == "registered")
    ping(t, t.gw("a"), t.vip("b"))
    ping(t, t.gw("b"), t.vip("a"), count=3)
    assert len(g["a"].up_peers()) == 1
