# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a careless or hostile neighbour does to a running gateway: it goes on."""
import contextlib
import socket

import pytest

from rig import until

CALL = b'{"jsonrpc":"2.0","id":1,"method":"stats"}\n'


@pytest.fixture(scope="module")
def one(module_rig):
    g = module_rig.gateway("a", module_rig.static_config("a", ["b"]))
    yield g
    assert g.stop(5) == 0


def client(g):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(g.socket)
    s.settimeout(5)
    return s


def test_clients_that_leave_before_the_answer(one):
    for i in range(50):
        s = client(one)
        # More at once than there are places are shut out.
        with contextlib.suppress(BrokenPipeError):
            s.sendall(b"\x00\xff no JSON \x80\n" * 10 if i % 2 else CALL * 10)
        s.close()
    until("an answer", 5, lambda: one.rpc("version")["version"])


def test_lines_without_end_and_readers_that_do_not_read(one):
    s = client(one)
    with pytest.raises(OSError):
        for _ in range(200):
            s.sendall(b"x" * 65536)
    slow = client(one)
    slow.setblocking(False)
    with pytest.raises(OSError):
        for _ in range(100000):
            slow.send(CALL)
    until("an answer", 5, lambda: one.rpc("version")["version"])


def test_more_clients_than_places(one):
    many = [client(one) for _ in range(100)]
    for s in many:
        s.close()
    until("an answer", 5, lambda: one.rpc("version")["version"])
