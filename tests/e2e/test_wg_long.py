# SPDX-License-Identifier: MIT OR Apache-2.0
"""What takes minutes: several renewals of keys under traffic, sessions that end unused, and ends that
stood still for as long as ten minutes. The gateways are those of a build with
-Dshort-timers=true, in which a minute stands for ten:

    meson setup build-short -Dshort-timers=true && ninja -C build-short
    OMNI_BUILD_SHORT=$PWD/build-short /usr/bin/python3 -m pytest tests/e2e/test_wg_long.py -n 8

With a build without that option the same takes ten times as long. wireguard-go keeps its own time;
where its keys have to be old, it is made to forget them."""
import os
import subprocess
import threading
import time

import pytest

from conftest import drop_rig
from rig import program, until
from topo import PORT
from wg import DATA, INITIATION, RESPONSE, Pairing, Wire, endpoint, nft, wg_rig

BUILD = os.environ.get("OMNI_BUILD_SHORT")
pytestmark = pytest.mark.skipif(not BUILD, reason="OMNI_BUILD_SHORT=DIR names a build with "
                                "-Dshort-timers=true")

RENEWALS = 4
RATE = 250e3  # bytes per second of each transfer
SILENCE = 3.0  # seconds


def scale():
    said = subprocess.run([program("gateway"), "--version"], capture_output=True, text=True).stdout
    return 1 if "+short-timers" in said else 10


class Times:
    """In seconds, of the gateways' build."""

    def __init__(self):
        self.scale = scale()
        self.rekey, self.reject = 12 * self.scale, 18 * self.scale
        self.wipe, self.pause = 3 * self.reject, 60 * self.scale


@pytest.fixture(autouse=True)
def times(monkeypatch):
    monkeypatch.setenv("OMNI_BUILD", BUILD)
    return Times()


PAIRS = [("omni", "go", "wireguard"), ("go", "omni", "wireguard"), ("omni", "omni", "wireguard"),
         ("omni", "omni", "omni")]
WIREGUARD = [p for p in PAIRS if p[2] == "wireguard"]


@pytest.fixture
def pair(request, times, tmp_path_factory):
    """Both know each other's address; A calls."""
    a, b, dialect = request.param
    rig = wg_rig(tmp_path_factory, Pairing(a, b, "udp"))
    try:
        if dialect == "omni":
            for end in rig.ends:
                end.own_identity()
        for end, other in (rig.ends, rig.ends[::-1]):
            end.knows(other, at=endpoint(rig.topo.uplink_addr(other.site))).more = {
                "dialect": dialect}
        rig.dialect = dialect
        for end in rig.ends:
            end.start()
            end.deaf()
        rig.ends[0].reaches(rig.ends[1])
        yield rig.ends
    finally:
        drop_rig(rig)


def of(pairs):
    return pytest.mark.parametrize("pair", pairs, indirect=True, ids="-".join)


def gateways(ends):
    return [e for e in ends if e.kind == "omni"]


def both_ways(ends):
    return (ends, ends[::-1])


# ---- Renewals ----

class Ages:
    """The greatest age of a key and the greatest number of keys that gateways had, asked for again
    and again; wireguard-go that calls renews its keys as often as a gateway does."""

    def __init__(self, ends, every):
        self.ends, self.every = ends, every
        self.oldest = self.most = self.forgot = 0
        self.failed = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        began = time.monotonic()
        try:
            while not self.over.wait(0.5):
                for end in gateways(self.ends):
                    sessions = end.gateway.sessions()
                    self.most = max(self.most, len(sessions))
                    self.oldest = max([self.oldest, *(s["age_s"] for s in sessions)])
                if self.ends[0].kind == "go" and \
                        time.monotonic() - began > (self.forgot + 1) * self.every:
                    self.ends[0].forget_keys()
                    self.forgot += 1
        except Exception as e:  # told by finish()
            self.failed = e

    def finish(self):
        self.over.set()
        self.thread.join()
        if self.failed:
            raise self.failed


