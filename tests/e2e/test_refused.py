# SPDX-License-Identifier: MIT OR Apache-2.0
"""Boxes that do not belong: a wrong secret, a VIP that another holds, a denied key."""
import time

import pytest

from conftest import drop_rig, make_rig
from pcap import Capture, Summary
from rig import CLUSTER, Nucleus, until


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    rig = make_rig(tmp_path_factory, 3, hosts=False)
    yield rig
    drop_rig(rig)


@pytest.fixture
def rig(sites):
    yield sites
    sites.stop()


def test_wrong_secret_never_peers_and_gets_no_answer(rig, tmp_path):
    t = rig.topo
    wrong = rig.secret_file("wrong.secret", "another secret, long enough")
    conf = {"a": rig.static_config("a", "b"),
            "b": rig.static_config("b", "a", {"secret-file": wrong})}
    # Site A only answers: all that B gets or not gets is seen on its side of the router.
    del conf["a"]["clusters"][CLUSTER]["peers"]["siteb"]["endpoint"]
    c = Capture(t.router, "rb", str(tmp_path / "b.pcap")).start()
    gw = {s: rig.gateway(s, conf[s]) for s in "ab"}
    until("A to count it", 10, lambda: gw["a"].counter("ctl_bad_proof")
          + gw["a"].counter("ctl_unknown_cluster") > 0)
    time.sleep(1)
    c.stop()
    s = Summary(c.path)
    assert s.sent_by(t.uplink_addr("b")) > 0
    assert s.sent_to(t.uplink_addr("b")) == 0, "silence"
    assert not gw["a"].up_peers() and not gw["b"].up_peers()
    assert rig.vip_ping("b", "a", count=1, wait=0.3)[1] == 0


def test_wrong_secret_through_a_nucleus_is_another_room(rig):
    rig.start(Nucleus(rig))
    wrong = rig.secret_file("wrong.secret", "another secret, long enough")
    gw = {"a": rig.gateway("a"), "b": rig.gateway("b", rig.config("b", cluster={
        "secret-file": wrong}))}
    time.sleep(3)
    assert not gw["a"].peers() and not gw["b"].peers()


def test_vip_of_another_is_refused_and_said_on_the_refused_side(rig):
    rig.start(Nucleus(rig))
    gw = {s: rig.gateway(s) for s in "ab"}
    rig.reaches(rig.topo.gw("a"), rig.topo.vip("b"), 15)
    gw["c"] = rig.gateway("c", rig.config("c", cluster={"vip": f"{rig.topo.vip('a')}/24"}))
    said = until("the reason in the refused side's status", 10, lambda: next(
        (line for line in gw["c"].ctl("status").stdout.splitlines()
         if "held by another" in line), None))
    assert said
    time.sleep(1)
    assert not gw["c"].up_peers()
    assert gw["a"].up_peers() == {rig.identity("b")[0].key}
    assert rig.vip_ping("b", "a", count=3)[1] == 3


def test_static_peer_that_claims_a_held_vip(rig):
    conf = {"a": rig.static_config("a", "bc"), "b": rig.static_config("b", "a"),
            "c": rig.static_config("c", "a", {"vip": f"{rig.topo.vip('b')}/24"})}
    conf["a"]["clusters"][CLUSTER]["peers"]["sitec"].pop("vip")
    gw = {s: rig.gateway(s, conf[s]) for s in "ab"}
    rig.reaches(rig.topo.gw("a"), rig.topo.vip("b"), 10)
    gw["c"] = rig.gateway("c", conf["c"])
    until("the refusal to be counted", 10, lambda: gw["a"].counter("ctl_vip_conflict") > 0)
    until("the reason in the refused side's status", 10,
          lambda: "held by another" in gw["c"].ctl("status").stdout)
    assert not gw["c"].up_peers()
    assert rig.vip_ping("b", "a", count=3)[1] == 3


def test_denied_key(rig):
    key = rig.identity("b")[0].key
    rig.start(Nucleus(rig))
    gw = {"a": rig.gateway("a", rig.config("a", cluster={"deny": [key]})), "b": rig.gateway("b")}
    until("A to count it", 15, lambda: gw["a"].counter("ctl_denied") > 0
          or gw["b"].counter("ctl_was_refused") > 0)
    assert not gw["a"].up_peers() and not gw["b"].up_peers()
