# SPDX-License-Identifier: MIT OR Apache-2.0
"""docs/wireguard.md, word for word: its commands on a gateway, a phone, a server and a router,
each a network namespace with folders of its own. What a phone's camera does is done by zbarimg,
what its app does by wg-quick with wireguard-go."""
import os
import re
import shlex
import signal
import subprocess
import time

import pytest

from conftest import fresh_prefix
from rig import ROOT, build_dir, until
from test_wg_export import picture, read_code

PROGRAMS = ":".join(os.path.join(build_dir(), "app", d) for d in ("gateway", "omnictl"))
PRIVATE = ("/etc/omni", "/etc/wireguard", "/run", "/root")


class Box:
    """A machine: its own network and its own files where programs put theirs."""

    def __init__(self, prefix, name, bridge, number):
        self.ns = f"{prefix}{name}"
        self.number = number
        run("ip", "netns", "add", self.ns)
        run("ip", "link", "add", "eth0", "netns", self.ns, "type", "veth", "peer", "name",
            f"v{number}", "netns", bridge)
        run("ip", "-n", bridge, "link", "set", f"v{number}", "master", "hub0", "up")
        run("ip", "-n", self.ns, "addr", "add", f"192.0.2.{number}/24", "dev", "eth0")
        for dev in "lo", "eth0":
            run("ip", "-n", self.ns, "link", "set", dev, "up")
        mounts = "; ".join(f"mount -t tmpfs -o mode=700 none {d}" for d in PRIVATE)
        self.holder = subprocess.Popen(
            ["ip", "netns", "exec", self.ns, "unshare", "-m", "sh", "-c",
             f"{mounts}; mkdir -p /run/wireguard; echo; exec sleep 1000"],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.holder.stdout.readline()
        self.popen = None

    def argv(self, script):
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "--wd=/root", "sh", "-ec",
                script]

    def sh(self, script, check=True):
        env = dict(os.environ, PATH=f"{PROGRAMS}:{os.environ['PATH']}:/usr/sbin:/sbin")
        p = subprocess.run(self.argv(script), capture_output=True, text=True, timeout=60, env=env,
                           stdin=subprocess.DEVNULL)
        assert not check or p.returncode == 0, f"{script}\n{p.stdout}\n{p.stderr}"
        return p

    def start(self, script):
        env = dict(os.environ, PATH=f"{PROGRAMS}:{os.environ['PATH']}")
        self.popen = subprocess.Popen(self.argv("exec " + script), env=env,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)

    def file(self, path, text):
        self.sh(f"umask 077; printf %s {shlex.quote(text)} > {path}")

    def reaches(self, address):
        until(f"{self.ns} to reach {address}", 15,
              lambda: self.sh(f"ping -c 1 -W 1 {address}", check=False).returncode == 0)

    def drop(self):
        self.sh("wg-quick down wg0", check=False)
        if self.popen is not None:
            self.popen.send_signal(signal.SIGTERM)
            self.popen.wait(10)
        self.holder.kill()
        self.holder.wait()
        subprocess.run(["ip", "netns", "del", self.ns], check=False)


def run(*argv):
    subprocess.run(argv, check=True)


def blocks():
    """{heading: [commands]} of the page."""
    with open(os.path.join(ROOT, "docs/wireguard.md"), encoding="utf-8") as f:
        parts = re.split(r"^## (.*)$", f.read(), flags=re.M)
    return {name: re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
            for name, text in zip(parts[1::2], parts[2::2])}


@pytest.fixture(scope="module")
def boxes():
    prefix = fresh_prefix()
    made = [d for d in PRIVATE if not os.path.isdir(d)]
    for d in made:
        os.makedirs(d)
    bridge = f"{prefix}net"
    all_boxes = {}
    try:
        run("ip", "netns", "add", bridge)
        run("ip", "-n", bridge, "link", "add", "name", "hub0", "type", "bridge")
        run("ip", "-n", bridge, "link", "set", "hub0", "up")
        for name, number in ("gateway", 1), ("phone", 5), ("server", 6), ("router", 7):
            all_boxes[name] = Box(prefix, name, bridge, number)
        yield all_boxes
    finally:
        for box in all_boxes.values():
            box.drop()
        subprocess.run(["ip", "netns", "del", bridge], check=False)
        for d in made:
            os.rmdir(d)


def carry(boxes, name):
    """The operator brings the file to the machine."""
    boxes[name].file("/etc/wireguard/wg0.conf", boxes["gateway"].sh(f"cat {name}.conf").stdout)


def test_the_page(boxes, tmp_path):
    page = blocks()
    gateway = boxes["gateway"]

    setup, = page["The gateway"]
    lines = setup.splitlines()
    assert lines[-1].startswith("dpdk-omni -l")
    gateway.sh("\n".join(lines[:-1]))
    gateway.start(lines[-1])
    until("the gateway", 15, lambda: gateway.sh("omnictl status", check=False).returncode == 0)
    assert "10.7.0.1/24" in gateway.sh("ip addr show dev road0").stdout

    scan, = page["A phone"]
    p = gateway.sh(scan)
    assert "dialect: wireguard" in p.stderr and "psk-file" in p.stderr
    phone = boxes["phone"]
    phone.file("/etc/wireguard/wg0.conf", read_code(picture(p.stdout, str(tmp_path / "qr.pgm"))))
    phone.sh("wg-quick up wg0")
    phone.reaches("10.7.0.1")
    gateway.reaches("10.7.0.5")
    assert "latest handshake: " in gateway.sh("omnictl wg show").stdout

    export, up = page["A Linux server"]
    gateway.sh(export)
    carry(boxes, "server")
    boxes["server"].sh(up)
    gateway.reaches("10.7.0.6")

    export, up = page["A router"]
    gateway.sh(export)
    carry(boxes, "router")
    router = boxes["router"]
    router.sh("ip addr add 192.168.8.1/24 dev lo")
    router.sh(up)
    assert "192.168.8.0/24 dev road0" in gateway.sh("ip route").stdout
    gateway.reaches("192.168.8.1")
    # relay: true
    phone.reaches("10.7.0.6")
    boxes["server"].reaches("10.7.0.7")

    add, = page["A peer that has its keys"]
    secret = gateway.sh("omnictl genkey").stdout
    key = subprocess.run(["wg", "pubkey"], input=secret, capture_output=True, text=True,
                         check=True).stdout.strip()
    gateway.sh(add.replace("--key KEY", f"--key {key}"))
    assert f"peer: {key}" in gateway.sh("omnictl wg show road").stdout


def test_wg_show_against_the_other_end(boxes):
    """After traffic both ends say the same of it."""
    phone, gateway = boxes["phone"], boxes["gateway"]
    phone.sh("ping -c 20 -i 0.05 -s 1000 10.7.0.1")
    time.sleep(0.3)
    theirs = phone.sh("wg show wg0 transfer").stdout.split()
    key = phone.sh("wg show wg0 public-key").stdout.strip()
    ours = next(line.split() for line in
                gateway.sh("omnictl wg show road0 transfer").stdout.splitlines()
                if line.startswith(key))
    assert ours[1:] == theirs[:0:-1], "received here is what was sent there, to the byte"
    handshakes = [int(next(line for line in box.sh(f"{cmd} latest-handshakes").stdout.splitlines()
                           if cmd.startswith("wg") or line.startswith(key)).split()[1])
                  for box, cmd in ((phone, "wg show wg0"), (gateway, "omnictl wg show road0"))]
    assert abs(handshakes[0] - handshakes[1]) <= 2
    assert "192.0.2.5:" in gateway.sh("omnictl wg show road0 endpoints").stdout
