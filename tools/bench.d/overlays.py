# SPDX-License-Identifier: MIT OR Apache-2.0
"""Encrypted overlays that Debian packages, between the ends of one veth pair.

Each is a class: `package`, `layer`, `note` (what was set for speed), and start(link), which starts
the programs, gives the ends their addresses and returns the programs whose CPU time counts. What
is not set is the package's default.
"""
import datetime
import os
import secrets
import shutil
import subprocess
from types import SimpleNamespace

from lab import BenchError, ip, run
from rig import until

ADDRESS = {"a": "10.97.0.1", "b": "10.97.0.2"}
OTHER = {"a": "b", "b": "a"}


def command(*argv, text=None):
    p = subprocess.run(argv, input=text, capture_output=True, text=True)
    if p.returncode != 0:
        raise BenchError(f"{argv[0]}: {(p.stderr or p.stdout).strip()[-200:]}")
    return p.stdout.strip()


def write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, mode)) as f:
        f.write(text)
    return path


def device(link, side, name):
    """Wait for an interface that a daemon makes."""
    until(f"interface {name}", 8, lambda: name in ip("-n", link.ns[side], "-o", "link").stdout)
    return name


def give_address(link, side, name, mtu=None):
    device(link, side, name)
    ns = link.ns[side]
    if mtu:
        ip("-n", ns, "link", "set", name, "mtu", str(mtu))
    ip("-n", ns, "addr", "replace", f"{ADDRESS[side]}/24", "dev", name)
    ip("-n", ns, "link", "set", name, "up")


def wireguard_go(link, side, key, other):
    """wireguard-go on one side with a private key, towards the public key of the other side."""
    if shutil.which("wg") is None:
        raise BenchError("package wireguard-tools is missing")
    # The control sockets of both lie in one folder, whatever the namespace.
    name = f"wg{os.getpid() % 10000000}{side}"
    process = link.lab.start(link.ns[side], ["wireguard-go", "-f", name],
                             env={"LOG_LEVEL": "error"})
    device(link, side, name)
    until("wireguard-go's socket", 5,
          lambda: os.path.exists(f"/var/run/wireguard/{name}.sock"))
    command("ip", "netns", "exec", link.ns[side], "wg", "set", name, "listen-port", "51820",
            "private-key", write(link.path(f"wg-{side}"), key + "\n"), "peer", other, "endpoint",
            f"{link.address[OTHER[side]]}:51820", "allowed-ips", f"{ADDRESS[OTHER[side]]}/32")
    give_address(link, side, name, 1420)
    return process


def wg_public(key):
    return command("wg", "pubkey", text=key)


class WireGuardGo:
    package, binary, layer = "wireguard-go", "wireguard-go", "L3"
    note = "ChaCha20-Poly1305; MTU 1420"

    def start(self, link):
        keys = {s: command("wg", "genkey") for s in "ab"}
        return [wireguard_go(link, s, keys[s], wg_public(keys[OTHER[s]])) for s in "ab"]


class Nebula:
    package, binary, layer = "nebula", "nebula", "L3"
    note = "AES-256-GCM; MTU 1440"

    CONFIG = """\
pki: {{ ca: {d}/ca.crt, cert: {d}/{s}.crt, key: {d}/{s}.key }}
static_host_map: {{ "{other}": ["{endpoint}:4242"] }}
lighthouse: {{ am_lighthouse: false }}
listen: {{ host: 0.0.0.0, port: 4242 }}
cipher: aes
tun: {{ dev: neb0, mtu: 1440, tx_queue: 500 }}
logging: {{ level: error, format: text }}
firewall:
  outbound: [ {{ port: any, proto: any, host: any }} ]
  inbound: [ {{ port: any, proto: any, host: any }} ]
"""

    def start(self, link):
        d = link.path("nebula")
        os.mkdir(d)
        command("nebula-cert", "ca", "-name", "bench", "-out-crt", f"{d}/ca.crt", "-out-key",
                f"{d}/ca.key")
        programs = []
        for s in "ab":
            command("nebula-cert", "sign", "-ca-crt", f"{d}/ca.crt", "-ca-key", f"{d}/ca.key",
                    "-name", s, "-ip", f"{ADDRESS[s]}/24", "-out-crt", f"{d}/{s}.crt",
                    "-out-key", f"{d}/{s}.key")
            conf = write(f"{d}/{s}.yml", self.CONFIG.format(
                d=d, s=s, other=ADDRESS[OTHER[s]], endpoint=link.address[OTHER[s]]))
            programs.append(link.lab.start(link.ns[s], ["nebula", "-config", conf]))
            device(link, s, "neb0")
        return programs


