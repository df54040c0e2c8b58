# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is wrong before anything runs: exit status 2, a sentence that helps, nothing started."""
import copy
import os
import stat
import subprocess

import pytest
import yaml

from conftest import drop_rig, make_rig
from rig import CLUSTER, TAP, Gateway, program
from topo import ip


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """One site, nothing running."""
    rig = make_rig(tmp_path_factory, 1, hosts=False)
    yield rig
    drop_rig(rig)


@pytest.fixture
def conf(one):
    """A good configuration to spoil."""
    return copy.deepcopy(one.config("a"))


def nothing_started(rig):
    ns = rig.topo.gw("a")
    assert TAP not in ip("-n", ns, "link").stdout
    assert "prog/xdp" not in ip("-d", "-n", ns, "link", "show", "up0").stdout
    assert not os.path.exists(os.path.join(rig.dir, "a.sock"))


def refused(rig, config, *expected, status=2):
    """The program must end with that status, and name the expected words on standard error."""
    code, said = rig.run_gateway("a", config)
    assert code == status, f"{code}: {said}"
    for word in expected:
        assert word in said, f"{word!r} not in: {said}"
    nothing_started(rig)
    return said


def checked(rig, config):
    """-t alone, without DPDK: (status, standard error)."""
    path = os.path.join(rig.dir, "t.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(config if isinstance(config, str) else yaml.safe_dump(config))
    p = subprocess.run([program("gateway"), "--", "-t", "-c", path], capture_output=True,
                       text=True, timeout=10)
    return p.returncode, p.stderr


def test_good_file_passes_t(one, conf):
    code, said = checked(one, conf)
    assert code == 0, said


def test_missing_file(one):
    code, said = one.run_gateway("a", None, args=("-c", "/nonexistent/fleet.yaml"))
    assert code == 2 and "/nonexistent/fleet.yaml" in said
    nothing_started(one)


def test_directory_as_file(one):
    code, said = one.run_gateway("a", None, args=("-c", "/tmp"))
    assert code == 2 and "/tmp" in said


@pytest.mark.parametrize("text", ["ports: [", "\tports: {}", "a: b: c", "- just\n- a list\n", "",
                                  "ports: {}\n---\nports: {}\n", "\x00", "&a [*a]"])
def test_malformed_yaml_is_named_with_its_place(one, text):
    code, said = checked(one, text)
    assert code == 2
    assert "t.yaml:" in said and said.split("t.yaml:")[1].split(":")[0].isdigit(), said
    refused(one, text, "a.yaml:")


SPOILED = [
    ("unknown key", lambda c: c.update(prots={}), ["prots"]),
    ("unknown key in a port", lambda c: c["ports"]["uplink0"].update(interfce="x"), ["interfce"]),
    ("unknown driver", lambda c: c["ports"]["uplink0"].update(driver="af_xpd"), ["af_xpd"]),
    ("listen is text", lambda c: c["underlay"].update(listen="many"), ["listen", "expected"]),
    ("listen is too large", lambda c: c["underlay"].update(listen=70000), ["listen", "expected"]),
    ("ports is a list", lambda c: c.update(ports=["uplink0"]), ["ports", "expected"]),
    ("underlay names no port", lambda c: c["underlay"].update(port="uplink9"), ["uplink9"]),
    ("cluster names no port", lambda c: c["clusters"][CLUSTER].update(ports=["host9"]), ["host9"]),
    ("bad VIP", lambda c: c["clusters"][CLUSTER].update(vip="10.200.0.300"), ["vip", "expected"]),
    ("bad cipher", lambda c: c["clusters"][CLUSTER].update(cipher="rot13"), ["cipher", "expected"]),
    ("unknown mode", lambda c: c["clusters"][CLUSTER].update(mode="l4"), ["mode", "l2 or l3"]),
    ("relay in l2", lambda c: c["clusters"][CLUSTER].update(relay=True), ["relay", "mode: l3"]),
    ("secret and open", lambda c: c["clusters"][CLUSTER].update(open=True), ["open", "secret"]),
    ("no secret, not open, no peers", lambda c: c["clusters"][CLUSTER].pop("secret-file"),
     ["omnictl gensecret", "open"]),
    ("short secret", lambda c: c["clusters"][CLUSTER].update(
        **{"secret-file": None, "secret": "fifteen letters"}), ["16"]),
    ("peer without a key", lambda c: c["clusters"][CLUSTER].update(peers={"b": {}}), ["key"]),
    ("peer with a wrong key", lambda c: c["clusters"][CLUSTER].update(
        peers={"b": {"key": "AAAA"}}), ["key", "expected"]),
    ("port in cluster and underlay", lambda c: c["clusters"][CLUSTER].update(ports=["uplink0"]),
     ["uplink0"]),
    ("no clusters", lambda c: c.pop("clusters"), ["clusters"]),
    ("interface name too long", lambda c: c["ports"]["host0"].update(interface="x" * 16),
     ["interface"]),
]


@pytest.mark.parametrize("name,spoil,words", SPOILED, ids=[s[0] for s in SPOILED])
def test_contradictions_and_types_exit_2_with_file_line_column(one, conf, name, spoil, words):
    spoil(conf)
    c = conf.get("clusters", {}).get(CLUSTER)
    if c and c.get("secret-file", 0) is None:
        del c["secret-file"]
    code, said = checked(one, conf)
    assert code == 2, said
    where = said.split("t.yaml:", 1)[1].split(":")
    assert where[0].isdigit() and where[1].isdigit(), said
    for word in words:
        assert word in said, said


def test_short_secret_file(one, conf):
    short = one.secret_file("short.secret", "fifteen letters")
    conf["clusters"][CLUSTER]["secret-file"] = short
    refused(one, conf, "short.secret", "16")


def test_wide_secret_file(one, conf):
    wide = one.secret_file("wide.secret", "long enough for a secret")
    os.chmod(wide, 0o644)
    conf["clusters"][CLUSTER]["secret-file"] = wide
    refused(one, conf, "wide.secret", "600")


@pytest.mark.parametrize("fault,word", [("missing", "--init"), ("wide", "600"),
                                        ("truncated", "identity"), ("empty", "identity"),
                                        ("foreign text", "identity"), ("link", "link")])
def test_identity_file_faults(one, conf, fault, word):
    _, good = one.identity("a")
    bad = os.path.join(one.dir, "bad.key")
    if os.path.lexists(bad):
        os.unlink(bad)
    with open(good, encoding="ascii") as f:
        text = f.read()
    if fault == "link":
        os.symlink(good, bad)
    elif fault != "missing":
        with open(bad, "w", encoding="ascii") as f:
            f.write({"wide": text, "truncated": text[:30], "empty": "",
                     "foreign text": "hello world\n"}[fault])
        os.chmod(bad, 0o640 if fault == "wide" else 0o600)
    conf["identity"] = bad
    refused(one, conf, "bad.key", word)
    assert fault != "missing" or not os.path.exists(bad), "nothing is made by itself"


@pytest.mark.parametrize("spoil,words", [
    (lambda c: c["ports"]["uplink0"].update(interface="eth77"), ["eth77"]),
    (lambda c: c["ports"]["host0"].update(interface="lo"), ["lo"]),
    (lambda c: c["clusters"][CLUSTER].update(vip="fd00::1/64"), ["fd00::1/64", "turned off"]),
    (lambda c: (c["clusters"][CLUSTER].update(vip="fd00::1/64"),
                c["ports"]["host0"].update(mtu=1000)), ["IPv6 needs an MTU of 1280"]),
], ids=["missing uplink", "TAP name taken", "no IPv6", "too small for IPv6"])
def test_port_that_cannot_be_opened(one, conf, spoil, words):
    spoil(conf)
    code, said = one.run_gateway("a", conf)
    assert code not in (0, None) and code in (1, 2), said
    for w in words:
        assert w in said
    ns = one.topo.gw("a")
    assert "prog/xdp" not in ip("-d", "-n", ns, "link", "show", "up0").stdout
    assert TAP not in ip("-n", ns, "link").stdout


def test_too_many_workers_are_refused_clearly(one, conf):
    code, said = one.run_gateway("a", conf, lcores="0@0,(1-64)@1")
    assert code in (1, 2) and "64 worker lcores" in said and "63 is the most" in said
    nothing_started(one)


def test_no_worker_is_refused_clearly(one, conf):
    code, said = one.run_gateway("a", conf, lcores="0@0")
    assert code in (1, 2) and "worker" in said
    nothing_started(one)


def test_no_secret_names_the_two_ways_out(one):
    _, key = one.identity("a")
    g = Gateway(one, "a", None, args=("--interface", "up0", "--identity", key, "--cluster",
                                      CLUSTER, "--nucleus", "192.0.2.1:51820", "--vip",
                                      "10.200.0.1"))
    one.processes.append(g)
    assert g.start().wait() == 2
    assert "omnictl gensecret" in g.tail() and "--open" in g.tail()
    nothing_started(one)


@pytest.mark.parametrize("args", [("--frobnicate",), ("--vip",), ("--cipher", "rot13"),
                                  ("--port", "0"), ("--port", "x"), ("stray",)])
def test_wrong_command_lines(one, args):
    p = subprocess.run([program("gateway"), "--", *args], capture_output=True, text=True,
                       timeout=10)
    assert p.returncode == 2 and p.stderr


@pytest.mark.parametrize("name", ["gateway", "nucleus", "omnictl"])
def test_help_and_version(name):
    for option, word in (("--help", "NAME"), ("--version", "0.1")):
        p = subprocess.run([program(name), option], capture_output=True, text=True, timeout=5)
        assert p.returncode == 0, p.stderr
        assert word.lower() in p.stdout.lower()
        assert "EAL" not in p.stdout + p.stderr


def test_help_behind_a_command():
    for words in ("wg", "show", "-h"), ("wg", "import", "--help"), ("peers", "-h"):
        p = omnictl(*words)
        assert p.returncode == 0 and p.stdout.startswith("NAME"), (words, p)
    for last in "--", "":
        assert omnictl("-s", "/nowhere", "peers", last).returncode == 2



def test_init_makes_an_identity_once(one):
    path = os.path.join(one.dir, "fresh", "identity.key")
    argv = [program("gateway"), "--", "--init", "--identity", path]
    p = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    assert p.returncode == 0, p.stderr
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700, "made, where missing"
    with open(path, encoding="ascii") as f:
        before = f.read()
    assert before.split()[1] not in p.stdout + p.stderr, "the seed itself is never printed"
    keys = [w for w in p.stdout.split() if len(w) == 44 and w.endswith("=")]
    assert len(keys) == 2, p.stdout
    again = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    assert again.returncode != 0
    with open(path, encoding="ascii") as f:
        assert f.read() == before, "an identity is never replaced"


def test_gensecret():
    out = [subprocess.run([program("omnictl"), "gensecret"], capture_output=True, text=True,
                          check=True).stdout.strip() for _ in range(2)]
    assert out[0] != out[1] and len(out[0]) >= 43


def omnictl(*argv, text=""):
    return subprocess.run([program("omnictl"), *argv], capture_output=True, text=True, input=text,
                          timeout=10)


def test_wireguard_keys(tmp_path):
    """What wg makes of our keys, and we of its."""
    ours = omnictl("genkey").stdout.strip()
    theirs = subprocess.run(["wg", "genkey"], capture_output=True, text=True,
                            check=True).stdout.strip()
    for key in ours, theirs:
        want = subprocess.run(["wg", "pubkey"], capture_output=True, text=True, input=key,
                              check=True).stdout
        assert omnictl("pubkey", text=key + "\n").stdout == want
        path = tmp_path / "key"
        path.write_text(key + "\n", encoding="ascii")
        path.chmod(0o644)
        assert "chmod 600" in omnictl("pubkey", str(path)).stderr
        path.chmod(0o600)
        assert omnictl("pubkey", str(path)).stdout == want
    for bad in "", "AAAA", theirs[:-2], "A" * 43 + "=", theirs + theirs:
        assert omnictl("pubkey", text=bad).returncode == 1, bad
    with open("/dev/full", "w", encoding="ascii") as full:
        p = subprocess.run([program("omnictl"), "pubkey"], stdout=full, stderr=subprocess.PIPE,
                           input=ours, text=True, timeout=10)
        assert p.returncode == 1 and "standard output" in p.stderr
    psk = [omnictl("genpsk").stdout.strip() for _ in range(2)]
    assert psk[0] != psk[1] and len(psk[0]) == 44


def test_a_wireguard_key_as_identity(one, conf, tmp_path):
    """It starts nothing but WireGuard."""
    path = tmp_path / "key"
    path.write_text(omnictl("genkey").stdout, encoding="ascii")
    path.chmod(0o600)
    conf["identity"] = str(path)
    refused(one, conf, "holds a WireGuard key", "dpdk-omni --init")


def test_mode_nucleus_is_the_nucleus():
    p = subprocess.run([program("gateway"), "--", "--mode", "nucleus", "--help"],
                       capture_output=True, text=True, timeout=5)
    assert p.returncode == 0 and "omni-nucleus" in p.stdout


def test_no_tun_device_is_named(one):
    """In a mount namespace without it, as in a container."""
    g = Gateway(one, "a", one.config("a"), name="no-tun")
    g.argv = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev/net; exec \"$@\"", "sh",
              *g.argv]
    one.processes.append(g)
    g.start()
    assert g.wait(15) == 1
    assert "there is no /dev/net/tun" in g.text()
    assert "xdp" not in ip("-d", "-n", one.topo.gw("a"), "link", "show", "up0").stdout
