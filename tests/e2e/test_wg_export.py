# SPDX-License-Identifier: MIT OR Apache-2.0
"""omnictl wg export: what a new peer gets, as a file and as a code for a phone's camera."""
import os
import re
import stat
import subprocess

import pytest
import yaml

from conftest import drop_rig, make_rig
from rig import Gateway, program
from test_wg_quick import PUBLIC, SECRET, write

ADDRESS = "10.7.0.9, fd00:7::9"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A gateway with one L3 cluster, from a file of wg-quick's."""
    rig = make_rig(tmp_path_factory, 1, hosts=False)
    for what in "all", "default":
        subprocess.run(["ip", "netns", "exec", rig.topo.gw("a"), "sysctl", "-qw",
                        f"net.ipv6.conf.{what}.disable_ipv6=0"], check=True)
    text = (f"[Interface]\nPrivateKey = {SECRET}\nListenPort = 51999\n"
            "Address = 10.7.0.1/24, fd00:7::1/64\n")
    g = Gateway(rig, "a", name="export")
    g.argv += ["--wg", write(rig.dir, text), "--socket", g.socket]
    rig.processes.append(g)
    g.start()
    g.ready()
    yield g
    drop_rig(rig)


def export(g, *words, name="phone", address=ADDRESS):
    return subprocess.run([program("omnictl"), "-s", g.socket, "wg", "export", name, "--address",
                           address, *words], capture_output=True, text=True, timeout=20)


def value(text, key):
    return re.search(rf"^ *{key} = (.*)$", text, re.M)[1]


def pubkey(secret):
    return subprocess.run(["wg", "pubkey"], input=secret, capture_output=True, text=True,
                          check=True).stdout.strip()


def read_code(path):
    """What a phone's camera would make of it."""
    p = subprocess.run(["zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", path],
                       capture_output=True, text=True, timeout=30)
    assert p.returncode == 0, p.stderr
    return p.stdout


def picture(text, path, scale=4):
    """Half blocks to pixels: full, upper and lower half are light, a blank is dark."""
    light = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}
    rows = []
    for line in text.splitlines():
        for half in 0, 1:
            rows.append(bytes(255 * light[c][half] for c in line for _ in range(scale)))
    with open(path, "wb") as f:
        f.write(b"P5 %d %d 255\n" % (len(rows[0]), len(rows) * scale))
        for row in rows:
            f.write(row * scale)
    return path


def test_the_file(gateway):
    p = export(gateway, "--endpoint", "vpn.example.com", "--dns", "10.7.0.1", "--mtu", "1280")
    assert p.returncode == 0, p.stderr
    secret, psk = value(p.stdout, "PrivateKey"), value(p.stdout, "PresharedKey")
    assert p.stdout == (
        f"[Interface]\nPrivateKey = {secret}\nAddress = 10.7.0.9/32, fd00:7::9/128\n"
        "DNS = 10.7.0.1\nMTU = 1280\n\n"
        f"[Peer]\nPublicKey = {PUBLIC}\nPresharedKey = {psk}\n"
        "AllowedIPs = 10.7.0.0/24, fd00:7::/64\nEndpoint = vpn.example.com:51999\n"
        "PersistentKeepalive = 25\n")
    assert secret not in p.stderr
    # What the operator is told to add to the file that the gateway runs from.
    assert value(p.stderr, "PublicKey") == pubkey(secret)
    assert value(p.stderr, "PresharedKey") == psk
    assert value(p.stderr, "AllowedIPs") == "10.7.0.9/32, fd00:7::9/128"
    p = export(gateway, "--behind", "192.168.8.1/24,fd00:8::/64")
    assert value(p.stderr, "AllowedIPs") == ("10.7.0.9/32, fd00:7::9/128, 192.168.8.0/24, "
                                             "fd00:8::/64")
    assert value(p.stdout, "AllowedIPs") == "10.7.0.0/24, fd00:7::/64"
    again = export(gateway)
    assert secret not in again.stdout and psk not in again.stdout
    assert "Endpoint" not in again.stdout and "no endpoint" in again.stderr


def test_the_file_is_good_for_wg_quick_and_for_us(gateway, tmp_path):
    p = export(gateway, "--endpoint", "[2001:db8::1]:443", "--allowed-ips", "0.0.0.0/0,::/0")
    path = tmp_path / "phone.conf"
    path.write_text(p.stdout, encoding="ascii")
    path.chmod(0o600)
    assert "Endpoint = [2001:db8::1]:443\n" in p.stdout
    stripped = subprocess.run(["wg-quick", "strip", str(path)], capture_output=True, text=True,
                              timeout=10, check=True).stdout
    assert "Address" not in stripped and "AllowedIPs = 0.0.0.0/0, ::/0" in stripped
    ours = subprocess.run([program("gateway"), "--wg", str(path), "--test"], capture_output=True,
                          text=True, timeout=10)
    assert ours.returncode == 0, ours.stderr


