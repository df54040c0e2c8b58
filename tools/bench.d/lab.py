# SPDX-License-Identifier: MIT OR Apache-2.0
"""A place to measure in: namespaces, veth pairs, programs, hugepages; all gone at the end."""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, os.path.join(TOP, "tests/e2e"))

from rig import Process, RigError, until  # noqa: E402
from topo import TopoError, ip, run  # noqa: E402

HUGE = "/sys/kernel/mm/hugepages/hugepages-2048kB"
TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


class BenchError(RuntimeError):
    """Something here does not work; the text says what."""


def say(text):
    print(f"tools/bench: {text}", file=sys.stderr, flush=True)


def wanted(options, name):
    """Does --only ask for the row of that name? Without it, for every one."""
    return not options.only or any(o in name for o in options.only)


def build_dir():
    return os.environ.get("OMNI_BUILD", os.path.join(TOP, "build-release"))


def program(name):
    return os.path.join(build_dir(), {"gateway": "app/gateway/dpdk-omni",
                                      "bench": "app/bench/omni-bench",
                                      "swarm": "app/bench/omni-swarm",
                                      "pingpong": "app/bench/omni-pingpong"}[name])


def machine():
    """What was measured on."""
    with open("/proc/cpuinfo", encoding="ascii") as f:
        cpu = next((x.split(":", 1)[1].strip() for x in f if x.startswith("model name")), "?")
    with open("/etc/os-release", encoding="utf-8") as f:
        system = next((x.split("=", 1)[1].strip().strip('"') for x in f
                       if x.startswith("PRETTY_NAME")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory),
            "kernel": os.uname().release, "system": system}


def commit():
    p = subprocess.run(["git", "-C", TOP, "describe", "--always", "--dirty"], capture_output=True,
                       text=True)
    return p.stdout.strip() or "unknown"


class Program(Process):
    """A program in a namespace (or in none). It dies with us, however we end."""

    def start(self):
        argv = (["ip", "netns", "exec", self.ns] if self.ns else []) + self.argv
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env=dict(os.environ, **(self.env or {})), start_new_session=True,
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        return self

    def cpu_seconds(self):
        """Of all its threads and of its children that ended."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return sum(int(x) for x in fields[11:15]) / TICKS


class Lab:
    """Context manager. Namespaces are named obPID-NAME, files lie in `dir`."""

    def __init__(self):
        self.prefix = f"ob{os.getpid()}"
        self.dir = None
        self.programs = []
        self.spaces = []
        self.pages_before = None

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="omni-bench-")
        return self

    def __exit__(self, *exc):
        # A second interrupt must not leave half of it behind.
        for s in (signal.SIGINT, signal.SIGTERM):
            signal.signal(s, signal.SIG_IGN)
        try:
            self.stop(self.programs)
        finally:
            for ns in self.spaces:
                ip("netns", "del", ns, check=False)
            self.pages_back()
            shutil.rmtree(self.dir, ignore_errors=True)
            for s in (signal.SIGINT, signal.SIGTERM):
                signal.signal(s, ended)

    def path(self, name):
        return os.path.join(self.dir, name)

    # ---- namespaces ----

    def space(self, name):
        """A namespace with loopback, and without IPv6 of the kernel's own, whose chatter would
        wake what should sleep."""
        ns = f"{self.prefix}-{name}"
        ip("netns", "add", ns)
        self.spaces.append(ns)
        ip("-n", ns, "link", "set", "lo", "up")
        run("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1",
            "net.ipv6.conf.all.disable_ipv6=1")
        return ns

    def veth(self, a, b, mtu=1500, queues=2):
        """Join two namespaces: ((ns, interface, address or None), the same)."""
        ends = [["name", name, "netns", ns, "mtu", str(mtu), "numtxqueues", str(queues),
                 "numrxqueues", str(queues)] for ns, name, _ in (a, b)]
        ip("link", "add", *ends[0], "type", "veth", "peer", *ends[1])
        for ns, name, addr in (a, b):
            if addr:
                ip("-n", ns, "addr", "add", addr, "dev", name)
            ip("-n", ns, "link", "set", name, "up")

    def offloads(self, ns, interface, on):
        word = "on" if on else "off"
        run("ip", "netns", "exec", ns, "ethtool", "-K", interface, "tx", word, "tso", word,
            "gso", word, "gro", word)

    # ---- programs ----

    def start(self, ns, argv, name=None, env=None):
        name = name or os.path.basename(argv[0])
        p = Program(ns, argv, self.path(f"{name}-{len(self.programs)}.log"), env)
        self.programs.append(p)
        return p.start()

    def stop(self, programs):
        """End these, the gentle way first."""
        programs = list(programs)
        for p in programs:
            p.signal(signal.SIGTERM)
        for p in programs:
            if p.popen is not None:
                try:
                    p.popen.wait(5)
                except subprocess.TimeoutExpired:
                    p.kill()
                # What EAL leaves in /run is removed by nobody but us.
                shutil.rmtree(f"/run/dpdk/omni-{p.pid}", ignore_errors=True)
        self.programs = [p for p in self.programs if p not in programs]

    # ---- hugepages ----

    def pages(self, count):
        """At least so many free pages of 2 MB until the end; False where they are not to be had."""
        try:
            free, total = (read_number(f"{HUGE}/{n}_hugepages") for n in ("free", "nr"))
            if free < count:
                if self.pages_before is None:
                    self.pages_before = total
                write_number(f"{HUGE}/nr_hugepages", total + count - free)
            return read_number(f"{HUGE}/free_hugepages") >= count
        except OSError:
            return False

    def pages_back(self):
        if self.pages_before is not None:
            write_number(f"{HUGE}/nr_hugepages", self.pages_before)
            self.pages_before = None


def ended(number, _frame):
    """SIGTERM and SIGINT: leave through every `with`."""
    sys.exit(128 + number)


def read_number(path):
    with open(path, encoding="ascii") as f:
        return int(f.read())


def write_number(path, value):
    with open(path, "w", encoding="ascii") as f:
        f.write(str(value))


class Meter:
    """CPU seconds of some programs between begin and now."""

    def __init__(self, programs):
        self.programs = programs
        self.began = time.monotonic()
        self.cpu = sum(p.cpu_seconds() for p in programs)

    def seconds(self):
        return sum(p.cpu_seconds() for p in self.programs) - self.cpu

    def share(self):
        """Of one core."""
        return self.seconds() / (time.monotonic() - self.began)


__all__ = ["TOP", "BenchError", "Lab", "Meter", "Program", "RigError", "TopoError", "build_dir",
           "commit", "ended", "ip", "machine", "program", "read_number", "run", "say", "until"]
