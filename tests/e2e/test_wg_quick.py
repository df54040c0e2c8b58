# SPDX-License-Identifier: MIT OR Apache-2.0
"""Files of wg-quick's: dpdk-omni --wg runs them, omnictl wg import writes them as YAML."""
import base64
import os
import stat
import subprocess
import time

import pytest

from conftest import drop_rig, make_rig
from rig import Gateway, program, until
from topo import ip
from wg import Pairing, endpoint, nft, wg_rig

SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PUBLIC = "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8="
PEER = "ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A="
FILE = f"""\
[Interface]
Address = 10.7.0.1, fd00:7::1/64
PrivateKey = {SECRET}
MTU = 1380
DNS = 192.0.2.53
PostUp = touch /tmp/never
FwMark = 51820
# phone
[Peer]
PublicKey = {PEER}
PresharedKey = {SECRET}
AllowedIPs = 10.7.0.5/32, 10.20.0.0/16, ::/0
Endpoint = 192.0.2.77:51820
PersistentKeepalive = 25
"""
NOTES = "wg0.conf:5: DNS is not applied", "wg0.conf:6: PostUp is not applied"


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    rig = make_rig(tmp_path_factory, 1, hosts=False)
    for what in "all", "default":
        subprocess.run(["ip", "netns", "exec", rig.topo.gw("a"), "sysctl", "-qw",
                        f"net.ipv6.conf.{what}.disable_ipv6=0"], check=True)
    yield rig
    drop_rig(rig)


def write(folder, text=FILE, name="wg0.conf"):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(path, 0o600)
    return path


def run(name, *argv):
    return subprocess.run([program(name), *argv], capture_output=True, text=True, timeout=20)


def rules(ns, family):
    return ip("-n", ns, family, "rule", "show").stdout


def test_a_file_runs_as_it_is(one, tmp_path):
    ns = one.topo.gw("a")
    g = Gateway(one, "a", name="wg")
    g.argv += ["--wg", write(tmp_path), "--socket", g.socket]
    one.processes.append(g)
    g.start()
    g.ready()
    status = g.rpc("status")
    assert status["identity"] == PUBLIC
    for note in NOTES:
        assert any(note in w for w in status["warnings"]), status["warnings"]
    assert ip("-n", ns, "link", "show", "wg0").stdout.count("mtu 1380 ") == 1
    addresses = ip("-n", ns, "addr", "show", "dev", "wg0").stdout
    assert "10.7.0.1/32" in addresses and "fd00:7::1/64" in addresses

    def routes():
        text = ip("-n", ns, "route", "show", "dev", "wg0").stdout
        return "10.20.0.0/16" in text and "10.7.0.5" in text
    until("the kernel's routes", 5, routes)
    for family in "-4", "-6":
        assert "default" not in ip("-n", ns, family, "route", "show", "dev", "wg0").stdout
        assert ("lookup 51820" in rules(ns, family)) == (family == "-6")
    assert "default dev wg0" in ip("-n", ns, "-6", "route", "show", "table", "51820").stdout
    sockets = subprocess.run(["ip", "netns", "exec", ns, "ss", "-Hlun"], capture_output=True,
                             text=True, check=True).stdout
    assert f":{status['listen']} " in sockets and status["listen"] != 0
    assert g.stop() == 0
    assert "wg0" not in ip("-n", ns, "link").stdout
    assert len(rules(ns, "-6").splitlines()) == 2
    assert not os.path.exists("/tmp/never")


def test_a_file_of_many_peers(one, tmp_path):
    """All of them are listed, which is an answer of 18 MB, and they are gone at once."""
    peers = "".join(f"[Peer]\nPublicKey = {base64.b64encode(os.urandom(32)).decode()}\n"
                    f"AllowedIPs = 10.{64 + (i >> 16)}.{i >> 8 & 255}.{i & 255}, fd00:9::{i:x}\n"
                    for i in range(40000))
    g = Gateway(one, "a", name="many")
    g.argv += ["--wg", write(tmp_path, f"[Interface]\nPrivateKey = {SECRET}\nTable = off\n" + peers,
                             "wgmany.conf"), "--socket", g.socket]
    one.processes.append(g)
    g.start()
    g.ready()
    assert len(g.ctl("wg", "show", "wgmany", "peers").stdout.splitlines()) == 40000
    began = time.monotonic()
    assert g.stop() == 0
    assert time.monotonic() - began < 3


def test_table_off_leaves_the_kernels_routes_alone(one, tmp_path):
    ns = one.topo.gw("a")
    text = FILE.replace("MTU = 1380\n", "Table = off\nListenPort = 51999\n")
    g = Gateway(one, "a", name="off")
    g.argv += ["--wg", write(tmp_path, text, "off.conf"), "--socket", g.socket]
    one.processes.append(g)
    g.start()
    g.ready()
    assert g.rpc("status")["listen"] == 51999
    assert "10.20.0.0" not in ip("-n", ns, "route", "show", "table", "all").stdout
    assert "mtu 1420 " in ip("-n", ns, "link", "show", "off").stdout
    assert g.stop() == 0


def test_a_bad_file_starts_nothing(tmp_path):
    for text, words in (
            (FILE.replace("MTU", "MTX"), "wg0.conf:4: [Interface] has no key \"MTX\""),
            (FILE.replace(SECRET, "x"), "wg0.conf:3: PrivateKey: is no key"),
            (FILE.replace(f"PublicKey = {PEER}\n", ""), "has no PublicKey"),
            ("", "has no PrivateKey")):
        p = run("gateway", "--wg", write(tmp_path, text))
        assert p.returncode == 2 and words in p.stderr, p.stderr
        assert SECRET not in p.stderr
    path = write(tmp_path)
    for more in ("-c", "x.yaml"), ("--identity", "x"), ("--cluster", "x"):
        p = run("gateway", "--wg", path, *more)
        assert p.returncode == 2 and "does not go with --wg" in p.stderr


