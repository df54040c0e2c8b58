#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Sites in network namespaces, joined by nothing but a router.

    host ha --- [br0 in ga] ... omni0      up0 (ga) ---- ra [r: router] rb ---- up0 (gb)   ... hb
                                                            |
                                                           rn ---- up0 (n: Nucleus)

Every namespace is named PREFIX-ga, PREFIX-ha, PREFIX-r and so on. Site k (a = 1, b = 2, ...) has the
uplink network 10.99.k.0/24: the router is .1, the gateway .2. The Nucleus is 10.99.0.2. The host of
site k is 10.200.0.(100 + k)/24; the gateway's own VIP is by custom 10.200.0.k.

As a command, for running gateways by hand:  topo.py up|down PREFIX [--sites N]
"""
import argparse
import os
import shutil
import subprocess
import sys

SITES = "abcdefgh"
PORT = 51820
ROUTED = "10.99"
OVERLAY = "10.200.0"


class TopoError(RuntimeError):
    pass


def run(*cmd, check=True, **kw):
    """Run a command to its end; what it printed is in the error if it failed."""
    p = subprocess.run(cmd, capture_output=True, text=True, **kw)
    if check and p.returncode != 0:
        raise TopoError(f"{' '.join(cmd)}: {(p.stderr or p.stdout).strip()}")
    return p


def ip(*args, check=True):
    return run("ip", *args, check=check)


class Topo:
    """The namespaces of one test. up() and down(); also a context manager."""

    def __init__(self, prefix, sites=2, hosts=True, mtu=1500):
        self.prefix = prefix
        self.sites = SITES[:sites]
        self.hosts = hosts
        self.mtu = mtu

    # Names and addresses.
    def gw(self, site):
        return f"{self.prefix}-g{site}"

    def host(self, site):
        return f"{self.prefix}-h{site}"

    @property
    def router(self):
        return f"{self.prefix}-r"

    @property
    def nucleus(self):
        return f"{self.prefix}-n"

    @staticmethod
    def number(site):
        return SITES.index(site) + 1

    def uplink_addr(self, site):
        return f"{ROUTED}.{self.number(site)}.2"

    def gateway_addr(self, site):
        return f"{ROUTED}.{self.number(site)}.1"

    @property
    def nucleus_addr(self):
        return f"{ROUTED}.0.2"

    def host_addr(self, site):
        return f"{OVERLAY}.{100 + self.number(site)}"

    def vip(self, site):
        return f"{OVERLAY}.{self.number(site)}"

    def namespaces(self):
        names = [self.router, self.nucleus]
        for s in self.sites:
            names.append(self.gw(s))
            if self.hosts:
                names.append(self.host(s))
        return names

    # Making and removing.
    def up(self):
        self.down()
        for ns in self.namespaces():
            ip("netns", "add", ns)
            ip("-n", ns, "link", "set", "lo", "up")
            # No IPv6 of the kernel's own: its multicast chatter would blur exact counters.
            run("ip", "netns", "exec", ns, "sysctl", "-qw",
                "net.ipv6.conf.default.disable_ipv6=1", "net.ipv6.conf.all.disable_ipv6=1",
                "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        run("ip", "netns", "exec", self.router, "sysctl", "-qw", "net.ipv4.ip_forward=1",
            "net.ipv4.conf.all.send_redirects=0")
        self._uplink(self.nucleus, "rn", f"{ROUTED}.0")
        for s in self.sites:
            self._uplink(self.gw(s), f"r{s}", f"{ROUTED}.{self.number(s)}")
            if self.hosts:
                self._host(s)
        return self

    def _uplink(self, ns, far, net):
        ip("link", "add", "up0", "netns", ns, "mtu", str(self.mtu), "numtxqueues", "2",
           "numrxqueues", "2", "type", "veth", "peer", "name", far, "netns", self.router,
           "mtu", str(self.mtu), "numtxqueues", "2", "numrxqueues", "2")
        ip("-n", ns, "addr", "add", f"{net}.2/24", "dev", "up0")
        ip("-n", self.router, "addr", "add", f"{net}.1/24", "dev", far)
        ip("-n", ns, "link", "set", "up0", "up")
        ip("-n", self.router, "link", "set", far, "up")
        ip("-n", ns, "route", "add", "default", "via", f"{net}.1")

    def _host(self, s):
        ip("-n", self.gw(s), "link", "add", "br0", "type", "bridge", "stp_state", "0",
           "mcast_snooping", "0", "forward_delay", "0")
        ip("-n", self.gw(s), "link", "set", "br0", "up")
        ip("link", "add", "lan0", "netns", self.gw(s), "type", "veth", "peer", "name", "eth0",
           "netns", self.host(s))
        ip("-n", self.gw(s), "link", "set", "lan0", "master", "br0", "up")
        ip("-n", self.host(s), "addr", "add", f"{self.host_addr(s)}/24", "dev", "eth0")
        ip("-n", self.host(s), "link", "set", "eth0", "up")

    def offloads(self, on):
        """Offloads of the far ends of the uplinks. A physical wire carries finished checksums and
        single frames; a veth that faces AF_XDP does so only with its offloads off."""
        state = "on" if on else "off"
        for s in self.sites:
            run("ip", "netns", "exec", self.router, "ethtool", "-K", f"r{s}", "tx", state,
                "tso", state, "gso", state, "gro", state, check=False)

    def join_tap(self, site, tap="omni0"):
        """Put a gateway's TAP into its site's bridge: the host stands behind it then."""
        ns = self.gw(site)
        ip("-n", ns, "link", "set", tap, "master", "br0", "up")

    def exec(self, ns, *cmd, check=True, timeout=60):
        """Run a command to its end in a namespace."""
        return run("ip", "netns", "exec", ns, *cmd, check=check, timeout=timeout)

    def set_hosts(self, ns, text):
        """/etc/hosts as programs started by 'ip netns exec NS' will see it."""
        d = f"/etc/netns/{ns}"
        os.makedirs(d, exist_ok=True)
        with open(f"{d}/hosts", "w", encoding="ascii") as f:
            f.write("127.0.0.1 localhost\n" + text)

    def down(self):
        """Remove every namespace of this prefix (whatever number of sites made it)."""
        listed = ip("netns", "list", check=False).stdout.split("\n")
        for line in listed:
            name = line.split(" ")[0]
            if name.startswith(self.prefix + "-"):
                ip("netns", "del", name, check=False)
                shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)
        try:
            os.rmdir("/etc/netns")
        except OSError:
            pass

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.down()
            raise

    def __exit__(self, *exc):
        self.down()


def by_hand(t):
    """What to type to run gateways in these namespaces."""
    here = os.path.relpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    build = os.path.join(here, "build/app")
    lines = [
        "# a Nucleus, then a gateway per site (each in its own terminal)",
        f"ip netns exec {t.nucleus} {build}/nucleus/omni-nucleus --port {PORT}",
        f"umask 077; {build}/omnictl/omnictl gensecret > /tmp/{t.prefix}.secret",
    ]
    for s in t.sites:
        name = f"/tmp/{t.prefix}{s}"
        lines.append(f"{build}/gateway/dpdk-omni --init --identity {name}.key")
        lines.append(
            f"ip netns exec {t.gw(s)} {build}/gateway/dpdk-omni --lcores '0@0,1@{t.number(s) % 2}'"
            f" -- --interface up0 --nucleus {t.nucleus_addr}:{PORT}"
            f" --cluster demo --secret-file /tmp/{t.prefix}.secret --vip {t.vip(s)}"
            f" --identity {name}.key --socket {name}.sock")
    lines.append("# what it says")
    lines.append(f"{build}/omnictl/omnictl -s /tmp/{t.prefix}a.sock peers")
    lines.append("# the gateway's own address across the tunnel")
    lines.append(f"ip netns exec {t.gw('a')} ping {t.vip('b')}")
    if t.hosts:
        lines.append("# hosts behind the gateways: put each TAP into its bridge, then ping")
        for s in t.sites:
            lines.append(f"ip -n {t.gw(s)} addr flush dev omni0;"
                         f" ip -n {t.gw(s)} link set omni0 master br0 up")
        lines.append(f"ip netns exec {t.host('a')} ping {t.host_addr('b')}")
    lines.append("# what crosses the router")
    lines.append(f"ip netns exec {t.router} tcpdump -ni ra")
    return "\n".join(lines)


def main():
    ap = argparse.ArgumentParser(description="make or remove the namespaces of the demo")
    ap.add_argument("what", choices=["up", "down"])
    ap.add_argument("prefix")
    ap.add_argument("--sites", type=int, default=2)
    a = ap.parse_args()
    if os.geteuid() != 0:
        sys.exit("topo.py: must run as root")
    t = Topo(a.prefix, a.sites)
    if a.what == "down":
        t.down()
        return
    try:
        t.up()
        t.offloads(False)
    except BaseException:
        t.down()
        raise
    print(by_hand(t))


if __name__ == "__main__":
    main()
