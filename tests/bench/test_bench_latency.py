# SPDX-License-Identifier: MIT OR Apache-2.0
"""Round trips over the bare path for a moment, and what omni-pingpong says."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../tools/bench.d"))

import lab  # noqa: E402
import latency  # noqa: E402
from report import Report  # noqa: E402

BUILT = os.access(lab.program("pingpong"), os.X_OK)


def test_what_was_lost_is_no_round_trip():
    assert latency.parse_pingpong("12000\nlost\n8500\n") == ([12.0, 8.5], 1)


def test_added_is_the_difference_to_the_bare_path():
    r = Report("latency", lab.machine(), "abc")
    latency.add_path(r, "udp, poll", [{"idle p50": 30.0}, {"idle p50": 34.0}], {"idle p50": 20.0},
                     [])
    assert {x["name"]: x["value"] for x in r.rows} == {
        "udp, poll/idle p50": 32.0, "udp, poll, added/idle p50": 12.0}


@pytest.mark.skipif(os.geteuid() != 0, reason="must run as root")
@pytest.mark.skipif(not BUILT, reason="no release build: OMNI_BUILD names it")
def test_round_trips_between_two_namespaces():
    with lab.Lab() as place:
        ns = {s: place.space(s) for s in "ab"}
        place.veth(*((ns[s], "up0", f"{latency.VETH[s]}/24") for s in "ab"))
        place.start(ns["b"], [lab.program("pingpong"), "--echo", latency.VETH["b"],
                              latency.ECHO_PORT])
        lab.until("an echo", 5, lambda: latency.inside(
            ns["a"], lab.program("pingpong"), "--count", "1", latency.VETH["b"],
            latency.ECHO_PORT).stdout.strip().isdigit())
        p = latency.inside(ns["a"], lab.program("pingpong"), "--count", "50", "--interval", "0",
                           latency.VETH["b"], latency.ECHO_PORT)
        times, lost = latency.parse_pingpong(p.stdout)
        assert len(times) + lost == 50 and lost < 5 and min(times) > 0
