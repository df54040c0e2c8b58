# SPDX-License-Identifier: MIT OR Apache-2.0
"""What peers send to others than the cluster goes to the kernel, as from WireGuard's interface: the
host's other addresses, networks that it forwards to, peers, and groups of routing protocols."""
import subprocess
import sys
import time

import pytest

from conftest import drop_rig
from wg import Pairing, endpoint, ends_of, nft, wg_rig
from topo import ip

ELSEWHERE, OTHER_OWN = "198.51.100.7", "10.99.1.77"
ALL = ["0.0.0.0/0", "::/0"]
GROUP = "224.0.0.5"

LISTEN = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 5405))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4si",
    socket.inet_aton(sys.argv[1]), bytes(4), socket.if_nametoindex(sys.argv[2])))
s.settimeout(8)
print("ready", flush=True)
print(s.recvfrom(100)[1][0], flush=True)
"""
SEND = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4si",
    bytes(4), socket.inet_aton(sys.argv[3]), socket.if_nametoindex(sys.argv[2])))
s.sendto(b"hello", (sys.argv[1], 5405))
"""


def forwarding(ns, on):
    subprocess.run(["ip", "netns", "exec", ns, "sysctl", "-qw", f"net.ipv4.ip_forward={on:d}"],
                   check=True)


@pytest.fixture(params=ends_of("udp"), ids=str)
def served(request, tmp_path_factory):
    """A server, and a client whose every packet it gets."""
    rig = wg_rig(tmp_path_factory, request.param)
    server, client = rig.ends
    server.knows(client, [client.inner[4] + "/32", client.inner[6] + "/128", GROUP + "/32"])
    client.knows(server, ALL, endpoint(rig.topo.uplink_addr(server.site)))
    ip("-n", rig.topo.router, "link", "set", "lo", "up")
    ip("-n", rig.topo.router, "addr", "add", f"{ELSEWHERE}/32", "dev", "lo")
    ip("-n", server.ns, "addr", "add", f"{OTHER_OWN}/32", "dev", "lo")
    server.start()
    client.start()
    for to in ELSEWHERE, OTHER_OWN:
        ip("-n", client.ns, "route", "add", f"{to}/32", "dev", client.dev)
    client.reaches(server)
    yield rig
    drop_rig(rig)


def test_the_host_forwards(served):
    server, client = served.ends
    assert served.ping(client.ns, OTHER_OWN, 3, interval=0.1)[1] == 3
    forwarding(server.ns, False)
    assert served.ping(client.ns, ELSEWHERE, 2, interval=0.1)[1] == 0
    forwarding(server.ns, True)
    nft(server.ns, """table ip road {
        chain nat { type nat hook postrouting priority srcnat; oifname "up0" masquerade;
        }
    }""")
    assert served.ping(client.ns, ELSEWHERE, 3, interval=0.1)[1] == 3
    # The host is one hop, the tunnel none.
    one = client.shell("ping", "-n", "-c", "1", "-t", "1", "-W", "3", ELSEWHERE, check=False)
    assert f"From {server.inner[4]}" in one.stdout and "Time to live" in one.stdout


def test_groups_pass_between_kernel_and_peer(served):
    for one, other in served.ends, served.ends[::-1]:
        argv = ["ip", "netns", "exec", other.ns, sys.executable, "-c", LISTEN, GROUP, other.dev]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout.readline() == "ready\n"
            one.shell(sys.executable, "-c", SEND, GROUP, one.dev, one.inner[4])
            assert listener.stdout.readline() == one.inner[4] + "\n"


def test_nothing_is_said_by_the_kernel_alone(tmp_path_factory):
    """An interface that comes up calls nobody, although its peer has all groups."""
    rig = wg_rig(tmp_path_factory, Pairing("omni", "go", "udp"))
    try:
        gateway, peer = rig.ends
        gateway.knows(peer, ALL, endpoint(rig.topo.uplink_addr(peer.site)))
        gateway.start()
        time.sleep(3)
        assert gateway.counter("ctl_handshakes_sent") == 0
        shown = ip("-n", gateway.ns, "addr", "show", "dev", gateway.dev).stdout
        assert "MULTICAST" not in shown and "fe80" not in shown
    finally:
        drop_rig(rig)


@pytest.mark.parametrize("kind", ["omni", "go"])
def test_the_host_relays(tmp_path_factory, kind):
    rig = wg_rig(tmp_path_factory, Pairing(kind, "go", "udp"), sites=3)
    try:
        hub, one, two = rig.ends
        hub.more = {"relay": "host"}
        for spoke in one, two:
            hub.knows(spoke)
            spoke.knows(hub, ["192.168.241.0/24"], endpoint(rig.topo.uplink_addr(hub.site)))
        hub.start()
        for spoke in one, two:
            spoke.start()
            spoke.reaches(hub)
        forwarding(hub.ns, False)
        assert one.ping(two) == 0
        forwarding(hub.ns, True)
        assert one.ping(two) == 3
        nft(hub.ns, f"""table ip road {{
            chain wall {{ type filter hook forward priority 0; iifname {hub.dev} drop;
            }}
        }}""")
        assert one.ping(two) == 0
    finally:
        drop_rig(rig)
