# SPDX-License-Identifier: MIT OR Apache-2.0
"""omnictl wg show against wg show: the same facts behind a gateway's socket and behind that of
an implementation of WireGuard, and the same text from both programs."""
import base64
import contextlib
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from rig import program

NAME = f"oe{os.getpid() % 10000}"
UAPI = f"/var/run/wireguard/{NAME}.sock"
SECRET = bytes(range(32))
PUBLIC = "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8="
WORDS = ("public-key", "listen-port", "fwmark", "peers", "preshared-keys", "endpoints",
         "allowed-ips", "latest-handshakes", "transfer", "persistent-keepalive", "dump")


def key(n):
    return bytes([n] * 32)


def b64(raw):
    return base64.b64encode(raw).decode()


# For people the newest handshake comes first; for scripts the order of the configuration stays.
PEERS = [
    {"n": 2, "age": 1, "rx": 1023, "tx": 1024, "keepalive": 25, "psk": False,
     "endpoint": "[2001:db8::1]:51820", "allowed": ["10.7.0.6/32"]},
    {"n": 3, "age": 62, "rx": 1289748, "tx": 4781506, "keepalive": 60, "psk": False,
     "endpoint": "198.51.100.9:1", "allowed": []},
    {"n": 4, "age": 3600, "rx": 1048575, "tx": 1048576, "keepalive": 90, "psk": True,
     "endpoint": None, "allowed": ["0.0.0.0/0"]},
    {"n": 1, "age": 0, "rx": 0, "tx": 148, "keepalive": 1, "psk": True,
     "endpoint": "192.0.2.1:51820", "allowed": ["10.7.0.5/32", "10.20.0.0/16", "::/0"]},
    {"n": 5, "age": 86400 * 366 + 3661, "rx": 5 << 30, "tx": 7 << 40, "keepalive": 65535,
     "psk": False, "endpoint": "192.0.2.5:9", "allowed": ["fd00:7::5/128", "10.7.0.7/32"]},
    {"n": 6, "age": None, "rx": 0, "tx": 0, "keepalive": 0, "psk": False, "endpoint": None,
     "allowed": []},
]


def made_at(p):
    """When its handshake was; None: it had none."""
    return int(time.time()) - p["age"] if p["age"] is not None else None


def uapi_answer():
    lines = [f"private_key={SECRET.hex()}", "listen_port=51999", "fwmark=51820"]
    for p in PEERS:
        lines.append(f"public_key={key(p['n']).hex()}")
        if p["psk"]:
            lines.append(f"preshared_key={key(0x77).hex()}")
        if p["endpoint"]:
            lines.append(f"endpoint={p['endpoint']}")
        lines += [f"last_handshake_time_sec={made_at(p) or 0}",
                  "last_handshake_time_nsec=0", f"tx_bytes={p['tx']}", f"rx_bytes={p['rx']}",
                  f"persistent_keepalive_interval={p['keepalive']}"]
        lines += [f"allowed_ip={a}" for a in p["allowed"]]
    return ("\n".join([*lines, "protocol_version=1", "errno=0"]) + "\n\n").encode()


def rpc_answer(request):
    peers = [{"cluster": "road", "name": f"p{p['n']}", "key": b64(key(p["n"])),
              "endpoint": p["endpoint"], "last_handshake_s": p["age"],
              "last_handshake_at": made_at(p), "rx_bytes": p["rx"],
              "tx_bytes": p["tx"], "dialect": "wireguard", "keepalive_s": p["keepalive"],
              "psk": p["psk"], "allowed_ips": p["allowed"]} for p in PEERS]
    # What is no WireGuard peer of an L3 cluster, and no L3 cluster, does not show.
    peers.insert(2, dict(peers[0], dialect="omni", key=b64(key(99))))
    peers.append(dict(peers[0], cluster="ether", key=b64(key(98))))
    result = {
        "status": {"identity": PUBLIC, "listen": 51999},
        "config": {"underlay": {"fwmark": 51820},
                   "ports": {"t": {"driver": "tun", "interface": NAME},
                             "m": {"driver": "memif"}},
                   "clusters": {"ether": {"mode": "l2", "ports": []},
                                "road": {"mode": "l3", "ports": ["m", "t"]}}},
        "peers": peers,
    }[json.loads(request)["method"]]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode() + b"\n"


@contextlib.contextmanager
def served(path, ends_with, answer):
    """A unix socket that answers each request."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(8)

    def serve():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                text = b""
                while not text.endswith(ends_with):
                    more = client.recv(4096)
                    if not more:
                        break
                    text += more
                if text:
                    client.sendall(answer(text))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)
        os.unlink(path)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Runs wg show and omnictl wg show with the same words: two texts."""
    ours = str(tmp_path_factory.mktemp("show") / "s")
    os.makedirs(os.path.dirname(UAPI), exist_ok=True)
    with served(UAPI, b"\n\n", lambda _: uapi_answer()), served(ours, b"\n", rpc_answer):
        def show(*words):
            # A second may end between the two.
            for _ in range(5):
                before = int(time.time())
                texts = [subprocess.run([*argv, "show", *words], capture_output=True, text=True,
                                        timeout=10, check=True).stdout
                         for argv in (["wg"], [program("omnictl"), "-s", ours, "wg"])]
                if int(time.time()) == before:
                    break
            return texts
        show.socket = ours
        yield show


def test_for_people(both):
    theirs, ours = both(NAME)
    assert ours == theirs
    for words in ("latest handshake: Now\n", "latest handshake: 1 minute, 2 seconds ago\n",
                  "transfer: 1.23 MiB received, 4.56 MiB sent\n", "allowed ips: (none)\n",
                  "persistent keepalive: every 25 seconds\n", "preshared key: (hidden)\n"):
        assert words in ours


@pytest.mark.parametrize("word", WORDS)
def test_for_scripts(both, word):
    theirs, ours = both(NAME, word)
    # What a gateway does not show.
    theirs = theirs.replace(b64(SECRET), "(hidden)").replace(b64(key(0x77)), "(hidden)")
    assert ours == theirs
    if word in ("public-key", "listen-port", "fwmark"):
        assert len(ours.splitlines()) == 1


def test_all_and_names(both):
    def ours(*words):
        return subprocess.run([program("omnictl"), "-s", both.socket, "wg", "show", *words],
                              capture_output=True, text=True, timeout=10)
    assert ours("interfaces").stdout == NAME + "\n"
    assert ours().stdout == ours("all").stdout == ours(NAME).stdout == ours("road").stdout
    assert ours("all", "listen-port").stdout == f"{NAME}\t51999\n"
    assert all(line.startswith(f"{NAME}\t") for line in ours("all", "dump").stdout.splitlines())
    assert ours("ether").returncode == 1 and "no L3 cluster" in ours("ether").stderr
    assert ours(NAME, "nothing").returncode == 2 and "usage" in ours(NAME, "nothing").stderr
