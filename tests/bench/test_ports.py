# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is read from dpdk-testpmd, and what headers leave of a shaped uplink."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../tools/bench.d"))

import ports  # noqa: E402
import shaped  # noqa: E402


def second(a, b):
    return "".join(f"  NIC statistics for port {i}\n  Throughput (since last show)\n"
                   f"  Rx-pps:     {n}          Rx-bps:    0\n  Tx-pps:  7   Tx-bps:  0\n"
                   for i, n in enumerate((a, b)))


def test_both_ports_are_added_and_the_first_seconds_left_out():
    text = second(0, 0) + second(5, 5) + second(100, 200) + second(110, 220)
    assert ports.parse_pps(text) == [300, 330]


def test_half_a_second_is_not_counted():
    text = second(0, 0) * 2 + second(100, 200) + "  Rx-pps:     9   Rx-bps: 0\n"
    assert ports.parse_pps(text) == [300]
    assert ports.parse_pps("") == []


def test_headers_leave_of_an_uplink_of_1500():
    assert shaped.headers_leave() == pytest.approx(0.943, abs=0.0005)