def test_import_writes_what_runs(tmp_path):
    path, out = write(tmp_path), os.path.join(tmp_path, "out")
    p = run("omnictl", "wg", "import", path, out)
    assert p.returncode == 0, p.stderr
    assert sorted(os.listdir(out)) == ["wg0-phone.psk", "wg0.key", "wg0.yaml"]
    assert sorted(p.stdout.split()) == sorted(os.path.join(out, f) for f in os.listdir(out))
    for note in NOTES:
        assert note in p.stderr
    for name in os.listdir(out):
        assert stat.S_IMODE(os.stat(os.path.join(out, name)).st_mode) == 0o600
    yaml_file = os.path.join(out, "wg0.yaml")
    with open(yaml_file, encoding="utf-8") as f:
        text = f.read()
    assert SECRET not in text and "fwmark: 0xca6c" in text and "relay: host" in text
    assert run("gateway", "--test", yaml_file).returncode == 0
    assert run("omnictl", "pubkey", os.path.join(out, "wg0.key")).stdout.strip() == PUBLIC
    again = run("omnictl", "wg", "import", path, out)
    assert again.returncode == 1 and "is not replaced" in again.stderr
    printed = run("omnictl", "wg", "import", path)
    assert printed.returncode == 0 and printed.stdout == text
    assert "wg0-phone.psk" in printed.stderr


def test_import_of_a_file_without_peers(tmp_path):
    path, out = write(tmp_path, FILE.split("# phone")[0]), os.path.join(tmp_path, "out")
    assert run("omnictl", "wg", "import", path, out).returncode == 0
    assert run("gateway", "--test", os.path.join(out, "wg0.yaml")).returncode == 0


ELSEWHERE = {4: "198.51.100.7", 6: "2001:db8:5::7"}


@pytest.fixture
def internet(tmp_path_factory):
    """A server that masquerades for its clients, and the addresses behind its router."""
    rig = wg_rig(tmp_path_factory, Pairing("go", "go", None))
    server, client = rig.ends
    ip("-n", rig.topo.router, "link", "set", "lo", "up")
    for address in ELSEWHERE.values():
        ip("-n", rig.topo.router, "addr", "add", address, "dev", "lo")
    server.knows(client, [client.inner[4] + "/32", client.inner[6] + "/128"])
    server.start()
    server.shell("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    nft(server.ns, """table inet road {
        chain nat { type nat hook postrouting priority srcnat; oifname "up0" masquerade;
        }
    }""")
    yield rig
    drop_rig(rig)


def client_of(rig, more=""):
    """A gateway by a file that sends everything to the server, which it knows by name."""
    server, client = rig.ends
    rig.topo.set_hosts(client.ns, f"{rig.topo.uplink_addr(server.site)} server.test\n")
    path = write(rig.dir, f"""[Interface]
PrivateKey = {client.private}
Address = {client.inner[4]}/32, {client.inner[6]}/128
{more}
[Peer]
PublicKey = {server.key}
Endpoint = {endpoint("server.test")}
AllowedIPs = 0.0.0.0/0, ::/0
""", "all0.conf")
    g = Gateway(rig, client.site, name="all")
    g.argv += ["--wg", path, "--socket", g.socket]
    rig.processes.append(g)
    g.start()
    g.ready()
    until("the table's default route", 5, lambda: all("default dev all0" in ip(
        "-n", client.ns, f, "route", "show", "table", "51820", check=False).stdout
        for f in ("-4", "-6")))
    return g


def sends_all(rig, g):
    """Its host reaches the world through the server alone."""
    client = rig.ends[1]
    for address in ELSEWHERE.values():
        before = int(g.ctl("wg", "show", "all0", "transfer").stdout.split()[1])
        assert rig.ping(client.ns, address, 3, interval=0.1)[1] == 3
        assert int(g.ctl("wg", "show", "all0", "transfer").stdout.split()[1]) - before >= 300
    assert g.ctl("wg", "show", "all0", "fwmark").stdout == "0xca6c\n"
    assert g.counter("ctl_routing_loop") == 0


def test_all_traffic(internet):
    """What wg-quick does for 0.0.0.0/0 and ::/0: rules for all but the tunnel's own datagrams. They go
    with the gateway, and do no harm where it was killed."""
    ns = internet.ends[1].ns
    before = [rules(ns, f) for f in ("-4", "-6")]
    g = client_of(internet)
    until("the rules", 5, lambda: all("lookup 51820" in rules(ns, f) for f in ("-4", "-6")))
    sends_all(internet, g)
    g.kill()
    assert internet.ping(ns, ELSEWHERE[4], 3, interval=0.1)[1] == 3
    g = client_of(internet)
    sends_all(internet, g)
    assert g.stop() == 0
    assert [rules(ns, f) for f in ("-4", "-6")] == before


def test_all_traffic_by_mark_and_table(internet):
    """With a table of one's own, and rules of one's own."""
    ns = internet.ends[1].ns
    g = client_of(internet, "FwMark = 0xca6c\nTable = 51820")
    assert "51820" not in rules(ns, "-4") + rules(ns, "-6")
    for family in "-4", "-6":
        for rule in "not fwmark 51820 table 51820", "table main suppress_prefixlength 0":
            ip("-n", ns, family, "rule", "add", *rule.split())
    sends_all(internet, g)
