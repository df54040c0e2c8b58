# SPDX-License-Identifier: MIT OR Apache-2.0
"""When a WireGuard peer speaks without being asked to: keepalives of both kinds, a peer that has
gone, and silence. Counted on the wire."""
import socket
import time

import pytest

from conftest import drop_rig
from topo import PORT
from wg import DATA, INITIATION, RESPONSE, Wire, endpoint, ends_of, wg_rig

KEEPALIVE, REKEY = 10, 5  # seconds, of the protocol


def sites(request, tmp_path_factory, count):
    rig = wg_rig(tmp_path_factory, request.param, sites=count)
    try:
        a = rig.ends[0]
        for other in rig.ends[1:]:
            a.knows(other, at=endpoint(rig.topo.uplink_addr(other.site)))
            other.knows(a, at=endpoint(rig.topo.uplink_addr("a")))
        yield rig.ends
    finally:
        drop_rig(rig)


@pytest.fixture(params=ends_of("udp"), ids=str)
def two(request, tmp_path_factory):
    yield from sites(request, tmp_path_factory, 2)


@pytest.fixture(params=ends_of("udp"), ids=str)
def three(request, tmp_path_factory):
    yield from sites(request, tmp_path_factory, 3)


def test_an_answer_is_owed_and_a_peer_is_missed(three):
    """B received and has nothing to say: one keepalive after ten seconds. C is gone: A calls it
    anew fifteen seconds after the packet that it did not answer, and again every five. Nobody says
    anything else."""
    a, b, c = three
    for end in three:
        end.start()
        end.deaf()
    a.reaches(b)
    a.reaches(c)
    time.sleep(0.5)
    with Wire(a.rig, "a") as wire:
        c.pause()
        began = time.time()
        a.datagram(b)
        a.datagram(c)
        time.sleep(KEEPALIVE + 3 * REKEY - 3)
        c.resume()
    of_b = [d for d in wire.all if address(a, b) in (d.src, d.dst)]
    of_c = [d for d in wire.all if d.dst == address(a, c)]
    first, kept = of_b
    assert len(first.payload) > 32 and first.dst == address(a, b)
    assert len(kept.payload) == 32 and kept.src == address(a, b)
    assert KEEPALIVE - 0.3 < kept.time - began < KEEPALIVE + 1.5
    times = [round(d.time - began, 1) for d in of_c]
    assert [d.payload[0] for d in of_c[:3]] == [DATA, INITIATION, INITIATION], times
    assert KEEPALIVE + REKEY - 0.3 < times[1] < KEEPALIVE + REKEY + 1.5, times
    assert REKEY - 0.3 < times[2] - times[1] < REKEY + 1, times


def address(a, end):
    return socket.inet_aton(a.rig.topo.uplink_addr(end.site))


def test_a_persistent_keepalive_calls_by_itself(two):
    """Without a packet of anybody's: a handshake, then one keepalive a second."""
    a, b = two
    next(iter(a.peers.values())).keepalive = 1
    with Wire(a.rig, "a") as wire:
        b.start()
        a.start()
        time.sleep(5)
    ours = address(a, a)
    sent = [d for d in wire.keepalives() if d.src == ours]
    assert len(wire.of_type(INITIATION)) in (1, 2) and wire.of_type(RESPONSE)
    assert 3 <= len(sent) <= 7
    assert {len(d.payload) for d in wire.all} <= {148, 92, 32, 64}
    assert b.endpoint_of(a) == endpoint(a.rig.topo.uplink_addr("a"), PORT)


def test_nobody_speaks_who_has_nothing_to_say(two):
    """Two that start with each other's endpoints and are not used: not one datagram."""
    a, b = two
    with Wire(a.rig, "a") as wire:
        for end in two:
            end.start()
        time.sleep(3)
    assert len(wire.of_type(DATA)) == len(wire.keepalives()), "nothing of ours"
    assert wire.all == [] or all(noise(d) for d in wire.all)


def noise(datagram):
    """IPv6 of an interface that comes up (its multicast is nobody's) is not our subject."""
    return datagram.payload[0] not in (INITIATION, RESPONSE, DATA)


def test_from_asleep(two):
    """One stands still for a while, as a suspended laptop does; the next packet passes."""
    a, b = two
    for end in two:
        end.start()
    a.reaches(b)
    for end, other in ((a, b), (b, a)):
        end.pause()
        time.sleep(2)
        end.resume()
        assert end.reaches(other) < 3 and other.ping(end) == 3
