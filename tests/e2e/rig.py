# SPDX-License-Identifier: MIT OR Apache-2.0
"""Starting, asking and stopping the real programs inside a Topo's namespaces.

Used by the end-to-end tests and by tools/demo. Only processes started here are ever signalled.
"""
import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import nacl.bindings
import yaml

from topo import PORT, Topo

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
CLUSTER = "demo"
SECRET = "correct horse battery staple 9f2c"
TAP = "omni0"
# Control and seven workers on whatever CPUs there are.
SEVEN = "(0-7)@(0-1)"


class RigError(RuntimeError):
    pass


def build_dir():
    return os.environ.get("OMNI_BUILD", os.path.join(ROOT, "build"))


def program(name):
    """Path of a built program: gateway, nucleus or omnictl."""
    paths = {"gateway": "app/gateway/dpdk-omni", "nucleus": "app/nucleus/omni-nucleus",
             "omnictl": "app/omnictl/omnictl"}
    return os.path.join(build_dir(), paths[name])


def until(what, seconds, check, every=0.05):
    """Poll check() until it returns something true, and return that; RigError when time is up."""
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = check()
            if value:
                return value
        except (OSError, RpcError, KeyError) as e:
            last = e
        if time.monotonic() >= end:
            raise RigError(f"waited {seconds} s for: {what}" + (f" (last: {last})" if last else ""))
        time.sleep(every)


