# SPDX-License-Identifier: MIT OR Apache-2.0
"""omni-nucleus as a program: its options, files, signals and addresses."""
import base64
import os
import re
import resource
import signal
import subprocess
import sys

import pytest

from conftest import fresh_prefix
from rig import Process, program, until
from topo import ip

PORT = 51999
# A connected socket hears only the address that it asked.
ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(2)
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(bytes.fromhex("000100002112a442") + b"transaction!")
a = s.recv(2000)
assert a[8:20] == b"transaction!", a
print(len(a))
"""


@pytest.fixture(scope="module")
def ns():
    name = fresh_prefix() + "-n"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        for address in ("192.0.2.1/32", "192.0.2.2/32", "2001:db8::1/128", "2001:db8::2/128"):
            ip("-n", name, "addr", "add", address, "dev", "lo")
        yield name
    finally:
        ip("netns", "del", name, check=False)


@pytest.fixture
def nucleus(ns, tmp_path):
    """Starts one with more options; ended with the test."""
    made = []

    def make(*args, ready=True):
        log = tmp_path / f"log{len(made)}"
        argv = [program("nucleus"), "--port", str(PORT), "--key", str(tmp_path / "key"), *args]
        p = Process(ns, argv, str(log)).start()
        made.append(p)
        if ready:
            until("the Nucleus listens", 5, lambda: "listening" in p.text())
        return p
    yield make
    for p in made:
        p.kill()


def ask(ns, address):
    p = subprocess.run(["ip", "netns", "exec", ns, sys.executable, "-c", ASK, address, str(PORT)],
                       capture_output=True, text=True, timeout=10)
    assert p.returncode == 0, p.stderr
    return int(p.stdout)


def fails(*args):
    p = subprocess.run([program("nucleus"), *args], capture_output=True, text=True, timeout=10)
    return p.returncode, p.stderr


def test_answers_leave_from_the_address_that_was_asked(ns, nucleus):
    nucleus()
    for address in ("192.0.2.1", "192.0.2.2", "127.0.0.1"):
        assert ask(ns, address) == 32
    for address in ("2001:db8::1", "2001:db8::2", "::1"):
        assert ask(ns, address) == 44


def test_listens_on_one_address_only(ns, nucleus):
    p = nucleus("--listen", "192.0.2.2")
    assert ask(ns, "192.0.2.2") == 32
    with pytest.raises(AssertionError):
        ask(ns, "192.0.2.1")
    assert p.stop() == 0
    nucleus("--listen", "2001:db8::2")
    assert ask(ns, "2001:db8::2") == 44


def test_key_is_made_once_named_in_the_log_and_closed_to_others(nucleus, tmp_path):
    keys = []
    for _ in range(2):
        p = nucleus()
        keys.append(re.search(r"listening .*key=(\S+)", p.text()).group(1))
        assert p.stop() == 0
    assert keys[0] == keys[1] and len(base64.b64decode(keys[0])) == 32
    assert os.stat(tmp_path / "key").st_mode & 0o777 == 0o600
    os.chmod(tmp_path / "key", 0o640)
    p = nucleus(ready=False)
    assert p.wait() == 2 and str(tmp_path / "key") in p.text()


def test_state_directory_holds_the_key(ns, tmp_path):
    p = Process(ns, [program("nucleus"), "--port", str(PORT)], str(tmp_path / "log"),
                {"STATE_DIRECTORY": str(tmp_path)}).start()
    try:
        until("the key", 5, (tmp_path / "nucleus.key").exists)
        until("the Nucleus listens", 5, lambda: "listening" in p.text())
        assert p.stop() == 0
    finally:
        p.kill()


def test_signals(ns, nucleus):
    p = nucleus()
    ask(ns, "127.0.0.1")
    p.signal(signal.SIGUSR1)
    until("the counters in the log", 5, lambda: "stun=1" in p.text())
    assert p.running()
    p.signal(signal.SIGINT)
    assert p.wait() == 0
    assert p.text().count("stun=1") == 2, "and again when it stops"


def test_leaves_no_core(ns, nucleus):
    p = nucleus()
    pid = subprocess.run(["ip", "netns", "pids", ns], capture_output=True,
                         text=True).stdout.split()[0]
    assert resource.prlimit(int(pid), resource.RLIMIT_CORE) == (0, 0)
    assert p.stop() == 0


def test_port_in_use(nucleus):
    nucleus()
    p = nucleus(ready=False)
    assert p.wait() == 1 and "Address already in use" in p.text()


@pytest.mark.parametrize("args,words", [
    (("--port", "0"), "--port 0: expected"),
    (("--port", "65536"), "--port 65536: expected"),
    (("--port", "x"), "--port x: expected"),
    (("--port",), "--help"),
    (("--listen", "example"), "--listen example: expected"),
    (("--log-level", "loud"), "--log-level loud: expected"),
    (("--nonsense",), "--help"),
    (("more",), "more: unexpected argument"),
])
def test_wrong_options(args, words):
    code, text = fails(*args)
    assert code == 2 and words in text


@pytest.mark.parametrize("content,words", [
    ("", "lists no cluster"),
    ("# nothing\n\n", "lists no cluster"),
    ("# one\nAAAA\n", ":2: expected a cluster id"),
    (base64.b64encode(bytes(31)).decode(), ":1: expected a cluster id"),
    (None, "No such file"),
])
def test_wrong_allow_file(tmp_path, content, words):
    path = tmp_path / "allow"
    if content is not None:
        path.write_text(content)
    code, text = fails("--key", str(tmp_path / "key"), "--allow", str(path))
    assert code == 2 and str(path) in text and words in text


def test_allow_file_is_taken(nucleus, tmp_path):
    path = tmp_path / "allow"
    ident = base64.b64encode(bytes(range(32))).decode()
    path.write_text(f"# clusters\n  {ident}  # robotics\n")
    p = nucleus("--allow", str(path))
    assert f"allow={path}" in p.text()


def test_help_and_version():
    for option, word in (("--help", "SYNOPSIS"), ("--version", "omni-nucleus ")):
        p = subprocess.run([program("nucleus"), option], capture_output=True, text=True)
        assert p.returncode == 0 and word in p.stdout and not p.stderr