@of(PAIRS)
def test_keys_are_renewed_under_traffic(pair, times):
    """Pings and a TCP connection in both directions meanwhile: nothing is lost."""
    a, b = pair
    seconds = (RENEWALS + 0.6) * times.rekey + 5
    before = sum(e.counter("ctl_handshakes_done") for e in gateways(pair))
    with Wire(a.rig, "a", ["udp", "and", "udp[8] < 3"]) as wire:
        pings = [x.pings(y) for x, y in both_ways(pair)]
        streams = [x.stream(y, seconds=seconds, rate=RATE) for x, y in both_ways(pair)]
        ages = Ages(pair, times.rekey)
        try:
            seen = [s.finish(seconds + 60) for s in streams]
        finally:
            ages.finish()
            replies = [p.finish() for p in pings]
    done = sum(e.counter("ctl_handshakes_done") for e in gateways(pair)) - before
    print(f"{done} counted, at most {ages.most} keys of {ages.oldest} s; {seen}; {replies}")
    assert [r["lost"] for r in replies] == [[], []] and min(r["sent"] for r in replies) > 100
    assert max(r["gap"] for r in replies + seen) < 1.0
    renewed = done / len(gateways(pair))
    assert RENEWALS <= renewed <= RENEWALS + 1
    if a.rig.dialect == "wireguard":
        first = [d for d in wire.of_type(INITIATION) if d.src == address(a, a)]
        assert len(first) == len(wire.of_type(INITIATION)) == len(wire.of_type(RESPONSE)) == renewed
    assert ages.oldest <= times.reject + 1 and ages.most <= 3


def address(a, end):
    return bytes(map(int, a.rig.topo.uplink_addr(end.site).split(".")))


# ---- Unused ----

@of(WIREGUARD)
def test_unused_sessions_end_and_begin_anew(pair, times):
    """One datagram that is answered with an empty one; then nothing, and after three lives of a key
    no key. The next packet brings new ones, and arrives."""
    a, b = pair
    frm, to = pair if a.kind == "go" or b.kind == "omni" else pair[::-1]
    assert to.kind == "omni"
    time.sleep(times.scale * 3)  # answers that are owed, or missed
    made = time.time() - min(e.row(o)["last_handshake_s"] for e, o in both_ways(pair)
                             if e.kind == "omni")
    with Wire(a.rig, "a") as wire:
        frm.datagram(to)
        until("the keys to go", times.wipe + 5, lambda: all(e.gateway.sessions() == []
                                                            for e in gateways(pair)), every=0.5)
        wiped = time.time()
    assert times.wipe - 1 < wiped - made < times.wipe + 3
    said = [(d.src == address(a, frm), d.payload[0], len(d.payload)) for d in wire.all]
    assert said == [(True, DATA, 64), (False, DATA, 32)]
    for end, other in both_ways(pair):
        if end.kind == "go":
            end.forget_keys()
        elif end is b:
            continue  # it has a key by then
        with Wire(a.rig, "a") as wire:
            assert end.ping(other, count=5, interval=0.2) == 5
        assert [d.payload[0] for d in wire.all[:3]] == [INITIATION, RESPONSE, DATA]
        assert len(wire.of_type(INITIATION)) == len(wire.of_type(RESPONSE)) == 1


# ---- Asleep ----

def fall_asleep(end, times):
    """wireguard-go's keys are too old when it wakes up; meanwhile it cannot be asked to forget them,
    so that is done before, while nothing of what it calls leaves."""
    if end.kind != "go" or times.scale > 1:
        end.pause()
        return
    nft(end.ns, "table ip mute { chain out { type filter hook output priority 0; udp dport "
        f"{PORT} drop; }}; }}")
    end.forget_keys()
    time.sleep(0.5)
    end.pause()
    nft(end.ns, "delete table ip mute")


@pytest.mark.parametrize("asleep", [0, 1], ids=["caller asleep", "called asleep"])
@of(PAIRS)
def test_awake_after_ten_minutes(pair, times, asleep):
    """Either end stands still, during a transfer in each direction. Both connections go on."""
    seconds = times.pause + 20
    one, other = pair[asleep], pair[1 - asleep]
    streams = [x.stream(y, seconds=seconds, rate=RATE, patience=3 * times.pause + 60)
               for x, y in ((one, other), (other, one))]
    time.sleep(3)
    fall_asleep(one, times)
    began = time.monotonic()
    time.sleep(times.reject)
    if other.kind == "go":
        other.forget_keys()
    time.sleep(times.pause - times.reject)
    one.resume()
    slept = time.monotonic() - began
    seen = [s.finish(seconds + times.pause + 60) for s in streams]
    silent = [round(s["gap"] - slept, 3) for s in seen]
    print(f"silent after {slept:.1f} s: from {silent[0]} s, towards {silent[1]} s")
    assert max(silent) < SILENCE