class Identity:
    """A box's identity, with the keys that follow from its seed."""

    def __init__(self, seed=None):
        self.seed = seed or os.urandom(32)
        self.sign_public, self.sign_secret = nacl.bindings.crypto_sign_seed_keypair(self.seed)
        self.secret = nacl.bindings.crypto_sign_ed25519_sk_to_curve25519(self.sign_secret)
        self.public = nacl.bindings.crypto_scalarmult_base(self.secret)
        self.key = base64.b64encode(self.public).decode()

    def write(self, path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write("omni-identity-v1 " + base64.b64encode(self.seed).decode() + "\n")
        return path


class RpcError(RuntimeError):
    pass


def rpc(path, method, params=None, timeout=5):
    """One JSON-RPC 2.0 call over a unix socket, newline-delimited."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(timeout)
    try:
        s.connect(path)
        call = {"jsonrpc": "2.0", "id": 1, "method": method}
        if params is not None:
            call["params"] = params
        s.sendall(json.dumps(call).encode() + b"\n")
        buf = b""
        while not buf.endswith(b"\n"):
            more = s.recv(65536)
            if not more:
                break
            buf += more
    finally:
        s.close()
    answer = json.loads(buf)
    if "error" in answer:
        raise RpcError(f"{method}: {answer['error']}")
    return answer["result"]


class Process:
    """A program in a namespace; what it says goes to a file."""

    def __init__(self, ns, argv, log, env=None):
        self.ns = ns
        self.argv = argv
        self.log = log
        self.env = env
        self.popen = None

    def start(self):
        argv = (["ip", "netns", "exec", self.ns] if self.ns else []) + self.argv
        env = dict(os.environ, **(self.env or {}))
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT, env=env,
                                          start_new_session=True)
        return self

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, seconds=10):
        """Exit status; killed (and RigError) when it does not end in time."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RigError(f"{self.argv[0]} did not end in {seconds} s\n{self.tail()}") from None

    def kill(self):
        if self.running():
            self.popen.kill()
            self.popen.wait()

    def stop(self, seconds=10):
        """SIGTERM and its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def text(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def tail(self, lines=15):
        return "\n".join(self.text().splitlines()[-lines:])

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Nucleus(Process):
    def __init__(self, rig, *args):
        super().__init__(rig.topo.nucleus,
                         [program("nucleus"), "--port", str(PORT), "--key",
                          os.path.join(rig.dir, "nucleus.key"), *args],
                         os.path.join(rig.dir, "nucleus.log"))

    def ready(self, seconds=5):
        def bound():
            out = subprocess.run(["ip", "netns", "exec", self.ns, "ss", "-Hlun", "sport", "=",
                                  f":{PORT}"], capture_output=True, text=True).stdout
            if not self.running():
                raise RigError("the Nucleus ended:\n" + self.tail())
            return str(PORT) in out
        until("the Nucleus's socket", seconds, bound)
        return self


class Gateway(Process):
    """One dpdk-omni: its configuration, its management socket."""

    def __init__(self, rig, site, config=None, args=(), lcores=None, eal=(), name=None, env=None):
        self.rig = rig
        self.site = site
        self.name = name or site
        self.socket = os.path.join(rig.dir, f"{self.name}.sock")
        self.config = os.path.join(rig.dir, f"{self.name}.yaml")
        if config is not None:
            with open(self.config, "w", encoding="utf-8") as f:
                f.write(config if isinstance(config, str) else yaml.safe_dump(config))
            args = ["-c", self.config, *args]
        number = Topo.number(site)
        argv = [program("gateway"), "--lcores", lcores or rig.lcores or f"0@0,1@{number % 2}",
                *eal, "--", *args]
        super().__init__(rig.topo.gw(site), argv, os.path.join(rig.dir, f"{self.name}.log"), env)

    def ready(self, seconds=15):
        """Wait until it answers on its management socket."""
        def answers():
            if not self.running():
                raise RigError(f"gateway {self.name} ended ({self.popen.returncode}):\n"
                               + self.tail())
            return self.rpc("version")
        until(f"gateway {self.name}'s management socket", seconds, answers)
        return self

    def kill(self):
        """SIGKILL; what EAL leaves in /run then is removed by nobody but us."""
        super().kill()
        if self.popen is not None:
            shutil.rmtree(f"/run/dpdk/omni-{self.pid}", ignore_errors=True)

    def rpc(self, method, params=None):
        return rpc(self.socket, method, params)

    def ctl(self, *args, check=True):
        """omnictl, as an operator types it."""
        p = subprocess.run([program("omnictl"), "--socket", self.socket, *args],
                           capture_output=True, text=True, timeout=20)
        if check and p.returncode != 0:
            raise RigError(f"omnictl {' '.join(args)}: {p.returncode}: {p.stderr or p.stdout}")
        return p

    def counters(self):
        """Every counter by name."""
        return self.rpc("stats")

    def counter(self, name):
        return self.counters()[name]

    def peers(self):
        return self.rpc("peers")

    def sessions(self):
        return self.rpc("sessions")

    def fdb(self):
        return self.rpc("fdb")

    def ports(self):
        return self.rpc("ports")

    def ciphers(self):
        """Of the sessions that are sent on."""
        return [s["cipher"] for s in self.sessions() if s["slot"] == "current"]

    def status(self):
        return self.rpc("status")

    def up_peers(self):
        """Keys of the peers with a live session."""
        return {p["key"] for p in self.peers() if p["state"] == "up"}

    def wait_peers(self, count, seconds=10):
        until(f"gateway {self.name} to have {count} peers up", seconds,
              lambda: len(self.up_peers()) == count)
        return self


class Rig:
    """A topology with the programs in it and a directory for their files."""

    def __init__(self, topo, directory):
        self.topo = topo
        self.dir = directory
        self.driver = "af_xdp"  # of the uplinks
        self.processes = []
        self.identities = {}
        self.lcores = os.environ.get("OMNI_LCORES")  # of every gateway; else one worker
        self.secret = os.path.join(directory, "cluster.secret")
        self._secret_file(self.secret, SECRET)

    @staticmethod
    def _secret_file(path, secret):
        with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(secret + "\n")

    def secret_file(self, name, secret):
        path = os.path.join(self.dir, name)
        self._secret_file(path, secret)
        return path

    def identity(self, site):
        """The identity of a site (always the same one), and its file."""
        if site not in self.identities:
            self.identities[site] = Identity()
            self.identities[site].write(os.path.join(self.dir, f"{site}.key"))
        return self.identities[site], os.path.join(self.dir, f"{site}.key")

    def config(self, site, nucleus=True, cluster=None, **top):
        """A gateway's configuration as a dict; cluster and top override its parts (None: out)."""
        _, keyfile = self.identity(site)
        c = {"mode": "l2", "secret-file": self.secret, "vip": f"{self.topo.vip(site)}/24",
             "ports": ["host0"]}
        c.update(cluster or {})
        conf = {
            "identity": keyfile,
            "ports": {"uplink0": {"driver": self.driver, "interface": "up0"},
                      "host0": {"driver": "tap", "interface": TAP,
                                "address": "none" if self.topo.hosts else "vip"}},
            "underlay": {"port": "uplink0", "listen": PORT},
            "clusters": {CLUSTER: {k: v for k, v in c.items() if v is not None}},
            "management": {"socket": os.path.join(self.dir, f"{site}.sock")},
        }
        if nucleus:
            conf["nucleus"] = [f"{self.topo.nucleus_addr}:{PORT}"]
        conf.update(top)
        return {k: v for k, v in conf.items() if v is not None}

    def static_config(self, site, others, cluster=None, **top):
        """A configuration with listed peers and no Nucleus."""
        peers = {f"site{o}": {"key": self.identity(o)[0].key, "vip": self.topo.vip(o),
                              "endpoint": f"{self.topo.uplink_addr(o)}:{PORT}"} for o in others}
        return self.config(site, nucleus=False, cluster=dict({"peers": peers}, **(cluster or {})),
                           **top)

    def start(self, process, seconds=15):
        self.processes.append(process)
        return process.start().ready(seconds)

    def nucleus(self, *args):
        return self.start(Nucleus(self, *args))

    def gateway(self, site, config=None, wait=True, **kw):
        g = Gateway(self, site, self.config(site) if config is None else config, **kw)
        self.processes.append(g)
        g.start()
        return g.ready() if wait else g

    def run_gateway(self, site, config=None, seconds=15, **kw):
        """For runs that must end by themselves: (exit status, what it said)."""
        g = Gateway(self, site, config, **kw)
        if os.path.exists(g.log):
            os.unlink(g.log)
        self.processes.append(g)
        g.start()
        return g.wait(seconds), g.text()

    def tails(self):
        out = []
        for p in self.processes:
            out.append(f"--- {os.path.basename(p.log)}\n{p.tail(25)}")
        return "\n".join(out)

    def ping(self, ns, addr, count=3, interval=0.1, size=56, pattern=None, wait=2, source=None,
             dontfrag=False):
        """fping, which waits that long (seconds) for each reply, where ping waits two round trips
        for the last; (sent, received, sorted round-trip times in microseconds)."""
        if pattern:
            return self.ping_pattern(ns, addr, count, interval, size, pattern)
        argv = ["fping", "-q", "-C", str(count), "-p", f"{interval * 1000:.0f}", "-b", str(size),
                "-t", f"{wait * 1000:.0f}", *["-M"] * dontfrag]
        if source:
            argv += ["-S", source]
        said = self.topo.exec(ns, *argv, addr, check=False, timeout=120)
        line = next((x for x in (said.stderr + said.stdout).splitlines()
                     if re.match(rf"{re.escape(addr)} *:( (-|[\d.]+))+$", x)), None)
        assert line, f"fping {addr}: {said.stderr}{said.stdout}"
        times = sorted(float(t) * 1000 for t in line.split(" :")[1].split() if t != "-")
        return count, len(times), times

    def ping_pattern(self, ns, addr, count, interval, size, pattern):
        """The same with a payload of one's own, for which ping waits an interval at least."""
        out = self.topo.exec(ns, "ping", "-n", "-c", str(count), "-i", str(max(interval, 0.2)), "-s",
                             str(size), "-W", "2", "-p", pattern, addr, check=False, timeout=120).stdout
        times = sorted(float(x) * 1000 for x in re.findall(r"time=([\d.]+)", out))
        return count, len(times), times

    def reaches(self, ns, addr, seconds=10):
        """Until a ping is answered; how long that took."""
        began = time.monotonic()
        until(f"ping from {ns} to {addr}", seconds,
              lambda: self.ping(ns, addr, 1, wait=0.5)[1] == 1, every=0.02)
        return time.monotonic() - began

    def iperf(self, client, server, addr, *args, udp=False, timeout=40):
        """One iperf3 run; its result as {gbps (received), lost (percent), retransmits}."""
        s = Process(server, ["iperf3", "-s", "-1"], os.path.join(self.dir, "iperf3.log"))
        self.processes.append(s)
        s.start()
        try:
            until("iperf3's server", 5, lambda: "5201" in subprocess.run(
                ["ip", "netns", "exec", server, "ss", "-Hltn", "sport", "=", ":5201"],
                capture_output=True, text=True).stdout)
            argv = ["iperf3", "-J", "-c", addr, *(["-u"] if udp else []), *args]
            p = self.topo.exec(client, *argv, check=False, timeout=timeout)
            try:
                end = json.loads(p.stdout)["end"]
                if udp:
                    received = end.get("sum_received") or end["sum"]
                    return {"gbps": received["bits_per_second"] / 1e9,
                            "lost": end["sum"].get("lost_percent", 0.0)}
                return {"gbps": end["sum_received"]["bits_per_second"] / 1e9,
                        "retransmits": end["sum_sent"].get("retransmits", 0)}
            except (ValueError, KeyError):
                said = p.stdout[-300:] or p.stderr
                raise RigError(f"iperf3 from {client} to {addr}: {said.strip()}") from None
        finally:
            s.kill()
            self.processes.remove(s)

    def vip_ping(self, site, other, **kw):
        return self.ping(self.topo.gw(site), self.topo.vip(other), **kw)

    def stop(self):
        """End everything that was started here, the gentle way first."""
        for p in self.processes:
            p.signal(signal.SIGTERM)
        for p in self.processes:
            if p.popen is None:
                continue
            try:
                p.wait(5)
            except RigError:
                pass
        self.processes = []
