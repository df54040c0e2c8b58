# SPDX-License-Identifier: MIT OR Apache-2.0
"""The kernel's own WireGuard as the peer: a Debian kernel in a virtual machine at site B. Only where
tools/test --with-vm has fetched one (OMNI_VM names its directory)."""
import hashlib
import os
import select
import subprocess
import sys
import time

import pytest

import stream
from conftest import drop_rig
from rig import RigError, until
from topo import ip
from wg import CAUGHT_UP, End, Pairing, endpoint, ends_of, new_psk, wg_rig

VM = os.environ.get("OMNI_VM")
SIZE = 8 << 20
pytestmark = pytest.mark.skipif(not VM, reason="tools/test --with-vm fetches the virtual machine")


class Machine:
    """QEMU in a namespace, its network in the place of up0, and a shell on its serial console."""

    def __init__(self, ns, log):
        self.buffer = b""
        self.log = open(log, "wb")  # noqa: SIM115
        argv = ["ip", "netns", "exec", ns, "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max",
                "-m", "256", "-display", "none", "-monitor", "none", "-serial", "stdio",
                "-no-reboot", "-kernel", f"{VM}/vmlinuz", "-initrd", f"{VM}/initramfs",
                "-append", "console=ttyS0 quiet panic=-1", "-netdev",
                "tap,id=n,ifname=vm0,script=no,downscript=no", "-device",
                "virtio-net-pci,netdev=n,mac=02:00:00:00:00:77"]
        self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=self.log, start_new_session=True)

    def read_to(self, marker, seconds):
        end = time.monotonic() + seconds
        while True:
            head, found, rest = self.buffer.partition(marker)
            status, newline, left = rest.partition(b"\n")
            if found and newline:
                self.buffer = left
                return head.decode(errors="replace"), status.strip().decode()
            if not select.select([self.popen.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise RigError(f"the machine said only: {self.buffer[-500:]}")
            more = os.read(self.popen.stdout.fileno(), 65536)
            if not more:
                raise RigError(f"the machine ended: {self.buffer[-500:]}")
            self.log.write(more)
            self.buffer += more

    def run(self, line, check=True, seconds=30):
        """A command line's output."""
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()
        said, status = self.read_to(b"@@", seconds)
        if check and status != "0":
            raise RigError(f"{line}: {status}: {said}")
        return said.replace("\r", "")

    def stop(self):
        self.popen.kill()
        self.popen.wait()
        self.log.close()


class KernelEnd(End):
    kind = "kernel"

    def boot(self):
        """The bridge first: QEMU's interface joins it."""
        ip("-n", self.ns, "addr", "flush", "dev", "up0")
        ip("-n", self.ns, "link", "add", "vmbr", "type", "bridge", "stp_state", "0",
           "mcast_snooping", "0")
        ip("-n", self.ns, "link", "set", "up0", "master", "vmbr")
        ip("-n", self.ns, "link", "set", "vmbr", "up")
        self.vm = Machine(self.ns, os.path.join(self.rig.dir, "vm.log"))
        until("QEMU's interface", 5, lambda: "vm0" in ip("-n", self.ns, "link").stdout)
        ip("-n", self.ns, "link", "set", "vm0", "master", "vmbr", "up")
        return self

    def start(self):
        self.vm.read_to(b"@@ready", 60)
        t = self.rig.topo
        for line in (
                "for f in accept_dad accept_ra; do echo 0 > /proc/sys/net/ipv6/conf/default/$f;"
                " echo 0 > /proc/sys/net/ipv6/conf/eth0/$f; done",
                "ip link set eth0 up",
                f"ip addr add {t.uplink_addr('b')}/24 dev eth0",
                f"ip addr add {t.uplink_addr('b', 6)}/64 dev eth0",
                f"ip route add default via {t.gateway_addr('b')}",
                f"ip -6 route add default via {t.gateway_addr('b', 6)}",
                "ip link add wg0 type wireguard",
                f"echo {self.private} > /tmp/key",
                f"wg set wg0 private-key /tmp/key listen-port {self.port}",
                *[self.line(p) for p in self.peers.values()],
                f"ip addr add {self.inner[4]}/24 dev wg0",
                f"ip addr add {self.inner[6]}/112 dev wg0",
                "ip link set wg0 up"):
            self.vm.run(line)
        return self

    @staticmethod
    def line(peer):
        psk = f"echo {peer.psk} > /tmp/psk; " if peer.psk else ""
        return (f"{psk}wg set wg0 peer {peer.key} allowed-ips {','.join(peer.allowed)}"
                + (" preshared-key /tmp/psk" if peer.psk else "")
                + (f" endpoint {peer.endpoint}" if peer.endpoint else ""))

    def show(self, what):
        said = self.vm.run(f"wg show wg0 {what}")
        return dict(x.split("\t", 1) for x in said.splitlines() if "\t" in x)

    def ping(self, other, family=4, count=3, **kw):
        said = self.vm.run(f"ping -c {count} -W 2 {other.inner[family]}", check=False)
        return int(said.split(" packets received")[0].rsplit(" ", 1)[1])


@pytest.fixture(scope="module", params=sorted({p.driver for p in ends_of("udp", "af_xdp")}, key=str))
def ends(request, tmp_path_factory):
    rig = wg_rig(tmp_path_factory, Pairing("omni" if request.param else "go", "go", request.param))
    b = None
    try:
        a = rig.ends[0]
        b = KernelEnd(rig, "b").boot()
        psk = new_psk()
        a.knows(b, at=endpoint(rig.topo.uplink_addr("b")), psk=psk)
        b.knows(a, at=endpoint(rig.topo.uplink_addr("a")), psk=psk)
        a.start()
        b.start()
        yield a, b
    finally:
        if b:
            b.vm.stop()
        drop_rig(rig)


def test_it_is_the_kernels(ends):
    assert "wireguard" in ends[1].vm.run("lsmod")


def test_pings_both_ways(ends):
    """The first handshake from the kernel's side; then over each family."""
    a, b = ends
    assert b.ping(a) == 3 and a.ping(b) == 3
    assert b.ping(a, 6) == 3 and a.ping(b, 6) == 3
    received, sent = map(int, b.show("transfer")[a.key].split("\t"))
    assert received >= 12 * 128 and sent >= 12 * 128


def test_a_handshake_from_this_side(ends):
    """The kernel forgets its peer and is called."""
    a, b = ends
    peer = b.peers[a.key]
    b.vm.run(f"wg set wg0 peer {a.key} remove")
    b.vm.run(b.line(peer))
    a.restart()
    assert a.reaches(b) < CAUGHT_UP
    assert int(b.show("latest-handshakes")[a.key]) > 0


@pytest.mark.parametrize("family", [4, 6])
def test_tcp_both_ways(ends, family):
    a, b = ends
    b.vm.run(f"nc -l -p {stream.PORT} > /tmp/got & sleep 1")
    data = os.urandom(SIZE)
    send = ("import socket,sys; s=socket.create_connection((sys.argv[1],int(sys.argv[2])),20);"
            "s.sendall(sys.stdin.buffer.read()); s.shutdown(1); s.recv(1)")
    subprocess.run(["ip", "netns", "exec", a.ns, sys.executable, "-c", send, b.inner[family],
                    str(stream.PORT)], input=data, check=True, timeout=60)
    b.vm.run("wait")
    assert b.vm.run("sha256sum < /tmp/got").split()[0] == hashlib.sha256(data).hexdigest()
    with subprocess.Popen(["ip", "netns", "exec", a.ns, sys.executable, stream.__file__, "serve",
                           a.inner[family]], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline() == "ready\n"
            b.vm.run(f"nc {a.inner[family]} {stream.PORT} < /tmp/got", seconds=60)
            assert hashlib.sha256(data).hexdigest() in server.stdout.readline()
        finally:
            server.kill()


def test_the_kernel_renews_its_keys(ends):
    """A new key pair at its side, under traffic: what was on the way arrives."""
    a, b = ends
    before = int(b.show("latest-handshakes")[a.key])
    b.vm.run("sleep 1; ip link set wg0 down; ip link set wg0 up")  # it forgets its sessions
    assert b.ping(a, count=3) == 3
    assert int(b.show("latest-handshakes")[a.key]) > before
    assert a.ping(b) == 3