class Tinc:
    package, binary, layer = "tinc", "tincd", "L2"
    note = "AES-256-CBC, SHA-256 cut to 4 bytes; mode switch"

    def start(self, link):
        hosts = {}
        for s in "ab":
            d = link.path(f"tinc-{s}")
            os.makedirs(f"{d}/hosts")
            write(f"{d}/tinc.conf", f"Name = {s}\nMode = switch\nInterface = tinc0\n"
                  + ("ConnectTo = b\n" if s == "a" else ""))
            write(f"{d}/hosts/{s}", f"Address = {link.address[s]}\nCipher = aes-256-cbc\n"
                  "Digest = sha256\n")
            command("tincd", "-c", d, "-K", "2048", text="\n\n")
            with open(f"{d}/hosts/{s}", encoding="ascii") as f:
                hosts[s] = f.read()
        programs = []
        for s in "ba":
            d = link.path(f"tinc-{s}")
            write(f"{d}/hosts/{OTHER[s]}", hosts[OTHER[s]])
            programs.append(link.lab.start(
                link.ns[s], ["tincd", "-c", d, "-D", f"--pidfile={d}/pid"]))
            give_address(link, s, "tinc0")
        return programs


class Fastd:
    package, binary, layer = "fastd", "fastd", "L2"
    note = "salsa2012+umac; MTU 1426"

    CONFIG = """\
mode tap;
interface "fastd0";
method "salsa2012+umac";
mtu 1426;
bind any:10000;
secret "{secret}";
peer "other" {{ key "{key}"; remote {endpoint} port 10000; }}
"""

    def start(self, link):
        pair = {}
        for s in "ab":
            said = command("fastd", "--generate-key", "--machine-readable").split()
            public = command("fastd", "--show-key", "--machine-readable", "-c",
                             write(link.path(f"fastd-key-{s}"), f'secret "{said[0]}";\n'))
            pair[s] = SimpleNamespace(secret=said[0], public=public)
        programs = []
        for s in "ab":
            conf = write(link.path(f"fastd-{s}.conf"), self.CONFIG.format(
                secret=pair[s].secret, key=pair[OTHER[s]].public,
                endpoint=link.address[OTHER[s]]))
            programs.append(link.lab.start(link.ns[s], ["fastd", "-c", conf]))
            give_address(link, s, "fastd0")
        return programs


class N2n:
    package, binary, layer = "n2n", "edge", "L2"
    note = "Twofish; MTU 1400"

    def start(self, link):
        lab, supernode = link.lab, f"{link.address['b']}:7654"
        programs = [lab.start(link.ns["b"], ["supernode", "-l", "7654"])]
        key = secrets.token_hex(16)
        for s in "ab":
            programs.append(lab.start(
                link.ns[s], ["edge", "-d", "n2n0", "-a", ADDRESS[s], "-c", "bench", "-l",
                             supernode, "-p", "7655"], env={"N2N_KEY": key}))
            give_address(link, s, "n2n0", 1400)
        return programs


class OpenVpn:
    package, binary, layer = "openvpn", "openvpn", "L2"
    note = "AES-256-GCM; --dev tap, --fast-io"

    @staticmethod
    def certificate(link, s):
        """A key and a certificate by itself; its fingerprint."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, s)])
        now = datetime.datetime.utcnow()
        cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=30)).sign(key, hashes.SHA256()))
        write(link.path(f"ovpn-{s}.crt"),
              cert.public_bytes(serialization.Encoding.PEM).decode())
        write(link.path(f"ovpn-{s}.key"), key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()).decode())
        return cert.fingerprint(hashes.SHA256()).hex(":")

    def start(self, link):
        prints = {s: self.certificate(link, s) for s in "ab"}
        programs = []
        for s in "ab":
            role = ["--tls-server", "--dh", "none"] if s == "b" else ["--tls-client"]
            programs.append(link.lab.start(link.ns[s], [
                "openvpn", "--dev", "ovpn0", "--dev-type", "tap", "--proto", "udp", "--remote",
                link.address[OTHER[s]], "1194", "--lport", "1194", "--ifconfig", ADDRESS[s],
                "255.255.255.0", "--cert", link.path(f"ovpn-{s}.crt"), "--key",
                link.path(f"ovpn-{s}.key"), "--peer-fingerprint", prints[OTHER[s]], *role,
                "--cipher", "AES-256-GCM", "--data-ciphers", "AES-256-GCM", "--fast-io",
                "--txqueuelen", "1000"]))
            give_address(link, s, "ovpn0")
        return programs


OVERLAYS = {"wireguard-go": WireGuardGo, "nebula": Nebula, "tinc": Tinc, "fastd": Fastd,
            "n2n": N2n, "OpenVPN": OpenVpn}
# What `tools/bench peers` installs besides tools/setup's.
PACKAGES = ("wireguard-go", "wireguard-tools", "nebula", "tinc", "fastd", "n2n", "openvpn")


def version(package):
    """As Debian numbers it; None where it is not installed."""
    p = run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package, check=False)
    status, _, number = p.stdout.partition(" ")
    return number if p.returncode == 0 and status == "installed" else None


def install():
    """What is missing, as far as apt can; what stays missing becomes a row that says so."""
    missing = [p for p in PACKAGES if version(p) is None]
    if missing:
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for argv in (["apt-get", "-q", "update"],
                     *(["apt-get", "-q", "-y", "--no-install-recommends", "install", p]
                       for p in missing)):
            subprocess.run(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