def test_the_code_in_a_terminal(gateway, tmp_path):
    p = export(gateway, "--endpoint", "vpn.example.com", "--qr")
    assert p.returncode == 0, p.stderr
    assert "PrivateKey" not in p.stdout + p.stderr
    text = read_code(picture(p.stdout, str(tmp_path / "code.pgm")))
    assert text.startswith("[Interface]\nPrivateKey = ")
    assert value(p.stderr, "PublicKey") == pubkey(value(text, "PrivateKey"))
    assert "Endpoint = vpn.example.com:51999\n" in text


def test_the_code_in_a_file(gateway, tmp_path):
    path = str(tmp_path / "code.svg")
    p = export(gateway, "--svg", path)
    assert p.returncode == 0, p.stderr
    assert p.stdout == "" and stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, encoding="ascii") as f:
        svg = f.read()
    size = int(re.search(r'viewBox="0 0 (\d+) ', svg)[1])
    dark = {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", svg)}
    rows = [bytes(0 if (x, y) in dark else 255 for x in range(size) for _ in range(4))
            for y in range(size)]
    with open(tmp_path / "code.pgm", "wb") as f:
        f.write(b"P5 %d %d 255\n" % (4 * size, 4 * size))
        for row in rows:
            f.write(row * 4)
    text = read_code(str(tmp_path / "code.pgm"))
    assert value(p.stderr, "PublicKey") == pubkey(value(text, "PrivateKey"))
    assert export(gateway, "--svg", path).returncode == 1, "no file is replaced"
    assert export(gateway, "--add", "--svg", path).returncode == 1
    assert gateway.rpc("peers") == [], "a peer whose key nobody has does not stay"


def test_what_is_wrong_is_told(gateway):
    for words, said in (
            (("--cluster", "none"), "no such L3 cluster"),
            (("--endpoint", "a b"), "--endpoint"),
            (("--dns", "1.1.1.1\nPostUp = x"), "--dns"),
            (("--allowed-ips", "ten"), "--allowed-ips"),
            (("--behind", "x"), "--behind"),
            (("--behind", "10.7.0.1"), "the gateway has 10.7.0.1/32"),
            (("--mtu", "5"), "--mtu"),
            (("--nothing",), "--nothing")):
        p = export(gateway, *words)
        assert p.returncode in (1, 2) and said in p.stderr and p.stdout == "", (words, p)
    for address in "10.7.0.300", "224.0.0.1", "", ",", "10.7.0.1", "10.7.0.9, fd00:7::1":
        p = export(gateway, address=address)
        assert p.returncode == 1 and "--address" in p.stderr, (address, p)
    for name in "a b", "", "x" * 32:
        assert export(gateway, name=name).returncode == 1
    p = subprocess.run([program("omnictl"), "-s", gateway.socket, "wg", "export", "phone"],
                       capture_output=True, text=True, timeout=10)
    assert p.returncode == 2 and "--address" in p.stderr


def test_added_to_the_running_gateway(gateway):
    p = export(gateway, "--add", "--endpoint", "192.0.2.1")
    assert p.returncode == 0, p.stderr
    peer, = gateway.rpc("peers")
    assert peer["name"] == "phone" and peer["dialect"] == "wireguard" and peer["psk"]
    assert peer["key"] == pubkey(value(p.stdout, "PrivateKey"))
    assert sorted(peer["allowed_ips"]) == ["10.7.0.9/32", "fd00:7::9/128"]
    again = export(gateway, "--add", name="other")
    assert again.returncode == 1 and "peer phone has 10.7.0.9/32" in again.stderr
    again = export(gateway, address="10.7.0.10")
    assert again.returncode == 1 and "peer phone in cluster wg0 already" in again.stderr
    gateway.rpc("peer.remove", {"peer": "phone"})


def test_the_yaml_that_is_told_is_good(gateway, tmp_path):
    """Of a gateway that runs from YAML; and the PSK lies where that looks for it."""
    rig = gateway.rig
    folder = os.path.join(rig.dir, "yaml")
    p = subprocess.run([program("omnictl"), "wg", "import", os.path.join(rig.dir, "wg0.conf"),
                        folder], capture_output=True, text=True, timeout=10)
    assert p.returncode == 0, p.stderr
    path = os.path.join(folder, "wg0.yaml")
    with open(path, encoding="utf-8") as f:
        text = f.read().replace('"wg0"', '"wg1"').replace("51999", "52000")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    g = Gateway(rig, "a", name="yaml", args=("-c", os.path.relpath(path)))
    g.argv += ["--socket", g.socket]
    rig.processes.append(g)
    g.start()
    g.ready()
    p = export(g)
    assert g.stop() == 0
    lines = p.stderr.split("peers:\n")[1].split("and keep")[0]
    command = re.search(r"\(umask 077; echo .*\)", p.stderr)[0]
    subprocess.run(["sh", "-c", command], check=True, cwd=tmp_path)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("    peers: {}\n", "    peers:\n" + lines))
    check = subprocess.run([program("gateway"), "--test", path], capture_output=True, text=True,
                           timeout=10)
    assert check.returncode == 0, check.stderr
    with open(path, encoding="utf-8") as f:
        assert "phone" in yaml.safe_load(f)["clusters"]["wg1"]["peers"]
